//! A queue in which clients take turns.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A round-robin queue. Items of one owner come out in the order they went in. Each owner with items gives one before any
/// gives another, so the number of items of one owner does not delay the others.
pub struct RoundRobin<Owner, Item> {
    /// Contains no empty line.
    lines: HashMap<Owner, VecDeque<Item>>,
    /// Every owner of a line, the next one first.
    order: VecDeque<Owner>,
    len: usize,
}

impl<Owner: Copy + Eq + Hash, Item> RoundRobin<Owner, Item> {
    pub fn push(&mut self, owner: Owner, item: Item) {
        let line = self.lines.entry(owner).or_default();
        if line.is_empty() {
            self.order.push_back(owner);
        }
        line.push_back(item);
        self.len += 1;
    }

    pub fn pop(&mut self) -> Option<Item> {
        let owner = self.order.pop_front()?;
        let line = self.lines.get_mut(&owner)?;
        let item = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&owner);
        } else {
            self.order.push_back(owner);
        }
        self.len -= 1;
        Some(item)
    }

    /// Drops the items that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&Item) -> bool) {
        self.lines.values_mut().for_each(|line| line.retain(&wanted));
        self.lines.retain(|_, line| !line.is_empty());
        self.order.retain(|owner| self.lines.contains_key(owner));
        self.len = self.lines.values().map(VecDeque::len).sum();
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<Owner, Item> Default for RoundRobin<Owner, Item> {
    fn default() -> Self {
        Self { lines: HashMap::new(), order: VecDeque::new(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_line_waits_for_a_short_one() {
        let mut turns = RoundRobin::default();
        for number in 0..64 {
            turns.push("many", number);
        }
        assert_eq!(turns.pop(), Some(0));
        turns.push("one", 100);
        turns.push("two", 200);
        turns.push("two", 201);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).take(7).collect();
        assert_eq!(order, [1, 100, 200, 2, 201, 3, 4]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_owners_order_is_kept(
            steps in prop::collection::vec(prop_oneof![3 => (0..4u8).prop_map(Some), 2 => Just(None)], 0..200)
        ) {
            let mut turns = RoundRobin::default();
            let mut waiting: HashMap<u8, VecDeque<usize>> = HashMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(owner) => {
                        turns.push(owner, (owner, number));
                        waiting.entry(owner).or_default().push_back(number);
                    }
                    None => {
                        let popped = turns.pop();
                        let expected = popped.and_then(|(owner, _)| waiting.get_mut(&owner)?.pop_front());
                        prop_assert_eq!(popped.map(|(_, number)| number), expected);
                    }
                }
                let left: usize = waiting.values().map(VecDeque::len).sum();
                prop_assert_eq!((turns.len(), turns.is_empty()), (left, left == 0));
            }
        }
    }
}
