//! The API's read calls.

use pinterest::{ErrorKind, PAGE_SIZE, Secret};

use crate::client::{client, token};
use crate::replies::{answer, json, redirect, refusal};
use crate::server::Server;

#[tokio::test]
async fn a_page_is_requested_as_documented() {
    let body = r#"{"items": [{"id": "12", "title": "Barn"}, {"title": "more ideas"}], "bookmark": "next"}"#;
    let server =
        Server::start(move |_| answer("200 OK", &[("x-pinterest-rid", "77"), ("x-ratelimit-remaining", "5")], body))
            .await;
    let page = client(&server).board_pins(&token(), "549755885175", Some("a b&c=d+/%=ä")).await.unwrap();
    assert_eq!((page.value.items[0].id.as_str(), page.value.tiles), ("12", 1));
    assert_eq!(page.value.bookmark.as_deref(), Some("next"));
    assert_eq!((page.rate_limit.remaining, page.request_id.as_deref()), (Some(5), Some("77")));

    let request = &server.received()[0];
    let target = "GET /v5/boards/549755885175/pins?page_size=250&bookmark=a+b%26c%3Dd%2B%2F%25%3D%C3%A4";
    assert_eq!(request.target, target);
    assert_eq!(PAGE_SIZE, 250);
    assert_eq!(request.header("authorization"), Some("Bearer pina_EXAMPLEONLY"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert!(request.header("user-agent").unwrap().starts_with("pg_pinterest/"));
}

#[tokio::test]
async fn every_call_has_its_path() {
    let server = Server::start(|request| {
        json(if request.target.contains("page_size") { r#"{"items": [{"id": "1"}]}"# } else { r#"{"id": "1"}"# })
    })
    .await;
    let (client, token) = (client(&server), token());
    assert_eq!(client.user_account(&token).await.unwrap().value.id.as_deref(), Some("1"));
    assert_eq!(client.boards(&token, None).await.unwrap().value.items[0].id, "1");
    assert_eq!(client.board(&token, "2").await.unwrap().value.id, "1");
    assert_eq!(client.sections(&token, "3", None).await.unwrap().value.items[0].id, "1");
    assert_eq!(client.pin(&token, "6").await.unwrap().value.id, "1");
    let targets: Vec<_> = server.received().into_iter().map(|request| request.target).collect();
    assert_eq!(
        targets,
        [
            "GET /v5/user_account",
            "GET /v5/boards?page_size=250",
            "GET /v5/boards/2",
            "GET /v5/boards/3/sections?page_size=250",
            "GET /v5/pins/6",
        ]
    );
}

#[tokio::test]
async fn an_id_cannot_become_a_path() {
    let server = Server::start(|_| json("{}")).await;
    let client = client(&server);
    for id in ["", "../user_account", "1/2", "1?x", "%31", "pina_SECRET", &"9".repeat(33)] {
        let error = client.board(&token(), id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{id}");
        assert!(!error.to_string().contains("SECRET"));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_token_that_would_break_the_header_is_not_sent() {
    let server = Server::start(|_| json("{}")).await;
    let error = client(&server).user_account(&Secret::new("a\r\nx-evil: CANARY")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("CANARY"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn refusals_of_a_call() {
    use ErrorKind::*;
    for (status, code, message, expected) in [
        ("400 Bad Request", 1, "Invalid parameter", BadRequest),
        ("400 Bad Request", 12, "Something", Transient),
        ("401 Unauthorized", 2, "Authentication failed.", Unauthorized),
        ("401 Unauthorized", 3, "Missing: ['pins:read']", MissingScope),
        ("403 Forbidden", 29, "Not permitted", Forbidden),
        ("404 Not Found", 40, "Board not found", NotFound),
        ("409 Conflict", 409, "Conflict", Transient),
        ("429 Too Many Requests", 8, "Held back as spam", SpamHold),
        ("503 Service Unavailable", 1, "Later", Transient),
    ] {
        let server = Server::start(move |_| refusal(status, code, message)).await;
        let error = client(&server).board(&token(), "1").await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status} {code}");
        let expected = format!(
            "GET /v5/boards/{{board_id}}: Pinterest answered {}, code {code}: {message} (request id 4711)",
            &status[..3]
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(server.received().len(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn api_calls_do_not_follow_redirects() {
    let server = Server::start(|_| redirect("301 Moved Permanently", "/v5/elsewhere")).await;
    let error = client(&server).boards(&token(), None).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, Some(301)));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn unknown_members_enumerations_and_nulls_cost_no_pin() {
    let body = r#"{"items": [{"id": "1", "title": null, "creative_type": "SMELL", "created_at": "2021-06-08T09:37:30",
        "aura": {"colour": [1, 2]}, "media": {"media_type": "hologram", "images": {"600x": {"url": "https://h/x", "depth": 3}}}},
        {"id": "2", "media": null, "is_owner": "perhaps"}], "bookmark": null, "total": 2}"#;
    let server = Server::start(move |_| json(body)).await;
    let page = client(&server).board_pins(&token(), "1", None).await.unwrap().value;
    assert_eq!((page.items.len(), page.unreadable, page.bookmark), (2, 0, None));
    assert_eq!(page.items[0].images().unwrap()[0].candidates[0].url, "https://h/x");
    assert_eq!(page.items[0].created_at.unwrap().as_microseconds(), 1_623_145_050_000_000);
    assert!(page.items[0].raw.contains("aura"));
    assert!(page.items[1].images().is_err());
}
