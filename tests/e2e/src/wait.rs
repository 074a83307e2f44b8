//! Waiting for a state that somebody publishes, instead of sleeping for as long as it usually takes.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// How often a condition is looked at: often enough not to show in a test's time, rarely enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until the condition holds; false where it did not within `timeout`.
#[must_use = "the condition may never have held"]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    wait_for("", timeout, || Ok(condition().then_some(()))).is_ok()
}

/// Waits until `look` finds something and returns it. The error names `what` was waited for.
pub fn wait_for<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        // Read before looking, so that a slow look is followed by one more when time has run out meanwhile.
        let over = Instant::now() >= deadline;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if over {
            bail!("waited {timeout:?} for {what}");
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
