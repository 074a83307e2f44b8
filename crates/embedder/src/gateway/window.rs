//! How many images an embedder is given at the same time, and how fast it is.

use std::time::Duration;

/// The number before anything is known.
const FIRST: u32 = 8;
/// The largest number.
const MOST: u32 = 128;
/// The time that an image may take, apart from the way there and back: long enough for passes of many images, and short enough
/// that a slow embedder is not given what a faster one could finish before.
const AIM: Duration = Duration::from_millis(300);
/// The share of a new measurement in the average.
const SHARE: f64 = 0.1;

/// The measured speed of an embedder, and the number of images that it is given.
#[derive(Clone, Debug)]
pub struct Window {
    size: u32,
    /// Seconds per image, averaged; 0 before the first.
    per_image: f64,
}

impl Window {
    pub const fn new() -> Self {
        Self { size: FIRST, per_image: 0.0 }
    }

    /// The number of images that it is given at the same time.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The recent time per image; zero before the first.
    pub fn per_image(&self) -> Duration {
        Duration::from_secs_f64(self.per_image)
    }

    /// An image took `time`, and with it the embedder had `in_flight` images, of which it was the last. `round_trip` is the
    /// way there and back.
    pub fn measured(&mut self, time: Duration, in_flight: u32, round_trip: Duration) {
        // By Little's law: the images under way, divided by the time each is under way, is the rate.
        let one = time.as_secs_f64() / f64::from(in_flight.max(1));
        self.per_image = if self.per_image == 0.0 { one } else { self.per_image + SHARE * (one - self.per_image) };
        let own = time.saturating_sub(round_trip);
        if own > 2 * AIM {
            self.size = (self.size - 1).max(1);
        } else if own < AIM && in_flight >= self.size {
            self.size = (self.size + 1).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(40);

    /// The window after many images of an embedder that takes `per_image` and one image after the other.
    fn settled(per_image: Duration) -> Window {
        let mut window = Window::new();
        for _ in 0..1000 {
            let in_flight = window.size();
            window.measured(ROUND_TRIP + per_image * in_flight, in_flight, ROUND_TRIP);
        }
        window
    }

    #[test]
    fn it_holds_the_work_of_a_moment() {
        for (milliseconds, expected) in [(1, MOST..=MOST), (10, 30..=60), (100, 3..=6), (5000, 1..=1)] {
            let window = settled(Duration::from_millis(milliseconds));
            assert!(expected.contains(&window.size()), "{milliseconds} ms an image: {}", window.size());
        }
    }

    #[test]
    fn it_does_not_grow_without_need() {
        let mut window = Window::new();
        (0..100).for_each(|_| window.measured(Duration::from_millis(5), 2, Duration::ZERO));
        assert_eq!(window.size(), FIRST);
        assert!((2.4..2.6).contains(&(window.per_image().as_secs_f64() * 1000.0)));
    }
}
