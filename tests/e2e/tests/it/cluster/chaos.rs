//! A short run of chaos; `make chaos` starts longer ones.

use e2e::chaos;

use crate::support::prelude::*;

#[test]
fn a_short_run_of_chaos_breaks_no_invariant() -> Result<()> {
    let outcome = chaos::run(1, Duration::from_secs(45), &mut |line| println!("{line}"))?;
    assert!(outcome.steps > 50, "{outcome:?}");
    Ok(())
}
