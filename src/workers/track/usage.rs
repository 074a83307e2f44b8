//! How much time each column's code takes, and each role's with it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::track::work::ReadyColumn;

/// What was used so long ago counts half.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// What a column that has ended a process counts as having used, in seconds.
const STRIKE: f64 = 1.0;
/// Seconds for a row that cost a column nothing of its budget.
const USUAL: f64 = 0.1;
/// A column's budget for what goes beyond that, in seconds, and how much of it grows back in a second.
const BUDGET: (f64, f64) = (10.0, 0.2);
/// What a row of a column takes of which nothing is known yet: some of its rows are claimed at first, not many.
const UNKNOWN: f64 = 0.25;
/// Rows of a column that are claimed ahead take this many seconds at most, or are one.
const AHEAD: f64 = 1.0;

#[derive(Debug)]
struct Column {
    owner: String,
    /// Seconds, as they count at `at`.
    used: f64,
    budget: f64,
    at: Instant,
    /// Seconds for a row: rises at once and falls slowly.
    cost: Option<f64>,
}

impl Column {
    fn used(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.used * 0.5_f64.powf(age / HALF_LIFE.as_secs_f64())
    }
}

/// What is known of the columns that were worked on lately.
#[derive(Debug, Default)]
pub struct Usage(HashMap<i64, Column>);

impl Usage {
    /// Takes note of the columns that have rows to work on, and forgets those that have had none for long.
    pub fn know(&mut self, columns: &[ReadyColumn], now: Instant) {
        self.0.retain(|_, column| column.used(now) > 0.001 || column.budget < BUDGET.0);
        for ready in columns {
            let column = self.0.entry(ready.tracked_column_id).or_insert_with(|| Column {
                owner: ready.owner.clone(),
                // Processes that ended have taken what they knew along.
                used: STRIKE * ready.strikes as f64,
                budget: BUDGET.0,
                at: now,
                cost: None,
            });
            column.owner.clone_from(&ready.owner);
        }
    }

    /// The column's code took this long for a row. True where it has used up the column's budget.
    pub fn spend(&mut self, tracked_column_id: i64, spent: Duration, now: Instant) -> bool {
        let Some(column) = self.0.get_mut(&tracked_column_id) else { return false };
        let (spent, age) = (spent.as_secs_f64(), now.saturating_duration_since(column.at).as_secs_f64());
        column.used = column.used(now) + spent;
        column.budget = (column.budget + age * BUDGET.1).min(BUDGET.0) - (spent - USUAL).max(0.0);
        column.at = now;
        column.cost = Some(column.cost.map_or(spent, |cost| spent.max(cost * 0.9)));
        column.budget < 0.0
    }

    /// What decides whose turn is next, the least first: the time that the owner's code has used, then the column's.
    pub fn rank(&self, tracked_column_id: i64, now: Instant) -> (f64, f64) {
        let Some(column) = self.0.get(&tracked_column_id) else { return (0.0, 0.0) };
        (self.of_owner(&column.owner, now), column.used(now))
    }

    /// Seconds that a role's code has used.
    pub fn of_owner(&self, owner: &str, now: Instant) -> f64 {
        self.0.values().filter(|column| column.owner == owner).map(|column| column.used(now)).sum()
    }

    /// Seconds that a row of the column is expected to take.
    pub fn cost(&self, tracked_column_id: i64) -> f64 {
        self.0.get(&tracked_column_id).and_then(|column| column.cost).unwrap_or(UNKNOWN).max(0.001)
    }

    /// How many rows of a column may be in hand.
    pub fn most_in_hand(&self, column: &ReadyColumn) -> usize {
        // One whose problem may not be over is tried with one row.
        if column.problem { 1 } else { ((AHEAD / self.cost(column.tracked_column_id)) as usize).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(tracked_column_id: i64, owner: &str, strikes: i64) -> ReadyColumn {
        ReadyColumn { tracked_column_id, owner: owner.into(), problem: false, strikes }
    }

    #[test]
    fn whose_code_took_long_comes_later() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        usage.know(&[column(1, "ann", 0), column(2, "ann", 0), column(3, "ben", 0)], now);
        assert!(!usage.spend(1, Duration::from_millis(900), now));
        assert!(usage.rank(3, now) < usage.rank(2, now), "the role counts first");
        assert!(usage.rank(2, now) < usage.rank(1, now), "then the column");
        let later = now + HALF_LIFE * 10;
        assert!(usage.rank(1, later).0 < 0.001, "it is forgotten");
    }

    #[test]
    fn a_role_whose_code_ended_a_process_comes_later_in_the_next() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        usage.know(&[column(1, "ann", 1), column(2, "ben", 0)], now);
        assert!(usage.rank(2, now) < usage.rank(1, now));
    }

    #[test]
    fn slow_rows_are_claimed_one_by_one_and_fast_ones_in_many() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        let ready = column(1, "ann", 0);
        usage.know(std::slice::from_ref(&ready), now);
        assert_eq!(usage.most_in_hand(&ready), 4);
        usage.spend(1, Duration::from_millis(2), now);
        assert!(usage.most_in_hand(&ready) > 100);
        usage.spend(1, Duration::from_millis(900), now);
        assert_eq!(usage.most_in_hand(&ready), 1);
        for _ in 0..60 {
            usage.spend(1, Duration::from_millis(2), now);
        }
        assert!(usage.most_in_hand(&ready) > 100, "one slow row does not count for ever");
        assert_eq!(usage.most_in_hand(&ReadyColumn { problem: true, ..ready }), 1);
    }

    #[test]
    fn slow_code_uses_up_its_budget_and_fast_code_never_does() {
        let (mut usage, mut now) = (Usage::default(), Instant::now());
        usage.know(&[column(1, "ann", 0), column(2, "ben", 0)], now);
        let mut rows = 0;
        while !usage.spend(1, Duration::from_millis(900), now) {
            now += Duration::from_millis(900);
            rows += 1;
            assert!(rows < 100);
        }
        assert!(rows >= 10, "a few slow rows are nothing: {rows}");
        for _ in 0..100_000 {
            assert!(!usage.spend(2, Duration::from_millis(50), now));
            now += Duration::from_millis(50);
        }
    }
}
