//! Faults and the requests to which they apply.

use std::time::{Duration, Instant};

use sandbox::{Config, Family, Fault, Kind, Rule, Sandbox, Selector};

use crate::client::Client;

fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config::with_board("Board", &[Family::Beach], 5)).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    (sandbox, client)
}

#[test]
fn refusals_have_their_status_and_code() {
    let (sandbox, client) = start();
    let refusals = [
        (Fault::AuthenticationFailed, 401, 2),
        (Fault::MissingScope, 401, 3),
        (Fault::AppWithoutAccess, 401, 3),
        (Fault::RestrictedFeature, 401, 3),
        (Fault::InvalidGrant, 401, 283),
        (Fault::TwoFactorRequired, 401, 1201),
        (Fault::InvalidParameter, 400, 1),
        (Fault::SomethingWentWrong, 400, 12),
        (Fault::Forbidden, 403, 29),
        (Fault::NotFound, 404, 404),
        (Fault::Conflict, 409, 409),
        (Fault::Spam, 429, 8),
        (Fault::ServerError { status: 503 }, 503, 12),
    ];
    for (fault, status, code) in refusals {
        sandbox.faults().add(Rule::on(Kind::Boards, fault.clone()).once());
        let reply = client.get("/v5/boards");
        assert_eq!(reply.refusal(), (status, code), "{fault:?}");
        assert!(reply.header("x-pinterest-rid").is_some());
    }
    assert_eq!(client.get("/v5/boards").status, 200);
    let say = |fault| {
        sandbox.faults().add(Rule::on(Kind::Boards, fault).once());
        client.get("/v5/boards")
    };
    assert!(say(Fault::Spam).text().contains("spam"));
    assert!(say(Fault::RetryAfterText { seconds: 7 }).text().contains("Retry after 7 seconds"));
    assert_eq!(say(Fault::InvalidApplication).json()["data"], "Invalid Application ID");
    assert!(say(Fault::AppWithoutAccess).text().contains("consumer type"));
    assert!(say(Fault::RestrictedFeature).text().contains("restricted feature"));
    let empty = say(Fault::EmptyAnswer { status: 401 });
    assert_eq!((empty.status, empty.text().as_ref()), (401, ""));
    let page = say(Fault::HtmlAnswer { status: 403 });
    assert_eq!((page.status, page.header("content-type")), (403, Some("text/html")));
    let failure = say(Fault::JsonAnswer { status: 200, body: serde_json::json!({"code": "8"}) });
    assert_eq!((failure.status, &failure.json()["code"]), (200, &serde_json::json!("8")));
    let policies = say(Fault::header("x-ratelimit-limit", "100, 100;w=1, 1000;w=60"));
    assert_eq!((policies.status, policies.header("x-ratelimit-limit")), (200, Some("100, 100;w=1, 1000;w=60")));
    let html = say(Fault::Html502);
    assert_eq!((html.status, html.header("content-type")), (502, Some("text/html")));
    let page = say(Fault::Html200);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    let trial = say(Fault::trial_quota_spent());
    assert_eq!((trial.status, trial.header("x-ratelimit-reset")), (429, Some("67150")));
    let dated = say(Fault::RateLimited { retry_after: Some("Fri, 31 Dec 1999 23:59:59 GMT".into()), reset: None });
    assert_eq!(dated.header("retry-after"), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    let own =
        Fault::Status { status: 418, code: 5, message: "short".into(), headers: [("x-a".into(), "b".into())].into() };
    let own = say(own);
    assert_eq!((own.refusal(), own.header("x-a")), ((418, 5), Some("b")));
    let away = say(Fault::Redirect { status: 307, location: "http://169.254.169.254/".into() });
    assert_eq!((away.status, away.header("location")), (307, Some("http://169.254.169.254/")));
}

#[test]
fn a_header_that_cannot_be_sent_is_reported() {
    let (sandbox, client) = start();
    let location = "https://localhost/\r\nx-smuggled: 1".to_string();
    sandbox.faults().add(Rule::on(Kind::Boards, Fault::Redirect { status: 302, location }).once());
    let reply = client.get("/v5/boards");
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("could not send this fault"));
}

#[test]
fn rules_skip_and_end() {
    let (sandbox, client) = start();
    let rule = sandbox.faults().add(Rule::on(Kind::Boards, Fault::Spam).skip(1).times(2));
    let statuses: Vec<u16> = (0..5).map(|_| client.get("/v5/boards").status).collect();
    assert_eq!(statuses, [200, 429, 429, 200, 200]);
    assert_eq!(sandbox.faults().fired(rule), 2);
    assert!(sandbox.faults().remove(rule) && !sandbox.faults().remove(rule));
}

#[test]
fn rules_select_by_kind_and_path() {
    let (sandbox, client) = start();
    let board = sandbox.board_id("Board").expect("a board");
    sandbox.faults().add(Rule::on(format!("/v5/boards/{board}"), Fault::Spam));
    assert_eq!(client.get("/v5/boards").status, 200);
    assert_eq!(client.get(&format!("/v5/boards/{board}/pins")).status, 200);
    assert_eq!(client.get(&format!("/v5/boards/{board}")).status, 429);
    sandbox.faults().clear();
    let both = Selector { kind: Some(Kind::BoardPins), path: Some("/v5/boards/*".into()) };
    sandbox.faults().add(Rule::on(both, Fault::Spam));
    assert_eq!(client.get(&format!("/v5/boards/{board}")).status, 200);
    assert_eq!(client.get(&format!("/v5/boards/{board}/pins")).status, 429);
    sandbox.faults().clear();
    sandbox.faults().add(Rule::on(Selector::any(), Fault::Spam));
    assert_eq!(client.get("/v5/user_account").status, 429);
    assert_eq!(client.control("GET", "/control/faults", &serde_json::Value::Null).status, 200, "control stays usable");
}

#[test]
fn probability_depends_on_the_seed() {
    let draws = || {
        let (sandbox, client) = start();
        sandbox.faults().add(Rule::on(Kind::Boards, Fault::Spam).probability(0.5));
        (0..16).map(|_| client.get("/v5/boards").status).collect::<Vec<_>>()
    };
    let first = draws();
    assert_eq!(first, draws());
    assert!(first.contains(&200) && first.contains(&429), "{first:?}");
}

#[test]
fn bodies_are_damaged() {
    let (sandbox, client) = start();
    let whole = client.get("/v5/user_account").body;
    let get = |fault| {
        sandbox.faults().add(Rule::on(Kind::UserAccount, fault).once());
        client.get("/v5/user_account")
    };
    let half = get(Fault::TruncatedBody);
    assert_eq!(half.body, whole[..whole.len() / 2]);
    assert!(!half.is_cut, "its length is declared truly");
    let short = get(Fault::WrongContentLength { difference: 10 });
    assert!(short.is_cut && short.body == whole);
    let long = get(Fault::WrongContentLength { difference: -10 });
    assert_eq!(long.header("content-length"), Some((whole.len() - 10).to_string().as_str()));
    let reset = get(Fault::ResetAfterHeaders);
    assert!(reset.is_cut && reset.status == 200);
    assert_eq!(reset.body, whole[..whole.len() / 2]);
    let endless = get(Fault::EndlessBody);
    assert!(endless.body.len() >= 32 << 20, "it would have gone on: {}", endless.body.len());
    let bomb = get(Fault::GzipBomb { mebibytes: 16 });
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert!(bomb.body.len() < 100 << 10, "{}", bomb.body.len());
    let wrong = get(Fault::WrongContentType { value: "text/plain".into() });
    assert_eq!((wrong.header("content-type"), &wrong.body), (Some("text/plain"), &whole));
    assert!(get(Fault::ManyHeaders { count: 500 }).headers.len() > 500);
    assert_eq!(get(Fault::HugeHeader { bytes: 1 << 20 }).header("x-filler").map(str::len), Some(1 << 20));
    assert_eq!(client.get("/v5/user_account").body, whole);
}

#[test]
fn slow_bodies_take_time() {
    let (sandbox, client) = start();
    let length = client.get("/v5/user_account").body.len();
    let bytes_per_second = length as u32 * 2;
    sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::SlowBody { bytes_per_second }).once());
    let begun = Instant::now();
    let reply = client.get("/v5/user_account");
    assert_eq!(reply.body.len(), length);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn held_requests_wait_for_their_gate() {
    let (sandbox, client) = start();
    sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: "here".into() }));
    std::thread::scope(|scope| {
        let held = scope.spawn(|| client.get("/v5/boards").status);
        assert!(sandbox.requests().wait_for(Kind::Boards, 1, Duration::from_secs(30)));
        assert_eq!(client.get("/v5/user_account").status, 200, "others are not held");
        assert!(!held.is_finished());
        sandbox.faults().release("here");
        assert_eq!(held.join().expect("no panic"), 200);
    });
    assert!(!sandbox.requests().wait_for(Kind::Boards, 2, Duration::ZERO));
}

#[test]
fn faults_of_several_rules_are_combined() {
    let (sandbox, client) = start();
    sandbox.faults().add(Rule::on(Kind::Boards, Fault::Delay { milliseconds: 200 }));
    sandbox.faults().add(Rule::on(Kind::Boards, Fault::Spam));
    let begun = Instant::now();
    assert_eq!(client.get("/v5/boards").status, 429);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn rules_are_read_from_json() {
    let text = r#"{"on": {"kind": "image", "path": "/600x/*"}, "fault": {"name": "wrong_extension", "format": "webp"},
                   "skip": 2}"#;
    let rule: Rule = serde_json::from_str(text).expect("a rule");
    assert_eq!((rule.skip, rule.times, rule.probability), (2, None, 1.0));
    let again: Rule = serde_json::from_value(serde_json::to_value(&rule).expect("JSON")).expect("a rule");
    assert_eq!(again, rule);
    for name in [
        "html_502",
        "html_200",
        "redirect_600x_to_564x",
        "truncated_json",
        "truncated_image",
        "lost_answer",
        "rate_limited",
    ] {
        let rule = serde_json::from_value::<Rule>(serde_json::json!({ "fault": { "name": name } }));
        assert!(rule.is_ok(), "{name}: {rule:?}");
    }
    assert!(serde_json::from_str::<Rule>(r#"{"fault": {"name": "no_such_fault"}}"#).is_err());
}
