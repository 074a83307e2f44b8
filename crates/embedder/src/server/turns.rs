//! How texts and images share the time of a pass of images.

use std::time::{Duration, Instant};

/// A pass of images with breaks for texts. After a batch of texts, the images have at least as much time before the next one,
/// so that a stream of texts does not starve them.
pub struct Turns {
    /// When the pass began, or the last texts ended.
    since: Instant,
    last_texts: Duration,
    all_texts: Duration,
    began: Instant,
}

impl Turns {
    /// A pass of images that begins now.
    pub fn new(now: Instant) -> Self {
        Self { since: now, last_texts: Duration::ZERO, all_texts: Duration::ZERO, began: now }
    }

    /// Whether it is the turn of texts.
    pub fn is_texts(&self, now: Instant) -> bool {
        now - self.since >= self.last_texts
    }

    /// Reports that texts were computed from `began` until now.
    pub fn texts_took(&mut self, began: Instant, now: Instant) {
        self.since = now;
        self.last_texts = now - began;
        self.all_texts += self.last_texts;
    }

    /// What the images have taken by now.
    pub fn images_took(&self, now: Instant) -> Duration {
        (now - self.began).saturating_sub(self.all_texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_as_much_time_as_texts() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut turns = Turns::new(began);
        assert!(turns.is_texts(at(0)), "the first texts wait for nothing");
        turns.texts_took(at(10), at(40));
        assert!(!turns.is_texts(at(69)));
        assert!(turns.is_texts(at(70)));
        turns.texts_took(at(80), at(82));
        assert!(turns.is_texts(at(84)));
        assert_eq!(turns.images_took(at(100)), Duration::from_millis(68));
    }
}
