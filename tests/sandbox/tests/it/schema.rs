//! All answers are valid by Pinterest's OpenAPI document.

use std::collections::BTreeSet;

use sandbox::config::{AccountSpec, BoardSpec, MediaMix, Privacy, Surprises};
use sandbox::{Config, Family, Sandbox};
use serde_json::Value;

use crate::client::Client;
use crate::openapi::OpenApi;

/// One board with all five variants, with and without sections.
fn every_variant(surprises: Surprises) -> Config {
    let media = MediaMix {
        video: 15,
        multiple_images: 15,
        multiple_videos: 15,
        multiple_mixed: 15,
        without_media: 10,
        unknown_media: 0,
    };
    let board = BoardSpec::new("Everything", &Family::ALL, 100).media(media).sections(&["One", "Two"]);
    let secret = BoardSpec::new("Secret", &[Family::Garden], 1).privacy(Privacy::Secret);
    let account = AccountSpec::new("example_user").board(board).board(secret);
    Config { accounts: vec![account], surprises, ..Config::default() }
}

#[test]
fn answers_are_as_described() {
    let Some(openapi) = OpenApi::load() else { return };
    let sandbox = Sandbox::start(every_variant(Surprises::none())).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    let board = sandbox.board_id("Everything").expect("a board");
    let check = |template: &str, path: &str| {
        let answer = client.json(path);
        openapi.check("get", template, 200, &answer);
        answer
    };
    check("/user_account", "/v5/user_account");
    check("/boards", "/v5/boards");
    check("/boards/{board_id}", &format!("/v5/boards/{board}"));
    let sections = check("/boards/{board_id}/sections", &format!("/v5/boards/{board}/sections"));
    let section = sections["items"][0]["id"].as_str().expect("an id");
    let template = "/boards/{board_id}/sections/{section_id}/pins";
    let in_section = check(template, &format!("/v5/boards/{board}/sections/{section}/pins?page_size=250"));
    assert!(!in_section["items"].as_array().expect("items").is_empty());
    let pins = check("/boards/{board_id}/pins", &format!("/v5/boards/{board}/pins?page_size=250&pin_metrics=true"));
    let items = pins["items"].as_array().expect("items");
    let variants: BTreeSet<&str> = items.iter().map(|pin| pin["media"]["media_type"].as_str().unwrap_or("")).collect();
    let expected = ["", "image", "multiple_images", "multiple_mixed", "multiple_videos", "video"];
    assert!(variants.iter().eq(expected.iter()), "{variants:?}");
    for pin in items.iter().step_by(9) {
        let id = pin["id"].as_str().expect("an id");
        check("/pins/{pin_id}", &format!("/v5/pins/{id}"));
    }
}

#[test]
fn token_answers_are_as_described() {
    let Some(openapi) = OpenApi::load() else { return };
    let sandbox = Sandbox::start(every_variant(Surprises::none())).expect("a sandbox");
    let client = Client::new(&sandbox);
    let query = "client_id=1000001&redirect_uri=http://localhost:8085/&response_type=code&scope=pins:read&state=s";
    let location = client.get(&format!("/oauth/?{query}")).header("location").expect("a redirect").to_string();
    let code = location.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "http://localhost:8085/"),
        ("continuous_refresh", "true"),
    ];
    let first = client.token(&form).expect("an answer").json();
    openapi.check_named("OauthAccessTokenResponseCode", &first);
    let refresh_token = first["refresh_token"].as_str().expect("a token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let second = client.token(&form).expect("an answer").json();
    openapi.check_named("OauthAccessTokenResponseRefresh", &second);
    let form = [("grant_type", "client_credentials"), ("scope", "pins:read,boards:read")];
    let third = client.token(&form).expect("an answer").json();
    openapi.check_named("OauthAccessTokenResponseClientCredentials", &third);
    for answer in [first, second, third] {
        openapi.check("post", "/oauth/token", 200, &answer);
    }
}

#[test]
fn refusals_are_as_described() {
    let Some(openapi) = OpenApi::load() else { return };
    let sandbox = Sandbox::start(every_variant(Surprises::none())).expect("a sandbox");
    let (stranger, client) = (Client::new(&sandbox), Client::of(&sandbox, "example_user"));
    let refused = stranger.get("/v5/boards");
    openapi.check("get", "/boards", refused.status, &refused.json());
    let missing = client.get("/v5/boards/1/pins");
    assert_eq!(missing.refusal(), (404, 40));
    openapi.check("get", "/boards/{board_id}/pins", 404, &missing.json());
    let token = client.token_as("wrong:wrong", &[]).expect("an answer");
    openapi.check("post", "/oauth/token", token.status, &token.json());
}

#[test]
fn the_check_can_fail() {
    let Some(openapi) = OpenApi::load() else { return };
    let sandbox = Sandbox::start(every_variant(Surprises::none())).expect("a sandbox");
    let board = sandbox.board_id("Everything").expect("a board");
    let pins = Client::of(&sandbox, "example_user").json(&format!("/v5/boards/{board}/pins"));
    let pin = &pins["items"][0];
    assert!(openapi.accepts("Pin", pin));
    for (field, wrong) in [
        ("id", Value::Null),
        ("id", "x1".into()),
        ("is_owner", "yes".into()),
        ("media", serde_json::json!({ "media_type": "hologram" })),
        ("creative_type", "HOLOGRAM".into()),
    ] {
        let mut pin = pin.clone();
        pin[field] = wrong;
        assert!(!openapi.accepts("Pin", &pin), "{field} went unnoticed");
    }
}

#[test]
fn surprises_are_the_only_deviations() {
    let Some(openapi) = OpenApi::load() else { return };
    let sandbox = Sandbox::start(every_variant(Surprises::default())).expect("a sandbox");
    let board = sandbox.board_id("Everything").expect("a board");
    let pins = Client::of(&sandbox, "example_user").json(&format!("/v5/boards/{board}/pins?page_size=250"));
    let (mut tiles, mut unheard_of) = (0, 0);
    for item in pins["items"].as_array().expect("items") {
        if item.get("id").is_none() {
            tiles += 1;
        } else if item["creative_type"] == "HOLOGRAM" {
            unheard_of += 1;
        } else {
            openapi.check_named("Pin", item);
        }
    }
    assert_eq!((tiles, unheard_of), (2, 3));
}
