//! Instructions on vector registers.

#![allow(unsafe_code, reason = "functions with target features are called behind a check at run time")]

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;
use std::hint::black_box;

use super::Instruction;

/// Independent sums: more than latency times instructions per cycle (4 x 2), fewer than the registers (32; 16 of AVX2).
const ACCUMULATORS: usize = 24;
const ACCUMULATORS_AVX2: usize = 12;

/// Steps of a burst: some ten microseconds, so that reading the clock does not matter.
const STEPS: u64 = 4096;

const fn operations(accumulators: usize, per_instruction: u64) -> u64 {
    STEPS * accumulators as u64 * per_instruction
}

pub(super) fn instructions() -> [Instruction; 4] {
    [
        Instruction {
            name: "vfmadd231ps ymm",
            precision: "f32",
            available: has!("avx2") && has!("fma"),
            burst: f32_avx2,
            operations: operations(ACCUMULATORS_AVX2, 16),
        },
        Instruction {
            name: "vfmadd231ps zmm",
            precision: "f32",
            available: has!("avx512f"),
            burst: f32_avx512,
            operations: operations(ACCUMULATORS, 32),
        },
        Instruction {
            name: "vdpbf16ps zmm",
            precision: "bf16",
            available: has!("avx512f") && has!("avx512bf16"),
            burst: bf16_avx512,
            operations: operations(ACCUMULATORS, 64),
        },
        Instruction {
            name: "vpdpbusd zmm",
            precision: "int8",
            available: has!("avx512f") && has!("avx512vnni"),
            burst: int8_avx512,
            operations: operations(ACCUMULATORS, 128),
        },
    ]
}

#[target_feature(enable = "avx2,fma")]
fn f32_avx2() {
    let (left, right) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(0.25)));
    // Different initial values, so that the compiler does not merge the sums.
    let mut sums: [__m256; ACCUMULATORS_AVX2] = std::array::from_fn(|index| _mm256_set1_ps(black_box(index as f32)));
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(left, right, *sum);
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx512f")]
fn f32_avx512() {
    let (left, right) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
    let mut sums: [__m512; ACCUMULATORS] = std::array::from_fn(|index| _mm512_set1_ps(black_box(index as f32)));
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(left, right, *sum);
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
