//! Names of keys.

use std::fmt;

use sha2::{Digest, Sha256};

/// A short public name of a key: the start of a hash of it, 16 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub(super) [u8; Self::LENGTH]);

impl Fingerprint {
    /// Bytes of a fingerprint.
    pub(super) const LENGTH: usize = 8;

    pub(super) fn of(key: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(b"pg_pinterest key fingerprint\0").chain_update(key).finalize();
        Self(std::array::from_fn(|index| digest[index]))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}
