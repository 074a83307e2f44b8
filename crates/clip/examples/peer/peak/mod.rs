//! Measures how fast the processor multiplies: dot-product instructions on registers, without memory.
//!
//! Each loop updates many independent sums, to hide the latency of instructions, and consists of one instruction that kernels
//! use. No engine that uses it can exceed the rate.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::Result;
use crate::arguments::Arguments;
use crate::protocol;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Name of the instruction.
    peak: String,
    seconds: f64,
}

/// An instruction, and a burst of it.
struct Instruction {
    /// Mnemonic and kind of register.
    name: &'static str,
    /// Type of the numbers that are multiplied.
    precision: &'static str,
    /// Whether this process can use it.
    available: bool,
    /// Must only be called if it is available.
    burst: unsafe fn(),
    /// Additions and multiplications of a burst.
    operations: u64,
}

fn instructions() -> Vec<Instruction> {
    #[cfg(target_arch = "x86_64")]
    let vector = vector::instructions();
    #[cfg(not(target_arch = "x86_64"))]
    let vector = [];
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    let amx = amx::instructions();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let amx = [];
    vector.into_iter().chain(amx).collect()
}

pub fn answer(arguments: &Arguments) -> Result<()> {
    let threads: usize = arguments.required("threads")?;
    let instructions = instructions();
    let listed: Vec<_> = instructions
        .iter()
        .map(|it| json!({ "name": it.name, "precision": it.precision, "available": it.available }))
        .collect();
    let ready = json!({ "version": env!("CARGO_PKG_VERSION"), "detail": "registers only", "instructions": listed });
    protocol::serve(&ready, |request: Request| {
        let duration = Duration::try_from_secs_f64(request.seconds)?;
        let instruction = instructions
            .iter()
            .find(|it| it.name == request.peak && it.available)
            .ok_or_else(|| format!("this processor has no {}", request.peak))?;
        Ok(json!({ "operations_per_second": rate(instruction, threads, duration) }))
    })
}

/// Sum over the threads, which begin together.
#[allow(unsafe_code, reason = "calls a function that needs an instruction, after checking that it is available")]
fn rate(instruction: &Instruction, threads: usize, duration: Duration) -> f64 {
    assert!(instruction.available);
    let barrier = Barrier::new(threads);
    let one = || {
        barrier.wait();
        let began = Instant::now();
        let mut bursts = 0_u64;
        loop {
            // SAFETY: the instruction is available.
            unsafe { (instruction.burst)() };
            bursts += 1;
            let elapsed = began.elapsed();
            if elapsed >= duration {
                return (bursts * instruction.operations) as f64 / elapsed.as_secs_f64();
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a loop of multiplications does not panic")).sum()
    })
}
