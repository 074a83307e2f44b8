//! The fault rules and how often each was applied.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Fault, Rule};
use crate::random::{Random, mix};
use crate::requests::Kind;

/// Handle to the rules; clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

/// Id of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleId(u64);

#[derive(Debug)]
struct Shared {
    rules: Mutex<Rules>,
    /// Gates opened so far. Held requests are notified of changes.
    open_gates: watch::Sender<HashSet<String>>,
}

#[derive(Debug)]
struct Rules {
    entries: Vec<Entry>,
    next_id: u64,
    random: Random,
}

#[derive(Debug)]
struct Entry {
    id: RuleId,
    rule: Rule,
    seen: u64,
    fired: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64, rules: Vec<Rule>) -> Self {
        let faults = Self {
            shared: Arc::new(Shared {
                rules: Mutex::new(Rules { entries: Vec::new(), next_id: 1, random: Random::new(mix(&[seed, 0xFA17])) }),
                open_gates: watch::Sender::new(HashSet::new()),
            }),
        };
        for rule in rules {
            faults.add(rule);
        }
        faults
    }

    /// Adds a rule. Rules are applied in the order in which they were added; several may apply to one request.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.lock();
        let id = RuleId(rules.next_id);
        rules.next_id += 1;
        rules.entries.push(Entry { id, rule, seen: 0, fired: 0 });
        id
    }

    /// Removes a rule; false if it did not exist.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut rules = self.lock();
        let before = rules.entries.len();
        rules.entries.retain(|entry| entry.id != id);
        rules.entries.len() < before
    }

    /// Removes all rules and opens their gates.
    pub fn clear(&self) {
        let gates: Vec<String> = self
            .lock()
            .entries
            .drain(..)
            .filter_map(|entry| match entry.rule.fault {
                Fault::Hold { gate } => Some(gate),
                _ => None,
            })
            .collect();
        for gate in gates {
            self.release(&gate);
        }
    }

    /// How often a rule was applied; 0 if it does not exist.
    pub fn fired(&self, id: RuleId) -> u64 {
        self.lock().entries.iter().find(|entry| entry.id == id).map_or(0, |entry| entry.fired)
    }

    /// The rules, with how often each was applied.
    pub fn rules(&self) -> Vec<(RuleId, Rule, u64)> {
        let rules = self.lock();
        let entries = rules.entries.iter();
        entries.map(|entry| (entry.id, entry.rule.clone(), entry.fired)).collect()
    }

    /// Opens a gate: held requests continue, later ones pass.
    pub fn release(&self, gate: &str) {
        self.shared.open_gates.send_modify(|gates| {
            gates.insert(gate.to_string());
        });
    }

    /// The faults for this request.
    pub(crate) fn strike(&self, kind: Kind, path: &str) -> Vec<Fault> {
        let rules = &mut *self.lock();
        let mut struck = Vec::new();
        for entry in &mut rules.entries {
            if !entry.rule.on.takes(kind, path) {
                continue;
            }
            entry.seen += 1;
            let spent = entry.rule.times.is_some_and(|times| entry.fired >= times);
            if entry.seen <= entry.rule.skip || spent {
                continue;
            }
            if entry.rule.probability < 1.0 && rules.random.unit() >= entry.rule.probability {
                continue;
            }
            entry.fired += 1;
            struck.push(entry.rule.fault.clone());
        }
        struck
    }

    /// Waits until the gate is open.
    pub(crate) async fn pass_gate(&self, gate: &str) {
        let mut gates = self.shared.open_gates.subscribe();
        // `self` owns the sender, so the channel cannot close during the wait.
        let _ = gates.wait_for(|open| open.contains(gate)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
