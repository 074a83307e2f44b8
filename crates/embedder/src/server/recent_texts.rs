//! The embeddings of texts that were asked for lately: a search that is repeated does not wait for the model.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use embedder::protocol::Response;
use embedder::{DIMENSION, ModelFingerprint};
use lru::LruCache;
use sha2::{Digest, Sha256};

/// Texts remembered: 2 MiB of embeddings, and more searches than an application repeats.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// What stands for a text, so that none is kept in memory once it has been answered.
type TextDigest = [u8; 32];

/// A bounded memory of one model's embeddings; what was not asked for the longest is forgotten first.
pub struct RecentTexts(Mutex<State>);

struct State {
    model: Option<ModelFingerprint>,
    embeddings: LruCache<TextDigest, [f32; DIMENSION]>,
    found: u64,
}

impl RecentTexts {
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(State { model: None, embeddings: LruCache::new(capacity), found: 0 }))
    }

    /// The answer that exactly this text was given.
    pub fn get(&self, text: &str) -> Option<Response> {
        let digest = digest(text);
        let mut state = self.lock();
        let model = state.model?;
        let vector = Box::new(*state.embeddings.get(&digest)?);
        state.found += 1;
        Some(Response::Embedding { model, vector, animated: false })
    }

    /// Keeps the embedding of a text, and forgets those of any other model.
    pub fn put(&self, text: &str, model: ModelFingerprint, vector: [f32; DIMENSION]) {
        let digest = digest(text);
        let mut state = self.lock();
        if state.model.replace(model) != Some(model) {
            state.embeddings.clear();
        }
        state.embeddings.put(digest, vector);
    }

    /// How often a text was found here.
    pub fn found(&self) -> u64 {
        self.lock().found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(text: &str) -> TextDigest {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelFingerprint = ModelFingerprint::from_bytes([1; 32]);
    const OTHER: ModelFingerprint = ModelFingerprint::from_bytes([2; 32]);

    fn vector(value: f32) -> [f32; DIMENSION] {
        let mut vector = [0.0; DIMENSION];
        vector[7] = value;
        vector
    }

    #[test]
    fn a_text_is_answered_to_the_last_bit_and_no_other_text_is() {
        let texts = RecentTexts::new();
        assert_eq!(texts.get("a barn"), None);
        texts.put("a barn", MODEL, vector(0.1));
        texts.put("a beach", MODEL, vector(0.2));
        let answer = Response::Embedding { model: MODEL, vector: Box::new(vector(0.1)), animated: false };
        assert_eq!(texts.get("a barn").map(|found| found.encode(3)), Some(answer.encode(3)));
        assert_eq!(texts.get("a barn "), None);
        assert_eq!(texts.get("A barn"), None);
        assert_eq!(texts.found(), 1);
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let texts = RecentTexts::with_capacity(NonZeroUsize::new(2).unwrap());
        texts.put("one", MODEL, vector(1.0));
        texts.put("two", MODEL, vector(2.0));
        assert!(texts.get("one").is_some());
        texts.put("three", MODEL, vector(3.0));
        assert!(texts.get("one").is_some() && texts.get("two").is_none() && texts.get("three").is_some());
    }

    #[test]
    fn another_model_answers_nothing_of_the_last_ones() {
        let texts = RecentTexts::new();
        texts.put("a barn", MODEL, vector(0.1));
        texts.put("a beach", OTHER, vector(0.2));
        assert_eq!(texts.get("a barn"), None);
        assert_eq!(
            texts.get("a beach"),
            Some(Response::Embedding { model: OTHER, vector: Box::new(vector(0.2)), animated: false })
        );
        texts.put("a barn", MODEL, vector(0.3));
        assert_eq!(texts.get("a beach"), None);
    }
}
