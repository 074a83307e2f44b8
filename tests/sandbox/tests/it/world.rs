//! The world: it depends on the seed alone, and changes on request.

use std::collections::{HashMap, HashSet};

use sandbox::scene::draw;
use sandbox::{Config, Family, Kind, Sandbox};
use serde_json::Value;

use crate::client::{Client, path_of};

fn listing(seed: u64) -> (String, Vec<u8>) {
    let sandbox = Sandbox::start(Config { seed, ..Config::demo() }).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let board = sandbox.board_id("Barn wedding").expect("a board");
    let pins = client.json(&format!("/v5/boards/{board}/pins?page_size=250"));
    let images =
        pins["items"].as_array().expect("items").iter().find_map(|pin| pin["media"]["images"]["600x"].get("url"));
    let picture = client.get(&path_of(&sandbox, images.expect("a picture"))).body;
    (pins.to_string().replace(&sandbox.host(), "HOST"), picture)
}

#[test]
fn a_seed_determines_the_world() {
    let (first, second, other) = (listing(1), listing(1), listing(2));
    assert_eq!(first, second);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}

#[test]
fn the_demo_has_all_variants() {
    let sandbox = Sandbox::start(Config::demo()).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let names: Vec<String> = sandbox.boards().into_iter().map(|board| board.name).collect();
    assert!(
        ["Barn wedding", "Beach ceremony", "Garden party", "Ballroom"]
            .iter()
            .all(|name| names.contains(&(*name).into()))
    );
    let board = sandbox.board_id("Barn wedding").expect("a board");
    let pins = client.json(&format!("/v5/boards/{board}/pins?page_size=250"));
    let mut variants: HashMap<String, u32> = HashMap::new();
    for pin in pins["items"].as_array().expect("items") {
        *variants.entry(pin["media"]["media_type"].as_str().unwrap_or("none").into()).or_default() += 1;
    }
    assert!(variants["image"] >= 35 && variants["multiple_images"] >= 2 && variants["video"] >= 1, "{variants:?}");
    let text = pins.to_string();
    assert!(text.contains(".png\"") && text.contains(".webp\""));
    assert!(client.json("/v5/boards").to_string().contains("SECRET"));
    let empty = sandbox.board_id("Honeymoon").expect("a board");
    let none = client.json(&format!("/v5/boards/{empty}/pins"));
    assert_eq!(none, serde_json::json!({ "items": [], "bookmark": null }));
}

#[test]
fn changes_move_the_change_marker() {
    let sandbox = Sandbox::start(Config::demo()).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let (barn, beach) =
        (sandbox.board_id("Barn wedding").expect("a board"), sandbox.board_id("Beach ceremony").expect("a board"));
    let board = |id: &str| client.json(&format!("/v5/boards/{id}"));
    let marker = |id: &str| board(id)["board_pins_modified_at"].as_str().expect("a time").to_string();
    let mut markers = HashSet::from([marker(&barn)]);
    assert!(!markers.insert(marker(&barn)), "reading changes nothing");

    let added = sandbox.add_pins(&barn, 2).expect("a board");
    assert!(markers.insert(marker(&barn)));
    assert_eq!(board(&barn)["pin_count"], 50);
    assert_eq!(sandbox.pin_ids(&barn).expect("a board")[..2], added);

    sandbox.remove_pin(&added[0]).expect("a pin");
    assert!(markers.insert(marker(&barn)));
    assert_eq!(client.get(&format!("/v5/pins/{}", added[0])).refusal(), (404, 50));
    assert!(sandbox.remove_pin(&added[0]).expect_err("gone").is_unknown());

    let before = marker(&beach);
    sandbox.move_pin(&added[1], &beach).expect("a pin and a board");
    assert!(markers.insert(marker(&barn)));
    assert_ne!(marker(&beach), before);
    assert_eq!(client.json(&format!("/v5/pins/{}", added[1]))["board_id"], Value::from(beach.clone()));
    assert_eq!((board(&barn)["pin_count"].as_u64(), board(&beach)["pin_count"].as_u64()), (Some(48), Some(41)));

    sandbox.remove_board(&barn).expect("a board");
    assert_eq!(client.get(&format!("/v5/boards/{barn}/pins")).refusal(), (404, 40));
    assert_eq!(client.get(&format!("/v5/pins/{}", added[1])).status, 200, "a pin that moved away stays");
}

#[test]
fn requests_are_counted_by_kind() {
    let sandbox = Sandbox::start(Config::demo()).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let board = sandbox.board_id("Ballroom").expect("a board");
    client.json(&format!("/v5/boards/{board}/pins"));
    client.get("/nothing");
    let requests = sandbox.requests();
    assert_eq!((requests.count(Kind::BoardPins), requests.count(Kind::Unknown), requests.total()), (1, 1, 2));
    assert_eq!(requests.pictures(), 0);
    let latest = requests.latest();
    assert_eq!((latest[0].kind, latest[0].status, latest[0].authorization), (Kind::BoardPins, Some(200), true));
    assert_eq!(latest[0].user_agent.as_deref(), Some("sandbox-tests"));
    assert!(!format!("{latest:?}").contains("pina_"), "tokens are not kept");
    requests.reset();
    assert_eq!(requests.total(), 0);
}

#[test]
fn families_look_different() {
    /// Mean colour of each of nine parts, which is enough to distinguish a beach from a ballroom.
    fn signature(family: Family, seed: u64) -> Vec<f64> {
        let small = image::imageops::thumbnail(&draw(family, seed, 120, 180), 3, 3);
        small.pixels().flat_map(|pixel| pixel.0.map(f64::from)).collect()
    }
    fn distance(one: &[f64], two: &[f64]) -> f64 {
        one.iter().zip(two).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
    let mean = |family| {
        let several: Vec<Vec<f64>> = (0..6).map(|seed| signature(family, seed)).collect();
        (0..27).map(|place| several.iter().map(|signature| signature[place]).sum::<f64>() / 6.0).collect::<Vec<f64>>()
    };
    let means: Vec<Vec<f64>> = Family::ALL.into_iter().map(mean).collect();
    for (number, one) in means.iter().enumerate() {
        for (other, two) in means.iter().enumerate().skip(number + 1) {
            let apart = distance(one, two);
            assert!(apart > 60.0, "{} and {}: {apart}", Family::ALL[number], Family::ALL[other]);
        }
    }
    for family in Family::ALL {
        assert_eq!(draw(family, 5, 90, 60), draw(family, 5, 90, 60));
        assert_ne!(draw(family, 5, 90, 60), draw(family, 6, 90, 60));
    }
}

#[test]
fn images_of_any_shape_can_be_drawn() {
    for family in Family::ALL {
        for (width, height) in [(1, 1), (7, 300), (300, 7), (1001, 1201)] {
            assert_eq!(draw(family, 3, width, height).dimensions(), (width, height), "{family}");
        }
    }
}
