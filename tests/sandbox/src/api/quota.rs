//! The rate limit: fixed windows, and the headers that tell of them.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Tier;
use crate::server::answer::Answer;

#[derive(Debug)]
pub(crate) struct Quota {
    tier: Tier,
    windows: HashMap<Option<usize>, Window>,
}

#[derive(Debug)]
struct Window {
    ends: Duration,
    used: u64,
}

/// What one request has spent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) refused: bool,
    limit: u64,
    remaining: u64,
    reset_seconds: u64,
}

impl Quota {
    pub(crate) fn new(tier: Tier) -> Self {
        Self { tier, windows: HashMap::new() }
    }

    pub(super) fn spend(&mut self, account: usize, now: Duration) -> Spent {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (limit, length, shared) = match self.tier {
            Tier::Trial => (1000, DAY, true),
            Tier::Standard => (1000, Duration::from_secs(60), false),
            Tier::Custom { limit, window, shared } => (limit, window, shared),
        };
        let key = (!shared).then_some(account);
        let window = self.windows.entry(key).or_insert(Window { ends: now + length, used: 0 });
        if now >= window.ends {
            *window = Window { ends: now + length, used: 0 };
        }
        let refused = window.used >= limit;
        window.used = window.used.saturating_add(u64::from(!refused));
        Spent { refused, limit, remaining: limit - window.used, reset_seconds: (window.ends - now).as_secs().max(1) }
    }
}

impl Spent {
    pub(super) fn add_headers(&self, answer: Answer) -> Answer {
        let answer = answer
            .header("x-ratelimit-limit", self.limit)
            .header("x-ratelimit-remaining", self.remaining)
            .header("x-ratelimit-reset", self.reset_seconds);
        if self.refused { answer.header("x-envoy-ratelimited", "true") } else { answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends() {
        let mut quota = Quota::new(Tier::Custom { limit: 2, window: Duration::from_secs(10), shared: true });
        let at = |second: u64| Duration::from_secs(1000 + second);
        assert_eq!(quota.spend(0, at(0)).remaining, 1);
        assert!(!quota.spend(1, at(1)).refused);
        let third = quota.spend(0, at(4));
        assert!(third.refused);
        assert_eq!(third.reset_seconds, 6);
        assert!(!quota.spend(0, at(10)).refused);
    }

    #[test]
    fn accounts_have_their_own_where_it_is_not_shared() {
        let mut quota = Quota::new(Tier::Custom { limit: 1, window: Duration::from_secs(10), shared: false });
        assert!(!quota.spend(0, Duration::ZERO).refused);
        assert!(!quota.spend(1, Duration::ZERO).refused);
        assert!(quota.spend(0, Duration::ZERO).refused);
    }
}
