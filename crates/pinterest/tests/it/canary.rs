//! No error and no type shows a secret, whatever a server answers.

use std::fmt::{Debug, Display};

use pinterest::{AppCredentials, Client, Error, Secret};

use crate::client::impatient_client;
use crate::replies::*;
use crate::server::{Received, Reply, Server};

/// An answer with parts of the request.
type Echo = fn(&Received) -> Reply;

/// Part of every secret of this test, which the patterns for tokens do not match.
const CANARY: &str = "CANARYzq7";

fn secret(prefix: &str) -> Secret {
    Secret::new(format!("{prefix}{CANARY}"))
}

fn app() -> AppCredentials {
    AppCredentials {
        client_id: "123456".to_owned(),
        client_secret: secret("app-"),
        redirect_uri: "http://localhost:8085/".to_owned(),
    }
}

/// The secrets of the request, as a server might echo them.
fn carried(request: &Received) -> String {
    let bearer = request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    let form: String =
        url::form_urlencoded::parse(request.body.as_bytes()).map(|(_, value)| format!("{value} ")).collect();
    format!("{bearer} {form}")
}

fn shown(error: &(impl Debug + Display)) -> String {
    format!("{error} {error:?} {error:#?}")
}

async fn errors(client: &Client, prefix: &str) -> Vec<Error> {
    let secret = secret(prefix);
    let mut errors = Vec::new();
    errors.extend(client.user_account(&secret).await.err());
    errors.extend(client.board_pins(&secret, "1", Some(secret.expose())).await.err());
    errors.extend(client.pin(&secret, secret.expose()).await.err());
    errors.extend(client.refresh(&app(), &secret).await.err());
    errors.extend(client.exchange_code(&app(), &secret).await.err());
    errors.extend(client.fetch_image(&format!("https://{}@localhost/", secret.expose())).await.err());
    errors.extend(client.fetch_image(secret.expose()).await.err());
    errors
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let echoes: [(&str, Echo); 12] = [
        ("in the message", |request| refusal("401 Unauthorized", 2, &format!("Bad token {}", carried(request)))),
        ("in the data", |request| {
            let body = format!(r#"{{"code": 283, "message": "no", "data": "{}"}}"#, carried(request));
            answer("401 Unauthorized", &[], body)
        }),
        ("as the only body", |request| answer("400 Bad Request", &[], carried(request))),
        ("in the request id", |request| answer("403 Forbidden", &[("x-pinterest-rid", carried(request).trim())], "{}")),
        ("in the reason", |request| answer(&format!("500 {}", carried(request).trim()), &[], "")),
        ("in a redirect", |request| redirect("302 Found", &format!("https://{}/", carried(request).trim()))),
        ("as a grant of the wrong type", |request| {
            json(format!(r#"{{"access_token": ["{}"], "expires_in": "{}"}}"#, carried(request), carried(request)))
        }),
        ("as a member's name", |request| json(format!(r#"{{"{}": [1, "#, carried(request)))),
        ("as an unreadable document", |request| json(carried(request))),
        ("in a grant of another type", |request| {
            json(format!(r#"{{"access_token": "{CANARY}", "token_type": "mac", "scope": "{}"}}"#, carried(request)))
        }),
        ("in the quota", |request| answer("429 Too Many Requests", &[("retry-after", carried(request).trim())], "")),
        ("in a page's wrong shape", |request| json(format!(r#"{{"items": "{}", "bookmark": "x"}}"#, carried(request)))),
    ];
    for (place, echo) in echoes {
        let server = Server::start(echo).await;
        let client = impatient_client(&server);
        for prefix in ["pina_", "pinr.", "opaque "] {
            let errors = errors(&client, prefix).await;
            assert!(errors.len() >= 5, "{place}: {errors:?}");
            for error in errors {
                assert!(!shown(&error).contains(CANARY), "{place}: {}", shown(&error));
                let source = std::error::Error::source(&error);
                assert!(source.is_none(), "{place}: a source may print what the error does not");
            }
        }
    }
}

#[tokio::test]
async fn no_type_shows_a_secret() {
    let body = format!(r#"{{"access_token": "pina_{CANARY}", "expires_in": 60, "refresh_token": "pinr.{CANARY}"}}"#);
    let server = Server::start(move |_| json(&body)).await;
    let grant = impatient_client(&server).refresh(&app(), &secret("pinr.")).await.unwrap();
    assert!(grant.access_token.expose().contains(CANARY));
    assert!(!format!("{grant:?} {:?} {:?}", app(), impatient_client(&server)).contains(CANARY));
}
