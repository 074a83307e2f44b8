//! Memory aligned to cache lines, and matrices that several threads fill at once.
#![allow(unsafe_code, reason = "threads write different columns of one row-major matrix, which no slice can express")]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Numbers that start at a cache line.
pub(super) struct Buffer<T> {
    storage: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Default for Buffer<T> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T: Copy + Default> Buffer<T> {
    /// `length` zeros.
    pub(super) fn new(length: usize) -> Self {
        let storage = vec![T::default(); length + LINE / size_of::<T>()];
        let start = storage.as_ptr().align_offset(LINE);
        Self { storage, start, length }
    }

    /// Makes room for at least `length` numbers. The content is unspecified afterwards.
    pub(super) fn reserve(&mut self, length: usize) {
        if length > self.length {
            *self = Self::new(length);
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.storage[self.start..][..self.length]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.storage[self.start..][..self.length]
    }
}

/// A row-major matrix whose parts are lent to several threads at once.
pub(super) struct Parts<'a, T> {
    start: *mut T,
    length: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: it is equivalent to a `&mut [T]`; callers of `part` guarantee that no two threads have the same part.
unsafe impl<T: Send> Send for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Rows of `stride` numbers.
    pub(super) fn new(matrix: &'a mut [T], stride: usize) -> Self {
        Self { start: matrix.as_mut_ptr(), length: matrix.len(), stride, borrowed: PhantomData }
    }

    /// Borrows some columns of a row.
    ///
    /// # Safety
    ///
    /// While the part is borrowed, no overlapping part may be borrowed on any thread.
    ///
    /// # Panics
    ///
    /// If the part exceeds its row or the matrix.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the purpose of the type")]
    pub(super) unsafe fn part(&self, row: usize, columns: Range<usize>) -> &mut [T] {
        let first = row * self.stride + columns.start;
        assert!(columns.start <= columns.end && columns.end <= self.stride && first + columns.len() <= self.length);
        // SAFETY: within the borrowed slice, and by the caller's guarantee not borrowed elsewhere.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), columns.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_stays_aligned_when_moved() {
        let buffers: Vec<Buffer<f32>> = (1..100).map(Buffer::new).collect();
        for (buffer, length) in buffers.iter().zip(1..) {
            assert_eq!(buffer.as_ptr() as usize % LINE, 0);
            assert_eq!(buffer.len(), length);
        }
    }

    #[test]
    fn threads_fill_columns_of_one_matrix() {
        let mut matrix = vec![0; 7 * 12];
        let parts = Parts::new(&mut matrix, 12);
        std::thread::scope(|scope| {
            for first in [0, 4, 8] {
                let parts = &parts;
                scope.spawn(move || {
                    for row in 0..7 {
                        // SAFETY: each thread has different columns.
                        unsafe { parts.part(row, first..first + 4) }.fill(first + row);
                    }
                });
            }
        });
        for (at, value) in matrix.iter().enumerate() {
            assert_eq!(*value, at % 12 / 4 * 4 + at / 12);
        }
    }

    #[test]
    #[should_panic]
    fn a_part_beyond_its_row_is_refused() {
        let mut matrix = vec![0; 24];
        // SAFETY: the only borrow.
        unsafe { Parts::new(&mut matrix, 12).part(0, 8..13) };
    }
}
