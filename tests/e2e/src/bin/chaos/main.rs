//! `make chaos`: runs of a few minutes each, for `MINUTES` in all, from `SEED` on.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use e2e::{Result, chaos, rounds, runtime_directory};

/// The steps of one run take this long at most; then the invariants are checked, and another run starts from the next seed.
const RUN: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    rounds::main("chaos", run)
}

fn run(time: Duration, first: u64) -> Result<()> {
    let path = runtime_directory("chaos")?.join("steps");
    let began = Instant::now();
    println!("the steps are told in {}", path.display());
    for seed in first.. {
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let mut steps = File::create(&path)?;
        let outcome = chaos::run(seed, RUN.min(left), &mut |line| {
            // The log of steps is for people who look on; a disk that is full does not end the run.
            let _ = writeln!(steps, "{line}");
        })?;
        println!(
            "seed {seed}: {} steps, {} statements refused, {} restarts; {}",
            outcome.steps,
            outcome.refused,
            outcome.restarts,
            outcome.checked.join("; ")
        );
    }
    println!("{:.0} minutes of chaos, and all that must hold held", began.elapsed().as_secs_f64() / 60.0);
    Ok(())
}
