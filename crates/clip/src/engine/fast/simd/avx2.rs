//! AVX2 with FMA: eight lanes, on every server processor of the last ten years.
#![allow(unsafe_code, reason = "vector instructions; a value of the type proves that the processor has them")]

use std::arch::x86_64::*;

use super::{NoTiles, Simd, UPPER_HALF, UnpackBf16, Work};

/// For f32, and for bfloat16 converted to it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// The instructions, if the processor has them.
    pub(in super::super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

// SAFETY of every block below: `self` exists, so `detect` has found the instructions. Memory is accessed through slices whose
// length is checked.
impl Simd for Avx2 {
    type Floats = __m256;
    type Words = __m256i;
    type Tiles = NoTiles;
    const LANES: usize = 8;
    // 12 sums, 2 of weights and 1 of an activation: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    fn tiles(self) -> Option<NoTiles> {
        None
    }

    #[inline(always)]
    fn vectorize<W: Work<Self>>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx2,fma")]
        fn vectorized<W: Work<Avx2>>(simd: Avx2, work: W) -> W::Output {
            work.run(simd)
        }
        unsafe { vectorized(self, work) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        unsafe { _mm256_loadu_ps(from[..Self::LANES].as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], value: __m256) {
        unsafe { _mm256_storeu_ps(to[..Self::LANES].as_mut_ptr(), value) }
    }

    instructions! { __m256:
        add(a, b) = _mm256_add_ps;
        subtract(a, b) = _mm256_sub_ps;
        multiply(a, b) = _mm256_mul_ps;
        divide(a, b) = _mm256_div_ps;
        multiply_add(a, b, c) = _mm256_fmadd_ps;
        max(a, b) = _mm256_max_ps;
        min(a, b) = _mm256_min_ps;
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        // 2^n by its exponent field.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn absolute(self, a: __m256) -> __m256 {
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        let mut rows = [self.splat(0.0); 8];
        for (index, row) in rows.iter_mut().enumerate() {
            *row = self.load(&from[index * from_stride..]);
        }
        // Squares of 2, then of 4, within each half of the registers; then halves change places.
        unsafe {
            let mut pairs = rows;
            for at in (0..8).step_by(2) {
                pairs[at] = _mm256_unpacklo_ps(rows[at], rows[at + 1]);
                pairs[at + 1] = _mm256_unpackhi_ps(rows[at], rows[at + 1]);
            }
            let mut fours = rows;
            for at in (0..8).step_by(4) {
                fours[at] = _mm256_shuffle_ps::<0x44>(pairs[at], pairs[at + 2]);
                fours[at + 1] = _mm256_shuffle_ps::<0xEE>(pairs[at], pairs[at + 2]);
                fours[at + 2] = _mm256_shuffle_ps::<0x44>(pairs[at + 1], pairs[at + 3]);
                fours[at + 3] = _mm256_shuffle_ps::<0xEE>(pairs[at + 1], pairs[at + 3]);
            }
            for column in 0..4 {
                rows[column] = _mm256_permute2f128_ps::<0x20>(fours[column], fours[column + 4]);
                rows[column + 4] = _mm256_permute2f128_ps::<0x31>(fours[column], fours[column + 4]);
            }
        }
        for (index, &row) in rows.iter().enumerate() {
            self.store(&mut to[index * to_stride..], row);
        }
    }

    #[inline(always)]
    fn load_words(self, from: &[u32]) -> __m256i {
        unsafe { _mm256_loadu_si256(from[..Self::LANES].as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat_word(self, word: u32) -> __m256i {
        unsafe { _mm256_set1_epi32(word as i32) }
    }

    #[inline(always)]
    fn floats(self, words: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(words) }
    }

    #[inline(always)]
    fn convert(self, words: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(words) }
    }

    #[inline(always)]
    fn prefetch<T>(self, from: &[T], at: usize) {
        // A prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) }
    }
}

impl UnpackBf16 for Avx2 {
    #[inline(always)]
    fn low(self, words: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)) }
    }

    #[inline(always)]
    fn high(self, words: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(UPPER_HALF))) }
    }

    #[inline(always)]
    fn round_bf16(self, value: __m256) -> __m256 {
        unsafe {
            let bits = _mm256_castps_si256(value);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
            _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(UPPER_HALF)))
        }
    }
}
