//! Whose rows come next.

use std::collections::HashMap;

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

    /// How many of the free places each column is given: one after another to the role with the fewest rows in hand, and
    /// of its columns to the one with the fewest.
    pub fn share(&self, free: usize, columns: &[ReadyColumn]) -> Vec<usize> {
        let mut owners: HashMap<&str, usize> = HashMap::new();
        for (owner, rows) in self.0.values() {
            *owners.entry(owner).or_default() += rows;
        }
        let mut given = vec![0; columns.len()];
        for _ in 0..free {
            let fewest = (0..columns.len()).min_by_key(|&place| {
                let column = &columns[place];
                let rows = self.0.get(&column.tracked_column_id).map_or(0, |(_, rows)| *rows);
                (owners.get(column.owner.as_str()).copied().unwrap_or(0), rows + given[place])
            });
            let Some(place) = fewest else { break };
            given[place] += 1;
            *owners.entry(&columns[place].owner).or_default() += 1;
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(tracked_column_id: i64, owner: &str) -> ReadyColumn {
        ReadyColumn { tracked_column_id, owner: owner.into(), problem: false }
    }

    #[test]
    fn roles_come_before_columns() {
        let columns = [column(1, "ann"), column(2, "ann"), column(3, "ben")];
        assert_eq!(InHand::default().share(8, &columns), [2, 2, 4]);
    }

    #[test]
    fn who_has_rows_in_hand_waits() {
        let columns = [column(1, "ann"), column(2, "ben")];
        let mut in_hand = InHand::default();
        in_hand.add(&columns[0], 6);
        assert_eq!(in_hand.share(4, &columns), [0, 4]);
        for _ in 0..6 {
            in_hand.remove(1);
        }
        assert_eq!(in_hand.share(4, &columns), [2, 2]);
    }

    #[test]
    fn nobody_ready_is_given_nothing() {
        assert!(InHand::default().share(16, &[]).is_empty());
    }
}
