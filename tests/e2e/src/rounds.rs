//! The common main function of programs that run for a time and from a seed.

use std::process::ExitCode;
use std::time::Duration;

use crate::Result;

/// Runs `rounds` for `MINUTES` (default 10) from seed `SEED` (default 1). Prints an error after the program's name.
pub fn main(name: &str, rounds: impl FnOnce(Duration, u64) -> Result<()>) -> ExitCode {
    let run = || {
        let time = Duration::from_secs_f64(60.0 * number("MINUTES", 10.0)?);
        rounds(time, number("SEED", 1.0)? as u64)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str, default: f64) -> Result<f64> {
    match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        Some(value) => Ok(value.parse()?),
        None => Ok(default),
    }
}
