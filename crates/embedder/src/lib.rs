//! Embeddings from `pinterest-embedder`: the frame protocol and its client.
//!
//! ```no_run
//! # async fn example() -> Result<(), embedder::Error> {
//! use std::path::Path;
//!
//! let client = embedder::Client::connect(Path::new("embedder.sock")).await?;
//! let embedded = client.embed_text("a barn with string lights").await?;
//! println!("{} by {}", embedded.vector[0], embedded.model);
//! # Ok(())
//! # }
//! ```
//!
//! This library depends neither on the model nor on Postgres. Every embedding it returns has been checked: [`DIMENSION`]
//! finite numbers of norm 1. The program itself is behind the feature `server`.

mod client;
mod ending;
mod error;
mod fingerprint;
mod places;
pub mod protocol;
mod vector;

pub use client::{Client, Dial, Dialling, Input, Stream};
pub use ending::describe_end;
pub use error::{Error, ErrorKind};
pub use fingerprint::ModelFingerprint;
pub use places::{DEFAULT_PORT, Place, Places};
pub use protocol::MAX_THUMBNAIL_BYTES;
pub use protocol::{Animations, Info, Model, ModelState, Sandbox, Statistics};
pub use protocol::{Member, MemberState};
pub use vector::{DIMENSION, Embedded, MOST_THUMBNAIL_SIDE, NORM_TOLERANCE, THUMBNAIL_SIDE};

/// Exit status of `pinterest-embedder serve` after an image or text took longer than `--image-timeout`; the same status as
/// that of `timeout(1)`. The log then contains the SHA-256 of the image, or the length of the text.
pub const WATCHDOG_EXIT_STATUS: i32 = 124;
