//! How much of a page may be pictures.

/// Bytes of pictures that one page carries, before their encoding makes them a third longer: browsers open a page of
/// that size without delay, and text in Postgres ends at 1 GB.
pub const PAGE_BYTES: usize = 32 << 20;

/// What is left of a page's bytes.
#[derive(Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(PAGE_BYTES)
    }
}

impl Budget {
    /// So many bytes.
    pub fn of(bytes: usize) -> Self {
        Budget(bytes)
    }

    /// What is left.
    pub fn left(&self) -> usize {
        self.0
    }

    /// Takes bytes off; false, and nothing taken, where they are too many.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let mut budget = Budget::of(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        assert!(budget.take(3));
        assert_eq!(budget.left(), 0);
    }
}
