//! Keeps grants valid: when to refresh, how to refresh, and what a failed attempt means.
//!
//! Pinterest rotates refresh tokens. Whether a used one stays valid for a while is not documented: it is considered invalid.
//! So there is one request at a time per account, and its answer is stored before anything else happens. Three functions
//! decide, without a database, a clock or a source of randomness:
//!
//! 1. [`after`]: when a grant is due.
//! 2. [`ask`]: the request. A failure has a [`NextStep`]: retry, the app was refused, or the account is lost.
//! 3. [`Breaker`]: whether accounts are refused, or the app.
//!
//! The caller does the bookkeeping:
//! - An intent is stored before the request, and is the lock. A worker that takes over the intent of a crashed worker has an
//!   [`Attempt::uncertain`], and stores that first: it must survive every further failure.
//! - The answer is stored by compare-and-swap on the generation of the request. If it has no refresh token, the old one and
//!   its expiry stay.
//! - A next step counts only if the generation has not changed meanwhile; otherwise another process was faster, and the
//!   refusal is void.

mod ask;
mod breaker;
mod next_step;
mod schedule;

pub use ask::{Ask, FailedRefresh, ask};
pub use breaker::Breaker;
pub use next_step::{Attempt, Cause, NextStep, judge};
pub use schedule::{WARN_BEFORE, after};
