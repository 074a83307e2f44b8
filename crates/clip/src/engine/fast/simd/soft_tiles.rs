//! Matrix instructions in plain Rust, as the processor's are documented, for tests on processors without them.

use std::cell::RefCell;

use super::tiles::{Operand, Sums, TILE, Tiles};

/// Tiles that every processor has.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct SoftTiles;

/// The registers of a thread.
struct Registers {
    configured: bool,
    sums: [[[f32; TILE * TILE]; 2]; 2],
}

thread_local! {
    static REGISTERS: RefCell<Registers> =
        const { RefCell::new(Registers { configured: false, sums: [[[0.0; TILE * TILE]; 2]; 2] }) };
}

/// The two numbers of a word, subnormal ones as zero.
fn numbers(word: u32) -> [f32; 2] {
    [word << 16, word & 0xFFFF_0000].map(|bits| flushed(f32::from_bits(bits)))
}

fn flushed(value: f32) -> f32 {
    if value.is_subnormal() { 0.0 } else { value }
}

#[allow(unsafe_code, reason = "the contract of the trait")]
impl Tiles for SoftTiles {
    fn configure(self) {
        REGISTERS.with_borrow_mut(|registers| {
            assert!(!registers.configured, "two sessions on a thread");
            registers.configured = true;
        });
    }

    fn release(self) {
        REGISTERS.with_borrow_mut(|registers| registers.configured = false);
    }

    fn zero(self) {
        REGISTERS.with_borrow_mut(|registers| {
            assert!(registers.configured);
            registers.sums = [[[0.0; TILE * TILE]; 2]; 2];
        });
    }

    unsafe fn multiply<const DOWN: usize, const ACROSS: usize>(
        self,
        rows: [Operand<'_>; DOWN],
        columns: [Operand<'_>; ACROSS],
        step: usize,
    ) {
        let load = |operand: Operand<'_>| -> [[f32; 2]; TILE * TILE] {
            let (first, stride) = operand.tile(step);
            std::array::from_fn(|at| {
                let from = first.wrapping_byte_add(at / TILE * stride).wrapping_add(at % TILE);
                // SAFETY: the caller guarantees that the step exists, and `Operand` that its tile is within the slice.
                numbers(unsafe { *from })
            })
        };
        REGISTERS.with_borrow_mut(|registers| {
            assert!(registers.configured);
            let columns = columns.map(load);
            for (rows, sums) in rows.map(load).iter().zip(&mut registers.sums) {
                for (columns, sums) in columns.iter().zip(sums) {
                    for (at, sum) in sums.iter_mut().enumerate() {
                        let (row, column) = (at / TILE, at % TILE);
                        let mut halves = [0.0f32; 2];
                        for word in 0..TILE {
                            let (left, right) = (rows[row * TILE + word], columns[word * TILE + column]);
                            for half in 0..2 {
                                halves[half] = flushed(left[half].mul_add(right[half], halves[half]));
                            }
                        }
                        *sum = flushed(*sum + flushed(halves[0] + halves[1]));
                    }
                }
            }
        });
    }

    fn prefetch(self, _: &[u32], _: usize) {}

    fn store<const DOWN: usize, const ACROSS: usize>(self, sums: &mut Sums) {
        REGISTERS.with_borrow(|registers| {
            assert!(registers.configured);
            for down in 0..DOWN {
                for across in 0..ACROSS {
                    *sums.tile_mut(down, across) = registers.sums[down][across];
                }
            }
        });
    }
}
