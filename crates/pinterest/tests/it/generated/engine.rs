//! The guarantees for spoiled answers.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use pinterest::model::{Board, Pin, Section, UserAccount};
use pinterest::{Error, ErrorKind, Page, TokenGrant, fuzzing};
use serde_json::{Value, json};

use super::spoil::{Spoiled, at, places, spoil, ways, written};

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    BoardPage,
    Board,
    SectionPage,
    PinPage,
    Pin,
    Account,
    Grant,
}

impl Kind {
    fn is_page(self) -> bool {
        matches!(self, Kind::BoardPage | Kind::SectionPage | Kind::PinPage)
    }

    /// The object of the answer.
    pub fn item(self, answer: &Value) -> Option<&Value> {
        if self.is_page() { answer.pointer("/items/0") } else { Some(answer) }
    }

    fn read(self, body: &[u8]) -> Result<Read, Error> {
        match self {
            Kind::BoardPage => fuzzing::boards(body).map(|page| Read::page(page, board)),
            Kind::SectionPage => fuzzing::sections(body).map(|page| Read::page(page, section)),
            Kind::PinPage => fuzzing::pins(body).map(|page| Read::page(page, pin)),
            Kind::Board => fuzzing::board(body).map(|it| Read::one(board(&it))),
            Kind::Pin => fuzzing::pin(body).map(|it| Read::one(pin(&it))),
            Kind::Account => fuzzing::account(body).map(|it| Read::one(account(&it))),
            Kind::Grant => fuzzing::grant(body).map(|it| Read::one(grant(&it))),
        }
    }

    /// Required members.
    fn essential(self) -> &'static [&'static str] {
        match self {
            Kind::Account => &[],
            Kind::Grant => &["access_token"],
            _ => &["id"],
        }
    }
}

/// A parsed object: the members of the answer with this crate's values.
type Fields = BTreeMap<&'static str, String>;

struct Read {
    items: Vec<Fields>,
    others: usize,
    bookmark: Option<String>,
}

impl Read {
    fn page<T>(page: Page<T>, fields: fn(&T) -> Fields) -> Self {
        Self {
            others: page.tiles + page.unreadable,
            bookmark: page.bookmark,
            items: page.items.iter().map(fields).collect(),
        }
    }

    fn one(fields: Fields) -> Self {
        Self { items: vec![fields], others: 0, bookmark: None }
    }
}

fn field(name: &'static str, value: impl Debug) -> (&'static str, String) {
    (name, format!("{value:?}"))
}

fn board(board: &Board) -> Fields {
    Fields::from([
        field("id", &board.id),
        field("name", &board.name),
        field("description", &board.description),
        field("privacy", &board.privacy),
        field("owner", &board.owner),
        field("created_at", board.created_at),
        field("board_pins_modified_at", board.board_pins_modified_at),
        field("pin_count", board.pin_count),
    ])
}

fn section(section: &Section) -> Fields {
    Fields::from([field("id", &section.id), field("name", &section.name)])
}

fn pin(pin: &Pin) -> Fields {
    let images = pin.images();
    match &images {
        Ok(images) => assert!(!images.is_empty(), "no image, and no reason: {}", pin.raw),
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
    let again = fuzzing::pin(pin.raw.as_bytes()).expect("the stored JSON of a pin can be parsed");
    assert_eq!(again.id, pin.id);
    Fields::from([
        field("id", &pin.id),
        field("board_id", &pin.board_id),
        field("board_section_id", &pin.board_section_id),
        field("created_at", pin.created_at),
        field("title", &pin.title),
        field("description", &pin.description),
        field("link", (&pin.link, pin.link_domain())),
        field("alt_text", &pin.alt_text),
        field("dominant_color", &pin.dominant_color),
        field("parent_pin_id", &pin.parent_pin_id),
        field("creative_type", &pin.creative_type),
        field("is_product", pin.is_product),
        field("ai_disclosures", &pin.ai_disclosures),
        field("product_tags", &pin.product_tags),
        field("media", (&pin.media, images)),
    ])
}

fn account(account: &UserAccount) -> Fields {
    Fields::from([
        field("id", &account.id),
        field("username", &account.username),
        field("pin_count", account.pin_count),
    ])
}

fn grant(grant: &TokenGrant) -> Fields {
    Fields::from([
        field("access_token", grant.access_token.expose()),
        field("expires_in", grant.expires_in),
        field("refresh_token", grant.refresh_token.as_ref().map(|token| token.expose().to_owned())),
        field("refresh_token_expires_in", grant.refresh_token_expires_in),
        field("scope", &grant.scopes),
    ])
}

/// Unspoiled items beside the spoiled one.
const CONTROLS: [&str; 2] = ["900000000000000001", "900000000000000002"];

/// The page with its item between two similar ones.
fn with_controls(answer: &Value) -> Value {
    let mut page = answer.clone();
    let item = page["items"][0].clone();
    let [before, after] = CONTROLS.map(|id| {
        let mut control = item.clone();
        control["id"] = json!(id);
        control
    });
    page["items"] = json!([before, item, after]);
    page["bookmark"] = json!("bookmark==");
    page
}

/// The members spoiled before: variants of a schema differ in few members.
pub type Done = HashSet<(Kind, Vec<String>, String)>;

/// Spoils every member at every depth in every way, one at a time, except those in `done`.
pub fn check_each_member(kind: Kind, answer: &Value, done: &mut Done) {
    let whole = if kind.is_page() { with_controls(answer) } else { answer.clone() };
    let plain = kind.read(&written(&whole)).unwrap_or_else(|error| panic!("{kind:?}: {error}: {whole:#}"));
    let expected = &plain.items[if kind.is_page() { 1 } else { 0 }];
    let item = kind.item(answer).expect("an item");
    for place in places(item) {
        let value = at(item, &place).expect("a value");
        if !done.insert((kind, place.clone(), value.to_string())) {
            continue;
        }
        for way in ways(value) {
            let mut spoiled = item.clone();
            spoil(&mut spoiled, &place, &way);
            let what = || format!("{kind:?} {} {way:?}", place.join("."));
            let touched = touched(&place, &way);
            if kind.is_page() {
                let mut page = whole.clone();
                page["items"][1] = spoiled.clone();
                check_page(kind, &page, &plain, &spoiled, expected, touched, &what);
            } else {
                check_one(kind, &spoiled, expected, touched, &what);
            }
        }
    }
    if kind.is_page() {
        check_envelope(kind, &whole, &plain);
    }
}

/// The first member that differs.
fn touched<'a>(place: &'a [String], way: &Spoiled) -> Option<&'a str> {
    let beside = matches!(way, Spoiled::Beside(_)) && place.len() == 1;
    place.first().map(String::as_str).filter(|_| !beside)
}

fn check_page(
    kind: Kind,
    page: &Value,
    plain: &Read,
    spoiled: &Value,
    expected: &Fields,
    touched: Option<&str>,
    what: &dyn Fn() -> String,
) {
    let read = kind.read(&written(page)).unwrap_or_else(|error| panic!("{}: the page is lost: {error}", what()));
    assert_eq!(read.items.len() + read.others, 3, "{}: an item went without a trace", what());
    assert_eq!(read.bookmark, plain.bookmark, "{}", what());
    assert_eq!(read.items.first(), plain.items.first(), "{}: the item before", what());
    assert_eq!(read.items.last(), plain.items.last(), "{}: the item after", what());
    match read.items.as_slice() {
        [_, item, _] => check_item(item, spoiled, expected, touched, what),
        _ => assert!(
            touched.is_some_and(|member| kind.essential().contains(&member)),
            "{}: nothing that an item needs was spoiled, and it is lost",
            what()
        ),
    }
}

fn check_one(kind: Kind, spoiled: &Value, expected: &Fields, touched: Option<&str>, what: &dyn Fn() -> String) {
    match kind.read(&written(spoiled)) {
        Ok(read) => check_item(&read.items[0], spoiled, expected, touched, what),
        Err(error) => {
            // A grant with an unknown type of token is invalid.
            let refused = kind == Kind::Grant && touched == Some("token_type");
            let essential = touched.is_some_and(|member| kind.essential().contains(&member));
            assert!(refused || essential, "{}: the answer is lost: {error}", what());
            assert_eq!(error.kind(), ErrorKind::Protocol, "{}", what());
        }
    }
}

fn check_item(item: &Fields, spoiled: &Value, expected: &Fields, touched: Option<&str>, what: &dyn Fn() -> String) {
    for (name, value) in item.iter().filter(|(name, _)| touched != Some(**name)) {
        assert_eq!(Some(value), expected.get(name), "{}: {name} is another", what());
    }
    // The id is unchanged, or the object is invalid.
    if touched == Some("id")
        && let Some(id) = item.get("id").filter(|id| *id != "None")
    {
        let digits: String = id.chars().filter(char::is_ascii_digit).collect();
        let stands = match &spoiled["id"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(digits, stands, "{}", what());
    }
}

/// Spoils the page around the items. It is parsed with all of its items or refused: it never ends the listing.
fn check_envelope(kind: Kind, whole: &Value, plain: &Read) {
    for member in ["items", "bookmark"] {
        for way in ways(&whole[member]) {
            let mut page = whole.clone();
            spoil(&mut page, &[member.to_owned()], &way);
            let what = format!("{kind:?} {member} {way:?}");
            let ends = matches!(&way, Spoiled::Absent | Spoiled::By(Value::Null))
                || matches!(&way, Spoiled::By(Value::String(text)) if text.is_empty());
            match kind.read(&written(&page)) {
                Err(error) => {
                    // Both fail or repeat the import with a reason.
                    let refused = matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Transient);
                    assert!(refused, "{what}: {error}");
                    assert!(!matches!(way, Spoiled::Beside(_)), "{what}: an unknown member cost the page");
                    assert!(member == "items" || !ends, "{what}: the end of a listing was refused");
                }
                Ok(read) if member == "items" => {
                    let listed = page["items"].as_array().map_or(0, Vec::len);
                    assert!(page["items"].is_array(), "{what}: what is no list was read as one");
                    assert_eq!(read.items.len() + read.others, listed, "{what}");
                    assert_eq!(read.bookmark, plain.bookmark, "{what}");
                }
                Ok(read) => {
                    assert_eq!(read.items, plain.items, "{what}");
                    assert_eq!(read.bookmark.is_none(), ends, "{what}: only what ends a listing may end it");
                }
            }
        }
    }
}

/// Limits of time and number for random spoiling of one answer.
const LONGEST: Duration = Duration::from_millis(400);
const TRIES: usize = 1_000;

/// Spoils several places of an item at once. `SEED` repeats the sequence of a failure.
pub fn check_at_random(kind: Kind, answer: &Value) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_24);
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = if kind.is_page() { with_controls(answer) } else { answer.clone() };
    let plain = kind.read(&written(&whole)).expect("the answer as it is");
    let item = kind.item(answer).expect("an item");
    let until = Instant::now() + LONGEST;
    for number in 0..TRIES {
        if Instant::now() > until {
            break;
        }
        let mut spoiled = item.clone();
        for _ in 0..random.usize(1..6) {
            let places = places(&spoiled);
            let Some(place) = random.choice(&places) else { break };
            let ways = ways(at(&spoiled, place).expect("a value"));
            let way = random.choice(&ways).expect("a way").clone();
            spoil(&mut spoiled, place, &way);
        }
        let what = || format!("SEED={seed}, try {number}: {kind:?} {spoiled}");
        if kind.is_page() {
            let mut page = whole.clone();
            page["items"][1] = spoiled.clone();
            let read =
                kind.read(&written(&page)).unwrap_or_else(|error| panic!("{}: the page is lost: {error}", what()));
            assert_eq!(read.items.len() + read.others, 3, "{}", what());
            assert_eq!(
                (read.items.first(), read.items.last()),
                (plain.items.first(), plain.items.last()),
                "{}",
                what()
            );
            assert_eq!(read.bookmark, plain.bookmark, "{}", what());
            if let [_, item, _] = read.items.as_slice() {
                check_item(item, &spoiled, item, Some("id"), &what);
            } else {
                assert_ne!(spoiled["id"], kind.item(answer).expect("an item")["id"], "{}", what());
            }
        } else if let Err(error) = kind.read(&written(&spoiled)) {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{}", what());
        }
    }
}
