//! Ids and image hashes that look random, and can be mapped back to pins and images without a table.

use crate::random::{mix, mix_text};

/// A pin: the board it was first saved to, and its number on it. Moves do not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PinKey {
    pub(crate) board: u32,
    pub(crate) serial: u64,
}

/// An image of a pin: `item` counts the images and covers of one pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PictureKey {
    pub(crate) pin: PinKey,
    pub(crate) item: u16,
}

/// Largest prime below 10^15: pin numbers are permuted modulo it.
const PRIME: u64 = 999_999_999_999_989;
/// Maximum number of pins per board in ids.
const SERIALS: u64 = 1_000_000_000;
/// Prefix of the permuted number, so that ids have 18 digits, as real ones.
const PIN_PREFIX: u64 = 813;
/// Marks a valid hash: an invented hash decodes to another value.
const HASH_MARK: u64 = 0x5EED;

/// The mapping of one world.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    seed: u64,
    factor: u64,
    inverse: u64,
    shift: u64,
}

impl Identities {
    pub(crate) fn new(seed: u64) -> Self {
        let factor = 1 + mix(&[seed, 1]) % (PRIME - 1);
        Self { seed, factor, inverse: power(factor, PRIME - 2), shift: mix(&[seed, 2]) % PRIME }
    }

    pub(crate) fn pin_id(&self, pin: PinKey) -> String {
        let number = u64::from(pin.board) * SERIALS + pin.serial;
        let permuted = (times(number, self.factor) + self.shift) % PRIME;
        format!("{PIN_PREFIX}{permuted:015}")
    }

    /// The pin of an id, which may not exist.
    pub(crate) fn pin_key(&self, id: &str) -> Option<PinKey> {
        let permuted: u64 = id
            .strip_prefix("813")
            .filter(|digits| digits.len() == 15 && digits.bytes().all(|b| b.is_ascii_digit()))?
            .parse()
            .ok()?;
        if permuted >= PRIME {
            return None;
        }
        let number = times((permuted + PRIME - self.shift) % PRIME, self.inverse);
        Some(PinKey { board: u32::try_from(number / SERIALS).ok()?, serial: number % SERIALS })
    }

    pub(crate) fn board_id(&self, index: u32) -> String {
        format!("549{:015}", mix(&[self.seed, 3, u64::from(index)]) % 1_000_000_000_000_000)
    }

    pub(crate) fn section_id(&self, board: u32, section: usize) -> String {
        let number = mix(&[self.seed, 4, u64::from(board), section as u64]);
        format!("519{:016}", number % 10_000_000_000_000_000)
    }

    pub(crate) fn account_id(&self, username: &str) -> String {
        format!("729{:015}", mix_text(mix(&[self.seed, 5]), username) % 1_000_000_000_000_000)
    }

    /// 32 hex digits.
    pub(crate) fn picture_hash(&self, picture: PictureKey) -> String {
        let mut left = u64::from(picture.pin.board) << 32 | u64::from(picture.item) << 16 | HASH_MARK;
        let mut right = picture.pin.serial;
        // A Feistel network, which is inverted by running the rounds backwards.
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        format!("{left:016x}{right:016x}")
    }

    pub(crate) fn picture_key(&self, hash: &str) -> Option<PictureKey> {
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hash.len() != 32 || !hash.bytes().all(lower_hex) {
            return None;
        }
        let mut left = u64::from_str_radix(&hash[..16], 16).ok()?;
        let mut right = u64::from_str_radix(&hash[16..], 16).ok()?;
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        (left & 0xFFFF == HASH_MARK && right < SERIALS).then_some(PictureKey {
            pin: PinKey { board: (left >> 32) as u32, serial: right },
            item: (left >> 16) as u16,
        })
    }

    fn round(&self, round: u64, half: u64) -> u64 {
        mix(&[self.seed, 6 + round, half])
    }
}

const ROUNDS: u64 = 4;

fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_hashes_are_mapped_back() {
        let identities = Identities::new(7);
        let mut seen = HashSet::new();
        for board in [0, 1, 99_999] {
            for serial in [0, 1, 2, 250, 20_000, SERIALS - 1] {
                let pin = PinKey { board, serial };
                let id = identities.pin_id(pin);
                assert_eq!(id.len(), 18);
                assert_eq!(identities.pin_key(&id), Some(pin));
                assert!(seen.insert(id));
                let picture = PictureKey { pin, item: 3 };
                let hash = identities.picture_hash(picture);
                assert_eq!(identities.picture_key(&hash), Some(picture));
                assert!(seen.insert(hash));
            }
        }
    }

    #[test]
    fn invented_ids_and_hashes_are_rejected() {
        let identities = Identities::new(7);
        assert_eq!(identities.pin_key("813"), None);
        assert_eq!(identities.pin_key("813999999999999999"), None);
        assert_eq!(identities.pin_key("813-00000000000001"), None);
        assert_eq!(identities.picture_key("0df6f1f0bfe7aaca849c1bbc3607a34b"), None);
        assert_eq!(identities.picture_key("0DF6F1F0BFE7AACA849C1BBC3607A34B"), None);
        assert_eq!(identities.picture_key("é".repeat(16).as_str()), None);
    }

    #[test]
    fn seeds_have_different_ids() {
        let pin = PinKey { board: 0, serial: 0 };
        let (one, two) = (Identities::new(1), Identities::new(2));
        assert_ne!(one.pin_id(pin), two.pin_id(pin));
        assert_ne!(one.board_id(0), two.board_id(0));
    }
}
