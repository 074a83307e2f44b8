//! Rate limits: headers in several units, or only in the text.

use std::time::Duration;

use pinterest::{ErrorKind, retry};

use crate::client::{client, token};
use crate::replies::{answer, json, refusal};
use crate::server::Server;

async fn wait_after(headers: &'static [(&'static str, &'static str)]) -> Option<Duration> {
    let body = r#"{"code": 8, "message": "You have exceeded your rate limit"}"#;
    let server = Server::start(move |_| answer("429 Too Many Requests", headers, body)).await;
    let error = client(&server).boards(&token(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(!error.may_have_been_processed());
    error.retry_after()
}

#[tokio::test]
async fn waits_are_parsed_in_every_form_and_clamped() {
    const DAY: u64 = 24 * 60 * 60;
    for (headers, expected) in [
        (&[("X-RateLimit-Reset", "67150")][..], Some(67_150)),
        (&[("x-ratelimit-reset", "1700000090")], Some(90)),
        (&[("retry-after", "17"), ("x-ratelimit-reset", "67150")], Some(17)),
        (&[("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT")], Some(60)),
        (&[("retry-after", "0")], Some(1)),
        (&[("retry-after", "315360000")], Some(DAY)),
        (&[("retry-after", "Fri, 14 Nov 2053 22:14:20 GMT")], Some(DAY)),
        (&[("retry-after", "in a while"), ("x-ratelimit-reset", "5")], Some(5)),
        (&[("retry-after", "in a while")], None),
        (&[], None),
    ] {
        assert_eq!(wait_after(headers).await, expected.map(Duration::from_secs), "{headers:?}");
    }
}

#[tokio::test]
async fn a_400_can_be_a_rate_limit() {
    let server = Server::start(|_| refusal("400 Bad Request", 1, "Too fast. Retry after 42 seconds")).await;
    let error = client(&server).boards(&token(), Some("b")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(42))));
    assert_eq!(retry::next_delay(1, &error, 0.0), Some(Duration::from_secs(42)));
}

#[tokio::test]
async fn the_quota_comes_with_every_answer() {
    let headers =
        &[("x-ratelimit-limit", "1000"), ("x-ratelimit-remaining", "17"), ("x-ratelimit-reset", "1700000060")];
    let server = Server::start(|_| answer("200 OK", headers, r#"{"items": []}"#)).await;
    let quota = client(&server).boards(&token(), None).await.unwrap().rate_limit;
    assert_eq!((quota.limit, quota.remaining, quota.reset), (Some(1000), Some(17), Some(Duration::from_secs(60))));
    let server = Server::start(|_| json(r#"{"items": []}"#)).await;
    assert_eq!(client(&server).boards(&token(), None).await.unwrap().rate_limit, pinterest::RateLimit::default());
}
