//! Pages of listings.

use pinterest::{BookmarkGuard, Client, Error, ErrorKind};

use crate::client::{client, token};
use crate::replies::{json, refusal};
use crate::server::Server;

/// Lists a board as an import does; returns the ids.
async fn list(client: &Client) -> Result<Vec<String>, Error> {
    let (mut guard, mut bookmark, mut ids) = (BookmarkGuard::new(), None::<String>, Vec::new());
    loop {
        let page = client.board_pins(&token(), "1", bookmark.as_deref()).await?.value;
        ids.extend(page.items.into_iter().map(|pin| pin.id));
        match page.bookmark {
            Some(ref next) => guard.admit(next)?,
            None => return Ok(ids),
        }
        bookmark = page.bookmark;
    }
}

#[tokio::test]
async fn short_and_empty_pages_are_not_the_end() {
    let server = Server::start(|request| {
        json(match request.target.rsplit("bookmark=").next().unwrap() {
            "second" => r#"{"items": [], "bookmark": "third"}"#,
            "third" => r#"{"items": [{"id": "3"}], "bookmark": ""}"#,
            _ => r#"{"items": [{"id": "1"}, {"id": "2"}], "bookmark": "second"}"#,
        })
    })
    .await;
    assert_eq!(list(&client(&server)).await.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn repeated_bookmark() {
    let server = Server::start(|_| json(r#"{"items": [{"id": "1"}], "bookmark": "again"}"#)).await;
    assert_eq!(list(&client(&server)).await.unwrap_err().kind(), ErrorKind::RepeatedBookmark);
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn the_end_of_the_listing_and_an_expired_bookmark_are_distinguished() {
    for (message, expected) in [
        ("Pagination beyond 100.000 pins are not allowed", ErrorKind::ListingLimit),
        ("Invalid bookmark", ErrorKind::StaleBookmark),
    ] {
        let server = Server::start(move |request| {
            if request.target.contains("bookmark=") {
                refusal("400 Bad Request", 1, message)
            } else {
                json(r#"{"items": [{"id": "1"}], "bookmark": "next"}"#)
            }
        })
        .await;
        let error = list(&client(&server)).await.unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(!error.is_retryable());
    }
}
