//! Waiting for a published state, instead of sleeping for the time that it usually takes.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// How often a condition is looked at: often enough not to show in a test's time, rarely enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(20);

thread_local! {
    static IN_VAIN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has waited for something that never came. Then a cluster's log says why, so it is worth keeping,
/// though the test ends with an error and without a panic.
pub(crate) fn was_in_vain() -> bool {
    IN_VAIN.get()
}

/// Waits until the condition holds; false where it did not within `timeout`.
#[must_use = "the condition may never have held"]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    look_for(timeout, || Ok(condition().then_some(()))).is_ok_and(|found| found.is_some())
}

/// Waits until `look` finds something and returns it. The error names `what` was waited for.
pub fn wait_for<T>(what: &str, timeout: Duration, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    match look_for(timeout, look)? {
        Some(found) => Ok(found),
        None => {
            IN_VAIN.set(true);
            bail!("waited {timeout:?} for {what}");
        }
    }
}

fn look_for<T>(timeout: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + timeout;
    loop {
        // Read before looking, so that a slow look is followed by one more when time has run out meanwhile.
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
    fn returns_what_was_found() {
        let mut looks = 0;
        let found = wait_for("the third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some("here"))
        });
        assert_eq!(found.ok(), Some("here"));
        assert_eq!(looks, 3);
    }

    #[test]
    fn gives_up_and_says_what_for() {
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
