//! Smooth noise for clouds, leaves, sand and wood, from one tile that is made once.

use std::sync::LazyLock;

use crate::random::{Random, mix};

const SIDE: usize = 256;
const MASK: usize = SIDE - 1;
/// Keeps coordinates positive, where truncation equals rounding down and is much faster.
const FAR: f32 = 8192.0;

static TILE: LazyLock<Vec<f32>> = LazyLock::new(make_tile);

/// A window into the tile, at a position per image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    tile: &'static [f32],
    x: f32,
    y: f32,
}

impl Noise {
    pub(super) fn new(random: &mut Random) -> Self {
        Self { tile: &TILE, x: FAR + random.range(0.0, SIDE as f32), y: FAR + random.range(0.0, SIDE as f32) }
    }

    /// Smooth, about −1 to 1, with features from a few units to sixty units wide.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x + self.x, y + self.y);
        let (left, top) = (x as i32, y as i32);
        let (right, down) = (x - left as f32, y - top as f32);
        // The side is a power of two, so a mask wraps coordinates.
        let (column, row) = (left as usize & MASK, top as usize & MASK);
        let (next_column, next_row) = ((column + 1) & MASK, (row + 1) & MASK);
        let value = |row: usize, column: usize| self.tile[row * SIDE + column];
        let upper = value(row, column) + (value(row, next_column) - value(row, column)) * right;
        let lower = value(next_row, column) + (value(next_row, next_column) - value(next_row, column)) * right;
        upper + (lower - upper) * down
    }

    /// Along a line.
    pub(super) fn along(&self, x: f32) -> f32 {
        self.at(x, 0.37)
    }
}

/// Four octaves of value noise that fit together at the edges.
fn make_tile() -> Vec<f32> {
    let mut tile = vec![0.0; SIDE * SIDE];
    let mut weight = 1.0;
    for octave in 0..4 {
        let cell = 64 >> (octave * 2).min(5);
        let cells = SIDE / cell;
        let mut random = Random::new(mix(&[0x0153, octave as u64]));
        let lattice: Vec<f32> = (0..cells * cells).map(|_| random.range(-1.0, 1.0)).collect();
        for row in 0..SIDE {
            for column in 0..SIDE {
                tile[row * SIDE + column] += weight * lattice_at(&lattice, cells, cell, column, row);
            }
        }
        weight *= 0.55;
    }
    tile
}

fn lattice_at(lattice: &[f32], cells: usize, cell: usize, column: usize, row: usize) -> f32 {
    let smooth = |place: usize| {
        let share = (place % cell) as f32 / cell as f32;
        share * share * (3.0 - 2.0 * share)
    };
    let (left, top) = (column / cell, row / cell);
    let value = |row: usize, column: usize| lattice[(row % cells) * cells + column % cells];
    let (across, down) = (smooth(column), smooth(row));
    let upper = value(top, left) * (1.0 - across) + value(top, left + 1) * across;
    let lower = value(top + 1, left) * (1.0 - across) + value(top + 1, left + 1) * across;
    upper * (1.0 - down) + lower * down
}
