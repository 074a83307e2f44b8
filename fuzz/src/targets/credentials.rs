//! Files and columns with secrets.

use pinterest::seal::{Binding, KeyRing, NONCE_LENGTH, Purpose};
use pinterest::{Secret, Timestamp, fuzzing, oauth_state};

use crate::input::{SECRET, assert_clean, split, with_secret};

/// The text of a key file.
pub fn key_ring(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match KeyRing::parse(text) {
        Ok(ring) => {
            let again = KeyRing::parse(ring.to_text().expose()).expect("a ring's own text cannot be parsed");
            assert_eq!(ring.fingerprints(), again.fingerprints());
            assert_eq!(ring.active(), ring.fingerprints()[0]);
            assert_clean(&format!("{ring:?}"));
        }
        Err(error) => {
            assert_clean(&error.to_string());
            // No part of a line that may be a key.
            for word in text.split_whitespace().filter(|word| word.len() > 16) {
                assert!(!error.to_string().contains(word), "{error}");
            }
        }
    }
}

const BINDING: Binding<'static> =
    Binding { installation_id: "installation", purpose: Purpose::RefreshToken, row: 7, generation: 3 };

/// Sealed bytes: the input itself, and the sealed input with a changed byte.
pub fn sealed(input: &[u8]) {
    let ring = KeyRing::generate([7; 32]);
    if let Err(error) = ring.open(&BINDING, input) {
        assert_clean(&error.to_string());
    } else {
        panic!("opened bytes that were not sealed");
    }

    let Ok(text) = std::str::from_utf8(input) else { return };
    let sealed = ring.seal(&BINDING, &Secret::new(text), [9; NONCE_LENGTH]);
    assert_eq!(ring.open(&BINDING, &sealed).expect("sealed bytes cannot be opened").expose(), text);
    let elsewhere = Binding { row: 8, ..BINDING };
    assert!(ring.open(&elsewhere, &sealed).is_err(), "opened in another row");
    let ([at, change, ..], _) = split::<2>(input);
    if change != 0 {
        let mut changed = sealed;
        let at = usize::from(at) % changed.len();
        changed[at] ^= change;
        assert!(ring.open(&BINDING, &changed).is_err(), "opened with byte {at} changed");
    }
}

/// A line with an app's id, then the text of a file of app secrets.
pub fn app_secrets(input: &[u8]) {
    let Some(input) = with_secret(input) else { return };
    let Ok(text) = std::str::from_utf8(&input) else { return };
    let (id, file) = text.split_once('\n').unwrap_or(("1453111", text));
    match fuzzing::app_secret(file, id) {
        Ok(Some(secret)) => {
            assert!(!secret.is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(file.contains(secret.expose()) && !id.is_empty());
        }
        Ok(None) => {}
        Err(rule) => {
            assert_clean(&rule);
            assert!(!rule.contains(SECRET));
        }
    }
}

/// The `state` of a redirect from the authorization page, and Pinterest's timestamps.
pub fn states(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if oauth_state::digest(text).is_some() {
        assert_eq!(text.len(), 43);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        // The years 0 to 9999, and a leap second.
        let microseconds = timestamp.as_microseconds();
        assert!((-62_167_219_200_000_000..253_402_300_801_000_000).contains(&microseconds), "{microseconds}");
    }
    let ([first, ..], rest) = split::<1>(input);
    let mut random = [first; 32];
    random.iter_mut().zip(rest).for_each(|(byte, &given)| *byte = given);
    assert!(oauth_state::digest(oauth_state::from_random(random).expose()).is_some());
}
