//! The rate limit: fixed windows, and their headers.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Tier;
use crate::server::answer::Answer;

#[derive(Debug)]
pub(crate) struct Quota {
    tier: Tier,
    per_second: Option<u64>,
    windows: HashMap<Option<usize>, Window>,
    seconds: HashMap<usize, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Duration,
    used: u64,
}

/// The state of one policy at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    limit: u64,
    length: Duration,
    remaining: u64,
    reset_seconds: u64,
}

/// The state of the quota after one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) refused: bool,
    budget: Share,
    second: Option<Share>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Window {
    fn at(self, now: Duration, length: Duration) -> Self {
        if now >= self.ends { Window { ends: now + length, used: 0 } } else { self }
    }

    fn share(self, now: Duration, limit: u64, length: Duration) -> Share {
        let remaining = limit.saturating_sub(self.used);
        Share { limit, length, remaining, reset_seconds: (self.ends - now).as_secs().max(1) }
    }
}

impl Quota {
    pub(crate) fn new(tier: Tier, per_second: Option<u64>) -> Self {
        Self { tier, per_second, windows: HashMap::new(), seconds: HashMap::new() }
    }

    pub(super) fn spend(&mut self, account: usize, now: Duration) -> Spent {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (limit, length, shared) = match self.tier {
            Tier::Trial => (1000, DAY, true),
            Tier::Standard => (1000, Duration::from_secs(60), false),
            Tier::Custom { limit, window, shared } => (limit, window, shared),
        };
        let none = Window { ends: Duration::ZERO, used: 0 };
        let budget = self.windows.entry((!shared).then_some(account)).or_insert(none);
        let second = self.seconds.entry(account).or_insert(none);
        (*budget, *second) = (budget.at(now, length), second.at(now, SECOND));
        let refused = budget.used >= limit || self.per_second.is_some_and(|limit| second.used >= limit);
        budget.used = budget.used.saturating_add(u64::from(!refused));
        second.used = second.used.saturating_add(u64::from(!refused));
        Spent {
            refused,
            budget: budget.share(now, limit, length),
            second: self.per_second.map(|limit| second.share(now, limit, SECOND)),
        }
    }
}

impl Spent {
    pub(super) fn add_headers(&self, answer: Answer) -> Answer {
        let Share { limit, length, remaining, reset_seconds } = self.budget;
        let answer = match self.second {
            None => answer
                .header("x-ratelimit-limit", limit)
                .header("x-ratelimit-remaining", remaining)
                .header("x-ratelimit-reset", reset_seconds),
            // `remaining` and `reset` are those of the first policy, which is the tightest.
            Some(second) => answer
                .header(
                    "x-ratelimit-limit",
                    format!(
                        "{0}, {0};w=1;name=\"safety_net_app_id_user_id\", {limit};w={1};name=\"org_read_app_id_user_id\"",
                        second.limit,
                        length.as_secs()
                    ),
                )
                .header("x-ratelimit-remaining", second.remaining)
                .header("x-ratelimit-reset", second.reset_seconds),
        };
        if self.refused { answer.header("x-envoy-ratelimited", "true") } else { answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends() {
        let mut quota = Quota::new(Tier::Custom { limit: 2, window: Duration::from_secs(10), shared: true }, None);
        let at = |second: u64| Duration::from_secs(1000 + second);
        assert_eq!(quota.spend(0, at(0)).budget.remaining, 1);
        assert!(!quota.spend(1, at(1)).refused);
        let third = quota.spend(0, at(4));
        assert!(third.refused);
        assert_eq!(third.budget.reset_seconds, 6);
        assert!(!quota.spend(0, at(10)).refused);
    }

    #[test]
    fn accounts_have_separate_quotas_unless_shared() {
        let mut quota = Quota::new(Tier::Custom { limit: 1, window: Duration::from_secs(10), shared: false }, None);
        assert!(!quota.spend(0, Duration::ZERO).refused);
        assert!(!quota.spend(1, Duration::ZERO).refused);
        assert!(quota.spend(0, Duration::ZERO).refused);
    }

    #[test]
    fn the_limit_per_second_is_a_separate_policy() {
        let mut quota = Quota::new(Tier::Standard, Some(1));
        assert!(!quota.spend(0, Duration::ZERO).refused);
        let second = quota.spend(0, Duration::from_millis(900));
        assert!(second.refused && second.second.is_some_and(|share| share.remaining == 0));
        assert_eq!(second.budget.remaining, 999);
        assert!(!quota.spend(1, Duration::from_millis(900)).refused);
        assert!(!quota.spend(0, SECOND).refused);
        let answer = quota.spend(0, SECOND).add_headers(Answer::json(429, serde_json::Value::Null));
        let limit = "1, 1;w=1;name=\"safety_net_app_id_user_id\", 1000;w=60;name=\"org_read_app_id_user_id\"";
        assert!(answer.headers.contains(&("x-ratelimit-limit".into(), limit.into())), "{answer:?}");
    }
}
