//! The tastes of a board, and ranking by them.
//!
//! ```text
//! images ── gate ──► weights ──┐
//!    └───────────────────────── themes ── supports ──► Taste ── recommend ──► picks
//! ```
//!
//! Everything works on directions, which are vectors of length 1, and on the cosines between them, by which CLIP's embeddings
//! are compared. Inputs are normalised, or refused if they have no direction ([`Direction::normalised`], [`Vectors::push`]),
//! so that no other check is needed. The same input gives the same output to the last bit: nothing is random, nothing runs in
//! parallel, ties go to the lower index. Longer computations call their argument `check` at least every few milliseconds; it
//! may unwind. The crate depends on no database and no model. `docs/quality.md` of the repository has the measurements from
//! which the constants were chosen.

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
pub mod weights;

pub use classify::{LOGIT_SCALE, Probability, classify};
pub use duplicates::{DEFAULT_THRESHOLD, duplicates, duplicates_with_equal, first_equal};
pub use error::{Error, ErrorKind};
pub use gate::{Gated, contrast_prompts, gate};
pub use likeness::{distance, likeness, nearest};
pub use mean::mean_direction;
pub use recommend::{DEFAULT_DIVERSITY, Pick, Ranking, Taste, rank, recommend};
pub use support::{Support, SupportRule, supports};
pub use themes::{Theme, ThemeOptions, themes};
pub use vectors::{Direction, Vectors};
