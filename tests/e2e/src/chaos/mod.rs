//! Chaos: users who import, write and leave, and everything that can happen to a server meanwhile, by a seed; at the end
//! what must hold is looked at.
//!
//! What happens is told by [`event`], what is done about each in [`act`], what must hold in [`invariants`].

mod act;
pub mod event;
mod invariants;
mod stage;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::Result;
use event::Events;
use stage::Stage;

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps.
    pub steps: u64,
    /// Statements that were refused, as some must be.
    pub refused: u64,
    /// How often the server restarted: after a kill of one of its processes, or on request.
    pub restarts: u64,
    /// What was looked at in the end, with its figures.
    pub checked: Vec<String>,
}

/// Steps for a while, then everything is let go of, and looked at. `tell` is given each line of the log.
///
/// # Errors
/// What does not hold, with the seed and the last steps.
pub fn run(seed: u64, duration: Duration, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let deadline = Instant::now() + duration;
    let mut stage = Stage::set().context("the stage cannot be set")?;
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
            stage.look_at_bystanders().with_context(|| format!("after step {number} {event}"))?;
            stage.outcome.steps += 1;
        }
        tell("the end: everything is let go of, and looked at");
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
