//! What the server says about its quota.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::bounds::{LONGEST_WINDOW, REQUESTS, within};

/// The quota as the answer's headers tell it; each part may be missing, as is one that makes no sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests allowed in the window (`x-ratelimit-limit`).
    pub limit: Option<u64>,
    /// Requests left in it (`x-ratelimit-remaining`).
    pub remaining: Option<u64>,
    /// Time until it starts anew (`x-ratelimit-reset`), a day at most.
    pub reset: Option<Duration>,
}

/// A reset above this is a Unix time, below it a number of seconds from now: nobody waits thirty years.
const UNIX_TIME_FROM: u64 = 1_000_000_000;

impl RateLimit {
    pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Self {
        let number = |name| first_number(headers.get(name)?.to_str().ok()?);
        let limit = number("x-ratelimit-limit").and_then(|limit| within(limit, &REQUESTS));
        let most = limit.unwrap_or(*REQUESTS.end());
        Self {
            limit,
            remaining: number("x-ratelimit-remaining").and_then(|remaining| within(remaining, &(0..=most))),
            reset: number("x-ratelimit-reset").and_then(|value| reset_in(value, now)),
        }
    }
}

/// The time until a reset, which is told in seconds from now or as a Unix time; `None` where either is further away than
/// a window is long.
fn reset_in(value: u64, now: SystemTime) -> Option<Duration> {
    let told = Duration::from_secs(value);
    if value <= UNIX_TIME_FROM {
        return within(told, &(Duration::ZERO..=LONGEST_WINDOW));
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(told);
    within(told.saturating_sub(now), &(Duration::ZERO..=LONGEST_WINDOW)).filter(|_| since <= LONGEST_WINDOW)
}

/// The leading number, as gateways append a policy to it (`1000, 1000;w=60`).
fn first_number(text: &str) -> Option<u64> {
    let digits = text.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3); nonsense is as good as none.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds still means "very long"; the caller clamps it.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let at = SystemTime::from(chrono::DateTime::parse_from_rfc2822(text).ok()?);
    Some(at.duration_since(now).unwrap_or_default())
}

/// The hidden rate limit: `Retry after N seconds` in the message of a 400.
pub(crate) fn retry_after_in_text(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    let (_, rest) = lower.split_once("retry after ")?;
    let seconds = first_number(rest)?;
    rest.trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start()
        .starts_with("second")
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn reset_is_seconds_or_unix_time() {
        for (value, expected) in [
            ("67150", Some(67_150)),
            ("86400", Some(86_400)),
            ("86401", None),
            ("1000000000", None),
            ("1700000060", Some(60)),
            ("1699999990", Some(0)),
            ("1600000000", None),
            ("1763000000", None),
            ("1763000000000", None),
            ("18446744073709551615", None),
            ("99999999999999999999999", None),
            ("soon", None),
            ("-1", None),
        ] {
            let limit = RateLimit::from_headers(&headers(&[("x-ratelimit-reset", value)]), now());
            assert_eq!(limit.reset, expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn limit_and_remaining_survive_a_policy_suffix() {
        let limit = RateLimit::from_headers(
            &headers(&[("x-ratelimit-limit", "1000, 1000;w=86400"), ("x-ratelimit-remaining", "0")]),
            now(),
        );
        assert_eq!((limit.limit, limit.remaining, limit.reset), (Some(1000), Some(0), None));
    }

    #[test]
    fn absurd_numbers_are_no_numbers() {
        for (limit, remaining, expected) in [
            ("1000", "999", (Some(1000), Some(999))),
            ("1000", "1001", (Some(1000), None)),
            ("0", "0", (None, Some(0))),
            ("18446744073709551615", "18446744073709551615", (None, None)),
            ("1000001", "1000000", (None, Some(1_000_000))),
            ("-1", "-1", (None, None)),
        ] {
            let pairs = [("x-ratelimit-limit", limit), ("x-ratelimit-remaining", remaining)];
            let read = RateLimit::from_headers(&headers(&pairs), now());
            assert_eq!((read.limit, read.remaining), expected, "{limit} {remaining}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expected) in [
            ("120", Some(120)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Fri, 14 Nov 2003 22:14:20 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("tomorrow", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(&headers(&[("retry-after", value)]), now()),
                expected.map(Duration::from_secs),
                "{value}"
            );
        }
    }

    #[test]
    fn the_hidden_rate_limit_is_found() {
        assert_eq!(retry_after_in_text("Too fast. Retry after 17 seconds."), Some(Duration::from_secs(17)));
        assert_eq!(retry_after_in_text("retry AFTER 1 second"), Some(Duration::from_secs(1)));
        for text in ["Retry after a while", "Retry after 5 minutes", "seconds", "Retry after "] {
            assert_eq!(retry_after_in_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_value_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(RETRY_AFTER, value.clone());
                headers.insert("x-ratelimit-reset", value);
                let read = RateLimit::from_headers(&headers, now());
                prop_assert!(read.reset.is_none_or(|reset| reset <= LONGEST_WINDOW));
                let _ = retry_after(&headers, now());
            }
            let _ = retry_after_in_text(&String::from_utf8_lossy(&bytes));
        }
    }
}
