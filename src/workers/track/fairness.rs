//! Fairness by time: how much time the code of each column's table takes, and which columns' rows are claimed next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::track::work::ReadyColumn;

/// After this time used time counts half.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// A process that the column's code has ended counts as so many used seconds.
const STRIKE: f64 = 1.0;
/// Seconds per row that do not reduce a column's budget.
const USUAL: f64 = 0.1;
/// A column's budget for time beyond that, in seconds, and how much of it is regained per second.
const BUDGET: (f64, f64) = (10.0, 0.2);
/// The assumed seconds per row of a column without measurements: so a few of its rows are claimed at first.
const UNKNOWN: f64 = 0.25;
/// The claimed rows of a column take so many seconds at most, unless it is one row.
const AHEAD: f64 = 1.0;

#[derive(Debug)]
struct Column {
    owner: String,
    /// Seconds, as they count at `at`.
    used: f64,
    budget: f64,
    at: Instant,
    /// Seconds per row: rises at once and falls slowly.
    cost: Option<f64>,
}

impl Column {
    fn used(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.used * 0.5_f64.powf(age / HALF_LIFE.as_secs_f64())
    }
}

/// The used time of columns that were worked on recently.
#[derive(Debug, Default)]
pub struct Usage(HashMap<i64, Column>);

impl Usage {
    /// Adds the columns that have ready rows, and forgets those that have had none for long.
    pub fn know(&mut self, columns: &[ReadyColumn], now: Instant) {
        self.0.retain(|_, column| column.used(now) > 0.001 || column.budget < BUDGET.0);
        for ready in columns {
            let column = self.0.entry(ready.tracked_column_id).or_insert_with(|| Column {
                owner: ready.owner.clone(),
                // The measurements of a process that ended are lost.
                used: STRIKE * ready.strikes as f64,
                budget: BUDGET.0,
                at: now,
                cost: None,
            });
            column.owner.clone_from(&ready.owner);
        }
    }

    /// Adds the time that the column's code took for a row. True if the column's budget is used up.
    pub fn spend(&mut self, tracked_column_id: i64, spent: Duration, now: Instant) -> bool {
        let Some(column) = self.0.get_mut(&tracked_column_id) else { return false };
        let (spent, age) = (spent.as_secs_f64(), now.saturating_duration_since(column.at).as_secs_f64());
        column.used = column.used(now) + spent;
        column.budget = (column.budget + age * BUDGET.1).min(BUDGET.0) - (spent - USUAL).max(0.0);
        column.at = now;
        column.cost = Some(column.cost.map_or(spent, |cost| spent.max(cost * 0.9)));
        column.budget < 0.0
    }

    /// The order of turns, the least first: the time that the owner's code has used, then the column's.
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

    /// How many rows of a column may be claimed.
    pub fn most_claimed(&self, column: &ReadyColumn) -> usize {
        // A column whose problem may persist is tried with one row.
        if column.problem { 1 } else { ((AHEAD / self.cost(column.tracked_column_id)) as usize).max(1) }
    }
}

/// The claimed rows by tracked column, with the column's owner.
#[derive(Debug, Default)]
pub struct Claimed(HashMap<i64, (String, usize)>);

impl Claimed {
    /// Rows of a column were claimed.
    pub fn add(&mut self, column: &ReadyColumn, rows: usize) {
        if rows > 0 {
            self.0.entry(column.tracked_column_id).or_insert_with(|| (column.owner.clone(), 0)).1 += rows;
        }
    }

    /// One of them is finished.
    pub fn remove(&mut self, tracked_column_id: i64) {
        if let Some((_, rows)) = self.0.get_mut(&tracked_column_id) {
            *rows -= 1;
            if *rows == 0 {
                self.0.remove(&tracked_column_id);
            }
        }
    }

    /// None is left.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many rows of each column to claim, `free` in all. One after another they go to the role whose code has used the
    /// least time, including the expected time of its claimed rows, and to the column of that role that has. No column gets
    /// more than [`Usage::most_claimed`].
    pub fn share(&self, free: usize, columns: &[ReadyColumn], usage: &Usage, now: Instant) -> Vec<usize> {
        let rows_of = |id: i64| self.0.get(&id).map_or(0, |(_, rows)| *rows);
        let mut owners: HashMap<&str, f64> = HashMap::new();
        for column in columns {
            owners.entry(&column.owner).or_insert_with(|| usage.of_owner(&column.owner, now));
        }
        for (id, (owner, rows)) in &self.0 {
            if let Some(time) = owners.get_mut(owner.as_str()) {
                *time += *rows as f64 * usage.cost(*id);
            }
        }
        let mut given = vec![0; columns.len()];
        for _ in 0..free {
            let mut best: Option<(usize, (f64, f64))> = None;
            for (place, column) in columns.iter().enumerate() {
                let rows = rows_of(column.tracked_column_id) + given[place];
                if rows >= usage.most_claimed(column) {
                    continue;
                }
                let id = column.tracked_column_id;
                let rank = (owners[column.owner.as_str()], usage.rank(id, now).1 + rows as f64 * usage.cost(id));
                if best.is_none_or(|(_, least)| rank < least) {
                    best = Some((place, rank));
                }
            }
            let Some((place, _)) = best else { break };
            given[place] += 1;
            if let Some(time) = owners.get_mut(columns[place].owner.as_str()) {
                *time += usage.cost(columns[place].tracked_column_id);
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(tracked_column_id: i64, owner: &str) -> ReadyColumn {
        ReadyColumn { tracked_column_id, owner: owner.into(), problem: false, strikes: 0 }
    }

    fn struck(column: ReadyColumn) -> ReadyColumn {
        ReadyColumn { strikes: 1, ..column }
    }

    fn share(claimed: &Claimed, free: usize, columns: &[ReadyColumn]) -> Vec<usize> {
        claimed.share(free, columns, &Usage::default(), Instant::now())
    }

    #[test]
    fn roles_come_before_columns() {
        let columns = [column(1, "ann"), column(2, "ann"), column(3, "ben")];
        assert_eq!(share(&Claimed::default(), 8, &columns), [2, 2, 4]);
    }

    #[test]
    fn a_role_with_claimed_rows_waits() {
        let columns = [column(1, "ann"), column(2, "ben")];
        let mut claimed = Claimed::default();
        claimed.add(&columns[0], 6);
        assert_eq!(share(&claimed, 4, &columns), [0, 4]);
        for _ in 0..6 {
            claimed.remove(1);
        }
        assert_eq!(share(&claimed, 4, &columns), [2, 2]);
    }

    #[test]
    fn no_ready_column_gets_no_rows() {
        assert!(share(&Claimed::default(), 16, &[]).is_empty());
    }

    #[test]
    fn time_counts_and_not_rows() {
        let (columns, now) = ([column(1, "ann"), column(2, "ben")], Instant::now());
        let mut usage = Usage::default();
        usage.know(&columns, now);
        usage.spend(1, Duration::from_millis(900), now);
        for _ in 0..100 {
            usage.spend(2, Duration::from_millis(2), now);
        }
        // Ann's rows take a second each: Ben gets all places, while Ann may have one.
        assert_eq!(Claimed::default().share(16, &columns, &usage, now), [0, 16]);
        let mut claimed = Claimed::default();
        claimed.add(&columns[0], 1);
        assert_eq!(claimed.share(16, &columns[..1], &usage, now), [0], "places stay free for others");
    }

    #[test]
    fn slow_code_comes_later() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        usage.know(&[column(1, "ann"), column(2, "ann"), column(3, "ben")], now);
        assert!(!usage.spend(1, Duration::from_millis(900), now));
        assert!(usage.rank(3, now) < usage.rank(2, now), "the role counts first");
        assert!(usage.rank(2, now) < usage.rank(1, now), "then the column");
        let later = now + HALF_LIFE * 10;
        assert!(usage.rank(1, later).0 < 0.001, "it is forgotten");
    }

    #[test]
    fn a_role_whose_code_ended_a_process_comes_later_in_the_next() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        usage.know(&[struck(column(1, "ann")), column(2, "ben")], now);
        assert!(usage.rank(2, now) < usage.rank(1, now));
    }

    #[test]
    fn slow_rows_are_claimed_one_by_one_and_fast_ones_in_many() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        let ready = column(1, "ann");
        usage.know(std::slice::from_ref(&ready), now);
        assert_eq!(usage.most_claimed(&ready), 4);
        usage.spend(1, Duration::from_millis(2), now);
        assert!(usage.most_claimed(&ready) > 100);
        usage.spend(1, Duration::from_millis(900), now);
        assert_eq!(usage.most_claimed(&ready), 1);
        for _ in 0..60 {
            usage.spend(1, Duration::from_millis(2), now);
        }
        assert!(usage.most_claimed(&ready) > 100, "one slow row does not count forever");
        assert_eq!(usage.most_claimed(&ReadyColumn { problem: true, ..ready }), 1);
    }

    #[test]
    fn slow_code_uses_up_its_budget_and_fast_code_never_does() {
        let (mut usage, mut now) = (Usage::default(), Instant::now());
        usage.know(&[column(1, "ann"), column(2, "ben")], now);
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
