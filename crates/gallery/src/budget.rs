//! The limit of embedded pictures.

/// Bytes of the pictures embedded in one page, before their encoding makes them a third longer: browsers open a page of
/// that size without delay, and text in Postgres is limited to 1 GB.
pub const PAGE_BYTES: usize = 32 << 20;

/// The rest of a page's bytes.
#[derive(Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(PAGE_BYTES)
    }
}

impl Budget {
    /// A budget of this size.
    pub fn of(bytes: usize) -> Self {
        Budget(bytes)
    }

    /// The number of bytes left.
    pub fn left(&self) -> usize {
        self.0
    }

    /// Subtracts bytes. If they are too many, returns false and subtracts nothing.
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
    fn too_many_bytes_leave_the_budget_unchanged() {
        let mut budget = Budget::of(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        assert!(budget.take(3));
        assert_eq!(budget.left(), 0);
    }
}
