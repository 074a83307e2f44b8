//! Mathematical functions of vectors.

use super::Simd;

/// The exponential function, within 2 ulp between -87 and 88, beyond which the argument is clamped.
///
/// Range reduction and polynomial are those of Cephes' `expf` (Stephen L. Moshier, `single/expf.c`).
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "as published")]
pub(in super::super) fn exp<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    let x = simd.min(simd.max(x, simd.splat(-87.0)), simd.splat(88.0));
    let n = simd.round(simd.multiply(x, simd.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first of which has few enough bits that its product with n is exact.
    let r = simd.multiply_add(n, simd.splat(-0.693_359_375), x);
    let r = simd.multiply_add(n, simd.splat(2.121_944_4e-4), r);
    let mut p = simd.splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = simd.multiply_add(p, r, simd.splat(coefficient));
    }
    let y = simd.multiply_add(simd.multiply(r, r), p, simd.add(r, simd.splat(1.0)));
    simd.scale(y, n)
}

/// `x / (1 + exp(-1.702 x))`, OpenAI's approximation of GELU.
#[inline(always)]
pub(in super::super) fn quick_gelu<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    let e = exp(simd, simd.multiply(x, simd.splat(-1.702)));
    simd.divide(x, simd.add(e, simd.splat(1.0)))
}
