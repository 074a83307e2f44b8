//! Misbehaviour on request: rules that say which requests go wrong, and how.
//!
//! ```
//! use sandbox::{Fault, Kind, Rule};
//!
//! // The second page of a listing answers 429 twice, then all is well.
//! let rule = Rule::on(Kind::BoardPins, Fault::Spam).skip(1).times(2);
//! # let _ = rule;
//! ```

pub(crate) mod answers;
mod fault;
pub(crate) mod pictures;
mod registry;
mod rule;

pub use fault::{Fault, OddShape, PictureFormat};
pub use registry::{Faults, RuleId};
pub use rule::{Rule, Selector};
