//! Finds out whether a model's weights are trained, and are those of `openai/clip-vit-base-patch32`.

mod findings;
mod report;

pub use findings::{Findings, Subject};
pub use report::Report;
