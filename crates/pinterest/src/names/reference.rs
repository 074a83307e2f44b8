//! References to boards and sections, as users write them.

use std::fmt;
use std::str::FromStr;

use super::address::{self, BoardAddress, NotABoard};
use super::closest::{Likeness, Rank};
use super::slug::Slug;
use super::title::Title;
use crate::model::is_id;

/// A reference to a board.
///
/// Titles are compared in steps, and the closest match counts ([`super::Closest`]): first character by character; then
/// without regard to kinds of blanks, invisible characters and the Unicode form; then without regard to case and
/// compatible characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardReference {
    /// Digits: an id, or a title if no board has this id.
    Number(Title),
    /// `https://www.pinterest.com/{username}/{board}/` on any of Pinterest's hosts, or a section's address.
    Address(BoardAddress),
    /// Anything else.
    Title(Title),
}

/// Shorter numbers are more likely a title, such as a year.
const SHORTEST_ID: usize = 5;

impl FromStr for BoardReference {
    type Err = NotABoard;

    fn from_str(text: &str) -> Result<Self, NotABoard> {
        let trimmed = text.trim();
        if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Number(Title::new(trimmed)));
        }
        match address::read(trimmed) {
            Some(address) => address.map(Self::Address),
            None => Ok(Self::Title(Title::new(trimmed))),
        }
    }
}

impl BoardReference {
    /// A reference by title, even if the text could be an id or an address.
    pub fn title(text: &str) -> Self {
        Self::Title(Title::new(text))
    }

    /// The id, if this is long enough to be one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Number(number) => {
                Some(number.written()).filter(|number| number.len() >= SHORTEST_ID && is_id(number))
            }
            _ => None,
        }
    }

    /// The section in an address.
    pub fn section(&self) -> Option<SectionReference> {
        match self {
            Self::Address(address) => address.section.as_deref().map(SectionReference::in_address),
            _ => None,
        }
    }

    /// How closely this matches the board with this id, title and owner, if at all. An unknown owner matches any user.
    pub fn likeness(&self, id: &str, title: &str, owner: Option<&str>) -> Option<Likeness> {
        match self {
            Self::Number(number) if number.written() == id => Some(Likeness::of(Rank::Id)),
            Self::Number(wanted) | Self::Title(wanted) => wanted.rank(title).map(Likeness::of),
            Self::Address(address) => {
                let ours = owner.is_none_or(|owner| owner.to_lowercase() == address.username);
                let rank = ours.then(|| address.slug.rank(title)).flatten();
                rank.map(|rank| Likeness::of(rank).with_owner(owner.is_some()))
            }
        }
    }

    /// Whether this is the address of another user's board with this title.
    pub fn is_of_another(&self, title: &str, owner: Option<&str>) -> bool {
        match (self, owner) {
            (Self::Address(address), Some(owner)) => {
                owner.to_lowercase() != address.username && address.slug.rank(title).is_some()
            }
            _ => false,
        }
    }
}

impl fmt::Display for BoardReference {
    /// A title as written, an address as user and board.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(title) | Self::Title(title) => f.write_str(title.written()),
            Self::Address(address) => write!(f, "{}/{}", address.username, address.slug.text()),
        }
    }
}

/// A reference to a section of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionReference {
    text: String,
    by: By,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Title(Title),
    Slug(Slug),
}

impl SectionReference {
    /// By id or title; titles are compared like those of boards.
    pub fn named(text: &str) -> Self {
        SectionReference { text: text.to_owned(), by: By::Title(Title::new(text)) }
    }

    /// By a decoded part of an address.
    pub fn in_address(part: &str) -> Self {
        SectionReference { text: part.to_owned(), by: By::Slug(Slug::of(part)) }
    }

    /// The reference as written; a part of an address is decoded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How closely this matches the section with this id and title, if at all.
    pub fn likeness(&self, id: &str, title: &str) -> Option<Likeness> {
        let rank = match &self.by {
            By::Title(_) if self.text.trim() == id => Some(Rank::Id),
            By::Title(wanted) => wanted.rank(title),
            By::Slug(slug) => slug.rank(title),
        };
        rank.map(Likeness::of)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Closest;
    use super::*;

    fn parsed(text: &str) -> BoardReference {
        text.parse().expect("a board")
    }

    fn closest(wanted: &str, boards: &[(&'static str, &str, Option<&str>)]) -> Vec<&'static str> {
        let wanted = parsed(wanted);
        let mut closest = Closest::default();
        for (id, title, owner) in boards {
            closest.offer(*id, wanted.likeness(id, title, *owner));
        }
        closest.into_found()
    }

    #[test]
    fn digits_match_an_id_before_a_title() {
        let boards = [("12345", "Barn", None), ("67890", "12345", None), ("11111", "2026", None)];
        assert_eq!(closest(" 12345 ", &boards), ["12345"]);
        assert_eq!(closest("12345", &boards[1..]), ["67890"]);
        assert_eq!(closest("2026", &boards), ["11111"]);
        assert_eq!(closest("1234", &boards), [""; 0]);
        assert_eq!((parsed("2026").id(), parsed("549755885175").id()), (None, Some("549755885175")));
        assert_eq!(parsed(&"1".repeat(40)).id(), None, "no id has so many digits");
    }

    #[test]
    fn the_closest_title_counts() {
        let boards = [("1", "Stra\u{DF}e", None), ("2", "STRASSE", None), ("3", "Strasse", None)];
        assert_eq!(closest("Strasse", &boards), ["3"]);
        assert_eq!(closest(" STRASSE", &boards), ["2"]);
        assert_eq!(closest("strasse", &boards), ["1", "2", "3"]);
        let forms = [("1", "Cafe\u{301}", None), ("2", "caf\u{E9}", None)];
        assert_eq!(closest("Caf\u{E9}", &forms), ["1"]);
    }

    #[test]
    fn addresses_match_by_owner_and_slug() {
        let address = "https://www.pinterest.com/anna/caf%C3%A9-br%C3%BBl%C3%A9e-%26-more/";
        let title = "Caf\u{E9} Br\u{FB}l\u{E9}e & More!";
        let boards = [("1", title, Some("Anna")), ("2", title, Some("berta")), ("3", title, None)];
        assert_eq!(closest(address, &boards), ["1"]);
        assert_eq!(closest(address, &boards[1..]), ["3"]);
        assert_eq!(closest(address, &boards[1..2]), [""; 0]);
        assert!(parsed(address).is_of_another(title, Some("berta")));
        assert!(!parsed(address).is_of_another(title, Some("ANNA")));
        // Two titles of one slug.
        let twins = [("1", "Barn!", Some("anna")), ("2", "Barn?", Some("anna"))];
        assert_eq!(closest("pinterest.at/anna/barn", &twins), ["1", "2"]);
    }

    #[test]
    fn sections_by_id_title_and_address() {
        let section = parsed("https://www.pinterest.com/anna/rooms/grand-hall/").section().expect("a section");
        assert_eq!(section.text(), "grand-hall");
        assert!(section.likeness("1", "Grand Hall!").is_some());
        assert!(section.likeness("grand-hall", "Bath").is_none());
        assert!(parsed("https://www.pinterest.com/anna/rooms/").section().is_none());
        let likeness = |wanted: &str, owner| parsed(wanted).likeness("1", "Grand Hall", owner);
        assert!(likeness("Grand\u{A0}Hall", None).is_some_and(Likeness::is_certain));
        assert!(likeness("grand hall", None).is_some_and(|likeness| !likeness.is_certain()));
        assert!(likeness("pinterest.at/anna/grand-hall", Some("Anna")).is_some_and(Likeness::is_certain));
        assert!(likeness("pinterest.at/anna/grand-hall", None).is_some_and(|likeness| !likeness.is_certain()));
        assert!(likeness("pinterest.at/anna/grandhall", Some("anna")).is_some_and(|likeness| !likeness.is_certain()));
        let named = SectionReference::named(" 17 ");
        assert!(named.likeness("17", "Bath").is_some_and(Likeness::is_id));
        assert!(named.likeness("18", "17").is_some());
        assert!(SectionReference::named("GRAND  hall").likeness("1", "Grand Hall").is_some());
    }
}
