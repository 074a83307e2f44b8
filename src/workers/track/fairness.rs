//! Whose rows come next.

use std::collections::HashMap;
use std::time::Instant;

use super::usage::Usage;
use crate::store::track::work::ReadyColumn;

/// Rows in hand, by tracked column, and which role's each column is.
#[derive(Debug, Default)]
pub struct InHand(HashMap<i64, (String, usize)>);

impl InHand {
    /// Rows of a column were claimed.
    pub fn add(&mut self, column: &ReadyColumn, rows: usize) {
        if rows > 0 {
            self.0.entry(column.tracked_column_id).or_insert_with(|| (column.owner.clone(), 0)).1 += rows;
        }
    }

    /// One of them is done with.
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

    /// How many of the free places each column is given. One after another they go to the role whose code has used the
    /// least time, what its rows in hand will take included, and of its columns to the one that has; no column has more in
    /// hand than [`Usage::most_in_hand`].
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
                if rows >= usage.most_in_hand(column) {
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
    use std::time::Duration;

    fn column(tracked_column_id: i64, owner: &str) -> ReadyColumn {
        ReadyColumn { tracked_column_id, owner: owner.into(), problem: false, strikes: 0 }
    }

    fn share(in_hand: &InHand, free: usize, columns: &[ReadyColumn]) -> Vec<usize> {
        in_hand.share(free, columns, &Usage::default(), Instant::now())
    }

    #[test]
    fn roles_come_before_columns() {
        let columns = [column(1, "ann"), column(2, "ann"), column(3, "ben")];
        assert_eq!(share(&InHand::default(), 8, &columns), [2, 2, 4]);
    }

    #[test]
    fn who_has_rows_in_hand_waits() {
        let columns = [column(1, "ann"), column(2, "ben")];
        let mut in_hand = InHand::default();
        in_hand.add(&columns[0], 6);
        assert_eq!(share(&in_hand, 4, &columns), [0, 4]);
        for _ in 0..6 {
            in_hand.remove(1);
        }
        assert_eq!(share(&in_hand, 4, &columns), [2, 2]);
    }

    #[test]
    fn nobody_ready_is_given_nothing() {
        assert!(share(&InHand::default(), 16, &[]).is_empty());
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
        // Ann's rows take a second each: she has one, and the other places are Ben's.
        assert_eq!(InHand::default().share(16, &columns, &usage, now), [0, 16]);
        let mut in_hand = InHand::default();
        in_hand.add(&columns[0], 1);
        assert_eq!(in_hand.share(16, &columns[..1], &usage, now), [0], "places stay free for others");
    }
}
