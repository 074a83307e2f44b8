//! The format of sealed bytes, version 1:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | algorithm, 1 = XChaCha20-Poly1305 |
//! | 8 | fingerprint of the key |
//! | 24 | nonce |
//! | n | ciphertext |
//! | 16 | tag |
//!
//! The first ten bytes are part of the associated data; see [`Binding`].

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::binding::Binding;
use super::error::{Reason, SealError};
use super::fingerprint::Fingerprint;
use super::key_ring::{Key, KeyRing};
use crate::Secret;

/// Bytes of the nonce. It is random for every write: with 192 bits, repeats need not be tracked.
pub const NONCE_LENGTH: usize = 24;

const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
const HEADER_LENGTH: usize = 2 + Fingerprint::LENGTH;
const TAG_LENGTH: usize = 16;
const LEAST_LENGTH: usize = HEADER_LENGTH + NONCE_LENGTH + TAG_LENGTH;

impl KeyRing {
    /// Seals a secret with the active key for this binding. `nonce` must be fresh random bytes.
    pub fn seal(&self, binding: &Binding<'_>, secret: &Secret, nonce: [u8; NONCE_LENGTH]) -> Vec<u8> {
        let key = self.active_key();
        let mut sealed = Vec::with_capacity(LEAST_LENGTH + secret.expose().len());
        sealed.extend_from_slice(&[VERSION, ALGORITHM]);
        sealed.extend_from_slice(&key.fingerprint.0);
        let associated = binding.associated_data(&sealed);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &associated };
        let ciphertext = cipher(key)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("this is a bug: a secret beyond the 256 GiB that one nonce covers");
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    /// Opens a value that was sealed for this binding.
    ///
    /// # Errors
    /// [`super::SealErrorKind::Format`], [`super::SealErrorKind::UnknownKey`] or
    /// [`super::SealErrorKind::NotAuthentic`].
    pub fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<Secret, SealError> {
        let sealed_with = Self::sealed_with(sealed)?;
        let key = self
            .find(sealed_with)
            .ok_or_else(|| SealError::new(Reason::UnknownKey { sealed_with, ring: self.fingerprints() }))?;
        let (header, rest) = sealed.split_at(HEADER_LENGTH);
        let (nonce, ciphertext) = rest.split_at(NONCE_LENGTH);
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().expect("this is a bug: the length was checked");
        let payload = Payload { msg: ciphertext, aad: &binding.associated_data(header) };
        let mut opened = Zeroizing::new(
            cipher(key)
                .decrypt(&XNonce::from(nonce), payload)
                .map_err(|_| SealError::new(Reason::NotAuthentic { sealed_with }))?,
        );
        // Moved, not copied; on failure the bytes are put back to be zeroed.
        match String::from_utf8(std::mem::take(&mut *opened)) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                *opened = error.into_bytes();
                Err(SealError::new(Reason::NotText))
            }
        }
    }

    /// The key that a sealed value names, to count rows per key and to re-seal. Does not prove that the value is authentic.
    ///
    /// # Errors
    /// [`super::SealErrorKind::Format`]
    pub fn sealed_with(sealed: &[u8]) -> Result<Fingerprint, SealError> {
        if sealed.len() < LEAST_LENGTH {
            return Err(SealError::new(Reason::TooShort { length: sealed.len(), least: LEAST_LENGTH }));
        }
        if sealed[..2] != [VERSION, ALGORITHM] {
            return Err(SealError::new(Reason::Version { version: sealed[0], algorithm: sealed[1] }));
        }
        Ok(Fingerprint(std::array::from_fn(|index| sealed[2 + index])))
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&**key.bytes).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::{Purpose, SealErrorKind};

    fn ring(byte: u8) -> KeyRing {
        KeyRing::generate([byte; 32])
    }

    fn binding() -> Binding<'static> {
        Binding { installation_id: "5f0c", purpose: Purpose::RefreshToken, row: 7, generation: 3 }
    }

    #[test]
    fn a_sealed_value_opens_for_its_binding() {
        let sealed = ring(1).seal(&binding(), &Secret::new("canary"), [9; 24]);
        assert_eq!(sealed.len(), LEAST_LENGTH + 6);
        assert_eq!(&sealed[..2], [1, 1]);
        assert_eq!(&sealed[10..34], [9; 24]);
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(ring(1).open(&binding(), &sealed).unwrap().expose(), "canary");
        assert_eq!(KeyRing::sealed_with(&sealed).unwrap(), ring(1).active());
    }

    /// Existing databases contain this format: these bytes must stay readable.
    #[test]
    fn the_format_stays() {
        let sealed = ring(1).seal(&binding(), &Secret::new("canary"), [9; 24]);
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, FROZEN);
    }

    const FROZEN: &str = "0101d2c10d4dd9d7e5ac090909090909090909090909090909090909090909090909\
        908cd1f72cbfad2f52512d7a5ea2dc00d10b751cc709";

    #[test]
    fn it_opens_for_no_other_binding() {
        let sealed = ring(1).seal(&binding(), &Secret::new("canary"), [9; 24]);
        for other in [
            Binding { installation_id: "5f0d", ..binding() },
            Binding { installation_id: "", ..binding() },
            Binding { purpose: Purpose::AccessToken, ..binding() },
            Binding { purpose: Purpose::PreviousRefreshToken, ..binding() },
            Binding { purpose: Purpose::ClientSecret, ..binding() },
            Binding { row: 8, ..binding() },
            Binding { row: 3, generation: 7, ..binding() },
            Binding { generation: 2, ..binding() },
        ] {
            assert_eq!(ring(1).open(&other, &sealed).unwrap_err().kind(), SealErrorKind::NotAuthentic, "{other:?}");
        }
    }

    #[test]
    fn the_error_names_the_missing_key_and_the_present_ones() {
        let sealed = ring(1).seal(&binding(), &Secret::new("canary"), [9; 24]);
        let error = ring(2).open(&binding(), &sealed).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::UnknownKey);
        assert_eq!(
            error.to_string(),
            format!("sealed with key {}, but the keys are {}", ring(1).active(), ring(2).active())
        );
    }

    #[test]
    fn after_a_rotation_both_keys_open_and_the_new_one_seals() {
        let old = ring(1).seal(&binding(), &Secret::new("canary"), [9; 24]);
        let text = format!("{}{}", ring(2).to_text().expose(), ring(1).to_text().expose());
        let both = KeyRing::parse(&text).unwrap();
        assert_eq!(both.open(&binding(), &old).unwrap().expose(), "canary");
        let new = both.seal(&binding(), &Secret::new("canary"), [8; 24]);
        assert_eq!(KeyRing::sealed_with(&new).unwrap(), ring(2).active());
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_an_error(text in "\\PC{0,60}", position in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut sealed = ring(1).seal(&binding(), &Secret::new(text), [9; 24]);
            let position = position.index(sealed.len());
            sealed[position] ^= 1 << bit;
            let error = ring(1).open(&binding(), &sealed).unwrap_err();
            prop_assert!(error.kind() != SealErrorKind::KeyFile);
        }

        #[test]
        fn every_cut_is_an_error(text in "\\PC{0,60}", length in any::<prop::sample::Index>()) {
            let sealed = ring(1).seal(&binding(), &Secret::new(text), [9; 24]);
            let cut = &sealed[..length.index(sealed.len())];
            prop_assert!(ring(1).open(&binding(), cut).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ring(1).open(&binding(), &bytes).is_err());
        }

        #[test]
        fn any_text_survives(text in "\\PC{0,200}", row in any::<i64>(), generation in any::<i64>(), nonce in any::<[u8; 24]>()) {
            let binding = Binding { row, generation, ..binding() };
            let sealed = ring(1).seal(&binding, &Secret::new(text.clone()), nonce);
            let opened = ring(1).open(&binding, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), text);
        }
    }
}
