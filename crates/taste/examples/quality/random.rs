/// Seeded random numbers, the same on every machine.
pub struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// In `low..high`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.f64()
    }

    /// In `low..=high`.
    pub fn integer(&mut self, low: usize, high: usize) -> usize {
        self.0.usize(low..=high)
    }

    /// Approximately normal with variance 1: the sum of twelve uniform numbers.
    pub fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.0.f64()).sum::<f64>() - 6.0
    }

    /// `length` such numbers with a squared norm of about 1.
    pub fn direction(&mut self, length: usize) -> Vec<f64> {
        let scale = (length as f64).sqrt().recip();
        (0..length).map(|_| self.bell() * scale).collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
