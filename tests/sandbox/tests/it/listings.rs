//! Pages: every pin once, in order, whatever the page size.

use std::collections::HashSet;

use sandbox::config::Surprises;
use sandbox::{Config, Family, Fault, Kind, Rule, Sandbox};
use serde_json::Value;

use crate::client::Client;

fn sandbox(pins: u64) -> (Sandbox, Client, String) {
    let sandbox = Sandbox::start(Config::with_board("Board", &[Family::Garden], pins)).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    let path = format!("/v5/boards/{}/pins", sandbox.board_id("Board").expect("a board"));
    (sandbox, client, path)
}

fn with_bookmark(path: &str, page_size: u64, bookmark: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(format!("{path}?"));
    query.append_pair("page_size", &page_size.to_string());
    if let Some(bookmark) = bookmark {
        query.append_pair("bookmark", bookmark);
    }
    query.finish().replacen("?&", "?", 1)
}

/// The ids of all pages, and the number of pages.
fn walk(client: &Client, path: &str, page_size: u64) -> (Vec<String>, u64) {
    let (mut ids, mut pages, mut bookmark) = (Vec::new(), 0, None::<String>);
    loop {
        let page = client.json(&with_bookmark(path, page_size, bookmark.as_deref()));
        let items = page["items"].as_array().expect("items");
        assert!(items.len() as u64 <= page_size);
        ids.extend(items.iter().filter_map(|item| Some(item.get("id")?.as_str()?.to_string())));
        pages += 1;
        match &page["bookmark"] {
            Value::Null => return (ids, pages),
            Value::String(next) => bookmark = Some(next.clone()),
            other => panic!("not a bookmark: {other}"),
        }
    }
}

#[test]
fn every_pin_is_listed_once() {
    for (pins, page_size, pages) in [(0, 25, 1), (1, 25, 1), (250, 250, 1), (251, 250, 2), (251, 1, 251), (7, 3, 3)] {
        let (sandbox, client, path) = sandbox(pins);
        let (ids, seen) = walk(&client, &path, page_size);
        assert_eq!(seen, pages, "{pins} pins in pages of {page_size}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len() as u64, pins);
        let board = sandbox.board_id("Board").expect("a board");
        assert_eq!(ids, sandbox.pin_ids(&board).expect("a board"));
        assert_eq!(sandbox.requests().count(Kind::BoardPins), pages);
    }
}

#[test]
fn a_large_board_is_listed_quickly() {
    let (_sandbox, client, path) = sandbox(20_000);
    let (ids, pages) = walk(&client, &path, 250);
    assert_eq!((ids.len(), pages), (20_000, 80));
}

#[test]
fn the_default_page_has_25_and_sizes_have_limits() {
    let (_sandbox, client, path) = sandbox(30);
    assert_eq!(client.json(&path)["items"].as_array().expect("items").len(), 25);
    for wrong in ["0", "251", "-1", "many", ""] {
        assert_eq!(client.get(&format!("{path}?page_size={wrong}")).refusal(), (400, 1), "{wrong}");
    }
}

#[test]
fn a_bookmark_is_valid_for_its_own_listing_only() {
    let (sandbox, client, path) = sandbox(30);
    let page = client.json(&with_bookmark(&path, 10, None));
    let bookmark = page["bookmark"].as_str();
    assert_eq!(client.get(&with_bookmark(&path, 10, bookmark)).status, 200);
    assert_eq!(client.get(&with_bookmark(&path, 11, bookmark)).refusal(), (400, 1));
    assert_eq!(client.get(&with_bookmark("/v5/boards", 10, bookmark)).refusal(), (400, 1));
    assert_eq!(client.get(&with_bookmark(&path, 10, Some("nonsense"))).refusal(), (400, 1));
    sandbox.expire_bookmarks();
    assert_eq!(client.get(&with_bookmark(&path, 10, bookmark)).refusal(), (400, 1));
}

#[test]
fn changes_during_a_listing_lose_no_other_pin() {
    let (sandbox, client, path) = sandbox(30);
    let board = sandbox.board_id("Board").expect("a board");
    let before = sandbox.pin_ids(&board).expect("a board");
    let first = client.json(&with_bookmark(&path, 10, None));
    sandbox.add_pins(&board, 2).expect("a board");
    sandbox.remove_pin(&before[3]).expect("a pin");
    let rest = client.json(&with_bookmark(&path, 10, first["bookmark"].as_str()));
    let ids: Vec<&str> = rest["items"].as_array().expect("items").iter().filter_map(|pin| pin["id"].as_str()).collect();
    assert_eq!(ids, before[10..20]);
}

#[test]
fn sections_partition_the_pins_of_their_board() {
    let sandbox = Sandbox::start(Config { surprises: Surprises::none(), ..Config::demo() }).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let board = sandbox.board_id("Decoration").expect("a board");
    let (all, _) = walk(&client, &format!("/v5/boards/{board}/pins"), 7);
    let sections = client.json(&format!("/v5/boards/{board}/sections"));
    let mut sectioned = Vec::new();
    for section in sections["items"].as_array().expect("items") {
        let id = section["id"].as_str().expect("an id");
        let (ids, _) = walk(&client, &format!("/v5/boards/{board}/sections/{id}/pins"), 3);
        assert!(!ids.is_empty(), "{section}");
        for pin in &ids {
            assert_eq!(client.json(&format!("/v5/pins/{pin}"))["board_section_id"], id);
        }
        sectioned.extend(ids);
    }
    assert!(sectioned.iter().all(|pin| all.contains(pin)));
    assert!(sectioned.len() < all.len(), "some pins are in no section");
    assert_eq!(sectioned.iter().collect::<HashSet<_>>().len(), sectioned.len());
}

#[test]
fn faults_of_listings() {
    let (sandbox, client, path) = sandbox(30);
    let list = |bookmark: Option<&str>| client.json(&with_bookmark(&path, 10, bookmark));
    let whole = list(None);
    let second = whole["bookmark"].as_str();

    sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::EmptyPageWithBookmark).once());
    let empty = list(second);
    assert!(empty["items"].as_array().expect("items").is_empty());
    assert_eq!(list(empty["bookmark"].as_str())["items"], list(second)["items"], "it goes on where it was");

    sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::RepeatedBookmark).once());
    assert_eq!(list(second)["bookmark"].as_str(), second);

    sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 2 }).once());
    let short = list(None);
    assert_eq!(short["items"].as_array().expect("items").len(), 2);
    assert_eq!(list(short["bookmark"].as_str())["items"][0], whole["items"][2]);

    sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::DuplicateItems).once());
    assert_eq!(list(None)["items"].as_array().expect("items").len(), 20);

    sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ListingWall).once());
    let wall = client.get(&path);
    assert!(wall.status >= 400 && wall.text().contains("Pagination beyond 100.000 pins are not allowed"));
}
