//! Chooses how many inputs share a forward pass.

use std::time::{Duration, Instant};

use crate::inference::BATCH;

/// Most inputs of one pass.
pub const MOST: usize = 32;

/// A pass of up to eight images may take so many times the limit where texts do not wait for its end. An image of another
/// client does.
const UNINTERRUPTED: u32 = 4;

/// Time after a text in which another one is expected: a user who searches sends the next query within seconds.
const ATTENTION: Duration = Duration::from_secs(5);

/// Weight of the latest pass in the moving average: smooths noise, and follows a change after about five passes.
const WEIGHT: f64 = 0.25;

/// Chooses sizes so that a pass stays below a limit, since inputs that arrive during a pass wait for its end.
///
/// Texts do not wait for images that the fast kernels compute: such a pass has breaks for them. So up to eight images may take
/// four times the limit. On two cores that embed 50 images per second, passes of eight instead of five shortened an import by
/// 6 percent.
///
/// Engines that prepare their weights in each pass gain much more: candle embeds 25 to 50 percent more images per second in
/// batches of eight than one by one, but has no break in such a batch. There a pass has eight, however long they take, as long
/// as no texts arrive. The first text after a pause waits for such a pass, the following ones do not. Passes of texts always
/// have eight, since texts only wait for each other.
pub struct PassSize {
    limit: Duration,
    batches_pay: bool,
    image: Pace,
    text: Pace,
    last_text: Option<Instant>,
}

impl PassSize {
    /// Sizes for passes of at most `limit`; a pass of one input may take longer.
    pub fn new(limit: Duration) -> Self {
        Self { limit, batches_pay: false, image: Pace::default(), text: Pace::default(), last_text: None }
    }

    /// Whether the engine takes much less than eight times the time of one input for eight, and no breaks in between.
    pub fn set_batches_pay(&mut self, batches_pay: bool) {
        self.batches_pay = batches_pay;
    }

    /// Reports a text that waits for the model.
    pub fn text_came(&mut self, now: Instant) {
        self.last_text = Some(now);
    }

    /// Reports that a pass of `count` images has taken `time`.
    pub fn images_took(&mut self, count: usize, time: Duration) {
        self.image.learn(count, time);
    }

    /// Reports that a pass of `count` texts has taken `time`.
    pub fn texts_took(&mut self, count: usize, time: Duration) {
        self.text.learn(count, time);
    }

    /// Most images of a pass that begins now.
    pub fn images(&self, now: Instant) -> usize {
        let attended = self.last_text.is_some_and(|last| now.saturating_duration_since(last) < ATTENTION);
        self.image.inputs(self.limit).max(match (self.batches_pay, attended) {
            (false, _) => self.image.inputs(UNINTERRUPTED * self.limit).min(BATCH),
            (true, false) => BATCH,
            (true, true) => 1,
        })
    }

    /// Most texts of a pass.
    pub fn texts(&self) -> usize {
        self.text.inputs(self.limit).max(if self.batches_pay { BATCH } else { 1 })
    }

    /// Time of a pass per image; `None` before the first.
    pub fn image_time(&self) -> Option<Duration> {
        self.image.seconds.map(Duration::from_secs_f64)
    }
}

/// A moving average of the time of a pass per input.
#[derive(Default)]
struct Pace {
    seconds: Option<f64>,
}

impl Pace {
    fn learn(&mut self, count: usize, time: Duration) {
        if count == 0 {
            return;
        }
        let latest = time.as_secs_f64() / count as f64;
        self.seconds = Some(match self.seconds {
            None => latest,
            Some(seconds) => seconds + WEIGHT * (latest - seconds),
        });
    }

    /// How many fit in `limit`, at least one; one before the first pass.
    fn inputs(&self, limit: Duration) -> usize {
        match self.seconds {
            None => 1,
            // The conversion saturates, so a pass that took no time allows the most.
            Some(seconds) => ((limit.as_secs_f64() / seconds) as usize).clamp(1, MOST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(60);

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// After many passes in which an image took this long.
    fn used_to(image: Duration) -> PassSize {
        let mut size = PassSize::new(LIMIT);
        for _ in 0..50 {
            size.images_took(2, 2 * image);
        }
        size
    }

    #[test]
    fn a_pass_with_breaks_may_take_four_times_the_limit_and_have_eight_images() {
        let now = Instant::now();
        for (image, images) in [(300, 1), (121, 1), (119, 2), (31, 7), (29, 8), (8, 8), (5, 12), (1, MOST)] {
            let mut size = used_to(milliseconds(image));
            assert_eq!(size.images(now), images, "{image} ms");
            size.text_came(now);
            assert_eq!(size.images(now), images, "{image} ms, a text came");
        }
        assert_eq!(used_to(Duration::ZERO).images(now), MOST);
    }

    #[test]
    fn a_pass_without_breaks_stays_under_the_limit_while_texts_come() {
        let now = Instant::now();
        for (image, attended, alone) in [(61, 1, BATCH), (29, 2, BATCH), (8, 7, BATCH), (5, 12, 12), (1, MOST, MOST)] {
            let mut size = used_to(milliseconds(image));
            size.set_batches_pay(true);
            assert_eq!(size.images(now), alone, "{image} ms");
            size.text_came(now);
            assert_eq!(size.images(now), attended, "{image} ms");
            assert_eq!(size.images(now + ATTENTION), alone, "{image} ms");
        }
    }

    #[test]
    fn the_first_pass_is_of_one() {
        let size = PassSize::new(LIMIT);
        assert_eq!((size.images(Instant::now()), size.texts(), size.image_time()), (1, 1, None));
    }

    #[test]
    fn one_slow_pass_is_noise_and_five_are_a_change() {
        let now = Instant::now();
        let mut size = used_to(milliseconds(40));
        assert_eq!(size.images(now), 6);
        size.images_took(6, milliseconds(360));
        assert_eq!(size.images(now), 5);
        for _ in 0..5 {
            size.images_took(4, milliseconds(400));
        }
        assert_eq!(size.images(now), 2);
        let time = size.image_time().unwrap();
        assert!(milliseconds(80) < time && time < milliseconds(100), "{time:?}");
    }

    #[test]
    fn if_batches_pay_an_import_gets_them_while_no_texts_come() {
        let start = Instant::now();
        let mut size = used_to(milliseconds(130));
        size.set_batches_pay(true);
        assert_eq!(size.images(start), BATCH);
        size.text_came(start);
        assert_eq!(size.images(start), 1);
        assert_eq!(size.images(start + ATTENTION / 2), 1);
        assert_eq!(size.images(start + ATTENTION), BATCH);
        size.text_came(start + ATTENTION);
        assert_eq!(size.images(start + ATTENTION), 1);
    }

    #[test]
    fn a_fast_engine_takes_more_than_eight_either_way() {
        let mut size = used_to(milliseconds(3));
        size.set_batches_pay(true);
        assert_eq!(size.images(Instant::now()), 20);
    }

    #[test]
    fn texts_have_a_pace_of_their_own() {
        let mut size = used_to(milliseconds(30));
        for _ in 0..50 {
            size.texts_took(2, milliseconds(20));
        }
        assert_eq!((size.images(Instant::now()), size.texts()), (8, 6));
        for _ in 0..50 {
            size.texts_took(6, milliseconds(6));
        }
        assert_eq!(size.texts(), MOST);
        for _ in 0..50 {
            size.texts_took(MOST, milliseconds(100 * MOST as u64));
        }
        assert_eq!(size.texts(), 1);
        size.set_batches_pay(true);
        assert_eq!(size.texts(), BATCH);
    }

    #[test]
    fn an_empty_pass_changes_nothing() {
        let mut size = PassSize::new(LIMIT);
        size.texts_took(0, milliseconds(5));
        assert_eq!(size.texts(), 1);
        size.texts_took(1, milliseconds(5));
        assert_eq!(size.texts(), 12);
    }
}
