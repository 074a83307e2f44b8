//! Position of each part of a packed model: a pure function of its architecture and format, which packing and computing
//! share. Also the sizes that the kernels are written for.

use std::ops::Range;

use super::format::{GROUP, Kind, PANEL};
use crate::DIMENSION;
use crate::architecture::{Architecture, Tower};
use crate::tokenizer::{CONTEXT_LENGTH, VOCABULARY};

/// Width of an attention head, the only one that the kernels can compute.
pub(super) const HEAD: usize = 64;

/// The longest sequence: a text of 77 tokens, in whole vectors.
pub(super) const MAX_LENGTH: usize = 80;

/// The widest row that is normalised on the stack.
pub(super) const MAX_WIDTH: usize = 1024;

/// Words of a cache line, to which every part is aligned.
const LINE: usize = 16;

/// Weights and biases of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub kind: Kind,
    pub inputs: usize,
    pub outputs: usize,
    /// `[panels][steps][PANEL]`
    pub words: Range<usize>,
    /// f32, `[panels][PANEL]`
    pub bias: Range<usize>,
    /// f32, `[panels][groups][PANEL]`
    pub scales: Range<usize>,
    /// i32, `[panels][groups][PANEL]`
    pub starts: Range<usize>,
}

impl Product {
    /// Words of a panel.
    pub(super) fn panel_words(&self) -> usize {
        self.inputs / self.kind.per_word() * PANEL
    }

    /// Scales of a panel.
    pub(super) fn panel_scales(&self) -> usize {
        self.kind.groups(self.inputs) * PANEL
    }
}

/// Panels that `outputs` need.
pub(super) fn panels(outputs: usize) -> usize {
    outputs.div_ceil(PANEL)
}

/// Gain and shift of a layer norm, f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Norm {
    pub gain: Range<usize>,
    pub shift: Range<usize>,
}

/// A layer of a tower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub before_attention: Norm,
    /// Queries, keys and values as one product; the part of the queries contains the division by the root of the head's size.
    pub attention: Product,
    pub after_attention: Product,
    pub before_perceptron: Norm,
    pub widen: Product,
    pub narrow: Product,
}

/// The parts that both towers have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TowerLayout {
    /// `[positions][hidden]`, f32
    pub positions: Range<usize>,
    pub layers: Vec<Layer>,
    pub last: Norm,
    pub projection: Product,
}

/// A whole model, in words of 32 bits from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// f32
    pub class: Range<usize>,
    pub patches: Product,
    pub before_vision: Norm,
    pub vision: TowerLayout,
    /// `[VOCABULARY][hidden]`, f32
    pub tokens: Range<usize>,
    pub text: TowerLayout,
    /// Words of the whole.
    pub length: usize,
}

impl Layout {
    /// Whether the kernels can compute such a model: every published CLIP of this size can, and narrower ones.
    pub(super) fn fits(architecture: &Architecture) -> bool {
        let fits = |tower: &Tower| {
            tower.hidden == HEAD * tower.heads
                && tower.hidden <= MAX_WIDTH
                && tower.intermediate.is_multiple_of(GROUP)
                && tower.layers > 0
        };
        fits(&architecture.vision)
            && fits(&architecture.text)
            && architecture.vision_positions() <= MAX_LENGTH
            // Lines of a patch are encoded one by one, in whole vectors.
            && architecture.patch.is_multiple_of(LINE)
    }

    /// The positions of a model's parts, with the products of its layers in `kind`.
    pub(super) fn new(architecture: &Architecture, kind: Kind) -> Self {
        let Architecture { vision, text, patch, .. } = architecture;
        // The first and the last product are a fortieth of the work, but would cause a tenth of the error in int8.
        let edges = if kind == Kind::Int8 { Kind::F32 } else { kind };
        let mut next = Next { at: 0 };
        let class = next.numbers(vision.hidden);
        let patches = next.product(edges, 3 * patch.pow(2), vision.hidden);
        let before_vision = next.norm(vision.hidden);
        let vision = next.tower(kind, edges, vision, architecture.vision_positions());
        let tokens = next.numbers(VOCABULARY * text.hidden);
        let text = next.tower(kind, edges, text, CONTEXT_LENGTH);
        Self { class, patches, before_vision, vision, tokens, text, length: next.at }
    }
}

/// Words of a packed model in each format, if the kernels can compute it. For the fuzz targets.
pub(in super::super) fn lengths(architecture: &Architecture) -> Option<[usize; 3]> {
    let length = |kind| Layout::new(architecture, kind).length;
    Layout::fits(architecture).then(|| [Kind::F32, Kind::Bf16, Kind::Int8].map(length))
}

/// The position of the next part.
struct Next {
    at: usize,
}

impl Next {
    fn numbers(&mut self, count: usize) -> Range<usize> {
        let part = self.at..self.at + count;
        self.at = part.end.next_multiple_of(LINE);
        part
    }

    fn norm(&mut self, width: usize) -> Norm {
        Norm { gain: self.numbers(width), shift: self.numbers(width) }
    }

    fn product(&mut self, kind: Kind, inputs: usize, outputs: usize) -> Product {
        let panels = panels(outputs);
        let scales = panels * kind.groups(inputs) * PANEL;
        Product {
            kind,
            inputs,
            outputs,
            words: self.numbers(panels * inputs / kind.per_word() * PANEL),
            bias: self.numbers(panels * PANEL),
            scales: self.numbers(scales),
            starts: self.numbers(scales),
        }
    }

    fn tower(&mut self, kind: Kind, edges: Kind, tower: &Tower, positions: usize) -> TowerLayout {
        let &Tower { hidden, intermediate, layers, .. } = tower;
        TowerLayout {
            positions: self.numbers(positions * hidden),
            layers: (0..layers)
                .map(|_| Layer {
                    before_attention: self.norm(hidden),
                    attention: self.product(kind, hidden, 3 * hidden),
                    after_attention: self.product(kind, hidden, hidden),
                    before_perceptron: self.norm(hidden),
                    widen: self.product(kind, hidden, intermediate),
                    narrow: self.product(kind, intermediate, hidden),
                })
                .collect(),
            last: self.norm(hidden),
            projection: self.product(edges, hidden, DIMENSION),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_other_shapes_are_left_to_candle() {
        let base = Architecture::from_json(br#"{"text_config": {}, "vision_config": {}}"#).unwrap();
        assert!(Layout::fits(&base));
        type Change = fn(&mut Architecture);
        let changes: [(&str, Change); 6] = [
            ("197 positions", |other| other.patch = 16),
            ("a patch of no whole vectors", |other| other.patch = 56),
            ("heads of 96", |other| other.vision.heads = 8),
            ("too wide", |other| (other.text.hidden, other.text.heads) = (1280, 20)),
            ("an odd perceptron", |other| other.text.intermediate = 2000),
            ("no layers", |other| other.vision.layers = 0),
        ];
        for (change, make) in changes {
            let mut other = base.clone();
            make(&mut other);
            assert!(!Layout::fits(&other), "{change}");
        }
    }
}
