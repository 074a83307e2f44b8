//! `make sqlsmith`: random SQL for `MINUTES`, from `SEED` on.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{Result, sqlsmith};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sqlsmith: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let number = |name: &str, default: f64| -> Result<f64> {
        Ok(match std::env::var(name).ok().filter(|value| !value.is_empty()) {
            Some(value) => value.parse()?,
            None => default,
        })
    };
    let minutes = number("MINUTES", 10.0)?;
    let seed = number("SEED", 1.0)? as u64;
    let program = sqlsmith::program()
        .ok_or_else(|| anyhow::anyhow!("there is no program sqlsmith: Debian's package of that name brings it"))?;
    let outcome = sqlsmith::round(&program, Duration::from_secs_f64(60.0 * minutes), seed)?;
    println!(
        "{} statements in {minutes} minutes from seed {seed}; {} calls of {} functions of the extension; no crash",
        outcome.statements, outcome.calls, outcome.functions
    );
    for (error, count) in &outcome.internal {
        println!("internal error outside the extension, {count} times: {error}");
    }
    Ok(())
}
