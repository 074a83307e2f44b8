//! The passes in plain Rust, for other processors and as the reference for `avx2`.

use super::weights::{FRACTION_BITS, HALF, Weight, Weights};
use super::{NARROW, ROW};
use crate::preprocess::SIDE;

pub(super) fn along(rows: &[u8], stride: usize, columns: &Weights, narrow: &mut [u8]) {
    for (row, narrow) in rows.chunks_exact(stride).zip(narrow.chunks_exact_mut(NARROW)) {
        let (pixels, _) = narrow.as_chunks_mut::<3>();
        for (pixel, weight) in pixels.iter_mut().zip(columns.iter()) {
            *pixel = horizontal(row, &weight);
        }
    }
}

pub(super) fn down(narrow: &[u8], rows: &Weights) -> Box<[u8]> {
    let mut window = Vec::with_capacity(ROW * SIDE);
    for weight in rows.iter() {
        window.extend(vertical(narrow, &weight));
    }
    window.into_boxed_slice()
}

#[inline(always)]
pub(super) fn add(sums: &mut [i32], samples: &[u8], factor: i32) {
    for (sum, &sample) in sums.iter_mut().zip(samples) {
        *sum += i32::from(sample) * factor;
    }
}

pub(super) fn level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

fn horizontal(row: &[u8], weight: &Weight<'_>) -> [u8; 3] {
    let mut sums = [HALF; 3];
    let pixels = row[3 * weight.first..3 * weight.end()].chunks_exact(3);
    for (pixel, factor) in pixels.zip(weight.factors) {
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(sample) * factor;
        }
    }
    sums.map(level)
}

fn vertical(narrow: &[u8], weight: &Weight<'_>) -> [u8; ROW] {
    let mut sums = [HALF; ROW];
    let rows = narrow.chunks_exact(NARROW).skip(weight.first);
    for (row, &factor) in rows.zip(weight.factors) {
        add(&mut sums, &row[..ROW], factor);
    }
    sums.map(level)
}
