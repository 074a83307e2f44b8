//! `make chaos`: runs of a few minutes each for `MINUTES` in all, with seeds from `SEED`.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use e2e::{Result, chaos, rounds, runtime_directory};

/// Time limit of the steps of one run. Then the invariants are checked, and a run with the next seed starts.
const RUN: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    rounds::main("chaos", run)
}

fn run(time: Duration, first: u64) -> Result<()> {
    let path = runtime_directory("chaos")?.join("steps");
    let began = Instant::now();
    println!("the steps are logged to {}", path.display());
    for seed in first.. {
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let mut steps = File::create(&path)?;
        let outcome = chaos::run(seed, RUN.min(left), &mut |line| {
            // The log is only for people: an error, such as a full disk, does not end the run.
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
    println!("{:.0} minutes of chaos, all invariants hold", began.elapsed().as_secs_f64() / 60.0);
    Ok(())
}
