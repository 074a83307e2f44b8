//! The tastes in a board, and ranking by them.
//!
//! ```text
//! images ── gate ──► weights ──┐
//!    └───────────────────────── themes ── supports ──► Taste ── recommend ──► picks
//! ```
//!
//! Everything works on directions, vectors of length 1, and cosines between them: what CLIP's embeddings are compared by.
//! Inputs are normalised, or refused where they have no direction ([`Direction::normalised`], [`Vectors::push`]), so the rest
//! needs no check. The same input gives the same output to the last bit: nothing is random, nothing runs in parallel, ties go
//! to the lower index. Longer computations call the `check` they are given at least every few milliseconds; it may unwind.
//! The crate knows no database and no model. `docs/quality.md` of the repository has the measurements that the constants were
//! chosen by.

mod classify;
mod duplicates;
mod error;
mod gate;
mod likeness;
mod mean;
mod product;
mod recommend;
mod support;
mod themes;
mod vectors;

pub use classify::{LOGIT_SCALE, Probability, classify};
pub use duplicates::{DEFAULT_THRESHOLD, duplicates};
pub use error::{Error, ErrorKind};
pub use gate::{Gated, contrast_prompts, gate};
pub use likeness::{likeness, nearest};
pub use mean::mean_direction;
pub use recommend::{DEFAULT_DIVERSITY, Pick, Ranking, Taste, rank, recommend};
pub use support::{Support, SupportRule, supports};
pub use themes::{Theme, ThemeOptions, themes};
pub use vectors::{Direction, Vectors};
