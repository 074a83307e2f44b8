//! The keys of a key file and their text form.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::error::{Reason, SealError};
use super::fingerprint::Fingerprint;
use crate::Secret;

/// Bytes of a key.
const KEY_LENGTH: usize = 32;

/// The keys of a key file, at least one. The first one seals, all of them open. Zeroed on drop.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone)]
pub(super) struct Key {
    pub(super) fingerprint: Fingerprint,
    // Boxed, so that moving the ring leaves no copies behind.
    pub(super) bytes: Box<Zeroizing<[u8; KEY_LENGTH]>>,
}

impl Key {
    fn new(bytes: Box<Zeroizing<[u8; KEY_LENGTH]>>) -> Self {
        Self { fingerprint: Fingerprint::of(&**bytes), bytes }
    }
}

impl KeyRing {
    /// A ring with one new key.
    pub fn generate(random: [u8; KEY_LENGTH]) -> Self {
        let random = Zeroizing::new(random);
        Self { keys: vec![Key::new(Box::new(Zeroizing::new(*random)))] }
    }

    /// Reads a key file's text: one key per line, 32 bytes as base64 (`openssl rand -base64 32`) or as 64 hex digits
    /// (`openssl rand -hex 32`). Empty lines are skipped, and everything from a `#` on. The first key seals.
    ///
    /// # Errors
    /// [`super::SealErrorKind::KeyText`], naming the line.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let refuse = |rule: String| SealError::new(Reason::KeyText(rule));
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let rule =
                || refuse(format!("line {number} is not a key: a key is 32 bytes as base64 or as 64 hex digits"));
            let key = Key::new(decode(line).ok_or_else(rule)?);
            if keys.iter().any(|known| known.fingerprint == key.fingerprint) {
                return Err(refuse(format!("line {number} repeats key {}", key.fingerprint)));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(refuse("it contains no key".to_owned()));
        }
        Ok(Self { keys })
    }

    /// The text that [`KeyRing::parse`] reads.
    pub fn to_text(&self) -> Secret {
        let mut text = String::with_capacity(self.keys.len() * 48);
        for key in &self.keys {
            STANDARD.encode_string(key.bytes.as_ref(), &mut text);
            text.push('\n');
        }
        Secret::new(text)
    }

    /// The key that seals.
    pub fn active(&self) -> Fingerprint {
        self.keys[0].fingerprint
    }

    /// All keys, the active one first.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.keys.iter().map(|key| key.fingerprint).collect()
    }

    pub(super) fn active_key(&self) -> &Key {
        &self.keys[0]
    }

    pub(super) fn find(&self, fingerprint: Fingerprint) -> Option<&Key> {
        self.keys.iter().find(|key| key.fingerprint == fingerprint)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("KeyRing").field(&self.fingerprints()).finish()
    }
}

fn decode(line: &str) -> Option<Box<Zeroizing<[u8; KEY_LENGTH]>>> {
    let mut key = Box::new(Zeroizing::new([0; KEY_LENGTH]));
    if line.len() == 2 * KEY_LENGTH {
        for (byte, digits) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
            let digit = |index: usize| char::from(digits[index]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        return Some(key);
    }
    // The decoder requires room for whole groups.
    let mut decoded = Zeroizing::new([0; KEY_LENGTH + 3]);
    let length = STANDARD.decode_slice(line, &mut *decoded).ok()?;
    key.copy_from_slice(decoded.get(..length).filter(|bytes| bytes.len() == KEY_LENGTH)?);
    Some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::SealErrorKind;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn base64_and_hex_are_the_same_key() {
        let hex = KeyRing::parse(HEX).unwrap();
        let base64 = KeyRing::parse(&format!("# made in May\r\n\n  {BASE64}  # the only one\n")).unwrap();
        assert_eq!(hex.fingerprints(), base64.fingerprints());
        assert_eq!(hex.to_text().expose(), format!("{BASE64}\n"));
        assert_eq!(hex.active().to_string().len(), 16);
    }

    #[test]
    fn the_first_key_is_active() {
        let ring = KeyRing::parse(&format!("{}\n{HEX}", "ab".repeat(32))).unwrap();
        assert_eq!(ring.fingerprints()[1], KeyRing::parse(HEX).unwrap().active());
        assert_ne!(ring.active(), ring.fingerprints()[1]);
    }

    #[test]
    fn bad_text_is_reported_by_line_and_not_quoted() {
        for (text, expected) in [
            (String::new(), "it contains no key"),
            ("# only a comment".to_owned(), "it contains no key"),
            (format!("{HEX}\n\nshort"), "line 3 is not a key"),
            (HEX[1..].to_owned(), "line 1 is not a key"),
            (format!("{HEX}00"), "line 1 is not a key"),
            (BASE64.replace('=', ""), "line 1 is not a key"),
            (format!("{}zz", &HEX[2..]), "line 1 is not a key"),
            ("ä".repeat(32), "line 1 is not a key"),
            (format!("{HEX}\n{BASE64}"), "line 2 repeats key"),
        ] {
            let error = KeyRing::parse(&text).unwrap_err();
            assert_eq!(error.kind(), SealErrorKind::KeyText);
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert!(!error.to_string().contains("0405"), "{error}");
        }
    }

    #[test]
    fn debug_shows_fingerprints_only() {
        let shown = format!("{:?}", KeyRing::parse(HEX).unwrap());
        assert!(
            shown.starts_with("KeyRing([Fingerprint(") && !shown.contains("0405") && !shown.contains("4, 5"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn keys_survive_their_text(keys in prop::collection::hash_set(any::<[u8; 32]>(), 1..5)) {
            let text: String = keys.iter().map(|key| KeyRing::generate(*key).to_text().expose().to_owned()).collect();
            let ring = KeyRing::parse(&text).unwrap();
            prop_assert_eq!(ring.fingerprints().len(), keys.len());
            let again = ring.to_text();
            prop_assert_eq!(again.expose(), text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,100}") {
            let _ = KeyRing::parse(&text);
        }
    }
}
