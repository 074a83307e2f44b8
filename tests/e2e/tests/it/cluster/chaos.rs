//! A short run of chaos; `make chaos` has longer ones.

use e2e::chaos;

use crate::support::prelude::*;

#[test]
fn a_minute_of_chaos_breaks_nothing_that_must_hold() -> Result<()> {
    let outcome = chaos::run(1, Duration::from_secs(45), &mut |line| println!("{line}"))?;
    assert!(outcome.steps > 50, "{outcome:?}");
    Ok(())
}
