//! Matrix instructions that multiply tiles of sixteen rows of sixteen words, of two bfloat16 each.
//!
//! Four tiles of f32 sums stay in the processor's tile registers throughout [`Session::block`]: those of one or two tiles of
//! rows times one or two tiles of columns.

use std::marker::PhantomData;

/// Rows of a tile; words and f32 sums in one of its rows.
pub(in super::super) const TILE: usize = 16;

/// Where the sums of a block are stored, `[row of tiles][column of tiles][row][column]`, of 2 x 2 tiles. The tiles begin at
/// the same offset of four pages, so that loads from the other parts of a page never wait for a store to the same offset.
#[repr(C, align(4096))]
pub(in super::super) struct Sums([[f32; 1024]; 4]);

impl Sums {
    /// Zeros.
    pub(in super::super) const fn new() -> Self {
        Self([[0.0; 1024]; 4])
    }

    /// Row `row` of the tile in row `down` and column `across` of the block.
    #[inline(always)]
    pub(in super::super) fn row(&self, (down, across): (usize, usize), row: usize) -> &[f32] {
        &self.0[2 * down + across][row * TILE..][..TILE]
    }

    /// The tile in row `down` and column `across` of the block.
    #[inline(always)]
    pub(super) fn tile_mut(&mut self, down: usize, across: usize) -> &mut [f32; TILE * TILE] {
        let (tile, _) =
            self.0[2 * down + across].split_first_chunk_mut().unwrap_or_else(|| unreachable!("1024 numbers"));
        tile
    }
}

/// Consecutive tiles of words in memory, one for each step of a sum.
#[derive(Clone, Copy)]
pub(in super::super) struct Operand<'a> {
    first: *const u32,
    stride: usize,
    step: usize,
    steps: usize,
    borrowed: PhantomData<&'a [u32]>,
}

impl<'a> Operand<'a> {
    /// `steps` tiles, each `step` words after the one before, with rows `stride` words apart.
    ///
    /// # Panics
    ///
    /// If the last tile exceeds `words`.
    #[inline(always)]
    pub(in super::super) fn new(words: &'a [u32], stride: usize, step: usize, steps: usize) -> Self {
        let end = steps.saturating_sub(1) * step + (TILE - 1) * stride + TILE;
        assert!(end <= words.len(), "a tile ends {end} words on, of {}", words.len());
        // A row of a tile has the size of a cache line. One that is in two lines is loaded four times more slowly.
        debug_assert!(
            words.as_ptr().addr().is_multiple_of(size_of::<[u32; TILE]>()),
            "a tile begins inside a cache line"
        );
        debug_assert!(
            stride.is_multiple_of(TILE) && step.is_multiple_of(TILE),
            "rows or tiles begin inside a cache line"
        );
        Self { first: words.as_ptr(), stride, step, steps, borrowed: PhantomData }
    }

    /// The address of the tile of `step`, and the bytes from one of its rows to the next.
    #[inline(always)]
    pub(super) fn tile(self, step: usize) -> (*const u32, usize) {
        debug_assert!(step < self.steps, "{step} of {}", self.steps);
        (self.first.wrapping_add(step * self.step), self.stride * size_of::<u32>())
    }
}

/// A processor's matrix instructions.
pub(in super::super) trait Tiles: Copy + Send + Sync + 'static {
    /// Configures the tile registers of this thread.
    fn configure(self);
    /// Releases the tile registers of this thread.
    fn release(self);
    /// Sets the sums to zero.
    fn zero(self);
    /// Adds the products of `DOWN` tiles of rows and `ACROSS` tiles of columns at one step to the sums. In a tile of
    /// columns, row k contains the inputs 2k and 2k + 1 of sixteen columns.
    ///
    /// For each sum, the products of the first and those of the second halves of the words are added up apart, in the order
    /// of the inputs; the two results are added, and then the sum. Subnormal numbers count as zero.
    ///
    /// # Safety
    ///
    /// `step` must be below the number of steps of each operand.
    #[allow(unsafe_code, reason = "the caller's duty")]
    unsafe fn multiply<const DOWN: usize, const ACROSS: usize>(
        self,
        rows: [Operand<'_>; DOWN],
        columns: [Operand<'_>; ACROSS],
        step: usize,
    );
    /// Prefetches the cache line at `from[at..]` into the second-level cache; any index is allowed.
    fn prefetch(self, from: &[u32], at: usize);
    /// Stores the sums of `DOWN` x `ACROSS` tiles.
    fn store<const DOWN: usize, const ACROSS: usize>(self, sums: &mut Sums);
}

/// The tile registers of this thread, configured until it is dropped. It must not leave the thread, and only one may exist
/// at a time.
pub(in super::super) struct Session<T: Tiles> {
    tiles: T,
    /// Neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

impl<T: Tiles> Session<T> {
    /// Configures the registers.
    #[inline(always)]
    pub(in super::super) fn new(tiles: T) -> Self {
        tiles.configure();
        Self { tiles, thread: PhantomData }
    }

    /// Computes `sums`, `DOWN` x `ACROSS` tiles, over all `steps`. After each step it calls `between`, whose instructions
    /// the processor executes while it multiplies; it gets the step and the sums of the block before, which remain until
    /// the last step.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the steps are checked")]
    pub(in super::super) fn block<const DOWN: usize, const ACROSS: usize>(
        &mut self,
        rows: [Operand<'_>; DOWN],
        columns: [Operand<'_>; ACROSS],
        steps: usize,
        sums: &mut Sums,
        mut between: impl FnMut(usize, &Sums),
    ) {
        assert!(rows.iter().chain(&columns).all(|operand| steps <= operand.steps));
        self.tiles.zero();
        for step in 0..steps {
            // SAFETY: checked above.
            unsafe { self.tiles.multiply(rows, columns, step) };
            between(step, sums);
        }
        self.tiles.store::<DOWN, ACROSS>(sums);
    }
}

impl<T: Tiles> Drop for Session<T> {
    fn drop(&mut self) {
        self.tiles.release();
    }
}

/// The matrix instructions of a processor that has none.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum NoTiles {}

#[allow(unsafe_code, reason = "never called")]
impl Tiles for NoTiles {
    fn configure(self) {
        match self {}
    }

    fn release(self) {
        match self {}
    }

    fn zero(self) {
        match self {}
    }

    unsafe fn multiply<const DOWN: usize, const ACROSS: usize>(
        self,
        _: [Operand<'_>; DOWN],
        _: [Operand<'_>; ACROSS],
        _: usize,
    ) {
        match self {}
    }

    fn prefetch(self, _: &[u32], _: usize) {
        match self {}
    }

    fn store<const DOWN: usize, const ACROSS: usize>(self, _: &mut Sums) {
        match self {}
    }
}
