//! Keeping grants alive: when to refresh, how to ask, and what a failed attempt means.
//!
//! Pinterest rotates refresh tokens, and whether a used one lives on for a while is not documented: it is taken to be
//! dead. So one request at a time per account, its answer stored before anything else happens, and three questions
//! with an answer each, none of which needs a database, a clock or a source of randomness of its own:
//!
//! 1. [`after`]: when is a grant due?
//! 2. [`ask`]: what does the server say? A failure comes with its [`NextStep`]: again, the app's fault, or lost.
//! 3. [`Breaker`]: are the accounts refused, or is it the app?
//!
//! What is left to the caller is the bookkeeping:
//! - An intent is written before the request, and is the lock. Whoever takes over one that a dead worker left has an
//!   [`Attempt::uncertain`] before them, and records that first of all: it has to outlive every further failure.
//! - The answer is stored by compare-and-swap on the generation that was asked with. Where it brings no refresh token,
//!   the old one stays with what is left of its life.
//! - A next_step counts only if the generation has not moved meanwhile; if it has, somebody else was faster and the
//!   refusal was a race.

mod ask;
mod breaker;
mod next_step;
mod schedule;

pub use ask::{Ask, FailedRefresh, ask};
pub use breaker::Breaker;
pub use next_step::{Attempt, Cause, NextStep, judge};
pub use schedule::{WARN_BEFORE, after};
