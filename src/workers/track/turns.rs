//! The main thread runs one transaction at a time. Whose table's code it runs next is decided here: not who asked first is
//! next, but the role whose code has used the least time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::usage::Usage;

/// The turns of all rows in work. A clone is the same.
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
        // Nobody drops the other end without a call.
        let _ = called.await;
        let _turn = Turn { turns: self, tracked_column_id, begun: Instant::now() };
        work.await
    }

    /// As long as this lives no turn begins: what is run meanwhile waits for one transaction of others at most.
    pub fn hold(&self) -> Hold {
        self.0.borrow_mut().holds += 1;
        Hold(self.clone())
    }

    /// With what is known of the time that code has used.
    pub fn usage<T>(&self, look: impl FnOnce(&mut Usage) -> T) -> T {
        look(&mut self.0.borrow_mut().usage)
    }

    /// The columns whose code has used up its time since the last call.
    pub fn over_budget(&self) -> Vec<i64> {
        std::mem::take(&mut self.0.borrow_mut().over_budget)
    }
}

impl State {
    /// Gives the turn to whoever is next, if it is free and anybody waits.
    fn call_next(&mut self, now: Instant) {
        while !self.taken && self.holds == 0 {
            let mut next: Option<(usize, (f64, f64))> = None;
            for (place, (tracked_column_id, _)) in self.waiting.iter().enumerate() {
                let rank = self.usage.rank(*tracked_column_id, now);
                // Of equals the one that has waited longest.
                if next.is_none_or(|(_, least)| rank < least) {
                    next = Some((place, rank));
                }
            }
            let Some((place, _)) = next else { return };
            // One that has gone takes no turn.
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
    fn who_used_less_time_goes_first() {
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
