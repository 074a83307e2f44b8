//! Generated answers, each member spoiled in every way: an item is parsed with its other members unchanged, or it is
//! counted; a page is never lost because of an item, and an id never changes.
//!
//! The answers are hand-written and, if Pinterest's OpenAPI document is present, generated from it.

mod answers;
mod engine;
mod openapi;
mod spoil;

use serde_json::{Value, json};

use engine::{Done, Kind, check_at_random, check_each_member};
use openapi::OpenApi;

/// The endpoints, with members that their answers must contain, so that an empty generator does not pass.
const ENDPOINTS: [(&str, &str, Kind, &[&str]); 8] = [
    ("get", "/boards", Kind::BoardPage, &["name", "owner"]),
    ("get", "/boards/{board_id}", Kind::Board, &["name", "owner"]),
    ("get", "/boards/{board_id}/sections", Kind::SectionPage, &["name"]),
    ("get", "/boards/{board_id}/pins", Kind::PinPage, &["title", "media"]),
    ("get", "/boards/{board_id}/sections/{section_id}/pins", Kind::PinPage, &["title", "media"]),
    ("get", "/pins/{pin_id}", Kind::Pin, &["title", "media"]),
    ("get", "/user_account", Kind::Account, &["username", "pin_count"]),
    ("post", "/oauth/token", Kind::Grant, &["access_token", "scope"]),
];

/// More than the variants of any schema; further choices repeat.
const CHOICES: usize = 8;

#[test]
fn spoiled_answers_of_the_openapi_document_are_parsed() {
    let Some(openapi) = OpenApi::load() else { return };
    let mut done = Done::new();
    for (method, path, kind, expected) in ENDPOINTS {
        let mut seen = Vec::new();
        for choice in 0..CHOICES {
            let mut answer = openapi.answer(method, path, choice);
            newer_members(kind, &mut answer);
            if seen.contains(&answer) {
                continue;
            }
            let object = kind.item(&answer).unwrap_or_else(|| panic!("{path} has no item: {answer:#}"));
            for member in expected {
                assert!(object.get(*member).is_some(), "{path} shows no {member}: {answer:#}");
            }
            check_each_member(kind, &answer, &mut done);
            check_at_random(kind, &answer);
            seen.push(answer);
        }
        if matches!(kind, Kind::Pin | Kind::PinPage) {
            assert!(seen.len() >= 5, "{path} has {} variants, five kinds of media are described", seen.len());
        }
    }
}

#[test]
fn spoiled_hand_written_answers_are_parsed() {
    let mut done = Done::new();
    for (kind, answer) in answers::all() {
        check_each_member(kind, &answer, &mut done);
        check_at_random(kind, &answer);
    }
}

/// Members of a pin in later versions of the API.
fn newer_members(kind: Kind, answer: &mut Value) {
    let pin = match kind {
        Kind::Pin => Some(answer),
        Kind::PinPage => answer.pointer_mut("/items/0"),
        _ => None,
    };
    if let Some(pin) = pin {
        pin["ai_disclosures"] = json!({ "values": ["AI_MODIFIED", "SYNTHETIC_PERFORMER"] });
        pin["is_product"] = json!(true);
        pin["product_tags"] = json!([{ "pin_id": "813744226420700000", "link": "https://shop.example/1" }]);
    }
}
