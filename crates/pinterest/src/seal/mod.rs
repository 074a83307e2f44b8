//! Sealing: encrypts tokens and client secrets, bound to their row, before they leave the process.
//!
//! XChaCha20-Poly1305 with a fresh random 24-byte nonce for every write. A sealed value names its key, so keys can be
//! rotated while everything stays readable: the new key is put first into the key file, rows are opened and sealed again
//! one by one, and the old key is removed when no row names it any more.
//!
//! The associated data binds a sealed value to its installation, purpose, row and generation: it cannot be opened if it was
//! moved to another row or column, or rolled back.

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
