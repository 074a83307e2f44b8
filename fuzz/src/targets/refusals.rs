//! Refusals, and the headers of all answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use pinterest::refresh::{Attempt, NextStep, judge};
use pinterest::{Secret, fuzzing, retry};

use crate::input::{SECRET, assert_clean, split, with_secret};

/// The names of the parsed headers; a line of the input is the value of one.
const NAMES: [&str; 5] =
    ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-pinterest-rid"];

/// The present time, 2026-01-01.
const NOW: Duration = Duration::from_secs(1_767_225_600);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

/// Headers from lines of text, and the rest of the input.
fn header_lines(input: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = input;
    for name in NAMES {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
        let (value, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if let Ok(value) = HeaderValue::from_bytes(value)
            && !value.is_empty()
        {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    (headers, rest)
}

/// The headers of an answer, one per line.
pub fn headers(input: &[u8]) {
    let Some(input) = with_secret(input) else { return };
    let (headers, _) = header_lines(&input);
    let (rate_limit, retry_after, request_id) = fuzzing::headers(&headers, now());
    if let Some(request_id) = request_id {
        assert!(!request_id.is_empty() && request_id.chars().count() <= 301);
        assert_clean(&request_id);
    }
    // The waits are added to the present time, also in the database. They are limited to a day.
    let day = retry::LONGEST_RETRY_AFTER;
    let retry_after = retry_after.map(|wait| wait.clamp(retry::SHORTEST_RETRY_AFTER, day));
    let waits = [rate_limit.reset, rate_limit.window, rate_limit.pace, rate_limit.pace_reset, retry_after];
    for wait in waits.into_iter().flatten() {
        assert!(wait <= day, "a wait of {wait:?}");
    }
    for count in rate_limit.limit.into_iter().chain(rate_limit.remaining) {
        assert!(i32::try_from(count).is_ok(), "a count of {count}");
    }
}

/// A refusal: call, status (2 bytes), attempt, lines of headers, body.
pub fn refusal(input: &[u8]) {
    let ([call, status_low, status_high, attempt], rest) = split(input);
    let Some(rest) = with_secret(rest) else { return };
    let (headers, body) = header_lines(&rest);
    let status = u16::from_le_bytes([status_low, status_high]) % 1_000;
    let secret = Secret::new(SECRET);
    let error = fuzzing::refusal(usize::from(call) % fuzzing::CALLS, status, &headers, body, now(), &[&secret]);
    assert_clean(&error.to_string());
    assert_clean(&format!("{error:?}"));
    assert!(error.to_string().chars().count() < 1_500);
    assert_eq!(error.status(), Some(status));
    if let Some(wait) = error.retry_after() {
        assert!((retry::SHORTEST_RETRY_AFTER..=retry::LONGEST_RETRY_AFTER).contains(&wait), "{wait:?}");
    }
    let longest = retry::LONGEST_RETRY_AFTER.mul_f64(1.1);
    if let Some(wait) = retry::next_delay(u32::from(attempt), &error, 0.999) {
        assert!((retry::SHORTEST_RETRY_AFTER..=longest).contains(&wait), "{wait:?}");
        assert!(error.is_retryable());
    }
    let attempt =
        Attempt { number: u32::from(attempt), uncertain: attempt & 1 != 0, refresh_token_expired: attempt & 2 != 0 };
    if let NextStep::Again { again_in, .. } = judge(&attempt, &error, 0.0) {
        assert!((retry::SHORTEST_RETRY_AFTER..=longest).contains(&again_in), "{again_in:?}");
    }
}

/// A server's text as part of a message.
pub fn redact(input: &[u8]) {
    let Some(input) = with_secret(input) else { return };
    let text = String::from_utf8_lossy(&input);
    let secret = Secret::new(SECRET);
    for secrets in [&[][..], &[&secret]] {
        let cleaned = fuzzing::redact(&text, secrets);
        assert_clean(&cleaned);
        assert!(cleaned.chars().count() <= 301);
        assert!(!cleaned.chars().any(char::is_control), "{cleaned:?}");
    }
}
