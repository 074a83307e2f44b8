//! Answers generated from a description, each member spoiled in every way: an item is read, with what was not spoiled as it
//! is, or it is counted; a page is never lost over an item, and no id becomes another.
//!
//! The description is Pinterest's own, where it lies beside the checkout, and hand-written answers everywhere.

mod answers;
mod engine;
mod openapi;
mod spoil;

use serde_json::{Value, json};

use engine::{Done, Kind, check_at_random, check_each_member};
use openapi::OpenApi;

/// What is called, with the members that the answers have to show, so that an empty generator does not pass.
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

/// More than the variants of any schema that is described; further choices repeat.
const CHOICES: usize = 8;

#[test]
fn answers_of_the_description_are_read_however_they_are_spoiled() {
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
fn hand_written_answers_are_read_however_they_are_spoiled() {
    let mut done = Done::new();
    for (kind, answer) in answers::all() {
        check_each_member(kind, &answer, &mut done);
        check_at_random(kind, &answer);
    }
}

/// What later versions of the API tell of a pin.
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
