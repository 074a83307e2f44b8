//! Measures how fast the processor multiplies: dot-product instructions on registers, without memory.
//!
//! Each loop updates many independent sums, to hide the latency of instructions, and consists of the instruction that a kernel
//! of that precision uses. No engine can exceed the rate.

#![allow(unsafe_code, reason = "functions with target features are called behind a check at run time")]

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
    peak: Precision,
    seconds: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Precision {
    F32,
    Bf16,
    Int8,
}

/// One burst of instructions.
#[derive(Clone, Copy)]
struct Burst {
    run: fn(),
    /// Additions and multiplications it does.
    operations: u64,
    instruction: &'static str,
}

pub fn answer(arguments: &Arguments) -> Result<()> {
    let threads: usize = arguments.required("threads")?;
    let ready = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "detail": "registers only",
        "instructions": {
            "f32": burst(Precision::F32).map(|burst| burst.instruction),
            "bf16": burst(Precision::Bf16).map(|burst| burst.instruction),
            "int8": burst(Precision::Int8).map(|burst| burst.instruction),
        },
    });
    protocol::serve(&ready, |request: Request| {
        let duration = Duration::try_from_secs_f64(request.seconds)?;
        Ok(json!({ "operations_per_second": burst(request.peak).map(|burst| rate(burst, threads, duration)) }))
    })
}

/// Sum over the threads, which begin together.
fn rate(burst: Burst, threads: usize, duration: Duration) -> f64 {
    let barrier = Barrier::new(threads);
    let one = || {
        barrier.wait();
        let began = Instant::now();
        let mut bursts = 0_u64;
        loop {
            (burst.run)();
            bursts += 1;
            let elapsed = began.elapsed();
            if elapsed >= duration {
                return (bursts * burst.operations) as f64 / elapsed.as_secs_f64();
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a loop of multiplications does not panic")).sum()
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn burst(_: Precision) -> Option<Burst> {
    None
}

#[cfg(target_arch = "x86_64")]
use x86::burst;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{Burst, Precision};

    /// Independent sums: more than latency times instructions per cycle (4 x 2), fewer than the registers (32; 16 of AVX2).
    const ACCUMULATORS: usize = 24;
    const ACCUMULATORS_AVX2: usize = 12;

    /// Steps of a burst: some ten microseconds, so that reading the clock does not matter.
    const STEPS: u64 = 4096;

    const fn operations(accumulators: usize, per_instruction: u64) -> u64 {
        STEPS * accumulators as u64 * per_instruction
    }

    pub(super) fn burst(precision: Precision) -> Option<Burst> {
        // SAFETY of the four calls: the features of the function called were found present in the line before.
        match precision {
            Precision::F32 if has!("avx512f") => Some(Burst {
                run: || unsafe { f32_avx512() },
                operations: operations(ACCUMULATORS, 32),
                instruction: "vfmadd231ps zmm",
            }),
            Precision::F32 if has!("avx2") && has!("fma") => Some(Burst {
                run: || unsafe { f32_avx2() },
                operations: operations(ACCUMULATORS_AVX2, 16),
                instruction: "vfmadd231ps ymm",
            }),
            Precision::Bf16 if has!("avx512f") && has!("avx512bf16") => Some(Burst {
                run: || unsafe { bf16_avx512() },
                operations: operations(ACCUMULATORS, 64),
                instruction: "vdpbf16ps zmm",
            }),
            Precision::Int8 if has!("avx512f") && has!("avx512vnni") => Some(Burst {
                run: || unsafe { int8_avx512() },
                operations: operations(ACCUMULATORS, 128),
                instruction: "vpdpbusd zmm",
            }),
            _ => None,
        }
    }

    #[target_feature(enable = "avx512f")]
    fn f32_avx512() {
        let (left, right) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
        // Different initial values, so that the compiler does not merge the sums.
        let mut sums: [__m512; ACCUMULATORS] = std::array::from_fn(|index| _mm512_set1_ps(black_box(index as f32)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(left, right, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    fn f32_avx2() {
        let (left, right) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(0.25)));
        let mut sums: [__m256; ACCUMULATORS_AVX2] =
            std::array::from_fn(|index| _mm256_set1_ps(black_box(index as f32)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(left, right, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn bf16_avx512() {
        let (left, right) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
        let (left, right) = (_mm512_cvtne2ps_pbh(left, left), _mm512_cvtne2ps_pbh(right, right));
        let mut sums: [__m512; ACCUMULATORS] = std::array::from_fn(|index| _mm512_set1_ps(black_box(index as f32)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, left, right);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn int8_avx512() {
        let (left, right) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(-2)));
        let mut sums: [__m512i; ACCUMULATORS] = std::array::from_fn(|index| _mm512_set1_epi32(black_box(index as i32)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, left, right);
            }
        }
        black_box(sums);
    }
}
