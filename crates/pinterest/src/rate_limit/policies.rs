//! Determines which policy is the budget, which one paces requests, and to which policy the other numbers belong.

use std::time::Duration;

use http::HeaderMap;

use super::items::{Item, items};
use super::{CATEGORY, LONGEST_PACE, RateLimit};
use crate::bounds::{LONGEST_WINDOW, REQUESTS, within};

/// Pinterest's names and those of the drafts. Names of plain limits come before names of policies.
const LIMIT: [&str; 4] = ["x-ratelimit-limit", "ratelimit-limit", "x-ratelimit-policy", "ratelimit-policy"];
const REMAINING: [&str; 2] = ["x-ratelimit-remaining", "ratelimit-remaining"];
const RESET: [&str; 2] = ["x-ratelimit-reset", "ratelimit-reset"];
/// A field with all three of the above, or with `"policy";r=remaining;t=reset`.
const ALL: [&str; 2] = ["x-ratelimit", "ratelimit"];

/// Requests are spread a little wider than a pacing policy requires: they do not arrive as evenly as they are sent.
const PACE_MARGIN: f64 = 1.1;
/// Resets are whole seconds, and may be rounded up.
const ROUNDING: Duration = Duration::from_secs(1);

/// A number of requests in a window.
#[derive(Clone, Debug)]
struct Policy {
    limit: u64,
    window: Option<Duration>,
    name: Option<String>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

/// The policies and numbers in the headers.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    policies: Vec<Policy>,
    /// The limit that is closest to being reached, without its window.
    bare: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Quotas {
    pub(super) fn read(headers: &HeaderMap, reset_in: impl Fn(u64) -> Option<Duration>) -> Self {
        let (mut limits, mut remaining, mut resets) =
            (items(headers, &LIMIT), items(headers, &REMAINING), items(headers, &RESET));
        for item in items(headers, &ALL) {
            match (item.key(), item.number()) {
                (Some("limit"), Some(limit)) => limits.push(Item::new(limit, None)),
                (Some("remaining"), Some(left)) => remaining.push(Item::new(left, None)),
                (Some("reset"), Some(reset)) => resets.push(Item::new(reset, None)),
                _ => {
                    remaining.extend(item.number_of(&["r"]).map(|left| Item::new(left, item.name())));
                    resets.extend(item.number_of(&["t"]).map(|reset| Item::new(reset, item.name())));
                }
            }
        }
        let mut quotas = Quotas::default();
        for item in &limits {
            quotas.add_limit(item);
        }
        let remaining: Vec<_> = remaining.iter().map(|item| (item, item.number())).collect();
        let resets: Vec<_> = resets.iter().map(|item| (item, item.number().and_then(&reset_in))).collect();
        quotas.assign(&remaining, &resets);
        quotas
    }

    fn add_limit(&mut self, item: &Item) {
        let quota = item.number().or_else(|| item.number_of(&["q", "quota"]));
        let Some(limit) = quota.and_then(|limit| within(limit, &REQUESTS)) else { return };
        let window = item.number_of(&["w", "window"]).map(Duration::from_secs);
        let window = window.and_then(|window| within(window, &(ROUNDING..=LONGEST_WINDOW)));
        let name = item.name().map(str::to_ascii_lowercase);
        if window.is_some() || is_of_category(name.as_deref()) {
            self.policies.push(Policy { limit, window, name, remaining: None, reset: None });
        } else if item.key().is_none() && !item.has(&["w", "window"]) {
            self.bare.get_or_insert(limit);
        }
    }

    /// Assigns the remaining requests and the resets to their policies.
    fn assign(&mut self, remaining: &[(&Item, Option<u64>)], resets: &[(&Item, Option<Duration>)]) {
        let alone = |items: usize| items == 1 || items != self.policies.len();
        let first_left = remaining.first().filter(|(item, _)| is_unnamed(item) && alone(remaining.len()));
        let first_reset = resets.first().filter(|(item, _)| is_unnamed(item) && alone(resets.len()));
        let left = first_left.and_then(|(_, left)| within((*left)?, &(0..=*REQUESTS.end())));
        let reset = first_reset.and_then(|(_, reset)| *reset);
        if self.policies.is_empty() {
            (self.remaining, self.reset) = (left.filter(|left| self.bare.is_none_or(|limit| *left <= limit)), reset);
            return;
        }
        let tightest = self.tightest(left, reset);
        for (place, (item, left)) in remaining.iter().enumerate() {
            let Some(policy) = self.whose(item, place, remaining.len(), tightest) else { continue };
            let policy = &mut self.policies[policy];
            policy.remaining = policy.remaining.or_else(|| within((*left)?, &(0..=policy.limit)));
        }
        for (place, (item, reset)) in resets.iter().enumerate() {
            let Some(policy) = self.whose(item, place, resets.len(), tightest) else { continue };
            let policy = &mut self.policies[policy];
            let longest = policy.window.unwrap_or(LONGEST_WINDOW) + ROUNDING;
            policy.reset = policy.reset.or_else(|| within((*reset)?, &(Duration::ZERO..=longest)));
        }
    }

    /// The policy of a number without a name: the shortest of those that allow it.
    fn tightest(&self, left: Option<u64>, reset: Option<Duration>) -> Option<usize> {
        let is_bare = |policy: &Policy| self.bare == Some(policy.limit);
        let any_bare = self.policies.iter().any(is_bare);
        let fits = |policy: &Policy| {
            (is_bare(policy) || !any_bare)
                && left.is_none_or(|left| left <= policy.limit)
                && reset.is_none_or(|reset| policy.window.is_none_or(|window| reset <= window + ROUNDING))
        };
        let policies = self.policies.iter().enumerate().filter(|(_, policy)| fits(policy));
        policies.min_by_key(|(_, policy)| policy.window.unwrap_or(Duration::MAX)).map(|(place, _)| place)
    }

    /// The policy of a number: by its name, its window, its position among as many, or else the tightest one.
    fn whose(&self, item: &Item, place: usize, of: usize, tightest: Option<usize>) -> Option<usize> {
        if let Some(name) = item.name().map(str::to_ascii_lowercase) {
            return self.policies.iter().position(|policy| policy.name.as_ref() == Some(&name));
        }
        if let Some(window) = item.number_of(&["w", "window"]).map(Duration::from_secs) {
            return self.policies.iter().position(|policy| policy.window == Some(window));
        }
        let policies = self.policies.len();
        match (of, place) {
            (1, _) => tightest,
            (of, place) if of == policies => Some(place),
            (of, place) if of == policies + 1 && self.bare.is_some() => place.checked_sub(1).or(tightest),
            (_, 0) => tightest,
            _ => None,
        }
    }

    pub(super) fn into_rate_limit(self) -> RateLimit {
        if self.policies.is_empty() {
            return RateLimit {
                limit: self.bare,
                remaining: self.remaining,
                reset: self.reset,
                ..RateLimit::default()
            };
        }
        let paces = |policy: &&Policy| policy.window.is_some_and(|window| window <= LONGEST_PACE);
        let short: Vec<_> = self.policies.iter().filter(paces).collect();
        let pace = short.iter().map(|policy| {
            let window = policy.window.unwrap_or_default();
            // At most `LONGEST_PACE` times the margin, because a limit is at least one.
            window.mul_f64(PACE_MARGIN / policy.limit as f64)
        });
        let spent = |policy: &&&Policy| policy.remaining.is_none_or(|left| left == 0);
        let long = || self.policies.iter().filter(|policy| !paces(policy));
        let shortest = |policy: &&Policy| policy.window.unwrap_or(Duration::MAX);
        let of_category = long().filter(|policy| is_of_category(policy.name.as_deref())).min_by_key(shortest);
        let budget = of_category.or_else(|| long().min_by_key(shortest));
        RateLimit {
            limit: budget.map(|policy| policy.limit),
            window: budget.and_then(|policy| policy.window),
            remaining: budget.and_then(|policy| policy.remaining),
            reset: budget.and_then(|policy| policy.reset),
            pace: Some(pace.max().unwrap_or_default()),
            pace_reset: short.iter().filter(spent).filter_map(|policy| policy.reset).max(),
        }
    }
}

fn is_unnamed(item: &Item) -> bool {
    item.name().is_none() && !item.has(&["w", "window"])
}

fn is_of_category(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.contains(CATEGORY))
}
