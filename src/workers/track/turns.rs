//! The order of transactions that run code of users' tables. The main thread runs one at a time: the next one is of the role
//! whose code has used the least time, not the one that has waited longest.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::fairness::Usage;

/// The turns of all rows in work. Clones share them.
#[derive(Clone, Default)]
pub struct Turns(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    usage: Usage,
    taken: bool,
    holds: usize,
    waiting: Vec<(i64, oneshot::Sender<()>)>,
    over_budget: Vec<i64>,
}

impl Turns {
    /// Runs `work`, which runs code of a tracked column's table, when its turn has come.
    pub async fn take<T>(&self, tracked_column_id: i64, work: impl Future<Output = T>) -> T {
        let (call, called) = oneshot::channel();
        {
            let mut state = self.0.borrow_mut();
            state.waiting.push((tracked_column_id, call));
            state.call_next(Instant::now());
        }
        // The other end is never dropped without a call.
        let _ = called.await;
        let _turn = Turn { turns: self, tracked_column_id, begun: Instant::now() };
        work.await
    }

    /// While this exists no turn begins, so other transactions wait for one turn at most.
    pub fn hold(&self) -> Hold {
        self.0.borrow_mut().holds += 1;
        Hold(self.clone())
    }

    /// Access to the used time.
    pub fn usage<T>(&self, access: impl FnOnce(&mut Usage) -> T) -> T {
        access(&mut self.0.borrow_mut().usage)
    }

    /// The columns whose code has used up its time since the last call.
    pub fn over_budget(&self) -> Vec<i64> {
        std::mem::take(&mut self.0.borrow_mut().over_budget)
    }
}

impl State {
    /// Starts the next turn, if none is taken and a row waits.
    fn call_next(&mut self, now: Instant) {
        while !self.taken && self.holds == 0 {
            let mut next: Option<(usize, (f64, f64))> = None;
            for (place, (tracked_column_id, _)) in self.waiting.iter().enumerate() {
                let rank = self.usage.rank(*tracked_column_id, now);
                // Of equal ones the one that has waited longest.
                if next.is_none_or(|(_, least)| rank < least) {
                    next = Some((place, rank));
                }
            }
            let Some((place, _)) = next else { return };
            // A task that was dropped meanwhile takes no turn.
            self.taken = self.waiting.remove(place).1.send(()).is_ok();
        }
    }
}

struct Turn<'a> {
    turns: &'a Turns,
    tracked_column_id: i64,
    begun: Instant,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.turns.0.borrow_mut();
        if state.usage.spend(self.tracked_column_id, now - self.begun, now) {
            state.over_budget.push(self.tracked_column_id);
        }
        state.taken = false;
        state.call_next(now);
    }
}

/// See [`Turns::hold`].
pub struct Hold(Turns);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.0.borrow_mut();
        state.holds -= 1;
        state.call_next(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::track::work::ReadyColumn;
    use std::time::Duration;

    #[test]
    fn less_used_time_goes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        let local = tokio::task::LocalSet::new();
        let turns = Turns::default();
        let columns = [(1, "ann"), (2, "ben")].map(|(id, owner)| ReadyColumn {
            tracked_column_id: id,
            owner: owner.into(),
            problem: false,
            strikes: 0,
        });
        turns.usage(|usage| {
            usage.know(&columns, Instant::now());
            usage.spend(1, Duration::from_secs(1), Instant::now());
        });
        for column in [1, 1, 1, 2] {
            let (turns, order) = (turns.clone(), order.clone());
            local.spawn_local(async move {
                turns
                    .take(column, async {
                        tokio::task::yield_now().await;
                        order.borrow_mut().push(column);
                    })
                    .await;
            });
        }
        runtime.block_on(local);
        assert_eq!(*order.borrow(), [1, 2, 1, 1]);
    }
}
