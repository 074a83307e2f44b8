//! Caches the embeddings of recent texts, so that a repeated search does not wait for the model.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use embedder::protocol::Response;
use embedder::{DIMENSION, ModelFingerprint};
use lru::LruCache;
use sha2::{Digest, Sha256};

/// Texts in the cache: 2 MiB of embeddings, and more searches than an application repeats.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// The key of a text. Texts themselves are not kept in memory once they are answered.
type TextDigest = [u8; 32];

/// A bounded cache of one model's embeddings; the least recently used are removed first.
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

    /// The earlier answer to exactly this text.
    pub fn get(&self, text: &str) -> Option<Response> {
        let digest = digest(text);
        let mut state = self.lock();
        let model = state.model?;
        let vector = Box::new(*state.embeddings.get(&digest)?);
        state.found += 1;
        Some(Response::Embedding { model, vector, animated: false, thumbnail: None })
    }

    /// Adds the embedding of a text, and removes those of any other model.
    pub fn put(&self, text: &str, model: ModelFingerprint, vector: [f32; DIMENSION]) {
        let digest = digest(text);
        let mut state = self.lock();
        if state.model.replace(model) != Some(model) {
            state.embeddings.clear();
        }
        state.embeddings.put(digest, vector);
    }

    /// How often a text was found.
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
    fn the_same_text_gets_the_same_bits_and_other_texts_get_none() {
        let texts = RecentTexts::new();
        assert_eq!(texts.get("a barn"), None);
        texts.put("a barn", MODEL, vector(0.1));
        texts.put("a beach", MODEL, vector(0.2));
        let answer =
            Response::Embedding { model: MODEL, vector: Box::new(vector(0.1)), animated: false, thumbnail: None };
        assert_eq!(texts.get("a barn").map(|found| found.encode(3)), Some(answer.encode(3)));
        assert_eq!(texts.get("a barn "), None);
        assert_eq!(texts.get("A barn"), None);
        assert_eq!(texts.found(), 1);
    }

    #[test]
    fn the_least_recently_used_text_is_removed_first() {
        let texts = RecentTexts::with_capacity(NonZeroUsize::new(2).unwrap());
        texts.put("one", MODEL, vector(1.0));
        texts.put("two", MODEL, vector(2.0));
        assert!(texts.get("one").is_some());
        texts.put("three", MODEL, vector(3.0));
        assert!(texts.get("one").is_some() && texts.get("two").is_none() && texts.get("three").is_some());
    }

    #[test]
    fn another_model_empties_the_cache() {
        let texts = RecentTexts::new();
        texts.put("a barn", MODEL, vector(0.1));
        texts.put("a beach", OTHER, vector(0.2));
        assert_eq!(texts.get("a barn"), None);
        assert_eq!(
            texts.get("a beach"),
            Some(Response::Embedding { model: OTHER, vector: Box::new(vector(0.2)), animated: false, thumbnail: None })
        );
        texts.put("a barn", MODEL, vector(0.3));
        assert_eq!(texts.get("a beach"), None);
    }
}
