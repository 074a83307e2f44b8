//! `make sqlsmith`: random SQL for `MINUTES`, with seeds from `SEED`.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{Result, rounds, sqlsmith};

fn main() -> ExitCode {
    rounds::main("sqlsmith", run)
}

fn run(time: Duration, seed: u64) -> Result<()> {
    let program = sqlsmith::program().ok_or_else(|| anyhow::anyhow!("sqlsmith is not installed (Debian: sqlsmith)"))?;
    let outcome = sqlsmith::round(&program, time, seed)?;
    println!(
        "{} statements in {} minutes from seed {seed}; {} calls of {} functions of the extension; no crash",
        outcome.statements,
        time.as_secs_f64() / 60.0,
        outcome.calls,
        outcome.functions
    );
    for (error, count) in &outcome.internal {
        println!("internal error outside the extension, {count} times: {error}");
    }
    Ok(())
}
