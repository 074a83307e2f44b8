//! Packs a checkpoint's tensors into the words of a [`Layout`].

use std::collections::HashMap;
use std::ops::Range;

use half::bf16;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::buffer::Buffer;
use super::format::{GROUP, Kind, PANEL};
use super::layout::{HEAD, Layout, Norm, Product, TowerLayout};

/// The tensors of a checkpoint by name, each with the shape of the architecture.
pub(super) type Tensors = HashMap<String, Vec<f32>>;

/// Packs the tensors of the layout. Runs on rayon's current pool.
///
/// # Panics
///
/// If a tensor is missing, which `weights::read` has refused.
pub(super) fn pack(layout: &Layout, tensors: &Tensors) -> Buffer<u32> {
    let mut packer = Packer { words: Buffer::new(layout.length), tensors };
    packer.numbers(&layout.class, "vision_model.embeddings.class_embedding");
    packer.product(&layout.patches, &[Source::bare("vision_model.embeddings.patch_embedding")]);
    packer.norm(&layout.before_vision, "vision_model.pre_layrnorm");
    packer.numbers(&layout.vision.positions, "vision_model.embeddings.position_embedding.weight");
    packer.tower(&layout.vision, "vision_model", "post_layernorm", "visual_projection");
    packer.numbers(&layout.tokens, "text_model.embeddings.token_embedding.weight");
    packer.numbers(&layout.text.positions, "text_model.embeddings.position_embedding.weight");
    packer.tower(&layout.text, "text_model", "final_layer_norm", "text_projection");
    packer.words
}

/// Packs the product of one linear map alone, in `length` words.
#[cfg(test)]
pub(super) fn pack_product(product: &Product, length: usize, tensors: &Tensors, name: &str) -> Buffer<u32> {
    let mut packer = Packer { words: Buffer::new(length), tensors };
    packer.product(product, &[Source::biased(name)]);
    packer.words
}

/// A linear map of the checkpoint, `{name}.weight` and `{name}.bias`.
struct Source<'a> {
    name: &'a str,
    has_bias: bool,
    factor: f32,
}

impl<'a> Source<'a> {
    fn bare(name: &'a str) -> Self {
        Self { name, has_bias: false, factor: 1.0 }
    }

    fn biased(name: &'a str) -> Self {
        Self { name, has_bias: true, factor: 1.0 }
    }
}

struct Packer<'a> {
    words: Buffer<u32>,
    tensors: &'a Tensors,
}

impl<'a> Packer<'a> {
    fn tensor(&self, name: &str) -> &'a [f32] {
        self.tensors.get(name).unwrap_or_else(|| panic!("tensor {name} is missing: this is a bug"))
    }

    fn numbers(&mut self, place: &Range<usize>, name: &str) {
        let values = self.tensor(name);
        bytemuck::cast_slice_mut(&mut self.words[place.clone()]).copy_from_slice(values);
    }

    fn norm(&mut self, norm: &Norm, name: &str) {
        self.numbers(&norm.gain, &format!("{name}.weight"));
        self.numbers(&norm.shift, &format!("{name}.bias"));
    }

    fn tower(&mut self, tower: &TowerLayout, prefix: &str, last: &str, projection: &str) {
        // Scores are divided by the root of the head's size. It is a power of two, so this costs no precision.
        let factor = 1.0 / (HEAD as f32).sqrt();
        for (index, layer) in tower.layers.iter().enumerate() {
            let name = |part: &str| format!("{prefix}.encoder.layers.{index}.{part}");
            let [query, key, value] = ["q_proj", "k_proj", "v_proj"].map(|part| name(&format!("self_attn.{part}")));
            self.norm(&layer.before_attention, &name("layer_norm1"));
            self.product(
                &layer.attention,
                &[Source { name: &query, has_bias: true, factor }, Source::biased(&key), Source::biased(&value)],
            );
            self.product(&layer.after_attention, &[Source::biased(&name("self_attn.out_proj"))]);
            self.norm(&layer.before_perceptron, &name("layer_norm2"));
            self.product(&layer.widen, &[Source::biased(&name("mlp.fc1"))]);
            self.product(&layer.narrow, &[Source::biased(&name("mlp.fc2"))]);
        }
        self.norm(&tower.last, &format!("{prefix}.{last}"));
        self.product(&tower.projection, &[Source::bare(projection)]);
    }

    /// The outputs of `sources` one after the other.
    fn product(&mut self, product: &Product, sources: &[Source<'_>]) {
        let mut rows: Vec<(&[f32], f32)> = Vec::with_capacity(product.outputs);
        let mut bias = Vec::with_capacity(product.outputs);
        for source in sources {
            let weights = self.tensor(&format!("{}.weight", source.name)).chunks_exact(product.inputs);
            match source.has_bias {
                true => {
                    let values = self.tensor(&format!("{}.bias", source.name));
                    bias.extend(values.iter().map(|value| value * source.factor));
                }
                false => bias.extend(std::iter::repeat_n(0.0, weights.len())),
            }
            rows.extend(weights.map(|row| (row, source.factor)));
        }
        assert_eq!(rows.len(), product.outputs, "outputs of {}: this is a bug", sources[0].name);

        let target: &mut [f32] = bytemuck::cast_slice_mut(&mut self.words[product.bias.clone()]);
        target[..bias.len()].copy_from_slice(&bias);

        let (words, rest) = self.words[product.words.start..].split_at_mut(product.words.len());
        let from = product.words.end;
        let (scales, rest) = rest[product.scales.start - from..].split_at_mut(product.scales.len());
        let from = product.scales.end;
        let starts = &mut rest[product.starts.start - from..][..product.starts.len()];
        match product.kind {
            Kind::F32 | Kind::Bf16 => {
                let per_word = product.kind.per_word();
                let panels = words.par_chunks_exact_mut(product.panel_words()).zip(rows.par_chunks(PANEL));
                panels.for_each(|(words, rows)| {
                    for (column, &(row, factor)) in rows.iter().enumerate() {
                        let values = row.chunks_exact(per_word);
                        for (word, values) in words[column..].iter_mut().step_by(PANEL).zip(values) {
                            *word = match *values {
                                [low, high] => {
                                    let bits = |value: f32| u32::from(bf16::from_f32(value * factor).to_bits());
                                    bits(low) | bits(high) << 16
                                }
                                _ => (values[0] * factor).to_bits(),
                            };
                        }
                    }
                });
            }
            Kind::Int8 => {
                let panels = words
                    .par_chunks_exact_mut(product.panel_words())
                    .zip(scales.par_chunks_exact_mut(product.panel_scales()))
                    .zip(starts.par_chunks_exact_mut(product.panel_scales()))
                    .zip(rows.par_chunks(PANEL));
                panels.for_each(|(((words, scales), starts), rows)| {
                    for (column, &(row, factor)) in rows.iter().enumerate() {
                        for (group, values) in row.chunks_exact(GROUP).enumerate() {
                            let largest = values.iter().fold(0.0f32, |most, value| most.max((value * factor).abs()));
                            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                            let byte = |value: &f32| (value * factor * inverse).round_ties_even() as i8;
                            let bytes: Vec<i8> = values.iter().map(byte).collect();
                            scales[group * PANEL + column] = (largest / 127.0).to_bits();
                            let sum: i32 = bytes.iter().map(|&byte| i32::from(byte)).sum();
                            starts[group * PANEL + column] = (-128 * sum) as u32;
                            let (fours, _) = bytes.as_chunks::<4>();
                            let words = words[group * GROUP / 4 * PANEL + column..].iter_mut().step_by(PANEL);
                            for (word, four) in words.zip(fours) {
                                *word = u32::from_le_bytes(four.map(|byte| byte as u8));
                            }
                        }
                    }
                });
            }
        }
    }
}
