//! The quota in the headers of an answer.

mod items;
mod policies;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::bounds::{LONGEST_WINDOW, within};
use policies::Quotas;

/// The quota in an answer's headers. Each part may be missing; an invalid part counts as missing.
///
/// `x-ratelimit-limit` may hold several policies, as the drafts of the RateLimit header fields write them
/// (draft-polli-ratelimit-headers-02, section 3.1): `100, 100;w=1;name="safety_net", 1000;w=60;name="org_read"`. The
/// policy of the category is the budget. A policy with a short window only paces requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests allowed in the budget's window.
    pub limit: Option<u64>,
    /// Length of the budget's window, if a policy has one; at most a day.
    pub window: Option<Duration>,
    /// Remaining requests of the budget (`x-ratelimit-remaining`).
    pub remaining: Option<u64>,
    /// Time until the budget's next window (`x-ratelimit-reset`); at most a day.
    pub reset: Option<Duration>,
    /// The minimum time between two requests; zero if no policy paces requests, `None` if there is no policy.
    pub pace: Option<Duration>,
    /// Time until a pacing policy allows more requests, if the remaining requests are those of such a policy.
    pub pace_reset: Option<Duration>,
}

/// The category of reading requests, which all of ours are. Its policy is the budget.
pub(crate) const CATEGORY: &str = "org_read";

/// A policy with a window up to this length paces requests. The shortest documented budget has a window of a minute.
pub(crate) const LONGEST_PACE: Duration = Duration::from_secs(10);

/// A larger reset is a Unix time, a smaller one a number of seconds from now: no wait lasts thirty years.
const UNIX_TIME_FROM: u64 = 1_000_000_000;

impl RateLimit {
    pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Self {
        Quotas::read(headers, |value| reset_in(value, now)).into_rate_limit()
    }

    /// How long to wait after a refusal, and whether only a pacing policy refused.
    pub(crate) fn wait(&self) -> (Option<Duration>, bool) {
        let budget_is_spent = self.reset.is_some() && self.remaining.is_none_or(|left| left == 0);
        match self.pace_reset {
            Some(_) if !budget_is_spent => (self.pace_reset, true),
            _ => (self.reset, false),
        }
    }
}

/// The time until a reset, given in seconds from now or as a Unix time; `None` if it is further away than the longest
/// window.
fn reset_in(value: u64, now: SystemTime) -> Option<Duration> {
    let reset = Duration::from_secs(value);
    if value <= UNIX_TIME_FROM {
        return within(reset, &(Duration::ZERO..=LONGEST_WINDOW));
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(reset);
    within(reset.saturating_sub(now), &(Duration::ZERO..=LONGEST_WINDOW)).filter(|_| since <= LONGEST_WINDOW)
}

/// The leading number.
fn first_number(text: &str) -> Option<u64> {
    let digits = text.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The first valid `Retry-After`: seconds, or a date in one of the three forms of HTTP (RFC 9110, sections 10.2.3 and
/// 5.6.7). A fraction of a second is rounded up.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    headers.get_all(RETRY_AFTER).iter().find_map(|value| retry_after_value(value.to_str().ok()?.trim(), now))
}

fn retry_after_value(text: &str, now: SystemTime) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let fraction = rest.strip_prefix('.').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    if !number.is_empty() && (rest.is_empty() || fraction.is_some()) {
        // A number that is too large still means "very long"; the caller limits it.
        let seconds: u64 = number.parse().unwrap_or(u64::from(u32::MAX));
        let part = u64::from(fraction.is_some_and(|digits| digits.bytes().any(|digit| digit != b'0')));
        return Some(Duration::from_secs(seconds.saturating_add(part)));
    }
    let date = || httpdate::parse_http_date(text).ok();
    let at = date().or_else(|| chrono::DateTime::parse_from_rfc2822(text).ok().map(SystemTime::from))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// The wait in the message of a 400, `Retry after N seconds`: a hidden rate limit.
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
    use crate::bounds::REQUESTS;

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
    fn impossible_numbers_are_ignored() {
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

    /// Limit, window, remaining and reset of the budget; pace in milliseconds; reset of the pacing policy.
    type Told = (Option<u64>, Option<u64>, Option<u64>, Option<u64>, Option<u128>, Option<u64>);

    fn told(pairs: &[(&'static str, &str)]) -> Told {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(http::HeaderName::from_static(name), value.parse().unwrap());
        }
        let read = RateLimit::from_headers(&map, now());
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        let pace = read.pace.map(|pace| pace.as_millis());
        (read.limit, seconds(read.window), read.remaining, seconds(read.reset), pace, seconds(read.pace_reset))
    }

    const LIMIT: &str = "x-ratelimit-limit";
    const LEFT: &str = "x-ratelimit-remaining";
    const RESET: &str = "x-ratelimit-reset";

    #[test]
    fn the_policy_of_the_category_is_the_budget_and_a_short_one_paces() {
        const BURST: &str = "100;w=1;name=\"safety_net_app_id_user_id\"";
        const OWN: &str = "1000;w=60;name=\"org_read_app_id_user_id\"";
        const OTHER: &str = "5000;w=30;name=\"all, of; them \\\" w=1\"";
        for policies in [
            [BURST, OWN, OTHER].join(", "),
            [OTHER, OWN, BURST].join(","),
            [OWN, BURST, OTHER].join(" ,\t"),
            format!("{OWN}, nonsense, 12;w=, ;;=, -5;w=1, \"\", 9999999999;w=60, {OTHER}, 7;w=x, {BURST}"),
            format!("{}, {BURST}, {OTHER}", OWN.replace(";w=60", "; W = 60.0 ").replace("name", "Name")),
        ] {
            for bare in ["100, ", ""] {
                let limit = format!("{bare}{policies}");
                let told = told(&[(LIMIT, &limit), (LEFT, "99"), (RESET, "1")]);
                assert_eq!(told, (Some(1000), Some(60), None, None, Some(11), None), "{limit}");
            }
        }
        // Each in a line of its own.
        let lines = [(LIMIT, "100"), (LIMIT, OTHER), (LIMIT, OWN), (LIMIT, BURST), (LEFT, "0"), (RESET, "1")];
        assert_eq!(told(&lines), (Some(1000), Some(60), None, None, Some(11), Some(1)));
    }

    #[test]
    fn numbers_belong_to_a_policy_that_allows_them() {
        const TWO: &str = "100;w=1, 1000;w=60";
        for (limit, left, reset, expected) in [
            (TWO, "999", "45", (Some(1000), Some(60), Some(999), Some(45), Some(11), None)),
            (TWO, "7", "45", (Some(1000), Some(60), Some(7), Some(45), Some(11), None)),
            (TWO, "7", "1", (Some(1000), Some(60), None, None, Some(11), None)),
            (TWO, "0", "1", (Some(1000), Some(60), None, None, Some(11), Some(1))),
            ("1000, 100;w=1, 1000;w=60", "7", "1", (Some(1000), Some(60), Some(7), Some(1), Some(11), None)),
            // For each policy: by position, by window, by name.
            (TWO, "99, 998", "1, 45", (Some(1000), Some(60), Some(998), Some(45), Some(11), None)),
            (
                "100, 100;w=1, 1000;w=60",
                "0, 0, 998",
                "1, 1, 45",
                (Some(1000), Some(60), Some(998), Some(45), Some(11), Some(1)),
            ),
            (TWO, "998;w=60, 0;w=1", "45;w=60, 1;w=1", (Some(1000), Some(60), Some(998), Some(45), Some(11), Some(1))),
            (
                "2;w=1;name=a, 9;w=60;name=b",
                "8;name=\"b\"",
                "45;name=b",
                (Some(9), Some(60), Some(8), Some(45), Some(550), None),
            ),
            // The drafts' later form, a dictionary, and policies without a budget.
            (
                "\"b\";q=2;w=1, \"org_read\";q=9;w=86400",
                "8;name=org_read",
                "x",
                (Some(9), Some(86_400), Some(8), None, Some(550), None),
            ),
            (
                "burst=2;w=1, org_read=9;w=60",
                "org_read=8",
                "org_read=30",
                (Some(9), Some(60), Some(8), Some(30), Some(550), None),
            ),
            ("100, 100;w=1", "99", "1", (None, None, None, None, Some(11), None)),
            ("1;w=10", "0", "9", (None, None, None, None, Some(11_000), Some(9))),
            // Only a budget, with or without a name, and one without a window.
            ("1000;w=60", "17", "3", (Some(1000), Some(60), Some(17), Some(3), Some(0), None)),
            (
                "5;w=60;name=other, 1000;w=86400;name=org_read",
                "",
                "",
                (Some(1000), Some(86_400), None, None, Some(0), None),
            ),
            ("1000;name=org_read", "17", "3", (Some(1000), None, Some(17), Some(3), Some(0), None)),
            ("1000", "17", "3", (Some(1000), None, Some(17), Some(3), None, None)),
            // An unclosed quote; impossible windows.
            ("1000;w=60;name=\"org_read, 100;w=1", "", "", (Some(1000), Some(60), None, None, Some(11), None)),
            ("1000;w=0, 1000;w=86401, 1000;w=99999999999999999999", "", "", (None, None, None, None, None, None)),
        ] {
            assert_eq!(told(&[(LIMIT, limit), (LEFT, left), (RESET, reset)]), expected, "{limit} | {left} | {reset}");
        }
        let drafts = [("ratelimit-policy", "\"org_read\";q=1000;w=60"), ("ratelimit", "\"org_read\";r=50;t=30")];
        assert_eq!(told(&drafts), (Some(1000), Some(60), Some(50), Some(30), Some(0), None));
        let dictionary = [("ratelimit", "limit=100, remaining=50, reset=5")];
        assert_eq!(told(&dictionary), (Some(100), None, Some(50), Some(5), None, None));
    }

    #[test]
    fn a_refusal_waits_for_the_exhausted_policy() {
        for (left, reset, expected) in [
            ("0", "1", (Some(1), true)),
            ("", "1", (Some(1), true)),
            ("0", "45", (Some(45), false)),
            ("0;w=1, 500;w=60", "1;w=1, 45;w=60", (Some(1), true)),
            ("0;w=1, 0;w=60", "1;w=1, 45;w=60", (Some(45), false)),
            ("0", "", (None, false)),
        ] {
            let map = headers(&[(LIMIT, "100;w=1, 1000;w=60;name=org_read"), (LEFT, left), (RESET, reset)]);
            let (wait, paced) = RateLimit::from_headers(&map, now()).wait();
            assert_eq!((wait.map(|wait| wait.as_secs()), paced), expected, "{left} | {reset}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expected) in [
            ("120", Some(120)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Fri, 14 Nov 2003 22:14:20 GMT", Some(0)),
            ("Tuesday, 14-Nov-23 22:14:20 GMT", Some(60)),
            ("Tue Nov 14 22:14:20 2023", Some(60)),
            ("Tue, 14 Nov 2023 23:14:20 +0100", Some(60)),
            ("1.0", Some(1)),
            ("1.5", Some(2)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("17 sheep", None),
            ("1.x", None),
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

    fn policy() -> impl Strategy<Value = String> {
        (1u64..2_000, prop::sample::select(vec![1, 10, 60, 3600, 86_400]), "[a-z][a-z,; \\\\]{0,8}").prop_map(
            |(limit, window, name)| {
                let name = name.replace('\\', "\\\\");
                format!("{limit};w={window};name=\"{name}\"")
            },
        )
    }

    proptest! {
        #[test]
        fn no_header_value_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                for name in ["retry-after", LIMIT, LEFT, RESET, "ratelimit-policy", "ratelimit"] {
                    headers.append(name, value.clone());
                }
                let read = RateLimit::from_headers(&headers, now());
                prop_assert!(read.reset.is_none_or(|reset| reset <= LONGEST_WINDOW));
                prop_assert!(read.window.is_none_or(|window| window <= LONGEST_WINDOW && window > LONGEST_PACE));
                prop_assert!(read.pace.is_none_or(|pace| pace <= LONGEST_PACE.mul_f64(1.2)));
                prop_assert!(read.pace_reset.is_none_or(|reset| reset <= LONGEST_PACE + Duration::from_secs(1)));
                prop_assert!(read.limit.is_none_or(|limit| REQUESTS.contains(&limit)));
                prop_assert!(read.remaining.is_none_or(|left| left <= *REQUESTS.end()));
                let _ = retry_after(&headers, now());
            }
            let _ = retry_after_in_text(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn neither_order_nor_nonsense_nor_lines_matter(
            mut policies in prop::collection::vec(policy(), 0..5),
            nonsense in prop::sample::select(vec!["", "x", "=", ";;", "-1;w=1", "\"a,b\"", "99999999999999999999;w=60", "?1", "5;w=\"x", ":aGk=:"]),
            at in 0usize..6,
        ) {
            policies.push("1000;w=60;name=\"org_read, the one\"".to_owned());
            let before = told(&[(LIMIT, &policies.join(", "))]);
            prop_assert_eq!((before.0, before.1), (Some(1000), Some(60)));
            policies.rotate_left(at % 2);
            policies.reverse();
            let lines: Vec<_> = policies.iter().map(|policy| (LIMIT, policy.as_str())).collect();
            prop_assert_eq!(&told(&lines), &before);
            policies.insert(at.min(policies.len()), nonsense.to_owned());
            prop_assert_eq!(told(&[(LIMIT, &policies.join(", "))]), before);
        }
    }
}
