//! CLIP ViT-B/32: image bytes or text in, unit vector out.
//!
//! ```text
//! bytes ── preprocess ──► Pixels ──┐
//!                                  ├── Engine ──► Embedding
//! text ─── Tokenizer ───► tokens ──┘
//! ```
//!
//! The reference for every step is `CLIPModel`, `CLIPImageProcessor` on Pillow and `CLIPTokenizer` of the transformers
//! library; `tests/fixtures` of the repository keeps vectors frozen from it. Nothing here touches the network or reads the
//! clock. A fast engine starts the threads it is asked for; candle's run on rayon's global pool, whose size is the calling
//! program's to set.

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

pub use animations::Animations;
pub use embedding::{DIMENSION, Embedding};
#[doc(hidden)]
pub use engine::fuzzing;
pub use engine::{DeviceKind, Engine, Kernels, ModelInfo, Options, Precision, UnknownName, is_packed, load, pack};
pub use error::{Error, ErrorKind};
pub use limits::Limits;
#[doc(hidden)]
pub use preprocess::decoded;
pub use preprocess::{Measure, PREPROCESSING, Pixels, Prepared, SIDE, Window, measure, prepare, preprocess, window};
pub use tokenizer::{CONTEXT_LENGTH, MAX_TEXT_BYTES, Tokenizer};
