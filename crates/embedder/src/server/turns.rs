//! How texts and images share the model's time.

use std::time::{Duration, Instant};

/// After a batch of texts, images that wait have at least as much time before a break for the next one, so that a stream of
/// texts does not starve them.
#[derive(Default)]
pub struct Turns {
    /// When the last batch of texts ended, and how long it took.
    last_texts: Option<(Instant, Duration)>,
    /// Of all batches of texts.
    texts: Duration,
}

impl Turns {
    /// Whether a pass of images has a break for texts now.
    pub fn is_texts(&self, now: Instant) -> bool {
        self.last_texts.is_none_or(|(ended, took)| now - ended >= took)
    }

    /// Reports that a batch of texts was computed from `began` until now.
    pub fn texts_took(&mut self, began: Instant, now: Instant) {
        let took = now - began;
        self.last_texts = Some((now, took));
        self.texts += took;
    }

    /// The time of all batches of texts so far.
    pub fn texts(&self) -> Duration {
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_as_much_time_as_texts() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut turns = Turns::default();
        assert!(turns.is_texts(at(0)), "the first texts wait for nothing");
        turns.texts_took(at(10), at(40));
        assert!(!turns.is_texts(at(69)));
        assert!(turns.is_texts(at(70)));
        turns.texts_took(at(80), at(82));
        assert!(turns.is_texts(at(84)));
        assert_eq!(turns.texts(), Duration::from_millis(32));
    }
}
