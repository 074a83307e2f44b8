//! Consent, codes, tokens, rotation.

use std::time::Duration;

use sandbox::config::{AccountSpec, OldRefreshToken, TokenRules};
use sandbox::{Config, Fault, Kind, Rule, Sandbox};
use serde_json::Value;

use crate::client::Client;

const REDIRECT: &str = "http://localhost:8085/";

fn authorize(client: &Client, changes: &[(&str, &str)]) -> crate::client::Reply {
    let mut parameters = vec![
        ("client_id", "1000001"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "boards:read,pins:read,user_accounts:read"),
        ("state", "a b&c"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    client.get(&format!("/oauth/?{query}"))
}

/// The parameters of the redirect.
fn landed(reply: &crate::client::Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 302, "{}", reply.text());
    let location = reply.header("location").expect("a location");
    let query = location.strip_prefix(&format!("{REDIRECT}?")).expect("the registered address");
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn code(client: &Client) -> String {
    let landed = landed(&authorize(client, &[]));
    assert_eq!(landed[1], ("state".into(), "a b&c".into()));
    assert_eq!(landed[0].0, "code");
    landed[0].1.clone()
}

fn exchange(client: &Client, code: &str) -> crate::client::Reply {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("continuous_refresh", "true"),
    ];
    client.token(&form).expect("an answer")
}

fn refresh(client: &Client, token: &Value) -> crate::client::Reply {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str().expect("a token"))];
    client.token(&form).expect("an answer")
}

fn start(tokens: TokenRules) -> (Sandbox, Client) {
    let config = Config { tokens, ..Config::demo() };
    let sandbox = Sandbox::start(config).expect("a sandbox");
    let client = Client::new(&sandbox);
    (sandbox, client)
}

#[test]
fn consent_leads_to_a_valid_token() {
    let (sandbox, client) = start(TokenRules::default());
    let grant = exchange(&client, &code(&client)).json();
    assert_eq!(grant["expires_in"], 2_592_000);
    assert_eq!(grant["refresh_token_expires_in"], 5_184_000);
    assert_eq!(grant["scope"], "boards:read pins:read user_accounts:read");
    let bearer = format!("Bearer {}", grant["access_token"].as_str().expect("a token"));
    let account = client.send("GET", "/v5/user_account", Some(&bearer), "", b"").expect("an answer");
    assert_eq!(account.json()["username"], "example_couple");
    assert_eq!(sandbox.valid_refresh_token("example_couple").as_deref(), grant["refresh_token"].as_str());
    assert_eq!(sandbox.valid_access_token("example_couple").as_deref(), grant["access_token"].as_str());
}

#[test]
fn the_page_refuses_unregistered_apps_and_addresses() {
    let (_sandbox, client) = start(TokenRules::default());
    for change in [
        ("client_id", "1000002"),
        ("client_id", ""),
        ("redirect_uri", "http://localhost:8085"),
        ("redirect_uri", "https://attacker.example/"),
        ("response_type", "token"),
        ("response_type", ""),
        ("scope", "boards:read,everything:write"),
    ] {
        let reply = authorize(&client, &[change]);
        assert_eq!(reply.refusal(), (400, 1), "{change:?}");
        assert!(reply.header("location").is_none());
    }
}

#[test]
fn consent_can_be_refused() {
    let (sandbox, client) = start(TokenRules::default());
    sandbox.faults().add(Rule::on(Kind::Authorize, Fault::ConsentDenied).once());
    let landed = landed(&authorize(&client, &[]));
    assert_eq!(landed[0], ("error".into(), "access_denied".into()));
    assert_eq!(landed[1].0, "state");
}

#[test]
fn another_account_can_sign_in() {
    let mut config = Config::demo();
    config.accounts.push(AccountSpec::new("example_friend"));
    let sandbox = Sandbox::start(config).expect("a sandbox");
    let client = Client::new(&sandbox);
    sandbox.sign_in("example_friend").expect("an account");
    exchange(&client, &code(&client));
    assert!(sandbox.valid_access_token("example_friend").is_some());
    assert!(sandbox.valid_access_token("example_couple").is_none());
    assert!(sandbox.sign_in("nobody").expect_err("no such account").is_unknown());
}

#[test]
fn codes_are_single_use_and_expire() {
    let (sandbox, client) = start(TokenRules::default());
    let used = code(&client);
    assert_eq!(exchange(&client, &used).status, 200);
    assert_eq!(exchange(&client, &used).refusal(), (400, 283));
    let late = code(&client);
    sandbox.advance_clock(Duration::from_secs(601));
    assert_eq!(exchange(&client, &late).refusal(), (400, 283));
    assert_eq!(exchange(&client, "made up").refusal(), (400, 283));
}

#[test]
fn only_the_app_gets_tokens() {
    let (_sandbox, client) = start(TokenRules::default());
    let code = code(&client);
    let form =
        [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT), ("client_id", "1000001")];
    for wrong in ["1000001:wrong", "1000001", "", ":sandbox-example-secret-not-live"] {
        assert_eq!(client.token_as(wrong, &form).expect("an answer").refusal(), (401, 2), "{wrong}");
    }
    let bare =
        client.send("POST", "/v5/oauth/token", None, "application/x-www-form-urlencoded", b"").expect("an answer");
    assert_eq!(bare.refusal(), (401, 2));
    assert_eq!(exchange(&client, &code).status, 200, "the refusals did not use the code up");
}

#[test]
fn a_used_refresh_token_is_invalid() {
    let (sandbox, client) = start(TokenRules::default());
    let first = exchange(&client, &code(&client)).json();
    let second = refresh(&client, &first["refresh_token"]).json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(refresh(&client, &first["refresh_token"]).refusal(), (401, 283));
    assert!(sandbox.accepts_refresh_token(second["refresh_token"].as_str().expect("a token")));
}

#[test]
fn a_used_refresh_token_stays_valid_if_configured() {
    let (_sandbox, client) = start(TokenRules { old_refresh_token: OldRefreshToken::Alive, ..TokenRules::default() });
    let first = exchange(&client, &code(&client)).json();
    assert_eq!(refresh(&client, &first["refresh_token"]).status, 200);
    assert_eq!(refresh(&client, &first["refresh_token"]).status, 200);
}

#[test]
fn tokens_expire_and_can_be_revoked() {
    let (sandbox, client) = start(TokenRules::default());
    let grant = sandbox.issue_grant("example_couple").expect("an account");
    let client = client.with_grant(&grant);
    assert_eq!(client.get("/v5/user_account").status, 200);
    sandbox.advance_clock(Duration::from_secs(grant.expires_in));
    assert_eq!(client.get("/v5/user_account").refusal(), (401, 2));
    let token = Value::from(grant.refresh_token.expect("a token"));
    let grant = refresh(&client, &token).json();
    sandbox.revoke("example_couple").expect("an account");
    assert_eq!(refresh(&client, &grant["refresh_token"]).refusal(), (401, 283));
    assert_eq!(sandbox.valid_refresh_token("example_couple"), None);
}

#[test]
fn an_old_app_must_request_continuous_refresh() {
    let (_sandbox, client) = start(TokenRules::default());
    let code = code(&client);
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT)];
    let grant = client.token(&form).expect("an answer").json();
    assert!(grant.get("refresh_token").is_none());
}

#[test]
fn a_lost_answer_rotates_the_refresh_token() {
    let (sandbox, client) = start(TokenRules::default());
    let first = exchange(&client, &code(&client)).json();
    sandbox.faults().add(Rule::on(Kind::Token, Fault::LostAnswer).once());
    let form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"].as_str().expect("a token"))];
    client.token(&form).expect_err("the answer is lost");
    assert_eq!(refresh(&client, &first["refresh_token"]).refusal(), (401, 283));
    assert!(sandbox.valid_refresh_token("example_couple").is_some(), "the new token exists, nobody has it");
}

#[test]
fn a_reset_before_the_headers_changes_nothing() {
    let (sandbox, client) = start(TokenRules::default());
    let first = exchange(&client, &code(&client)).json();
    sandbox.faults().add(Rule::on(Kind::Token, Fault::ResetBeforeHeaders).once());
    let form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"].as_str().expect("a token"))];
    let failure = client.token(&form).expect_err("the connection is reset");
    assert_eq!(failure.0, std::io::ErrorKind::ConnectionReset);
    assert_eq!(refresh(&client, &first["refresh_token"]).status, 200);
}

#[test]
fn token_answers_can_lack_or_change_fields() {
    let (sandbox, client) = start(TokenRules { old_refresh_token: OldRefreshToken::Alive, ..TokenRules::default() });
    let token = exchange(&client, &code(&client)).json()["refresh_token"].clone();
    sandbox.faults().add(Rule::on(Kind::Token, Fault::WithoutRefreshToken).once());
    let answer = refresh(&client, &token).json();
    assert!(answer.get("refresh_token").is_none() && answer.get("access_token").is_some());
    sandbox.faults().add(Rule::on(Kind::Token, Fault::WithoutScope).once());
    assert!(refresh(&client, &token).json().get("scope").is_none());
    let set = serde_json::from_str(r#"{"expires_in": "soon"}"#).expect("an object");
    sandbox.faults().add(Rule::on(Kind::Token, Fault::EditJson { set, remove: vec!["token_type".into()] }).once());
    let answer = refresh(&client, &token).json();
    assert_eq!(answer["expires_in"], "soon");
    assert!(answer.get("token_type").is_none());
}

#[test]
fn without_a_new_refresh_token_the_old_one_stays_valid() {
    let (sandbox, client) = start(TokenRules::default());
    let token = exchange(&client, &code(&client)).json()["refresh_token"].clone();
    sandbox.faults().add(Rule::on(Kind::Token, Fault::WithoutRefreshToken).once());
    assert!(refresh(&client, &token).json().get("refresh_token").is_none());
    assert!(sandbox.accepts_refresh_token(token.as_str().expect("a token")));
    assert_eq!(refresh(&client, &token).status, 200);
    assert_eq!(refresh(&client, &token).refusal(), (401, 283));
}
