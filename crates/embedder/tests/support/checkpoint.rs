//! A weights file whose tensors tests change.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Width of the tiny stand-in's towers.
pub const TEXT: usize = 64;
/// The same, of the tower for images.
pub const VISION: usize = 128;

/// A `model.safetensors` in memory.
pub struct Checkpoint {
    header: Value,
    data: Vec<u8>,
}

impl Checkpoint {
    pub fn read(directory: &Path) -> Self {
        let bytes = fs::read(directory.join("model.safetensors")).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        Self { header: serde_json::from_slice(&bytes[8..start]).unwrap(), data: bytes[start..].to_vec() }
    }

    pub fn write(&self, directory: &Path) {
        let header = self.header.to_string();
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &self.data].concat();
        fs::write(directory.join("model.safetensors"), bytes).unwrap();
    }

    fn place(&self, name: &str) -> std::ops::Range<usize> {
        let offsets = &self.header[name]["data_offsets"];
        offsets[0].as_u64().unwrap() as usize..offsets[1].as_u64().unwrap() as usize
    }

    /// Replaces each number of a tensor; `change` gets its place and its value.
    pub fn change(&mut self, name: &str, mut change: impl FnMut(usize, f32) -> f32) {
        let place = self.place(name);
        for (index, word) in self.data[place].chunks_exact_mut(4).enumerate() {
            let value = f32::from_le_bytes((&*word).try_into().unwrap());
            word.copy_from_slice(&change(index, value).to_le_bytes());
        }
    }

    /// Gives the tensors of one layer the names of another's, and the reverse.
    pub fn swap_layers(&mut self, tower: &str, one: usize, other: usize) {
        let prefix = |layer: usize| format!("{tower}.encoder.layers.{layer}.");
        let header = self.header.as_object().unwrap().clone();
        let swapped = header.into_iter().map(|(name, entry)| {
            if let Some(rest) = name.strip_prefix(&prefix(one)) {
                return (prefix(other) + rest, entry);
            }
            match name.strip_prefix(&prefix(other)) {
                Some(rest) => (prefix(one) + rest, entry),
                None => (name, entry),
            }
        });
        self.header = Value::Object(swapped.collect());
    }

    /// Gives the tiny stand-in marks of training: three of five.
    pub fn bear_marks(&mut self) {
        self.change("logit_scale", |_, _| 4.6052);
        self.change("text_model.embeddings.position_embedding.weight", |index, _| wave(index / TEXT, index % TEXT));
        self.change("vision_model.embeddings.position_embedding.weight", |index, value| {
            match (index / VISION).checked_sub(1) {
                Some(place) => wave(place % 7, index % VISION) + wave(place / 7, index % VISION + 31),
                None => value,
            }
        });
    }
}

/// Smooth from place to place, and different in each channel.
fn wave(place: usize, channel: usize) -> f32 {
    let (phase, speed) = (channel as f32 * 1.7, 0.15 + 0.3 * (channel % 7) as f32 / 7.0);
    0.03 * (place as f32 * speed + phase).sin()
}
