//! Starts further workers of a kind, up to `pinterest.workers_per_database`.

use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::registry::Worker;

/// Between two attempts: doubles from the first to the second while the started workers end at once, for example because the
/// key command fails by now.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The other workers of this process' kind and database.
pub struct Siblings {
    kind: Worker,
    pace: Pace,
}

impl Siblings {
    /// None started yet.
    pub fn new(kind: Worker) -> Self {
        Siblings { kind, pace: Pace::new(Instant::now()) }
    }

    /// Starts one if fewer run than may. Called when this worker begins to work, and at each check while more is due than it
    /// takes: the others may have ended without work, been terminated, or found no free slot.
    pub async fn start_one(&mut self, context: &Context) {
        let may_run = context.config.borrow().workers_per_database;
        if may_run == 1 || Instant::now() < self.pace.next {
            return;
        }
        let kind = self.kind;
        let running = context.database.run(move || Ok(kind.start_sibling())).await.unwrap_or_default();
        self.pace.attempted(running, may_run, Instant::now());
    }
}

/// When to try again.
struct Pace {
    next: Instant,
    pause: Duration,
    /// How many ran at the last attempt.
    running: usize,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Pace { next: now, pause: PAUSE.0, running: 0 }
    }

    fn attempted(&mut self, running: usize, may_run: usize, now: Instant) {
        let in_vain = running < may_run && running <= self.running;
        self.pause = if in_vain { (self.pause * 2).min(PAUSE.1) } else { PAUSE.0 };
        (self.running, self.next) = (running, now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_only_while_starts_are_in_vain() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let pauses = [(1, 1), (2, 1), (3, 1), (3, 2), (3, 4), (2, 8), (4, 1), (4, 1)];
        for (index, (running, pause)) in pauses.into_iter().enumerate() {
            now = pace.next;
            pace.attempted(running, 4, now);
            assert_eq!(pace.next - now, Duration::from_secs(pause), "attempt {index}");
        }
        for _ in 0..10 {
            now = pace.next;
            pace.attempted(1, 4, now);
        }
        assert_eq!(pace.next - now, PAUSE.1);
    }
}
