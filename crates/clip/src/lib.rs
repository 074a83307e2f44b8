//! CLIP ViT-B/32: computes a unit vector from an image file or a text.
//!
//! ```text
//! bytes ── preprocess ──► Pixels ──┐
//!                                  ├── Engine ──► Embedding
//! text ─── Tokenizer ───► tokens ──┘
//! ```
//!
//! - `preprocess`: image formats, resizing and normalisation. A format is added in `preprocess/decode.rs`.
//! - `tokenizer`: CLIP's byte-pair encoding.
//! - `engine`: the forward pass. Kernels are in `engine/fast/simd`, and are added in `engine/fast/variants.rs`.
//! - `architecture`: the models that are accepted. `standin`: an untrained model for tests.
//! - `verify`: what tells trained weights from others.
//!
//! The reference for every step is `CLIPModel`, `CLIPImageProcessor` on Pillow and `CLIPTokenizer` of the transformers
//! library; `tests/fixtures` in the repository contains vectors frozen from it. This crate does not use the network or the
//! clock. A fast engine starts the requested number of threads; candle uses rayon's global pool, whose size the program
//! sets.

mod animations;
mod architecture;
mod embedding;
mod engine;
mod error;
mod limits;
mod preprocess;
mod replace;
pub mod standin;
mod tokenizer;
pub mod verify;

pub use animations::Animations;
pub use embedding::{DIMENSION, Embedding};
#[doc(hidden)]
pub use engine::fuzzing;
pub use engine::{
    AtBreak, DeviceKind, Engine, Kernels, ModelInfo, Options, Precision, TextEngine, UnknownName, is_packed, load, pack,
};
pub use error::{Error, ErrorKind};
pub use limits::Limits;
#[doc(hidden)]
pub use preprocess::decoded;
pub use preprocess::{
    Measure, PREPROCESSING, Pixels, Prepared, SIDE, ThumbnailSize, Window, measure, prepare, prepare_with_thumbnail,
    preprocess, thumbnail, window,
};
pub use tokenizer::{CONTEXT_LENGTH, MAX_TEXT_BYTES, Tokenizer};
