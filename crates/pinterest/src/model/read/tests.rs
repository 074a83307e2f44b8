use proptest::prelude::*;

use super::*;
use crate::model::{Board, Pin, Section};

#[test]
fn a_page_ends_with_null_absent_or_empty_bookmark() {
    for body in [r#"{"items": [], "bookmark": null}"#, r#"{"items": []}"#, r#"{"items": [], "bookmark": ""}"#] {
        assert_eq!(read_page::<Board>(body.as_bytes()).unwrap().bookmark, None, "{body}");
    }
    let page = read_page::<Board>(br#"{"items": [], "bookmark": "a+/="}"#).unwrap();
    assert_eq!(page.bookmark.as_deref(), Some("a+/="));
}

#[test]
fn items_without_an_id_are_counted() {
    let body =
        br#"{"items": [{"id": "1"}, {"title": "more ideas"}, null, {"id": null}, {"id": "x"}, ["2"], 3, {"id": "4"},
        {"link": null, "title": "a pin that lost its id"}, {"id": {}}, {"id": -5}, {"id": 1.5}, {"id": 1e3}]}"#;
    let page = read_page::<Pin>(body).unwrap();
    assert_eq!(page.items.iter().map(|pin| pin.id.as_str()).collect::<Vec<_>>(), ["1", "4"]);
    assert_eq!((page.tiles, page.unreadable), (1, 10));
}

#[test]
fn a_number_is_as_good_an_id_as_text() {
    let body = br#"{"items": [{"id": 813744226420795884, "board_id": 81374422642079588412345, "media": null}]}"#;
    let page = read_page::<Pin>(body).unwrap();
    let pin = &page.items[0];
    assert_eq!((pin.id.as_str(), pin.board_id.as_deref()), ("813744226420795884", Some("81374422642079588412345")));
    assert!(page.unreadable == 0);
}

#[test]
fn a_pin_with_members_of_other_types_is_odd() {
    for (members, odd) in [
        (r#""title": null, "media": null, "board_id": null"#, false),
        (r#""title": "a", "media": {"media_type": "hologram", "images": {"600x": {"url": null}, "1x": null}}"#, false),
        (r#""board_id": 12, "created_at": "2021-10-25T11:17:56""#, false),
        (r#""title": 7"#, true),
        (r#""board_section_id": ["1"]"#, true),
        (r#""created_at": 12"#, true),
        (r#""created_at": "soon""#, true),
        (r#""media": 7"#, true),
        (r#""media": {"images": [1]}"#, true),
        (r#""media": {"images": {"600x": {"url": 3}}}"#, true),
        (r#""media": {"items": [{"images": {}}, 3]}"#, true),
        (r#""media": {"items": [{"cover_image_url": {}}]}"#, true),
    ] {
        let pin: Pin = read_item(format!(r#"{{"id": "1", {members}}}"#).as_bytes()).unwrap();
        assert_eq!(pin.odd, odd, "{members}");
    }
}

#[test]
fn unknown_members_enumerations_and_nulls_are_tolerated() {
    let body = r#"{"id": "1", "new": {"deep": [1]}, "title": null, "description": 7, "creative_type": "SMELL", "is_product": "yes",
        "created_at": "2021-10-25T11:17:56.715000", "media": {"media_type": "hologram"}}"#;
    let pin: Pin = read_item(body.as_bytes()).unwrap();
    assert_eq!((pin.title, pin.description, pin.is_product), (None, None, None));
    assert_eq!(pin.creative_type.as_deref(), Some("SMELL"));
    assert_eq!(pin.created_at.unwrap().as_microseconds(), 1_635_160_676_715_000);
    assert_eq!(pin.raw, body);
}

#[test]
fn boards_sections_and_accounts() {
    let board: Board = read_item(
        br#"{"id": "2", "name": "Barns", "privacy": "ODD", "pin_count": null, "board_pins_modified_at": "soon", "owner": {"username": "u", "x": 1}}"#,
    )
    .unwrap();
    assert_eq!((board.name.as_deref(), board.privacy.as_deref()), (Some("Barns"), Some("ODD")));
    assert_eq!((board.pin_count, board.board_pins_modified_at), (None, None));
    assert_eq!(board.owner.unwrap().username.as_deref(), Some("u"));
    let section: Section = read_item(br#"{"id": "3", "name": "A"}"#).unwrap();
    assert_eq!(section.name.as_deref(), Some("A"));
    let account =
        read_account(br#"{"username": "u", "account_type": "MARTIAN", "pin_count": 3, "monthly_views": {}}"#).unwrap();
    assert_eq!((account.id, account.username.as_deref(), account.pin_count), (None, Some("u"), Some(3)));
}

#[test]
fn unstorable_characters_do_not_cost_the_pin() {
    let pin: Pin = read_item(br#"{"id": "1", "title": "a\u0000b", "description": "\ud83d"}"#).unwrap();
    assert_eq!((pin.title.as_deref(), pin.description.as_deref()), (Some("a\u{fffd}b"), Some("\u{fffd}")));
    assert!(!pin.raw.contains("u0000"));
}

#[test]
fn a_body_that_is_not_json_is_transient_and_wrong_json_is_not() {
    for body in [&b""[..], b"<html>", b"{\"items\": [", b"\xff\xfe", b"{\"items\": []} x"] {
        assert_eq!(read_page::<Pin>(body).unwrap_err().kind(), ErrorKind::Transient, "{body:?}");
    }
    for body in ["{}", "[]", "null", r#"{"items": null}"#, r#"{"items": {}}"#, r#"{"items": [], "bookmark": [7]}"#] {
        assert_eq!(read_page::<Pin>(body.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
    }
    for body in ["{}", "[]", "7", r#"{"id": 7.5}"#] {
        assert_eq!(read_item::<Pin>(body.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
    }
    for body in ["[]", "7", "null"] {
        assert_eq!(read_account(body.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
    }
}

#[test]
fn a_bookmark_may_be_a_number() {
    for (member, expected) in [("7", Some("7")), ("10.0", Some("10.0")), ("null", None), ("\"\"", None)] {
        let body = format!(r#"{{"items": [], "bookmark": {member}}}"#);
        assert_eq!(read_page::<Pin>(body.as_bytes()).unwrap().bookmark.as_deref(), expected, "{member}");
    }
}

#[test]
fn a_number_out_of_range_costs_only_its_member() {
    let body = br#"{"id": "1", "title": "A", "pin_metrics": {"x": [1e999]},
        "media": {"media_type": "image", "images": {"600x": {"url": "https://i.pinimg.com/a.jpg", "width": 1e999}}}}"#;
    let pin: Pin = read_item(body).unwrap();
    assert_eq!((pin.title.as_deref(), pin.odd, pin.images().unwrap().len()), (Some("A"), false, 1));
    let pin: Pin = read_item(br#"{"id": "1", "title": 1e999}"#).unwrap();
    assert!(pin.odd && pin.title.is_none());
}

#[test]
fn the_domain_of_a_link() {
    for (link, expected) in [
        ("https://www.Example.com/a", Some("example.com")),
        ("http://user:pass@sub.example.com.:80", Some("sub.example.com")),
        ("https://mühle.example/", Some("xn--mhle-0ra.example")),
        ("mailto:a@example.com", None),
        ("example.com/a", None),
        ("", None),
    ] {
        let pin: Pin = read_item(format!(r#"{{"id": "1", "link": "{link}"}}"#).as_bytes()).unwrap();
        assert_eq!(pin.link_domain().as_deref(), expected, "{link}");
    }
}

#[test]
fn items_and_bookmarks_have_limits() {
    let body = format!(r#"{{"items": [{}1]}}"#, "1,".repeat(MAX_ITEMS));
    assert_eq!(read_page::<Pin>(body.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol);
    let body = format!(r#"{{"items": [], "bookmark": "{}"}}"#, "b".repeat(MAX_BOOKMARK + 1));
    assert_eq!(read_page::<Pin>(body.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn no_text_contains_nul() {
    let account = read_account(br#"{"username": "a\u0000b\ud800c\\u0000"}"#).unwrap();
    assert_eq!(account.username.as_deref(), Some("a\u{fffd}b\u{fffd}c\\u0000"));
    let error = read_page::<Pin>(br#"{"items": [], "bookmark": "a\u0000b"}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_deeply_nested_item_is_left_out() {
    let deep = format!(r#"{{"items": [{{"id": "1", "media": {}{}}}]}}"#, "[".repeat(200_000), "]".repeat(200_000));
    let page = read_page::<Pin>(deep.as_bytes()).unwrap();
    assert_eq!((page.items.len(), page.unreadable), (0, 1));
    assert_eq!(read_item::<Pin>(deep.as_bytes()).unwrap_err().kind(), ErrorKind::Protocol);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = (read_page::<Pin>(&body), read_item::<Board>(&body), read_account(&body));
    }

    #[test]
    fn no_json_like_body_panics(body in "(\\{\"items\":|\"id\":\"1\"|\"media\":|[\\[\\]{},:\"\\\\0-9a-zä]){0,40}") {
        let _ = (read_page::<Pin>(body.as_bytes()), read_item::<Pin>(body.as_bytes()));
    }
}
