//! AVX-512: sixteen lanes. Several types, since not every such processor can multiply bfloat16, tiles of it, or bytes.
#![allow(unsafe_code, reason = "vector instructions; a value of a type proves that the processor has them")]

use std::arch::x86_64::*;

use super::amx::Amx;
#[cfg(test)]
use super::soft_tiles::SoftTiles;
use super::{MultiplyBf16, MultiplyInt8, NoTiles, Simd, UPPER_HALF, UnpackBf16, Work};

macro_rules! avx512 {
    ($(#[$doc:meta])* $name:ident, [$($feature:tt)*]) => {
        avx512! { $(#[$doc])* $name, [$($feature)*], () = Some(()), NoTiles = |()| None }
    };
    (
        $(#[$doc:meta])* $name:ident, [$($feature:tt)*], $proof:ty = $detect:expr, $tiles:ty = $of:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(in super::super) struct $name($proof);

        impl $name {
            /// The instructions, if the processor has them.
            pub(in super::super) fn detect() -> Option<Self> {
                if true $(&& is_x86_feature_detected!($feature))* { $detect.map(Self) } else { None }
            }
        }

        // SAFETY of every block below: `self` exists, so `detect` has found the instructions. Memory is accessed through
        // slices whose length is checked.
        impl Simd for $name {
            type Floats = __m512;
            type Words = __m512i;
            type Tiles = $tiles;
            const LANES: usize = 16;
            // 24 sums, 3 of weights and 1 of an activation: 28 of 32 registers, and with 11 loads for 24 products the
            // multipliers are the limit.
            const TILE_ROWS: usize = 8;
            const TILE_VECTORS: usize = 3;

            #[inline(always)]
            fn tiles(self) -> Option<$tiles> {
                let of: fn($proof) -> Option<$tiles> = $of;
                of(self.0)
            }

            #[inline(always)]
            fn vectorize<W: Work<Self>>(self, work: W) -> W::Output {
                $(#[target_feature(enable = $feature)])*
                fn vectorized<W: Work<$name>>(simd: $name, work: W) -> W::Output {
                    work.run(simd)
                }
                unsafe { vectorized(self, work) }
            }

            #[inline(always)]
            fn splat(self, value: f32) -> __m512 {
                unsafe { _mm512_set1_ps(value) }
            }

            #[inline(always)]
            fn load(self, from: &[f32]) -> __m512 {
                unsafe { _mm512_loadu_ps(from[..Self::LANES].as_ptr()) }
            }

            #[inline(always)]
            fn store(self, to: &mut [f32], value: __m512) {
                unsafe { _mm512_storeu_ps(to[..Self::LANES].as_mut_ptr(), value) }
            }

            instructions! { __m512:
                add(a, b) = _mm512_add_ps;
                subtract(a, b) = _mm512_sub_ps;
                multiply(a, b) = _mm512_mul_ps;
                multiply_add(a, b, c) = _mm512_fmadd_ps;
                max(a, b) = _mm512_max_ps;
                min(a, b) = _mm512_min_ps;
            }

            #[inline(always)]
            fn divide(self, a: __m512, b: __m512) -> __m512 {
                // An estimate of 14 bits and a step of Newton's method: a third of what a division takes.
                unsafe {
                    let estimate = _mm512_rcp14_ps(b);
                    let error = _mm512_fnmadd_ps(b, estimate, _mm512_set1_ps(1.0));
                    _mm512_mul_ps(a, _mm512_fmadd_ps(estimate, error, estimate))
                }
            }

            #[inline(always)]
            fn round(self, a: __m512) -> __m512 {
                unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
            }

            #[inline(always)]
            fn scale(self, a: __m512, n: __m512) -> __m512 {
                unsafe { _mm512_scalef_ps(a, n) }
            }

            #[inline(always)]
            fn sum(self, a: __m512) -> f32 {
                unsafe { _mm512_reduce_add_ps(a) }
            }

            #[inline(always)]
            fn largest(self, a: __m512) -> f32 {
                unsafe { _mm512_reduce_max_ps(a) }
            }

            #[inline(always)]
            fn absolute(self, a: __m512) -> __m512 {
                unsafe { _mm512_abs_ps(a) }
            }

            #[inline(always)]
            fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
                let mut rows = [self.splat(0.0); 16];
                for (index, row) in rows.iter_mut().enumerate() {
                    *row = self.load(&from[index * from_stride..]);
                }
                // Squares of 2, then of 4, within each quarter of the registers; then quarters change places.
                unsafe {
                    let mut pairs = rows;
                    for at in (0..16).step_by(2) {
                        pairs[at] = _mm512_unpacklo_ps(rows[at], rows[at + 1]);
                        pairs[at + 1] = _mm512_unpackhi_ps(rows[at], rows[at + 1]);
                    }
                    let mut fours = rows;
                    for at in (0..16).step_by(4) {
                        fours[at] = _mm512_shuffle_ps::<0x44>(pairs[at], pairs[at + 2]);
                        fours[at + 1] = _mm512_shuffle_ps::<0xEE>(pairs[at], pairs[at + 2]);
                        fours[at + 2] = _mm512_shuffle_ps::<0x44>(pairs[at + 1], pairs[at + 3]);
                        fours[at + 3] = _mm512_shuffle_ps::<0xEE>(pairs[at + 1], pairs[at + 3]);
                    }
                    for column in 0..4 {
                        let [a, b, c, d] = [fours[column], fours[column + 4], fours[column + 8], fours[column + 12]];
                        let even = _mm512_shuffle_f32x4::<0x88>(a, b);
                        let odd = _mm512_shuffle_f32x4::<0xDD>(a, b);
                        let later_even = _mm512_shuffle_f32x4::<0x88>(c, d);
                        let later_odd = _mm512_shuffle_f32x4::<0xDD>(c, d);
                        rows[column] = _mm512_shuffle_f32x4::<0x88>(even, later_even);
                        rows[column + 4] = _mm512_shuffle_f32x4::<0x88>(odd, later_odd);
                        rows[column + 8] = _mm512_shuffle_f32x4::<0xDD>(even, later_even);
                        rows[column + 12] = _mm512_shuffle_f32x4::<0xDD>(odd, later_odd);
                    }
                }
                for (index, &row) in rows.iter().enumerate() {
                    self.store(&mut to[index * to_stride..], row);
                }
            }

            #[inline(always)]
            fn load_words(self, from: &[u32]) -> __m512i {
                unsafe { _mm512_loadu_si512(from[..Self::LANES].as_ptr().cast()) }
            }

            #[inline(always)]
            fn splat_word(self, word: u32) -> __m512i {
                unsafe { _mm512_set1_epi32(word as i32) }
            }

            #[inline(always)]
            fn floats(self, words: __m512i) -> __m512 {
                unsafe { _mm512_castsi512_ps(words) }
            }

            #[inline(always)]
            fn convert(self, words: __m512i) -> __m512 {
                unsafe { _mm512_cvtepi32_ps(words) }
            }

            #[inline(always)]
            fn prefetch<T>(self, from: &[T], at: usize) {
                // A prefetch of any address is harmless.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) }
            }
        }
    };
}

avx512!(
    /// For f32, and for bfloat16 unpacked to it.
    Avx512,
    ["avx512f" "avx512bw" "avx512dq" "avx512vl"]
);
avx512!(
    /// For bfloat16.
    Avx512Bf16,
    ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512bf16"]
);
avx512!(
    /// For bfloat16 in tiles.
    Avx512Amx,
    ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512bf16"],
    Amx = Amx::detect(), Amx = Some
);
#[cfg(test)]
avx512!(
    /// For bfloat16 in tiles, on processors without them.
    Avx512SoftTiles,
    ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512bf16"],
    SoftTiles = Some(SoftTiles), SoftTiles = Some
);
avx512!(
    /// For bytes.
    Avx512Vnni,
    ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"]
);

/// bfloat16 by the instructions for it.
macro_rules! native_bf16 {
    ($($name:ident)+) => {$(
        impl MultiplyBf16 for $name {
            #[inline(always)]
            fn dot_bf16(self, sums: __m512, a: __m512i, b: __m512i) -> __m512 {
                // SAFETY: `self` exists. Both types are 64 bytes of which every pattern is valid.
                unsafe {
                    let pairs = |words| std::mem::transmute::<__m512i, __m512bh>(words);
                    _mm512_dpbf16_ps(sums, pairs(a), pairs(b))
                }
            }

            #[inline(always)]
            fn store_bf16(self, to: &mut [u32], value: __m512) {
                // SAFETY: `self` exists, and the slice has been checked. Both types are 32 bytes of which every pattern is
                // valid.
                unsafe {
                    let halves = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value));
                    _mm256_storeu_si256(to[..Self::LANES / 2].as_mut_ptr().cast(), halves);
                }
            }
        }
    )+};
}

native_bf16!(Avx512Bf16 Avx512Amx);
#[cfg(test)]
native_bf16!(Avx512SoftTiles);

// SAFETY of the blocks below: `self` exists.
impl UnpackBf16 for Avx512 {
    #[inline(always)]
    fn low(self, words: __m512i) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)) }
    }

    #[inline(always)]
    fn high(self, words: __m512i) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(UPPER_HALF))) }
    }

    #[inline(always)]
    fn round_bf16(self, value: __m512) -> __m512 {
        unsafe {
            let bits = _mm512_castps_si512(value);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
            _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(UPPER_HALF)))
        }
    }
}

impl MultiplyInt8 for Avx512Vnni {
    #[inline(always)]
    fn dot_int8(self, sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` exists.
        unsafe { _mm512_dpbusd_epi32(sums, a, b) }
    }

    #[inline(always)]
    fn store_bytes(self, to: &mut [u32], value: __m512) {
        // SAFETY: `self` exists, and the slice has been checked.
        unsafe {
            let integers = _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(128));
            _mm_storeu_si128(to[..Self::LANES / 4].as_mut_ptr().cast(), _mm512_cvtepi32_epi8(integers));
        }
    }
}
