//! Tracked columns: `pinterest.tracked_column` declares them, triggers on users' tables fill `pinterest.tracked_row`,
//! which is the workers' queue.
//!
//! - `column`: the types; `declaration`: the declarations; `trigger`: the triggers on users' tables.
//! - `fill` and `queue`: what puts rows into the queue; `work`: what workers do with them.
//! - `target`: a user's table as a worker reads and writes it; `trust` and `owners_path`: whether it may, and under
//!   which `search_path`.

pub mod column;
pub mod declaration;
pub mod fill;
mod owners_path;
pub mod queue;
mod target;
pub mod trigger;
pub mod trust;
pub mod work;

pub use target::{Source, SourceKind};
