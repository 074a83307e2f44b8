use half::bf16;

use super::*;

struct Operations;

impl<S: Simd> Work<S> for Operations {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let lanes = S::LANES;
        let values: Vec<f32> = (0..lanes).map(|lane| lane as f32 * 1.5 - 5.25).collect();
        let vector = simd.load(&values);
        let numbers = |vector: S::Floats| {
            let mut numbers = vec![0.0; lanes];
            simd.store(&mut numbers, vector);
            numbers
        };
        assert_eq!(numbers(vector), values);
        assert_eq!(simd.sum(vector), values.iter().sum::<f32>());
        assert_eq!(simd.largest(vector), values[lanes - 1]);
        assert_eq!(simd.largest(simd.multiply(vector, simd.splat(-1.0))), 5.25);
        assert_eq!(numbers(simd.absolute(vector)), values.iter().map(|value| value.abs()).collect::<Vec<_>>());
        assert_eq!(numbers(simd.round(vector)), values.iter().map(|value| value.round_ties_even()).collect::<Vec<_>>());
        assert_eq!(numbers(simd.scale(vector, simd.splat(-3.0))), values.iter().map(|v| v / 8.0).collect::<Vec<_>>());
        let integers: Vec<u32> = (0..lanes).map(|lane| (lane as i32 * 1000 - 3500) as u32).collect();
        let converted = numbers(simd.convert(simd.load_words(&integers)));
        assert_eq!(converted, integers.iter().map(|&word| word as i32 as f32).collect::<Vec<_>>());

        for value in (1..4000).map(|step| step as f32 * 0.37) {
            let found = numbers(simd.divide(simd.splat(-2.5), simd.splat(1.0 + value)))[0];
            let expected = -2.5 / (1.0 + f64::from(value));
            assert!((f64::from(found) / expected - 1.0).abs() < 3e-7, "-2.5 / {}: {found}", 1.0 + value);
        }
        assert!(numbers(quick_gelu(simd, simd.splat(-1000.0)))[0].abs() < 1e-30);
        assert_eq!(numbers(quick_gelu(simd, simd.splat(1000.0)))[0], 1000.0);

        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let found = f64::from(numbers(exp(simd, simd.splat(x)))[0]);
            let expected = f64::from(x).exp();
            assert!((found / expected - 1.0).abs() < 3e-7, "exp({x}) is {found}, expected {expected}");
        }

        let (from_stride, to_stride) = (lanes + 3, lanes + 5);
        let from: Vec<f32> = (0..lanes * from_stride).map(|at| at as f32).collect();
        let mut to = vec![-1.0; lanes * to_stride];
        simd.transpose(&from, from_stride, &mut to, to_stride);
        for (at, &found) in to.iter().enumerate() {
            let (row, column) = (at / to_stride, at % to_stride);
            let expected = if column < lanes { (column * from_stride + row) as f32 } else { -1.0 };
            assert_eq!(found, expected);
        }
    }
}

/// Every pattern of the bits that rounding looks at, in several exponents.
struct Rounding;

/// Rounds a vector to words of two bfloat16.
trait Rounds: Simd {
    fn words(self, values: &[f32], words: &mut [u32]);
}

#[cfg(target_arch = "x86_64")]
impl Rounds for Avx512Bf16 {
    #[inline(always)]
    fn words(self, values: &[f32], words: &mut [u32]) {
        self.store_bf16(words, self.load(values));
    }
}

/// Instructions that round to f32, whose upper halves are the bfloat16.
macro_rules! rounds {
    ($($name:ident)+) => {$(
        #[cfg(target_arch = "x86_64")]
        impl Rounds for $name {
            #[inline(always)]
            fn words(self, values: &[f32], words: &mut [u32]) {
                let mut rounded = [0.0; $name::LANES];
                self.store(&mut rounded, self.round_bf16(self.load(values)));
                for (word, [low, high]) in words.iter_mut().zip(rounded.map(f32::to_bits).as_chunks().0) {
                    assert_eq!((low | high) & 0xFFFF, 0);
                    *word = low >> 16 | high;
                    let both = self.splat_word(*word);
                    for (half, expected) in [(self.low(both), low), (self.high(both), high)] {
                        let mut found = [0.0; $name::LANES];
                        self.store(&mut found, half);
                        assert_eq!(found.map(f32::to_bits), [*expected; $name::LANES]);
                    }
                }
            }
        }
    )+};
}

rounds!(Avx2 Avx512);

impl<S: Rounds> Work<S> for Rounding {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        for exponent in [1, 90, 127, 200, 254] {
            for mantissa in (0..1 << 23).step_by(S::LANES * 61) {
                let values: Vec<f32> = (0..S::LANES as u32)
                    .map(|lane| {
                        f32::from_bits((lane % 2) << 31 | exponent << 23 | ((mantissa + 61 * lane) & 0x7F_FFFF))
                    })
                    .collect();
                let mut words = vec![0; S::LANES / 2];
                simd.words(&values, &mut words);
                for (word, pair) in words.iter().zip(values.chunks(2)) {
                    let [low, high] = [pair[0], pair[1]].map(|value| u32::from(bf16::from_f32(value).to_bits()));
                    assert_eq!(*word, low | high << 16, "{pair:?}");
                }
            }
        }
    }
}

#[test]
fn operations() {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = Avx2::detect() {
            simd.vectorize(Operations);
        }
        if let Some(simd) = Avx512::detect() {
            simd.vectorize(Operations);
        }
    }
}

#[test]
fn rounding_to_bfloat16() {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = Avx2::detect() {
            simd.vectorize(Rounding);
        }
        if let Some(simd) = Avx512::detect() {
            simd.vectorize(Rounding);
        }
        if let Some(simd) = Avx512Bf16::detect() {
            simd.vectorize(Rounding);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn bytes() {
    struct Bytes;
    impl Work<Avx512Vnni> for Bytes {
        type Output = ();

        fn run(self, simd: Avx512Vnni) {
            for first in (-127..=112).step_by(1) {
                let values: Vec<f32> = (0..16).map(|lane| (first + lane) as f32 - 0.5 * (lane % 2) as f32).collect();
                let mut words = [0u32; 4];
                simd.store_bytes(&mut words, simd.load(&values));
                let found: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let expected: Vec<u8> = values.iter().map(|v| (v.round_ties_even() as i32 + 128) as u8).collect();
                assert_eq!(found, expected);
            }
        }
    }
    if let Some(simd) = Avx512Vnni::detect() {
        simd.vectorize(Bytes);
    }
}
