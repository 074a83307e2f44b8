//! The `state` of an authorization request, which ties the redirect to the user who started it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Secret;

/// The state for these 32 random bytes: 43 characters of unpadded base64url, ready for a URL.
pub fn from_random(random: [u8; 32]) -> Secret {
    let random = Zeroizing::new(random);
    Secret::new(URL_SAFE_NO_PAD.encode(*random))
}

/// SHA-256 of the state's text. Only this is stored and compared, so that a reader of the table cannot complete another
/// user's authorization. `None` if the text cannot be one of our states.
pub fn digest(state: &str) -> Option<[u8; 32]> {
    // Room for whole groups, as the decoder requires. It refuses padding and stray bits, so a state has one spelling.
    let mut bytes = Zeroizing::new([0u8; 33]);
    let length = URL_SAFE_NO_PAD.decode_slice(state, &mut *bytes).ok()?;
    (length == 32).then(|| Sha256::digest(state.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_43_url_safe_characters_and_has_a_digest() {
        let state = from_random([0xfb; 32]);
        assert_eq!(state.expose().len(), 43);
        assert!(state.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(digest(state.expose()), Some(Sha256::digest(state.expose()).into()));
        assert_ne!(digest(state.expose()), digest(from_random([0xfa; 32]).expose()));
    }

    #[test]
    fn other_texts_have_no_digest() {
        let state = from_random([7; 32]);
        let padded = format!("{}=", state.expose());
        for text in ["", "short", &state.expose()[..42], &padded, "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", &"a".repeat(10_000)]
        {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
