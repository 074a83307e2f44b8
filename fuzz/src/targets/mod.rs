//! The targets, by their input.

mod answers;
mod credentials;
mod frames;
mod model;
mod names;
mod page;
mod refusals;

pub use answers::{account, grant, listing};
pub use credentials::{app_secrets, key_ring, sealed, states};
pub use frames::frames;
pub use model::{model_files, picture, text};
pub use names::{board_reference, urls};
pub use page::gallery;
pub use refusals::{headers, redact, refusal};
