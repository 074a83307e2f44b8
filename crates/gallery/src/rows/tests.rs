use super::*;

fn parse(json: &str) -> Rows {
    Rows::parse(json, &mut Budget::default(), &mut || {}).unwrap()
}

fn refusal(json: &str) -> String {
    Rows::parse(json, &mut Budget::default(), &mut || {}).unwrap_err().to_string()
}

#[test]
fn a_recommendation_becomes_a_card() {
    let rows = parse(
        r#"[{"rank": 1, "key": "7", "score": 0.912345678, "distance": 0.0876543, "theme": 2, "name": "Alder Hill",
             "price": 4200, "image": "https://example.com/a.jpg", "link": "https://example.com/alder", "note": null,
             "because": [{"account_id": 3, "pin_id": "11", "position": 0, "title": "Hay", "board": "Barn wedding",
                          "link": "https://example.com/else", "image_url": "https://i.pinimg.com/h.jpg", "distance": 0.05}]}]"#,
    );
    let [card] = &rows.cards[..] else { panic!("{rows:?}") };
    assert_eq!(card.title.as_deref(), Some("Alder Hill"));
    assert_eq!(card.rank.as_deref(), Some("1"));
    assert_eq!(card.link, Address::parse("https://example.com/alder"));
    assert_eq!(card.picture, Picture::linked("https://example.com/a.jpg"));
    let facts: Vec<_> = card.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(facts, [("score", "0.9123"), ("distance", "0.0877"), ("theme", "2"), ("key", "7"), ("price", "4200")]);
    let [reason] = &card.because[..] else { panic!("{card:?}") };
    assert_eq!(reason.link, Address::of_pin("11"), "a pin's picture leads to the pin");
    assert_eq!((reason.account_id, reason.position), (Some(3), Some(0)));
    assert_eq!(reason.distance.as_deref(), Some("0.05"));
    assert_eq!(rows.left_out, LeftOut::default());
}

#[test]
fn the_heading_is_the_title_else_the_name_else_the_key() {
    let rows = parse(r#"[{"key": "1"}, {"key": "1", "name": "n"}, {"name": "n", "title": "t"}, {"price": 1}]"#);
    let headings: Vec<_> = rows.cards.iter().map(|card| card.title.as_deref()).collect();
    assert_eq!(headings, [Some("1"), Some("n"), Some("t"), None]);
    assert_eq!(rows.cards[2].facts, [("name".to_owned(), "n".to_owned())]);
}

#[test]
fn bytes_are_pictures_by_their_first_bytes() {
    let rows =
        parse(r#"[{"image": "\\xFFd8ffe0"}, {"image": "\\x3c7376673e"}, {"image": "\\xffd"}, {"image": "\\xzz"}]"#);
    assert_eq!(rows.cards[0].picture, Picture::embedded(vec![0xff, 0xd8, 0xff, 0xe0]));
    assert!(rows.cards[1..].iter().all(|card| card.picture.is_none()));
    assert_eq!(rows.left_out, LeftOut { not_pictures: 3, ..LeftOut::default() });
}

#[test]
fn the_budget_limits_embedded_pictures() {
    let mut budget = Budget::of(6);
    let json = r#"[{"image": "\\xffd8ffe0"}, {"image": "\\xffd8ffe0"}, {"image": "https://example.com/a.jpg"}]"#;
    let rows = Rows::parse(json, &mut budget, &mut || {}).unwrap();
    let shown: Vec<_> = rows.cards.iter().map(|card| card.picture.is_some()).collect();
    assert_eq!(shown, [true, false, true]);
    assert_eq!(rows.left_out, LeftOut { beyond_budget: 1, ..LeftOut::default() });
    assert_eq!(budget.left(), 2);
}

#[test]
fn addresses_that_are_not_https_are_left_out_and_counted() {
    let rows = parse(
        r#"[{"link": "javascript:alert(1)", "image": "http://example.com/a.jpg"}, {"link": "", "image": null},
            {"because": [{"link": "data:text/html,x", "image_url": "//example.com/a.jpg"}]}]"#,
    );
    assert!(rows.cards.iter().all(|card| card.link.is_none() && card.picture.is_none()));
    assert_eq!(rows.cards[2].because[0].link, None);
    assert_eq!(rows.left_out, LeftOut { addresses: 4, ..LeftOut::default() });
}

#[test]
fn data_is_not_shown_as_facts_and_facts_are_limited() {
    let vector = format!("[{}]", vec!["0.125"; 512].join(","));
    let rows = parse(&format!(r#"[{{"embedding": "{vector}", "photo": "\\x00", "list": [1], "town": "Alder"}}]"#));
    assert_eq!(rows.cards[0].facts, [("town".to_owned(), "Alder".to_owned())]);
    let many: Vec<String> = (0..40).map(|number| format!(r#""column {number}": {number}"#)).collect();
    assert_eq!(parse(&format!("[{{{}}}]", many.join(","))).cards[0].facts.len(), MOST_FACTS);
}

#[test]
fn rows_and_reasons_are_limited() {
    let many = vec![r#"{"because": [{}, {}, {}, {}, {}, {}, {}, {}]}"#; MOST_ROWS + 3];
    let rows = parse(&format!("[{}]", many.join(",")));
    assert_eq!((rows.cards.len(), rows.left_out.rows), (MOST_ROWS, 3));
    assert_eq!(rows.cards[0].because.len(), MOST_REASONS);
    assert!(parse("[]").cards.is_empty());
}

#[test]
fn refusals_name_the_place() {
    assert_eq!(refusal(r#"{"a": 1}"#), "rows: invalid type: map, expected an array of objects at line 1 column 0");
    assert!(refusal("null").starts_with("rows: invalid type: null, expected an array of objects"));
    assert!(refusal(r#"[{}, {}, 7]"#).starts_with("rows[2]: invalid type: integer `7`, expected an object"));
    assert!(refusal(r#"[{}, null]"#).starts_with("rows[1]: invalid type: null"));
    assert_eq!(refusal(r#"[{"image": 5}]"#), "rows[0].image: is not a string");
    assert_eq!(refusal(r#"[{"link": {}}]"#), "rows[0].link: is not a string");
    let no_array = "rows[0].because: invalid type: string \"x\", expected an array of objects";
    assert!(refusal(r#"[{"because": "x"}]"#).starts_with(no_array));
    let no_object = "rows[1].because[1]: invalid type: integer `1`, expected an object";
    assert!(refusal(r#"[{}, {"because": [{}, 1]}]"#).starts_with(no_object));
    assert_eq!(refusal(r#"[{"because": [{"image_url": 1}]}]"#), "rows[0].because[0].image_url: is not a string");
    assert!(refusal(r#"[{"title": "\ud800"}]"#).starts_with("rows[0]: "), "half a surrogate pair");
    assert!(refusal(r#"[{"because": [{}], "image": 5}]"#).starts_with("rows[0].image: "), "after other parts");
    assert!(refusal("[{}] x").starts_with("rows: trailing characters"));
    assert!(refusal(r#"[{"because": {}}]"#).starts_with("rows[0].because: invalid type: map, expected an array"));
    assert!(refusal(r#"[{"because": [[]]}]"#).starts_with("rows[0].because[0]: invalid type: sequence, expected"));
    assert!(refusal(&format!("[\"{}\"]", "\u{e4}".repeat(5000))).chars().count() < 310);
}

#[test]
fn hidden_values_are_skipped_however_deep_or_long() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = "x".repeat(1 << 20);
    let json = format!(
        r#"[{{"a": {nested}, "title": {nested}, "{long}": 1, "b": "{long}",
             "because": [{{"title": {nested}, "{long}": {nested}}}], "key": "1"}}]"#
    );
    let rows = parse(&json);
    let [card] = &rows.cards[..] else { panic!("{} cards", rows.cards.len()) };
    assert_eq!((card.title.as_deref(), card.because.len()), (Some("1"), 1));
    for (name, value) in &card.facts {
        assert!(name.chars().count() <= crate::LONGEST_TEXT + 1 && value.chars().count() <= crate::LONGEST_TEXT + 1);
    }
    let many: Vec<String> = (0..100_000).map(|number| format!(r#""score": {number}"#)).collect();
    assert_eq!(parse(&format!("[{{{}}}]", many.join(","))).cards[0].facts.len(), MOST_FACTS);
}

#[test]
fn a_row_beyond_the_last_shown_is_still_an_object() {
    let many = vec!["{}"; MOST_ROWS].join(",");
    assert_eq!(parse(&format!("[{many}, {{\"a\": [1]}}]")).left_out.rows, 1);
    assert!(refusal(&format!("[{many}, 7]")).starts_with("rows[500]: invalid type: integer `7`, expected an object"));
}
