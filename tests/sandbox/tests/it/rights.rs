//! Scopes, boards of other accounts, secret boards, quotas.

use std::time::Duration;

use sandbox::config::{AccountSpec, BoardSpec, Privacy, Tier};
use sandbox::{Config, Family, Sandbox};

use crate::client::Client;

fn two_accounts() -> Sandbox {
    let board = |name: &str| BoardSpec::new(name, &[Family::Garden], 3);
    let one = AccountSpec::new("example_one")
        .board(board("Open"))
        .board(board("Secret").privacy(Privacy::Secret))
        .board(board("Shared").collaborator("example_two"));
    let two = AccountSpec::new("example_two").board(board("Other"));
    Sandbox::start(Config { accounts: vec![one, two], ..Config::demo() }).expect("a sandbox")
}

fn names(client: &Client, query: &str) -> Vec<String> {
    let boards = client.json(&format!("/v5/boards{query}"));
    let items = boards["items"].as_array().expect("items").iter();
    items.map(|board| board["name"].as_str().expect("a name").to_string()).collect()
}

fn with_scopes(sandbox: &Sandbox, scopes: &[&str]) -> Client {
    Client::new(sandbox).with_grant(&sandbox.issue_grant_with("example_one", scopes).expect("an account"))
}

#[test]
fn a_missing_scope_is_401_code_3() {
    let sandbox = two_accounts();
    let board = sandbox.board_id("Open").expect("a board");
    let pins = format!("/v5/boards/{board}/pins");
    let pins_only = with_scopes(&sandbox, &["pins:read"]);
    assert_eq!(pins_only.get(&pins).refusal(), (401, 3), "pins:read alone is not enough for pins");
    assert_eq!(pins_only.get("/v5/user_account").refusal(), (401, 3));
    let boards_only = with_scopes(&sandbox, &["boards:read"]);
    assert_eq!(boards_only.get("/v5/boards").status, 200);
    assert_eq!(boards_only.get(&pins).refusal(), (401, 3));
    assert_eq!(with_scopes(&sandbox, &["boards:read", "pins:read"]).get(&pins).status, 200);
}

#[test]
fn no_token_is_401_code_2() {
    let sandbox = two_accounts();
    let client = Client::new(&sandbox);
    assert_eq!(client.get("/v5/boards").refusal(), (401, 2));
    let wrong = client.send("GET", "/v5/boards", Some("Bearer pina_SANDBOX_EXAMPLE"), "", b"").expect("an answer");
    assert_eq!(wrong.refusal(), (401, 2));
}

#[test]
fn secret_boards_require_their_scope() {
    let sandbox = two_accounts();
    let secret = sandbox.board_id("Secret").expect("a board");
    let without = with_scopes(&sandbox, &["boards:read", "pins:read"]);
    assert_eq!(names(&without, ""), ["Open", "Shared"]);
    assert_eq!(without.get(&format!("/v5/boards/{secret}")).refusal(), (403, 29));
    let with = with_scopes(&sandbox, &["boards:read", "boards:read_secret", "pins:read"]);
    assert_eq!(names(&with, ""), ["Open", "Secret", "Shared"]);
    assert_eq!(names(&with, "?privacy=SECRET"), ["Secret"]);
    assert_eq!(with.get(&format!("/v5/boards/{secret}/pins")).status, 200);
    assert_eq!(with.get("/v5/boards?privacy=HIDDEN").refusal(), (400, 1));
}

#[test]
fn boards_of_others_are_not_found_unless_shared() {
    let sandbox = two_accounts();
    let two = Client::of(&sandbox, "example_two");
    assert_eq!(names(&two, ""), ["Shared", "Other"]);
    let open = sandbox.board_id("Open").expect("a board");
    assert_eq!(two.get(&format!("/v5/boards/{open}")).refusal(), (404, 40));
    let pin = &sandbox.pin_ids(&open).expect("a board")[0];
    assert_eq!(two.get(&format!("/v5/pins/{pin}")).refusal(), (404, 50));
    let shared = sandbox.board_id("Shared").expect("a board");
    let pins = two.json(&format!("/v5/boards/{shared}/pins"));
    assert_eq!(pins["items"][0]["is_owner"], false);
    assert_eq!(pins["items"][0]["board_owner"]["username"], "example_one");
}

#[test]
fn not_found_names_the_missing_object() {
    let sandbox = two_accounts();
    let client = Client::of(&sandbox, "example_one");
    let board = sandbox.board_id("Open").expect("a board");
    assert_eq!(client.get("/v5/boards/1").refusal(), (404, 40));
    assert_eq!(client.get("/v5/pins/1").refusal(), (404, 50));
    assert_eq!(client.get(&format!("/v5/boards/{board}/sections/1/pins")).refusal(), (404, 2031));
    assert_eq!(client.get("/v5/user_account/boards").refusal(), (404, 404));
}

#[test]
fn the_quota_ends_with_429_and_comes_back() {
    let tier = Tier::Custom { limit: 2, window: Duration::from_secs(60), shared: true };
    let sandbox = Sandbox::start(Config { tier, ..Config::demo() }).expect("a sandbox");
    let client = Client::of(&sandbox, "example_couple");
    let first = client.get("/v5/boards");
    assert_eq!((first.status, first.header("x-ratelimit-remaining")), (200, Some("1")));
    client.get("/v5/boards");
    let third = client.get("/v5/boards");
    assert_eq!(third.refusal(), (429, 8));
    assert_eq!(third.header("x-envoy-ratelimited"), Some("true"));
    let reset: u64 = third.header("x-ratelimit-reset").expect("a reset").parse().expect("a number");
    assert!((1..=60).contains(&reset), "{reset}");
    sandbox.advance_clock(Duration::from_secs(60));
    assert_eq!(client.get("/v5/boards").status, 200);
}
