//! The passes for x86-64 processors with AVX2, equal to `portable` for every input.
//!
//! No instruction multiplies 8 by 22 bits well, so a factor is split into a high part and twelve low bits, which both fit
//! 16 bits: `vpmaddwd` then multiplies two samples per lane. The two sums are put together at the end, modulo 2^32 like every step
//! before, which is exact because the whole sum fits 32 bits.

#![allow(unsafe_code, reason = "calls across a target feature, and vector loads and stores, which take raw pointers")]

use std::arch::x86_64::*;
use std::array;
use std::ops::Range;

use super::weights::{FRACTION_BITS, HALF, Weights};
use super::{NARROW, ROW, portable};
use crate::preprocess::SIDE;

/// A processor with AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// `None` if the processor does not have it.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub fn columns(self, weights: &Weights) -> Columns {
        // SAFETY: requires a processor with AVX2, which `self` proves.
        unsafe { Columns::new(weights) }
    }

    pub fn along(self, rows: &[u8], stride: usize, columns: &Columns, narrow: &mut [u8]) {
        // SAFETY: as above.
        unsafe { along(rows, stride, columns, narrow) }
    }

    pub fn down(self, narrow: &[u8], weights: &Weights) -> Box<[u8]> {
        // SAFETY: as above.
        unsafe { down(narrow, weights) }
    }

    pub fn add(self, sums: &mut [i32], samples: &[u8], factor: i32) {
        // SAFETY: as above.
        unsafe { add(sums, samples, factor) }
    }
}

/// Rows of one step of the horizontal pass, which share the loaded factors.
const ROWS: usize = 4;
/// Pixels of one step of the horizontal pass.
const QUAD: usize = 4;
/// Bytes of one step of the vertical pass.
const BLOCK: usize = 32;

#[target_feature(enable = "avx2")]
fn down(narrow: &[u8], weights: &Weights) -> Box<[u8]> {
    let mut window = vec![0; ROW * SIDE].into_boxed_slice();
    let mut pairs = vec![];
    for (output, weight) in window.chunks_exact_mut(ROW).zip(weights.iter()) {
        pairs.clear();
        pairs.extend(weight.factors.chunks(2).map(|pair| {
            let [first, second] = array::from_fn(|index| split(pair.get(index).copied().unwrap_or(0)));
            Factors { high: set_pair(first.0, second.0), low: set_pair(first.1, second.1) }
        }));
        vertical(&narrow[NARROW * weight.first..], &pairs, output);
    }
    window
}

/// The compiler vectorises this if AVX2 is enabled.
#[target_feature(enable = "avx2")]
fn add(sums: &mut [i32], samples: &[u8], factor: i32) {
    portable::add(sums, samples, factor);
}

/// The parts of some factors, each in the 16-bit lanes of its samples.
#[derive(Clone, Copy)]
struct Factors {
    high: __m256i,
    low: __m256i,
}

const LOW_BITS: u32 = 12;

/// `high * 2^LOW_BITS + low`, with `low` not negative. A factor is far below the 2^27 that would not fit.
fn split(factor: i32) -> (i16, i16) {
    ((factor >> LOW_BITS) as i16, (factor & ((1 << LOW_BITS) - 1)) as i16)
}

#[target_feature(enable = "avx2")]
fn set_pair(first: i16, second: i16) -> __m256i {
    _mm256_set1_epi32(i32::from(first as u16) | i32::from(second) << 16)
}

/// The columns of the window.
pub(super) struct Columns {
    /// Per column: the offset of its first pixel in a row, in bytes, and its quads.
    spans: Vec<(usize, Range<usize>)>,
    /// Factors, [`QUAD`] at a time, each in the lanes of its pixel's red, green and blue.
    quads: Vec<Factors>,
}

impl Columns {
    #[target_feature(enable = "avx2")]
    fn new(weights: &Weights) -> Self {
        let mut columns = Self { spans: Vec::with_capacity(SIDE), quads: vec![] };
        for weight in weights.iter() {
            let start = columns.quads.len();
            columns.quads.extend(weight.factors.chunks(QUAD).map(|quad| {
                let parts: [(i16, i16); QUAD] = array::from_fn(|index| split(quad.get(index).copied().unwrap_or(0)));
                Factors { high: set_quad(parts.map(|part| part.0)), low: set_quad(parts.map(|part| part.1)) }
            }));
            columns.spans.push((3 * weight.first, start..columns.quads.len()));
        }
        columns
    }

    /// Per column: the bytes of a row that it loads, and its factors.
    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[Factors])> {
        self.spans.iter().map(|(first, quads)| {
            // The last load reads four bytes more than it uses.
            (*first..first + 3 * QUAD * quads.len() + 4, &self.quads[quads.clone()])
        })
    }
}

/// The first two pixels in the lower half, the others in the upper half.
#[target_feature(enable = "avx2")]
fn set_quad([a, b, c, d]: [i16; QUAD]) -> __m256i {
    _mm256_setr_epi16(a, b, a, b, a, b, 0, 0, c, d, c, d, c, d, 0, 0)
}

/// The horizontal pass: the columns of the window in all rows.
#[target_feature(enable = "avx2")]
fn along(rows: &[u8], stride: usize, columns: &Columns, narrow: &mut [u8]) {
    // Loads extend into the next row, over pixels whose factor is 0. The last rows are copied to a buffer with room for that.
    let reach = columns.iter().map(|(bytes, _)| bytes.end).max().unwrap_or(0).max(stride);
    let inside = (rows.len() + stride).saturating_sub(reach) / stride / ROWS * ROWS;
    let mut last = rows[stride * inside..].to_vec();
    last.resize(last.len() + reach - stride, 0);

    let (inside_rows, last_rows) = narrow.split_at_mut(NARROW * inside);
    narrow_rows(rows, stride, columns, inside_rows);
    narrow_rows(&last, stride, columns, last_rows);
}

#[target_feature(enable = "avx2")]
fn narrow_rows(samples: &[u8], stride: usize, columns: &Columns, output: &mut [u8]) {
    let mut at = 0;
    let mut blocks = output.chunks_exact_mut(ROWS * NARROW);
    for block in &mut blocks {
        horizontal::<ROWS>(&samples[at..], stride, columns, block);
        at += ROWS * stride;
    }
    for row in blocks.into_remainder().chunks_exact_mut(NARROW) {
        horizontal::<1>(&samples[at..], stride, columns, row);
        at += stride;
    }
}

/// All columns of the first `N` rows of `samples`.
#[target_feature(enable = "avx2")]
fn horizontal<const N: usize>(samples: &[u8], stride: usize, columns: &Columns, output: &mut [u8]) {
    // Red, green and blue of two pixels side by side as 16 bits, for the first two and for the last two of a quad.
    let spread = _mm256_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, //
        6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
    );
    for (index, (bytes, quads)) in columns.iter().enumerate() {
        let mut pixels = [samples; N];
        for (row, pixels) in pixels.iter_mut().enumerate() {
            *pixels = &samples[stride * row..][bytes.clone()];
        }
        let mut high = [_mm256_setzero_si256(); N];
        let mut low = [_mm256_setzero_si256(); N];
        for (step, factors) in quads.iter().enumerate() {
            for row in 0..N {
                let quad = load_quad(pixels[row], step);
                let samples = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(quad), spread);
                high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(samples, factors.high));
                low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(samples, factors.low));
            }
        }
        for row in 0..N {
            let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high[row]), low[row]);
            let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let levels = _mm_srai_epi32::<{ FRACTION_BITS as i32 }>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)));
            // Packing clamps, first to 16 bits, which holds any level before the clamp, then to 0..=255.
            let levels = _mm_packus_epi16(_mm_packs_epi32(levels, levels), levels);
            let at = NARROW * row + 3 * index;
            // The fourth byte is overwritten by the next pixel, or is beyond the last.
            output[at..at + 4].copy_from_slice(&_mm_cvtsi128_si32(levels).to_le_bytes());
        }
    }
}

/// The vertical pass for one row of the window: two rows of `narrow` at a time.
#[target_feature(enable = "avx2")]
fn vertical(narrow: &[u8], pairs: &[Factors], output: &mut [u8]) {
    let zero = _mm256_setzero_si256();
    let (blocks, _) = output.as_chunks_mut::<BLOCK>();
    for (index, block) in blocks.iter_mut().enumerate() {
        let mut high = [zero; 4];
        let mut low = [_mm256_set1_epi32(HALF); 4];
        for (pair, factors) in pairs.iter().enumerate() {
            let at = 2 * NARROW * pair + BLOCK * index;
            let first = load_32(narrow[at..].first_chunk().unwrap());
            // If the number of rows is odd, the last pair has no second row; its factor is 0.
            let second = match narrow.get(at + NARROW..).and_then(<[u8]>::first_chunk) {
                Some(bytes) => load_32(bytes),
                None => zero,
            };
            let (front, back) = (_mm256_unpacklo_epi8(first, second), _mm256_unpackhi_epi8(first, second));
            let samples = [
                _mm256_unpacklo_epi8(front, zero),
                _mm256_unpackhi_epi8(front, zero),
                _mm256_unpacklo_epi8(back, zero),
                _mm256_unpackhi_epi8(back, zero),
            ];
            for lane in 0..4 {
                high[lane] = _mm256_add_epi32(high[lane], _mm256_madd_epi16(samples[lane], factors.high));
                low[lane] = _mm256_add_epi32(low[lane], _mm256_madd_epi16(samples[lane], factors.low));
            }
        }
        let mut levels = [zero; 4];
        for lane in 0..4 {
            let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high[lane]), low[lane]);
            levels[lane] = _mm256_srai_epi32::<{ FRACTION_BITS as i32 }>(sums);
        }
        // Reverses the unpacking, and clamps as above.
        let front = _mm256_packs_epi32(levels[0], levels[1]);
        let back = _mm256_packs_epi32(levels[2], levels[3]);
        store_32(block, _mm256_packus_epi16(front, back));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_quad(pixels: &[u8], step: usize) -> __m128i {
    load_16(pixels[3 * QUAD * step..].first_chunk().unwrap())
}

#[target_feature(enable = "avx2")]
fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: reads the 16 bytes of the array, at any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn load_32(bytes: &[u8; BLOCK]) -> __m256i {
    // SAFETY: reads the 32 bytes of the array, at any alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store_32(bytes: &mut [u8; BLOCK], value: __m256i) {
    // SAFETY: writes the 32 bytes of the array, at any alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), value) }
}
