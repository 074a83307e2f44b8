//! Waiting for a published state instead of sleeping.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// Interval between two checks of a condition: short enough not to lengthen a test, long enough to cost little.
const INTERVAL: Duration = Duration::from_millis(20);

thread_local! {
    static TIMED_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a wait of this thread has timed out. Then the cluster's log is kept, as after a panic.
pub(crate) fn has_timed_out() -> bool {
    TIMED_OUT.get()
}

/// Waits until the condition holds; returns false on a timeout.
#[must_use = "the condition may never have held"]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    look_for(timeout, || Ok(condition().then_some(()))).is_ok_and(|found| found.is_some())
}

/// Waits until `look` returns a value and returns it. The error of a timeout names `what`.
pub fn wait_for<T>(what: &str, timeout: Duration, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    match look_for(timeout, look)? {
        Some(found) => Ok(found),
        None => {
            TIMED_OUT.set(true);
            bail!("waited {timeout:?} for {what}");
        }
    }
}

fn look_for<T>(timeout: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + timeout;
    loop {
        // Read before the check, so that a check that runs past the deadline is followed by another one.
        let over = Instant::now() >= deadline;
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if over {
            return Ok(None);
        }
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_found_value_is_returned() {
        let mut looks = 0;
        let found = wait_for("the third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some("here"))
        });
        assert_eq!(found.ok(), Some("here"));
        assert_eq!(looks, 3);
    }

    #[test]
    fn a_timeout_names_the_condition() {
        let error = wait_for::<()>("a state", Duration::from_millis(1), || Ok(None)).unwrap_err();
        assert!(error.to_string().ends_with("for a state"), "{error}");
        assert!(!wait_until(Duration::ZERO, || false));
    }

    #[test]
    fn an_error_ends_the_wait() {
        let error = wait_for::<()>("nothing", Duration::from_secs(60), || bail!("broken")).unwrap_err();
        assert_eq!(error.to_string(), "broken");
    }
}
