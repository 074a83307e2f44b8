//! Misbehaviour on request: rules that select requests and change their answers.
//!
//! ```
//! use sandbox::{Fault, Kind, Rule};
//!
//! // The requests 2 and 3 for a listing are answered with 429.
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
