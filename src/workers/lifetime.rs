//! How long a database's worker stays: while it has work, and for a while after.

use std::time::Duration;

use tokio::time::Instant;

use super::database::Context;
use super::outcome::{self, Outcome};
use super::registry::{self, Sent};

/// Looks for work that no latch announced: with work waiting, and without.
const POLL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Right after its start a worker may have been started by a transaction that is not over yet.
const FIRST_POLLS: (u32, Duration) = (50, Duration::from_millis(200));

/// What a look for work found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Something is being worked on.
    pub busy: bool,
    /// Something is being done that is worth waiting for, and no reason to stay longer.
    pub finishing: bool,
    /// When the first thing that waits may be worked on.
    pub next_wake: Option<Duration>,
}

/// How long the worker stays.
pub struct Stay {
    sent: Sent,
    until: Instant,
    polls: u32,
    leaving: bool,
    /// The launcher knows that there was work, or needs no word.
    served: bool,
}

/// What to do after a look for work.
pub enum Then {
    /// Look again at once.
    LookAgain,
    /// Look again after this time, or when something happens.
    Wait(Duration),
    /// Leave.
    Leave,
}

impl Stay {
    /// Sent to see whether anything is due, a worker leaves at once where nothing is.
    pub fn new(context: &Context, sent: Sent) -> Self {
        let idle_timeout = context.config.borrow().idle_timeout;
        let until = Instant::now() + if sent == Sent::ToLook { Duration::ZERO } else { idle_timeout };
        Stay { sent, until, polls: 0, leaving: false, served: sent == Sent::ToWork }
    }

    /// What to do, as the look that is just over `found` it.
    pub async fn after(&mut self, context: &Context, found: Found) -> Then {
        let idle_timeout = context.config.borrow().idle_timeout;
        if found.busy {
            self.until = Instant::now() + idle_timeout;
            if !std::mem::replace(&mut self.served, true) {
                context.database.have_done(|| outcome::tell(Outcome::Serving)).await;
            }
        }
        let due_soon = found.next_wake.is_some_and(|wake| wake <= idle_timeout);
        if !found.busy && !found.finishing && !due_soon && Instant::now() >= self.until {
            if self.leaving {
                if !self.served {
                    context.database.have_done(|| outcome::tell(Outcome::Rested)).await;
                }
                return Then::Leave;
            }
            // Marked first, then one more look, see `registry`.
            self.leaving = true;
            context.database.have_done(|| registry::mark_as_leaving(true)).await;
            return Then::LookAgain;
        }
        if std::mem::take(&mut self.leaving) {
            context.database.have_done(|| registry::mark_as_leaving(false)).await;
        }
        self.polls += 1;
        Then::Wait(match found.next_wake {
            _ if self.sent == Sent::ToWork && self.polls <= FIRST_POLLS.0 && !found.busy => FIRST_POLLS.1,
            Some(wake) => wake.clamp(Duration::from_millis(50), POLL.0),
            None if found.busy => POLL.0,
            None => POLL.1.min(idle_timeout),
        })
    }
}
