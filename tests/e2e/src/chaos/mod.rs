//! Chaos: random events, drawn from a seed, disturb users and server; at the end the invariants are checked.
//!
//! [`event`] draws the events, [`act`] runs them, and [`invariants`] checks the invariants.

mod act;
pub mod event;
mod invariants;
mod stage;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::Result;
use event::Events;
use stage::Stage;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Number of steps.
    pub steps: u64,
    /// Statements that were refused, which is permitted.
    pub refused: u64,
    /// Restarts of the server, on request or after a kill of one of its processes.
    pub restarts: u64,
    /// The invariants that were checked at the end, with figures.
    pub checked: Vec<String>,
}

/// Runs steps for this time, ends all faults and locks, and checks the invariants. `tell` gets each line of the log.
///
/// # Errors
/// If an invariant does not hold; the error contains the seed and the last steps.
pub fn run(seed: u64, duration: Duration, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let deadline = Instant::now() + duration;
    let mut stage = Stage::set().context("cannot start the run")?;
    let mut events = Events::of(seed);
    let mut steps: Vec<String> = Vec::new();
    let outcome = (|| -> Result<()> {
        while Instant::now() < deadline {
            let Some(event) = events.next() else { break };
            let number = stage.outcome.steps;
            let line = format!("{number} {event}");
            tell(&line);
            steps.push(line);
            let result = stage.act(&event)?;
            if !result.is_empty() {
                let line = format!("{number}   {result}");
                tell(&line);
                steps.push(line);
            }
            stage.check_bystanders().with_context(|| format!("after step {number} {event}"))?;
            stage.outcome.steps += 1;
        }
        tell("the end: faults and locks are released, and invariants are checked");
        stage.settle()?;
        stage.check(tell)
    })();
    if let Err(error) = outcome {
        let log = stage.keep_log(seed).unwrap_or_else(|error| format!("{error:#}"));
        let last = steps[steps.len().saturating_sub(60)..].join("\n");
        bail!("seed {seed}: {error:#}\nthe server's log: {log}\nthe last steps:\n{last}");
    }
    let outcome = stage.strike().with_context(|| format!("seed {seed}"))?;
    Ok(outcome)
}
