use half::bf16;
use proptest::prelude::*;

use super::*;
use crate::engine::fast::format::{Bf16, F32, Kind, UnpackedBf16};
use crate::engine::fast::product::Activations;
#[cfg(target_arch = "x86_64")]
use crate::engine::fast::simd::{Avx2, Avx512, Avx512Amx, Avx512Bf16, Avx512SoftTiles};

const HEADS: usize = 3;
const WIDTH: usize = HEADS * HEAD;
/// From one row of queries, keys and values to the next.
const STRIDE: usize = 3 * WIDTH + 16;

struct Case {
    lengths: Vec<usize>,
    causal: bool,
    /// Only the last row of each sequence is computed.
    last_only: bool,
}

/// Ways to compute attention.
#[derive(Clone, Copy)]
enum Way {
    Vectors,
    Tiles,
}

impl Case {
    fn run<F: Format>(&self, simd: F::Simd, way: Way) {
        let rows: usize = self.lengths.iter().sum();
        // Rows after the last contain NaN, which must not affect the result.
        let mut values = vec![f32::NAN; (rows + MAX_LENGTH) * STRIDE];
        for (index, value) in values[..rows * STRIDE].iter_mut().enumerate() {
            // Multiples of 1/128, which are bfloat16 too.
            *value = ((index * 7919) % 257) as f32 / 128.0 - 1.0;
        }
        let mut sequences = vec![];
        let (mut first, mut output) = (0, 0);
        for &length in &self.lengths {
            let queries = if self.last_only { length - 1..length } else { 0..length };
            sequences.push(Sequence { rows: first..first + length, queries: queries.clone(), output });
            first += length;
            output += queries.len();
        }
        let found = self.attend::<F>(simd, way, &values, &sequences, 2);
        let inputs = Inputs { values: &values, stride: STRIDE, width: WIDTH, causal: self.causal };
        // The weights of the softmax are rounded to bfloat16, and no value is larger than 1.
        let of_weights = match way {
            Way::Vectors => 0.0,
            Way::Tiles => 1.0 / 512.0,
        };

        for sequence in &sequences {
            for head in 0..HEADS {
                for query in sequence.queries.clone() {
                    let expected = plain(inputs, sequence, head, query);
                    let row = found.words(sequence.output + query - sequence.queries.start);
                    for (number, expected) in expected.into_iter().enumerate() {
                        let column = head * HEAD + number;
                        let found = match F::ACTIVATIONS {
                            Kind::Bf16 => {
                                let half = (row[column / 2] >> (16 * (column % 2))) as u16;
                                bf16::from_bits(half).to_f64()
                            }
                            _ => f64::from(f32::from_bits(row[column])),
                        };
                        let rounding = if F::KIND == Kind::Bf16 { expected.abs() / 256.0 } else { 0.0 };
                        let tolerance = 1e-5 + rounding + of_weights;
                        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
                    }
                }
            }
            // The bits do not depend on other sequences or on the number of threads.
            let moved = Sequence { rows: 0..sequence.rows.len(), queries: sequence.queries.clone(), output: 0 };
            let values = &values[sequence.rows.start * STRIDE..];
            let alone = self.attend::<F>(simd, way, values, std::slice::from_ref(&moved), 1);
            for row in 0..sequence.queries.len() {
                assert_eq!(alone.words(row), found.words(sequence.output + row), "{}", std::any::type_name::<F>());
            }
        }
    }

    /// The results of the sequences, on so many threads.
    fn attend<F: Format>(
        &self,
        simd: F::Simd,
        way: Way,
        values: &[f32],
        sequences: &[Sequence],
        threads: usize,
    ) -> Activations {
        let mut found = Activations::new(F::ACTIVATIONS, WIDTH);
        found.reserve(sequences.iter().map(|sequence| sequence.queries.len()).sum());
        let pool = Pool::new(std::num::NonZeroUsize::new(threads).unwrap()).unwrap();
        match way {
            Way::Vectors => {
                let inputs = Inputs { values, stride: STRIDE, width: WIDTH, causal: self.causal };
                attend::<F>(simd, &pool, inputs, sequences, &found.parts());
            }
            Way::Tiles => {
                let mut encoded = Activations::new(Kind::Bf16, 3 * WIDTH);
                encoded.reserve(values.len() / STRIDE);
                encode(&mut encoded, values);
                let inputs = EncodedInputs { values: &encoded, width: WIDTH, causal: self.causal };
                let tiles = simd.tiles().unwrap();
                attend_by_tiles::<F>((simd, tiles), &pool, inputs, sequences, &found.parts());
            }
        }
        found
    }

    fn run_everywhere(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = Avx2::detect() {
                self.run::<F32<_>>(simd, Way::Vectors);
                self.run::<UnpackedBf16<_>>(simd, Way::Vectors);
            }
            if let Some(simd) = Avx512::detect() {
                self.run::<F32<_>>(simd, Way::Vectors);
                self.run::<UnpackedBf16<_>>(simd, Way::Vectors);
            }
            if let Some(simd) = Avx512Bf16::detect() {
                self.run::<Bf16<_>>(simd, Way::Vectors);
            }
            if let Some(simd) = Avx512SoftTiles::detect() {
                self.run::<Bf16<_>>(simd, Way::Tiles);
            }
            if let Some(simd) = Avx512Amx::detect() {
                self.run::<Bf16<_>>(simd, Way::Tiles);
            }
        }
    }
}

/// Writes rows of bfloat16 numbers, with all rows that are reserved.
fn encode(to: &mut Activations, values: &[f32]) {
    for (row, values) in values.chunks_exact(STRIDE).enumerate() {
        let words: Vec<u32> = values[..3 * WIDTH]
            .as_chunks()
            .0
            .iter()
            .map(|&[low, high]| low.to_bits() >> 16 | high.to_bits() & 0xFFFF_0000)
            .collect();
        to.set_words(row, &words);
    }
}

/// The definition, in f64.
fn plain(inputs: Inputs<'_>, sequence: &Sequence, head: usize, query: usize) -> Vec<f64> {
    let first = sequence.rows.start;
    let visible = if inputs.causal { query + 1 } else { sequence.rows.len() };
    let number = |value: &f32| f64::from(*value);
    let dot = |key: usize| -> f64 {
        let (query, key) = (inputs.part(0, first + query, head), inputs.part(1, first + key, head));
        query.iter().zip(key).map(|(a, b)| number(a) * number(b)).sum()
    };
    let scores: Vec<f64> = (0..visible).map(dot).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    (0..HEAD)
        .map(|at| {
            weights
                .iter()
                .enumerate()
                .map(|(key, weight)| weight / sum * number(&inputs.part(2, first + key, head)[at]))
                .sum()
        })
        .collect()
}

#[test]
fn pictures() {
    for last_only in [false, true] {
        Case { lengths: vec![50, 50], causal: false, last_only }.run_everywhere();
    }
}

#[test]
fn texts_of_every_length() {
    for length in 1..=77 {
        for last_only in [false, true] {
            Case { lengths: vec![length], causal: true, last_only }.run_everywhere();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_sequences(lengths in prop::collection::vec(1..=77usize, 1..6), causal: bool, last_only: bool) {
        Case { lengths, causal, last_only }.run_everywhere();
    }
}
