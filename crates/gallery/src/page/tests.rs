use super::*;
use crate::{Address, Budget, LeftOut};

/// A text that would break a page in every known way.
const HOSTILE: &str =
    "</title></style></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{202e}\0";

fn pin(description: &str) -> Pin {
    Pin {
        link: Address::of_pin("1"),
        description: description.to_owned(),
        picture: Picture::linked("https://i.pinimg.com/1.jpg"),
    }
}

fn theme(label: Option<&str>, pictures: u64, shown: usize) -> Theme {
    let shown = vec![pin("A barn"); shown];
    Theme { label: label.map(str::to_owned), weight: Some(0.415), pictures, shown }
}

fn board(themes: Vec<Theme>) -> Board {
    Board { name: "Barn wedding".into(), description: None, owner: None, pins: 48, pictures: 1, themes }
}

fn rendered(page: &Page) -> String {
    let rendered = render(page, &mut || {}).unwrap();
    assert!(rendered.len() <= length(page), "{} bytes, {} were asked for", rendered.len(), length(page));
    rendered
}

fn cards(json: &str) -> Rows {
    Rows::parse(json, &mut Budget::default(), &mut || {}).unwrap()
}

#[test]
fn no_text_breaks_out() {
    let json = serde_json::json!([{
        "title": HOSTILE, HOSTILE: HOSTILE, "rank": HOSTILE, "score": HOSTILE, "theme": HOSTILE,
        "link": format!("https://example.com/{HOSTILE}"), "image": format!("https://example.com/?{HOSTILE}"),
        "because": [{"title": HOSTILE, "board": HOSTILE, "pin_id": HOSTILE, "distance": HOSTILE}],
    }]);
    let theme = Theme { label: Some(HOSTILE.into()), weight: Some(f64::NAN), pictures: 1, shown: vec![pin(HOSTILE)] };
    let mut hostile = board(vec![theme]);
    (hostile.name, hostile.description, hostile.owner) = (HOSTILE.into(), Some(HOSTILE.into()), Some(HOSTILE.into()));
    let page =
        rendered(&Page { title: Some(HOSTILE.into()), board: Some(hostile), rows: Some(cards(&json.to_string())) });
    let lower = page.to_lowercase();
    assert!(!lower.contains("<script") && !lower.contains("<img src=x"), "{page}");
    assert_eq!(lower.matches("</style>").count(), 1);
    assert_eq!(lower.matches("</title>").count(), 1);
    assert_eq!(lower.matches("<img ").count(), 2);
    // No text ends an attribute: all attributes are those of the templates.
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        assert!(!tag.split('"').step_by(2).any(|outside| outside.contains("onerror")), "{tag}");
    }
    assert!(page.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')), "ASCII alone");
}

#[test]
fn the_page_allows_only_pictures() {
    let page = rendered(&Page::default());
    for part in [
        "default-src 'none'",
        "img-src https: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "<meta name=\"referrer\" content=\"no-referrer\">",
        "<html lang=\"en\">",
        "name=\"viewport\"",
    ] {
        assert!(page.contains(part) || page.contains(&part.replace('\'', "&#39;")), "{part}");
    }
    assert!(!page.contains("style=\"") && !page.contains("<script") && !page.contains("http:"));
}

#[test]
fn a_board_shows_its_themes() {
    let page =
        rendered(&Page { board: Some(board(vec![theme(Some("barn"), 60, 4), theme(None, 2, 2)])), ..Page::default() });
    assert!(page.contains("<title>Barn wedding</title>"));
    assert!(page.contains("48 pins") && page.contains("1 picture ") && page.contains("2 themes"));
    assert!(page.contains(">barn</h2>") && page.contains(">Theme 2</h2>"));
    assert!(page.contains("4 of 60 pictures"), "a strip that was cut says so");
    assert!(!page.contains("2 of 2"));
    assert_eq!(page.matches("42 % of the board").count(), 2);
    assert_eq!(page.matches("href=\"https://www.pinterest.com/pin/1/\" rel=\"noopener noreferrer\"").count(), 6);
    assert_eq!(page.matches("alt=\"A barn\"").count(), 6);
    assert_eq!(page.matches("<li class=\"large\">").count(), LARGE + 2);
}

#[test]
fn a_board_without_pictures_has_a_note() {
    let page = rendered(&Page { board: Some(board(Vec::new())), ..Page::default() });
    assert!(page.contains("No picture of this board has an embedding yet."));
    let page = rendered(&Page { rows: Some(Rows::default()), ..Page::default() });
    assert!(page.contains("The query returned no rows.") && page.contains("<h1 dir=\"auto\">Results</h1>"));
}

#[test]
fn headings_skip_no_level() {
    let rows = || Some(cards(r#"[{"title": "Alder Hill", "rank": 1}]"#));
    let alone = rendered(&Page { rows: rows(), ..Page::default() });
    assert!(alone.contains("<h2><span class=\"rank\">1</span> <bdi>Alder Hill</bdi></h2>"));
    let below = rendered(&Page { rows: rows(), board: Some(board(Vec::new())), title: None });
    assert!(
        below.contains("<h3><span class=\"rank\">1</span>") && below.contains("Matches for <bdi>Barn wedding</bdi>")
    );
}

#[test]
fn omissions_are_reported() {
    let left_out = LeftOut { addresses: 2, not_pictures: 1, beyond_budget: 0, rows: 4 };
    let page = rendered(&Page { rows: Some(Rows { cards: Vec::new(), left_out }), ..Page::default() });
    for sentence in
        ["4 more rows are not shown.", "2 addresses were left out", "1 picture was left out: it is not a JPEG"]
    {
        assert!(page.contains(sentence), "{sentence}");
    }
}

#[test]
fn only_linked_images_wait_for_scrolling() {
    let rows = || {
        Some(cards(
            r#"[{"image": "\\xffd8ffe0", "because": [{"image_url": "\\xffd8ffe1"}]}, {"image": "https://example.com/a.jpg"}]"#,
        ))
    };
    let page = Page { rows: rows(), ..Page::default() };
    assert_eq!(page.embedded_bytes(), 8);
    let html = rendered(&page);
    let images: Vec<&str> = html.split("<img ").skip(1).filter_map(|rest| rest.split('>').next()).collect();
    let [embedded, small, linked] = images[..] else { panic!("{images:?}") };
    for image in [embedded, small] {
        assert!(image.contains("src=\"data:") && image.contains("decoding=\"sync\"") && !image.contains("loading"));
    }
    assert!(linked.contains("src=\"https:") && linked.contains("loading=\"lazy\""));
}

#[test]
fn check_is_called_between_cards() {
    let json = format!("[{}]", vec!["{}"; 100].join(","));
    let mut checks = 0;
    render(&Page { rows: Some(cards(&json)), ..Page::default() }, &mut || checks += 1).unwrap();
    assert!(checks > 100);
}

proptest::proptest! {
    #[test]
    fn tags_are_the_templates_own(text in "\\PC{0,40}", more in "[<>\"'&/=a-z \\x00-\\x1f]{0,60}") {
        let hostile = format!("{text}{more}");
        let json = |text: &str| serde_json::json!([{"title": text, "fact": text, "because": [{"title": text, "pin_id": "1"}]}]).to_string();
        let page = |text: &str| rendered(&Page {
            title: Some(text.to_owned()),
            board: Some(Board { description: Some(text.to_owned()), ..board(vec![theme(Some(text), 1, 1)]) }),
            rows: Some(cards(&json(text))),
        });
        let tags = |page: &str| page.matches('<').count();
        proptest::prop_assert!(tags(&page(&hostile)) <= tags(&page("word")), "{}", hostile);
    }
}
