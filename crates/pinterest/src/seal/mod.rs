//! Sealing: tokens and client secrets leave a process only encrypted, bound to the row they belong to.
//!
//! XChaCha20-Poly1305 with a fresh random 24-byte nonce for every write. What is sealed names the key it was sealed
//! with, so keys can be rotated while everything stays readable: the new key goes first into the key file, rows are
//! opened and sealed again one by one, and the old key goes when no row names it any more.
//!
//! The associated data binds a sealed secret to its installation, purpose, row and generation: moved to another row,
//! exchanged with its neighbour or rolled back, it does not open.

mod binding;
mod error;
mod fingerprint;
mod key_file;
mod key_ring;
mod sealed;

pub use binding::{Binding, Purpose};
pub use error::{SealError, SealErrorKind};
pub use fingerprint::Fingerprint;
pub use key_file::{create_key_file, read_key_file};
pub use key_ring::KeyRing;
pub use sealed::NONCE_LENGTH;
