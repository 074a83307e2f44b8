//! Vectors of f32 behind a type that proves that the processor has the instructions.
//!
//! A [`Simd`] value can only be created by its `detect`, so its methods are safe to call. All of them are `#[inline(always)]`
//! and become single instructions only inside [`Simd::vectorize`], which enters a function compiled with those instructions;
//! elsewhere they would be calls.

/// Methods that are one instruction each, on vectors of type `$vector`.
#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($vector:ty: $($method:ident($($argument:ident),+) = $instruction:ident;)+) => {$(
        #[inline(always)]
        fn $method(self, $($argument: $vector),+) -> $vector {
            // SAFETY: `self` exists, so the processor has the instruction, which accesses no memory.
            unsafe { $instruction($($argument),+) }
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod math;
#[cfg(test)]
mod soft_tiles;
mod tiles;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(all(test, target_arch = "x86_64"))]
pub(super) use avx512::Avx512SoftTiles;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::{Avx512, Avx512Amx, Avx512Bf16, Avx512Vnni};
pub(super) use math::{exp, quick_gelu};
pub(super) use tiles::{NoTiles, Operand, Session, Sums, TILE, Tiles};

/// Work to be compiled with a processor's vector instructions.
pub(super) trait Work<S> {
    /// The result.
    type Output;

    /// Does the work. It and everything it calls must be `#[inline(always)]`.
    fn run(self, simd: S) -> Self::Output;
}

/// A processor's vector instructions. Slices for a vector must have at least [`LANES`](Self::LANES) numbers.
pub(super) trait Simd: Copy + Send + Sync + 'static {
    /// A vector of f32.
    type Floats: Copy;
    /// A vector of 32-bit words: the numbers that a product multiplies.
    type Words: Copy;
    /// The matrix instructions that belong to it.
    type Tiles: Tiles;
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows of a tile whose sums, with [`TILE_VECTORS`](Self::TILE_VECTORS) vectors per row, fit the registers.
    const TILE_ROWS: usize;
    /// Vectors in a row of a tile.
    const TILE_VECTORS: usize;

    /// The matrix instructions, if it has any. Then formats of bfloat16 multiply by them, and vectors have sixteen numbers.
    fn tiles(self) -> Option<Self::Tiles>;

    /// Runs `work` compiled with the instructions.
    fn vectorize<W: Work<Self>>(self, work: W) -> W::Output;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Floats;
    /// Loads the first numbers of `from`.
    fn load(self, from: &[f32]) -> Self::Floats;
    /// Stores to the first numbers of `to`.
    fn store(self, to: &mut [f32], value: Self::Floats);
    /// `a + b`
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a - b`
    fn subtract(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b`
    fn multiply(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a / b` within 2 ulp, for `b` of at least 1.
    fn divide(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once.
    fn multiply_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// The larger of each pair.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The smaller of each pair.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// To the nearest whole number, ties to even.
    fn round(self, a: Self::Floats) -> Self::Floats;
    /// `a * 2^n` for whole `n` from -126 to 127.
    fn scale(self, a: Self::Floats, n: Self::Floats) -> Self::Floats;
    /// The sum of the lanes.
    fn sum(self, a: Self::Floats) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::Floats) -> f32;
    /// The absolute values.
    fn absolute(self, a: Self::Floats) -> Self::Floats;

    /// Transposes a square of [`LANES`](Self::LANES) by `LANES` numbers, with rows `from_stride` apart in `from` and `to_stride`
    /// apart in `to`.
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize);

    /// Loads the first words of `from`.
    fn load_words(self, from: &[u32]) -> Self::Words;
    /// `word` in every lane.
    fn splat_word(self, word: u32) -> Self::Words;
    /// The words, reinterpreted as f32.
    fn floats(self, words: Self::Words) -> Self::Floats;
    /// The words, converted from signed integers.
    fn convert(self, words: Self::Words) -> Self::Floats;
    /// Prefetches the cache line at `from[at..]`; any index is allowed.
    fn prefetch<T>(self, from: &[T], at: usize);
}

/// Instructions that multiply pairs of bfloat16.
pub(super) trait MultiplyBf16: Simd {
    /// `sums + a.low * b.low + a.high * b.high` in each lane.
    fn dot_bf16(self, sums: Self::Floats, a: Self::Words, b: Self::Words) -> Self::Floats;
    /// Rounds to bfloat16, ties to even, two numbers per word, the first in the low half: `LANES / 2` words. Subnormal
    /// numbers may become zero.
    fn store_bf16(self, to: &mut [u32], value: Self::Floats);
}

/// Whether the processor multiplies bfloat16 faster than f32, if it has instructions for both: AMD's twice as fast since Zen 4,
/// Intel's half as fast (measured on a Xeon of 2024: one `vdpbf16ps` in two cycles, whatever its width).
#[cfg(target_arch = "x86_64")]
pub(super) fn multiplies_bf16_fast() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

/// Instructions that turn bfloat16 into f32. A bfloat16 is the upper half of an f32.
pub(super) trait UnpackBf16: Simd {
    /// The lower half of each word.
    fn low(self, words: Self::Words) -> Self::Floats;
    /// The upper half of each word.
    fn high(self, words: Self::Words) -> Self::Floats;
    /// Rounds to bfloat16, ties to even.
    fn round_bf16(self, value: Self::Floats) -> Self::Floats;
}

/// The bits of an f32 that are a bfloat16.
#[cfg(target_arch = "x86_64")]
const UPPER_HALF: i32 = 0xFFFF_0000_u32 as i32;

/// Instructions that multiply fours of bytes.
pub(super) trait MultiplyInt8: Simd {
    /// `sums + Σ a[i] * b[i]` over the four bytes of each lane, those of `a` unsigned, those of `b` signed; sums are i32.
    fn dot_int8(self, sums: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Rounds numbers from -127 to 127, ties to even, and adds 128: one byte per number, `LANES / 4` words.
    fn store_bytes(self, to: &mut [u32], value: Self::Floats);
}

#[cfg(test)]
mod tests;
