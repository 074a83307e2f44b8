//! One refresh with all its requests: when the previous token is tried, and the result.

use pinterest::refresh::{Ask, Attempt, Cause, FailedRefresh, NextStep, ask};
use pinterest::{ErrorKind, Secret, TokenGrant};

use crate::client::{app, client};
use crate::replies::{html_502, json, refusal};
use crate::server::{Reply, Server};

const CERTAIN: Attempt = Attempt { number: 1, uncertain: false, refresh_token_expired: false };
const UNCERTAIN: Attempt = Attempt { number: 2, uncertain: true, refresh_token_expired: false };

fn granted() -> Reply {
    json(r#"{"access_token": "pina_NEW", "expires_in": 60}"#)
}

fn refused() -> Reply {
    refusal("401 Unauthorized", 283, "The authorization grant is invalid")
}

fn app_refused() -> Reply {
    refusal("401 Unauthorized", 2, "Authentication failed.")
}

/// Refreshes at a server with one answer per token; also returns the tokens of the requests.
async fn asked(
    attempt: Attempt,
    previous: Option<&str>,
    current_answer: fn() -> Reply,
    previous_answer: fn() -> Reply,
) -> (Result<TokenGrant, FailedRefresh>, String) {
    let server = Server::start(
        move |request| {
            if request.body.contains("CURRENT") { current_answer() } else { previous_answer() }
        },
    )
    .await;
    let (current, previous) = (Secret::new("pinr.CURRENT"), previous.map(Secret::new));
    let ask_with = Ask { app: &app(), current: &current, previous: previous.as_ref(), attempt };
    let answer = ask(&client(&server), ask_with, 0.5).await;
    let received = server.received();
    let tokens = received.iter().filter_map(|request| request.body.split_once("refresh_token=pinr."));
    (answer, tokens.map(|(_, token)| token.split('&').next().unwrap()).collect::<Vec<_>>().join(" "))
}

fn next_step(answer: Result<TokenGrant, FailedRefresh>) -> (NextStep, ErrorKind) {
    let refusal = answer.unwrap_err();
    (refusal.next_step, refusal.error.kind())
}

#[tokio::test]
async fn a_certain_refusal_ends_the_refresh() {
    let (answer, tokens) = asked(CERTAIN, Some("pinr.PREVIOUS"), refused, granted).await;
    assert_eq!(next_step(answer), (NextStep::Lost(Cause::Rejected), ErrorKind::NeedsReauth));
    assert_eq!(tokens, "CURRENT");
}

#[tokio::test]
async fn after_a_lost_answer_the_previous_token_gets_one_chance() {
    let (answer, tokens) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), refused, granted).await;
    let grant = answer.unwrap();
    assert_eq!(tokens, "CURRENT PREVIOUS");
    assert_eq!(grant.access_token.expose(), "pina_NEW");
    // The answer contains no refresh token: the accepted one is kept.
    assert_eq!(grant.refresh_token.unwrap().expose(), "pinr.PREVIOUS");

    let (answer, tokens) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), refused, refused).await;
    assert_eq!(next_step(answer), (NextStep::Lost(Cause::LostResponse), ErrorKind::NeedsReauth));
    assert_eq!(tokens, "CURRENT PREVIOUS");
}

#[tokio::test]
async fn a_current_token_that_works_or_may_work_is_not_replaced() {
    let (answer, tokens) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), granted, granted).await;
    assert!(answer.unwrap().refresh_token.is_none());
    assert_eq!(tokens, "CURRENT");
    for unclear in [html_502, app_refused] {
        let (answer, tokens) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), unclear, granted).await;
        assert!(!matches!(next_step(answer).0, NextStep::Lost(_)));
        assert_eq!(tokens, "CURRENT");
    }
}

#[tokio::test]
async fn without_another_token_the_refusal_is_final() {
    for previous in [None, Some("pinr.CURRENT")] {
        let (answer, tokens) = asked(UNCERTAIN, previous, refused, granted).await;
        assert_eq!(next_step(answer).0, NextStep::Lost(Cause::LostResponse));
        assert_eq!(tokens, "CURRENT");
    }
}

#[tokio::test]
async fn an_unclear_answer_to_the_previous_token_loses_nothing() {
    let (answer, _) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), refused, html_502).await;
    let (verdict_of_both, kind) = next_step(answer);
    assert!(matches!(verdict_of_both, NextStep::Again { uncertain: true, .. }), "{verdict_of_both:?}");
    assert_eq!(kind, ErrorKind::Transient);

    let (answer, _) = asked(UNCERTAIN, Some("pinr.PREVIOUS"), refused, app_refused).await;
    assert_eq!(next_step(answer).0, NextStep::AppRefused);
}

#[tokio::test]
async fn the_age_of_the_token_explains_a_refusal() {
    let expired = Attempt { refresh_token_expired: true, ..CERTAIN };
    let (answer, _) = asked(expired, None, refused, granted).await;
    assert_eq!(next_step(answer).0, NextStep::Lost(Cause::Expired));
    let (answer, _) = asked(expired, None, granted, granted).await;
    assert!(answer.is_ok());
}
