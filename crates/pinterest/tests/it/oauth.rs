//! The token endpoint.

use std::time::Duration;

use pinterest::{ErrorKind, Secret};

use crate::client::{app, client, impatient_client};
use crate::replies::{Misbehaviour, answer, html_502, json, redirect, refusal, silence, truncated};
use crate::server::Server;

const GRANT: &str = r#"{"access_token": "pina_NEW", "token_type": "bearer", "expires_in": 2592000, "refresh_token": "pinr.NEW",
    "refresh_token_expires_in": 5184000, "scope": "boards:read pins:read", "response_type": "authorization_code"}"#;

fn refresh_token() -> Secret {
    Secret::new("pinr.OLD+/=")
}

fn code() -> Secret {
    Secret::new("code EXAMPLEONLY")
}

fn form(body: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[tokio::test]
async fn a_code_is_exchanged_with_basic_authentication_and_continuous_refresh() {
    let server = Server::start(|_| json(GRANT)).await;
    let grant = client(&server).exchange_code(&app(), &code()).await.unwrap();
    assert_eq!(grant.access_token.expose(), "pina_NEW");
    assert_eq!(grant.refresh_token.unwrap().expose(), "pinr.NEW");
    assert_eq!(grant.expires_in, Duration::from_secs(2_592_000));
    assert_eq!(grant.scopes, ["boards:read", "pins:read"]);

    let request = &server.received()[0];
    assert_eq!(request.target, "POST /v5/oauth/token");
    assert_eq!(request.header("authorization"), Some("Basic MTIzNDU2OmFwcC1zZWNyZXQtRVhBTVBMRU9OTFk="));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        form(&request.body),
        pairs([
            ("code", "code EXAMPLEONLY"),
            ("continuous_refresh", "true"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", "http://localhost:8085/"),
        ])
    );
}

#[tokio::test]
async fn a_refresh_sends_the_token_and_nothing_else() {
    // The status 201 is in a later description of the API, and the Content-Type is ignored.
    let least = r#"{"access_token": "pina_NEW", "expires_in": 60}"#;
    let server = Server::start(move |_| answer("201 Created", &[("content-type", "text/plain")], least)).await;
    let grant = client(&server).refresh(&app(), &refresh_token()).await.unwrap();
    assert!(grant.refresh_token.is_none() && grant.refresh_token_expires_in.is_none() && grant.scopes.is_empty());
    let request = &server.received()[0];
    assert_eq!(form(&request.body), pairs([("grant_type", "refresh_token"), ("refresh_token", "pinr.OLD+/=")]));
}

#[tokio::test]
async fn refusals_of_a_refresh() {
    use ErrorKind::*;
    for (status, code, message, expected) in [
        ("401 Unauthorized", 283, "The authorization grant is invalid", NeedsReauth),
        ("400 Bad Request", 283, "The authorization grant is invalid", NeedsReauth),
        ("400 Bad Request", 1, "Invalid refresh token", Transient),
        ("400 Bad Request", 99, "Down for maintenance", Transient),
        ("401 Unauthorized", 2, "Authentication failed.", AppCredentials),
        ("401 Unauthorized", 283, "Invalid Application ID", AppCredentials),
        ("403 Forbidden", 29, "Not permitted", Transient),
        ("404 Not Found", 404, "Gone fishing", Transient),
        ("429 Too Many Requests", 8, "Slow down", RateLimited),
        ("500 Internal Server Error", 0, "Oops", Transient),
    ] {
        let server = Server::start(move |_| refusal(status, code, message)).await;
        let error = client(&server).refresh(&app(), &refresh_token()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status} {code} {message}");
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.request_id(), Some("4711"));
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.may_have_been_processed(), status.starts_with('5'), "{status}");
        assert_eq!(server.received().len(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn an_invalid_code_is_reported_with_pinterests_message() {
    for (status, code) in [("400 Bad Request", 1), ("401 Unauthorized", 283)] {
        let server = Server::start(move |_| refusal(status, code, "The code pina_abc is used up")).await;
        let error = client(&server).exchange_code(&app(), &self::code()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadCode);
        assert_eq!(
            error.to_string(),
            format!(
                "POST /v5/oauth/token (authorization_code): Pinterest answered {}, code {code}: \
                 The code [redacted] is used up (request id 4711)",
                &status[..3]
            )
        );
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_open() {
    let giant = || answer("200 OK", &[], "{".repeat(64 * 1024 + 1));
    let not_json = || json("<html>");
    let cut_off = || json(&GRANT[..GRANT.len() - 1]);
    let nonsense = || json(r#"{"access_token": "pina_NEW", "token_type": "mac", "expires_in": 60}"#);
    let mangled = || json("\u{0}\u{0}");
    let lost: [(&str, Misbehaviour, ErrorKind); 8] = [
        ("giant", giant, ErrorKind::TooLarge),
        ("not_json", not_json, ErrorKind::Protocol),
        ("cut_off", cut_off, ErrorKind::Protocol),
        ("nonsense", nonsense, ErrorKind::Protocol),
        ("mangled", mangled, ErrorKind::Protocol),
        ("truncated", truncated, ErrorKind::Transient),
        ("silence", silence, ErrorKind::Transient),
        ("html_502", html_502, ErrorKind::Transient),
    ];
    for (name, reply, expected) in lost {
        let server = Server::start(move |_| reply()).await;
        let error = impatient_client(&server).refresh(&app(), &refresh_token()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{name}: {error}");
        assert!(error.may_have_been_processed(), "{name}: {error}");
    }
}

#[tokio::test]
async fn secrets_are_not_sent_to_a_redirect() {
    let server = Server::start(|_| redirect("307 Temporary Redirect", "/elsewhere")).await;
    let error = client(&server).refresh(&app(), &refresh_token()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, Some(307)));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_invalid_redirect_uri_costs_no_request() {
    let server = Server::start(|_| json(GRANT)).await;
    let app = pinterest::AppCredentials { redirect_uri: "not a URL".to_owned(), ..app() };
    let error = client(&server).exchange_code(&app, &code()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(server.connections(), 0);
}

#[test]
fn calls_can_move_between_threads() {
    fn assert_send(_: &impl Send) {}
    fn check(client: &pinterest::Client, app: &pinterest::AppCredentials, secret: &Secret) {
        assert_send(&client.exchange_code(app, secret));
        assert_send(&client.refresh(app, secret));
        assert_send(&client.board_pins(secret, "1", None));
        assert_send(&client.fetch_image(""));
    }
    let _ = check;
}
