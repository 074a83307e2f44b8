//! The passes in plain Rust: what other processors run, and what `avx2` is tested against.

use super::weights::{FRACTION_BITS, HALF, Weight};
use super::{Plan, ROW};
use crate::preprocess::SIDE;

pub(super) fn window(plan: &Plan<'_>) -> Box<[u8]> {
    let mut narrow = Vec::with_capacity(ROW * plan.height());
    for row in plan.samples.chunks_exact(plan.stride) {
        for weight in plan.columns.iter() {
            narrow.extend(horizontal(row, &weight));
        }
    }
    let mut window = Vec::with_capacity(ROW * SIDE);
    for weight in plan.rows.iter() {
        window.extend(vertical(&narrow, &weight));
    }
    window.into_boxed_slice()
}

fn level(sum: i32) -> u8 {
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
    let rows = narrow.chunks_exact(ROW).skip(weight.first);
    for (row, factor) in rows.zip(weight.factors) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += i32::from(sample) * factor;
        }
    }
    sums.map(level)
}
