//! Seeded numbers. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, fast, the same on every machine.

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn finish(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One number from several. The world derives all data from such numbers.
pub(crate) fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x5EED, |state, word| finish((state ^ *word).wrapping_add(GOLDEN_GAMMA)))
}

/// A number from a text.
pub(crate) fn mix_text(seed: u64, text: &str) -> u64 {
    text.as_bytes()
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .fold(mix(&[seed, text.len() as u64]), |state, word| mix(&[state, word]))
}

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        finish(self.state)
    }

    /// In 0.0..1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `low..high`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit() as f32
    }

    /// In `low..=high`.
    pub(crate) fn integer(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() % u64::from(high - low + 1)) as u32
    }

    /// True with the given chance.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[(self.next() % choices.len() as u64) as usize]
    }
}
