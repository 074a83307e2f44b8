//! Every format on every kind of kernel that this processor supports, against plain loops in f64 or in integers.

use std::collections::HashMap;

use half::bf16;
use proptest::prelude::*;

use super::*;
use crate::engine::fast::format::{Bf16, F32, GROUP, Int8, UnpackedBf16};
use crate::engine::fast::layout::{Layout, Norm, Product, TowerLayout};
use crate::engine::fast::pack;
#[cfg(target_arch = "x86_64")]
use crate::engine::fast::simd::{Avx2, Avx512, Avx512Amx, Avx512Bf16, Avx512SoftTiles, Avx512Vnni};

/// A check of one format.
trait Trial {
    fn run<F: Format>(&self, simd: F::Simd);
}

fn with_every_format(trial: &impl Trial) {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = Avx2::detect() {
            trial.run::<F32<_>>(simd);
            trial.run::<UnpackedBf16<_>>(simd);
        }
        if let Some(simd) = Avx512::detect() {
            trial.run::<F32<_>>(simd);
            trial.run::<UnpackedBf16<_>>(simd);
        }
        if let Some(simd) = Avx512Bf16::detect() {
            trial.run::<Bf16<_>>(simd);
        }
        if let Some(simd) = Avx512SoftTiles::detect() {
            trial.run::<Bf16<_>>(simd);
        }
        if let Some(simd) = Avx512Amx::detect() {
            trial.run::<Bf16<_>>(simd);
        }
        if let Some(simd) = Avx512Vnni::detect() {
            trial.run::<Int8<_>>(simd);
        }
    }
}

/// Pseudo-random numbers from -1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|index| {
            let mixed =
                (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93));
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            ((mixed >> 40) as f32 / (1 << 23) as f32) - 1.0
        })
        .collect()
}

struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    threads: usize,
}

/// The weights of one product, packed.
fn packed(case: &Case, kind: Kind, weights: &[f32], bias: &[f32]) -> (Buffer<u32>, Product) {
    // A layout with this product alone.
    let panels = layout::panels(case.outputs);
    let scales = panels * kind.groups(case.inputs) * PANEL;
    let mut at = 0;
    let mut next = |count: usize| {
        let part = at..at + count;
        at = part.end.next_multiple_of(16);
        part
    };
    let product = Product {
        kind,
        inputs: case.inputs,
        outputs: case.outputs,
        words: next(panels * case.inputs / kind.per_word() * PANEL),
        bias: next(panels * PANEL),
        scales: next(scales),
        starts: next(scales),
    };
    let tensors = HashMap::from([("p.weight".to_owned(), weights.to_vec()), ("p.bias".to_owned(), bias.to_vec())]);
    (pack::pack_product(&product, at, &tensors, "p"), product)
}

fn activations<F: Format>(simd: F::Simd, case: &Case, values: &[f32]) -> Activations {
    struct Encode<'a, F> {
        output: &'a ActivationParts<'a>,
        values: &'a [f32],
        row: usize,
        format: PhantomData<F>,
    }
    impl<F: Format> Work<F::Simd> for Encode<'_, F> {
        type Output = ();

        #[allow(unsafe_code, reason = "one thread")]
        fn run(self, simd: F::Simd) {
            // SAFETY: the only thread.
            unsafe { self.output.encode::<F>(simd, self.row, 0, self.values) }
        }
    }
    let mut activations = Activations::new(F::ACTIVATIONS, case.inputs);
    activations.reserve(case.rows);
    let output = activations.parts();
    for (row, values) in values.chunks_exact(case.inputs).enumerate() {
        simd.vectorize(Encode { output: &output, values, row, format: PhantomData::<F> });
    }
    activations
}

/// A number as stored in a format without scales.
fn rounded(kind: Kind, value: f32) -> f64 {
    match kind {
        Kind::Bf16 => bf16::from_f32(value).to_f64(),
        _ => f64::from(value),
    }
}

/// The numbers of a group as stored in int8, times their scale.
fn quantised(values: &[f32]) -> Vec<f64> {
    values
        .chunks(GROUP)
        .flat_map(|group| {
            let largest = group.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            group.iter().map(move |value| f64::from((value * inverse).round_ties_even()) * f64::from(largest / 127.0))
        })
        .collect()
}

fn expected(case: &Case, kind: Kind, rows: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
    let as_computed = |values: &[f32]| -> Vec<f64> {
        match kind {
            Kind::Int8 => quantised(values),
            _ => values.iter().map(|&value| rounded(kind, value)).collect(),
        }
    };
    let mut results = Vec::with_capacity(case.rows * case.outputs);
    for row in rows.chunks_exact(case.inputs) {
        let row = as_computed(row);
        for (weights, bias) in weights.chunks_exact(case.inputs).zip(bias) {
            let products = row.iter().zip(as_computed(weights)).map(|(a, b)| a * b);
            results.push(products.sum::<f64>() + f64::from(*bias));
        }
    }
    results
}

impl Trial for Case {
    fn run<F: Format>(&self, simd: F::Simd) {
        let rows = numbers(self.rows * self.inputs, 1);
        let weights = numbers(self.outputs * self.inputs, 2);
        let bias = numbers(self.outputs, 3);
        let (storage, product) = packed(self, F::KIND, &weights, &bias);
        let weights_view = Weights::new(&storage, &product);
        let activations = activations::<F>(simd, self, &rows);
        let pool = Pool::new(std::num::NonZeroUsize::new(self.threads).unwrap()).unwrap();
        let expected = expected(self, F::KIND, &rows, &weights, &bias);
        let stride = layout::panels(self.outputs) * PANEL + 16;
        let tolerance = 1e-5 * (self.inputs as f64).sqrt();
        let gelu = |x: f64| x / (1.0 + (-1.702 * x).exp());

        // A mark in every element reveals missing writes, and writes beyond the panels.
        let mark = 7.0;
        type After<'a> = (&'a str, for<'b> fn(Parts<'b, f32>) -> Target<'b>, Box<dyn Fn(f64) -> f64>);
        let ways: [After<'_>; 3] = [
            ("store", |parts| Target::Store(parts), Box::new(|sum| sum)),
            ("add", |parts| Target::Add(parts), Box::new(move |sum| sum + mark)),
            ("gelu", |parts| Target::Gelu(parts), Box::new(gelu)),
        ];
        for (name, target, after) in ways {
            let mut output = vec![mark as f32; self.rows * stride];
            let target = target(Parts::new(&mut output, stride));
            pool.run(|| multiply::<F>(simd, &pool, &activations, self.rows, weights_view, &target));
            for (row, (found, expected)) in
                output.chunks_exact(stride).zip(expected.chunks_exact(self.outputs)).enumerate()
            {
                for (column, (&found, &expected)) in found.iter().zip(expected).enumerate() {
                    let expected = after(expected);
                    assert!(
                        (f64::from(found) - expected).abs() <= tolerance,
                        "{:?} {name}, {} x {} x {}: row {row}, column {column} is {found}, expected {expected}",
                        F::KIND,
                        self.rows,
                        self.inputs,
                        self.outputs,
                    );
                }
                assert!(found[stride - 16..].iter().all(|&value| f64::from(value) == mark), "{name} wrote beyond");
            }
        }
        if F::KIND == Kind::Int8 {
            return;
        }

        let mut next = Activations::new(F::ACTIVATIONS, self.outputs);
        next.reserve(self.rows);
        let target = Target::GeluEncoded(next.parts());
        pool.run(|| multiply::<F>(simd, &pool, &activations, self.rows, weights_view, &target));
        for (row, expected) in expected.chunks_exact(self.outputs).enumerate() {
            for (column, &expected) in expected.iter().enumerate() {
                let found = match (F::ACTIVATIONS, next.row(row).words[column / F::ACTIVATIONS.per_word()]) {
                    (Kind::Bf16, word) => bf16::from_bits((word >> (16 * (column % 2))) as u16).to_f64(),
                    (_, word) => f64::from(f32::from_bits(word)),
                };
                // Half a unit of bfloat16's last place, on top of the product's own error.
                let rounding = if F::KIND == Kind::Bf16 { gelu(expected).abs() / 256.0 } else { 0.0 };
                let error = (found - gelu(expected)).abs();
                assert!(error <= tolerance + rounding, "{:?}: row {row}, column {column} is {found}", F::KIND);
            }
        }
    }
}

#[test]
fn every_height_of_a_tile() {
    for rows in (1..=17).chain([50]) {
        with_every_format(&Case { rows, inputs: 128, outputs: 96, threads: 1 });
    }
}

#[test]
fn every_width_of_the_last_panel() {
    for outputs in [1, 15, 16, 17, 31, 47, 48, 49, 64, 95, 97] {
        with_every_format(&Case { rows: 5, inputs: 64, outputs, threads: 1 });
    }
}

#[test]
fn more_rows_than_a_chunk_on_several_threads() {
    for rows in [CHUNK - 1, CHUNK + CHUNK / 2, 2 * CHUNK + 3] {
        with_every_format(&Case { rows, inputs: 64, outputs: 144, threads: 3 });
    }
}

#[test]
fn the_widest_product_of_the_model() {
    with_every_format(&Case { rows: 9, inputs: 3072, outputs: 768, threads: 2 });
}

/// The bits of a row's results do not depend on the other rows or on the number of threads.
#[test]
fn rows_are_independent() {
    const INPUTS: usize = 1536;
    const OUTPUTS: usize = 144;

    struct Rows;
    impl Trial for Rows {
        fn run<F: Format>(&self, simd: F::Simd) {
            let weights = numbers(OUTPUTS * INPUTS, 2);
            let bias = numbers(OUTPUTS, 3);
            let products = |rows: &[f32], threads: usize| {
                let case = Case { rows: rows.len() / INPUTS, inputs: INPUTS, outputs: OUTPUTS, threads };
                let (storage, product) = packed(&case, F::KIND, &weights, &bias);
                let activations = activations::<F>(simd, &case, rows);
                let pool = Pool::new(std::num::NonZeroUsize::new(threads).unwrap()).unwrap();
                let mut output = vec![0.0; case.rows * OUTPUTS];
                let target = Target::Add(Parts::new(&mut output, OUTPUTS));
                let weights = Weights::new(&storage, &product);
                pool.run(|| multiply::<F>(simd, &pool, &activations, case.rows, weights, &target));
                output
            };
            let rows = numbers(37 * INPUTS, 1);
            let together = products(&rows, 3);
            for row in [0, 15, 16, 31, 32, 36] {
                let alone = products(&rows[row * INPUTS..][..INPUTS], 1);
                let found = &together[row * OUTPUTS..][..OUTPUTS];
                let is_equal = found.iter().zip(&alone).all(|(found, alone)| found.to_bits() == alone.to_bits());
                assert!(is_equal, "{:?} by {}: row {row}", F::KIND, std::any::type_name::<F::Simd>());
            }
        }
    }
    with_every_format(&Rows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_shape(rows in 1..70usize, groups in 1..6usize, outputs in 1..200usize, threads in 1..4usize) {
        with_every_format(&Case { rows, inputs: groups * GROUP, outputs, threads });
    }
}

/// Sums of products of bytes are integers and exact before scaling, even the largest possible.
#[test]
fn sums_of_bytes_are_exact() {
    struct Extremes;
    impl Trial for Extremes {
        fn run<F: Format>(&self, simd: F::Simd) {
            if F::KIND != Kind::Int8 {
                return;
            }
            for (left, right) in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (0.0, 1.0), (1.0, 0.0)] {
                let case = Case { rows: 3, inputs: 3072, outputs: 48, threads: 1 };
                let rows = vec![left; case.rows * case.inputs];
                let (storage, product) =
                    packed(&case, F::KIND, &vec![right; case.outputs * case.inputs], &vec![0.0; case.outputs]);
                let activations = activations::<F>(simd, &case, &rows);
                let pool = Pool::new(std::num::NonZeroUsize::MIN).unwrap();
                let mut output = vec![7.0; case.rows * PANEL];
                let target = Target::Store(Parts::new(&mut output, PANEL));
                multiply::<F>(simd, &pool, &activations, case.rows, Weights::new(&storage, &product), &target);
                let expected = left * right * case.inputs as f32;
                assert!(output.iter().all(|value| (value - expected).abs() <= 1e-3), "{left} {right}: {}", output[0]);
            }
        }
    }
    with_every_format(&Extremes);
}

#[test]
fn the_parts_of_a_layout_lie_one_after_the_other() {
    let architecture =
        crate::architecture::Architecture::from_json(br#"{"text_config": {}, "vision_config": {}}"#).unwrap();
    for kind in [Kind::F32, Kind::Bf16, Kind::Int8] {
        let layout = Layout::new(&architecture, kind);
        let norm = |norm: &Norm| vec![norm.gain.clone(), norm.shift.clone()];
        let product = |product: &Product| {
            vec![product.words.clone(), product.bias.clone(), product.scales.clone(), product.starts.clone()]
        };
        let tower = |tower: &TowerLayout| {
            let mut parts = vec![tower.positions.clone()];
            for layer in &tower.layers {
                parts.extend(norm(&layer.before_attention));
                parts.extend(product(&layer.attention));
                parts.extend(product(&layer.after_attention));
                parts.extend(norm(&layer.before_perceptron));
                parts.extend(product(&layer.widen));
                parts.extend(product(&layer.narrow));
            }
            parts.extend(norm(&tower.last));
            parts.extend(product(&tower.projection));
            parts
        };
        let mut parts = vec![layout.class.clone()];
        parts.extend(product(&layout.patches));
        parts.extend(norm(&layout.before_vision));
        parts.extend(tower(&layout.vision));
        parts.push(layout.tokens.clone());
        parts.extend(tower(&layout.text));
        let mut end = 0;
        for part in parts {
            assert!(part.start >= end && part.start - end < 16 && part.start % 16 == 0, "{part:?} after {end}");
            end = part.end;
        }
        assert_eq!(end.next_multiple_of(16), layout.length);
    }
}
