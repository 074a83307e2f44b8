//! The sandbox's clock: that of the machine plus an offset.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_milliseconds: AtomicU64,
}

impl Clock {
    /// Time since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        // Zero if the machine's clock is before 1970.
        let machine = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        machine + Duration::from_millis(self.ahead_milliseconds.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
