//! A short round of random SQL; `make sqlsmith` has longer ones.

use e2e::sqlsmith;

use crate::support::prelude::*;

#[test]
fn random_statements_of_a_user_do_not_bring_the_server_down() -> Result<()> {
    let Some(program) = sqlsmith::program() else {
        eprintln!("SKIPPED: there is no program sqlsmith here; Debian's package of that name brings it");
        return Ok(());
    };
    let outcome = sqlsmith::round(&program, Duration::from_secs(25), 1)?;
    println!("{outcome:?}");
    assert!(outcome.statements > 100, "{outcome:?}");
    assert!(outcome.functions > 5, "{outcome:?}");
    Ok(())
}
