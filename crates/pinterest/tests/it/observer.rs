//! Every request is reported once, with its outcome.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinterest::{Client, Exchange, Observer};

use crate::client::{client_with, impatient_limits, token};
use crate::replies::*;
use crate::server::{Reply, Server};

/// Status, bytes and whether it was a repetition, of a request that was reported.
type Reported = (Option<u16>, u64, bool);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Reported>>>);

impl Observer for Seen {
    fn ended(&self, exchange: &Exchange<'_>) {
        assert_eq!(exchange.host.name(), "localhost");
        assert!(exchange.time > Duration::ZERO);
        self.0.lock().unwrap().push((exchange.status, exchange.bytes, exchange.is_retry));
    }
}

impl Seen {
    fn client(&self, server: &Server) -> Client {
        let (observer, limits) = (self.clone(), impatient_limits());
        client_with(server, |builder| builder.observer(observer).limits(limits))
    }

    fn take(&self) -> Vec<Reported> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn each_call_is_reported_with_its_status() {
    type Case = (fn() -> Reply, Option<u16>);
    let cases: [Case; 8] = [
        (|| json(r#"{"items": []}"#), Some(200)),
        (|| refusal("401 Unauthorized", 2, "no"), Some(401)),
        (|| refusal("429 Too Many Requests", 8, "slow down"), Some(429)),
        (html_502, Some(502)),
        (hang_up, None),
        (silence, None),
        (truncated, None),
        (endless, None),
    ];
    for (index, (reply, status)) in cases.into_iter().enumerate() {
        let (seen, server) = (Seen::default(), Server::start(move |_| reply()).await);
        let client = seen.client(&server);
        let _ = client.boards(&token(), None).await;
        let _ = client.as_retry().boards(&token(), None).await;
        let found = seen.take();
        assert_eq!(found.iter().map(|(found, ..)| *found).collect::<Vec<_>>(), [status; 2], "{index}");
        assert_eq!(found.iter().map(|(.., retry)| *retry).collect::<Vec<_>>(), [false, true], "{index}");
        if index == 0 {
            assert_eq!(found[0].1, 13);
        }
    }
}

#[tokio::test]
async fn each_step_of_an_image_is_reported() {
    let server = Server::start(|request| match request.target.as_str() {
        "GET /a.jpg" => redirect("301 Moved Permanently", "/b.jpg"),
        "GET /b.jpg" => json("image"),
        "GET /slow.jpg" => slow_drip(),
        _ => answer("403 Forbidden", &[], "no"),
    })
    .await;
    let seen = Seen::default();
    let client = seen.client(&server);
    let url = |path: &str| format!("https://localhost:{}/{path}", server.port);
    client.fetch_image(&url("a.jpg")).await.unwrap();
    assert_eq!(seen.take(), [(Some(301), 0, false), (Some(200), 5, false)]);
    client.fetch_image(&url("none.jpg")).await.unwrap_err();
    assert_eq!(seen.take(), [(Some(403), 0, false)]);
    client.fetch_image(&url("slow.jpg")).await.unwrap_err();
    let slow = seen.take();
    assert_eq!((slow.len(), slow[0].0), (1, None), "{slow:?}");
    assert!(slow[0].1 > 0, "bytes that came are counted: {slow:?}");
    // It is not sent.
    client.fetch_image("https://i.pinimg.com/x").await.unwrap_err();
    assert_eq!(seen.take(), []);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_not_reported() {
    let server = Server::start(|_| silence()).await;
    let seen = Seen::default();
    let client = seen.client(&server);
    let bearer = token();
    let call = client.boards(&bearer, None);
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    assert_eq!(seen.take(), []);
}
