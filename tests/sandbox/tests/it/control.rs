//! The control path.

use sandbox::{Config, Kind, Sandbox};
use serde_json::{Value, json};

use crate::client::Client;

fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config::demo()).expect("a sandbox");
    let client = Client::new(&sandbox);
    (sandbox, client)
}

fn order(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let reply = client.control(method, &format!("/control/{path}"), body);
    assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
    reply.json()
}

#[test]
fn faults_and_counters() {
    let (sandbox, client) = start();
    let rule = json!({ "on": { "kind": "boards" }, "fault": { "name": "spam" }, "times": 1 });
    let id = order(&client, "POST", "faults", &rule)["id"].clone();
    assert_eq!(client.get("/v5/boards").status, 429);
    let rules = order(&client, "GET", "faults", &Value::Null);
    assert_eq!((&rules[0]["id"], &rules[0]["fired"]), (&id, &json!(1)));
    order(&client, "DELETE", "faults", &Value::Null);
    assert!(sandbox.faults().rules().is_empty());
    let seen = order(&client, "GET", "requests", &Value::Null);
    assert_eq!((&seen["counts"]["boards"], &seen["total"]), (&json!(1), &json!(1)));
    order(&client, "DELETE", "requests", &Value::Null);
    assert_eq!(sandbox.requests().count(Kind::Boards), 0);
}

#[test]
fn tokens_and_clock() {
    let (sandbox, client) = start();
    let account = json!({ "account": "example_couple" });
    let grant = order(&client, "POST", "tokens/issue", &account);
    let newest = order(&client, "GET", "tokens?account=example_couple", &Value::Null);
    assert_eq!(newest["refresh_token"], grant["refresh_token"]);
    order(&client, "POST", "tokens/expire_access", &account);
    assert_eq!(sandbox.valid_access_token("example_couple"), None);
    order(&client, "POST", "clock/advance", &json!({ "seconds": 5_184_000 }));
    assert_eq!(sandbox.valid_refresh_token("example_couple"), None);
    order(&client, "POST", "tokens/issue", &account);
    order(&client, "POST", "tokens/revoke", &account);
    assert_eq!(sandbox.valid_refresh_token("example_couple"), None);
    order(&client, "POST", "sign_in", &account);
}

#[test]
fn pins_and_boards() {
    let (sandbox, client) = start();
    let boards = order(&client, "GET", "boards", &Value::Null);
    let (barn, beach) = (boards[0]["id"].clone(), boards[1]["id"].clone());
    let added = order(&client, "POST", "pins/add", &json!({ "board": barn, "count": 2 }));
    let pins = added["pins"].as_array().expect("ids").clone();
    order(&client, "POST", "pins/move", &json!({ "pin": pins[0], "board": beach }));
    order(&client, "POST", "pins/remove", &json!({ "pin": pins[1] }));
    let counts: Vec<u64> = sandbox.boards().iter().take(2).map(|board| board.pins).collect();
    assert_eq!(counts, [48, 41]);
    order(&client, "POST", "boards/remove", &json!({ "board": beach }));
    assert_eq!(sandbox.boards().len(), 6);
    order(&client, "POST", "bookmarks/expire", &json!({}));
    order(&client, "POST", "release", &json!({ "gate": "unused" }));
}

#[test]
fn wrong_orders_are_refused() {
    let (_sandbox, client) = start();
    for (method, path, body, status) in [
        ("POST", "faults", json!({ "fault": { "name": "no_such_fault" } }), 400),
        ("POST", "pins/remove", json!({ "pin": "1" }), 404),
        ("POST", "pins/add", json!({ "count": 1 }), 400),
        ("POST", "tokens/issue", json!({ "account": "nobody" }), 404),
        ("GET", "tokens", Value::Null, 400),
        ("GET", "no_such_order", Value::Null, 404),
    ] {
        let reply = client.control(method, &format!("/control/{path}"), &body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    }
    let form = client.send("POST", "/control/bookmarks/expire", None, "text/plain", b"{}").expect("an answer");
    assert_eq!(form.status, 415, "a page in a browser could send this");
}
