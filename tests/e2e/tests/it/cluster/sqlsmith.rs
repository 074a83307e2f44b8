//! A short round of random SQL; `make sqlsmith` starts longer ones.

use e2e::sqlsmith;

use crate::support::prelude::*;

#[test]
fn random_statements_do_not_crash_the_server() -> Result<()> {
    let Some(program) = sqlsmith::program() else {
        eprintln!("SKIPPED: sqlsmith is not installed (Debian's package sqlsmith)");
        return Ok(());
    };
    let outcome = sqlsmith::round(&program, Duration::from_secs(25), 1)?;
    println!("{outcome:?}");
    assert!(outcome.statements > 100, "{outcome:?}");
    assert!(outcome.functions > 5, "{outcome:?}");
    Ok(())
}
