//! The canvas. Coordinates are pixels from the top left corner.

use image::RgbImage;

use super::color::{Color, gradient};

pub(super) struct Canvas {
    /// Red, green and blue of each pixel, row by row.
    pixels: Vec<u8>,
    columns: usize,
    rows: usize,
    /// Width in pixels.
    pub(super) width: f32,
    /// Height in pixels.
    pub(super) height: f32,
    /// The shorter side, the unit of sizes.
    pub(super) unit: f32,
}

/// A point.
pub(super) type Point = (f32, f32);

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            pixels: vec![0; width as usize * height as usize * 3],
            columns: width as usize,
            rows: height as usize,
            width: width as f32,
            height: height as f32,
            unit: width.min(height) as f32,
        }
    }

    pub(super) fn into_image(self) -> RgbImage {
        let (width, height) = (self.columns as u32, self.rows as u32);
        RgbImage::from_raw(width, height, self.pixels)
            .unwrap_or_else(|| unreachable!("this is a bug: {width}x{height} pixels were set aside"))
    }

    /// Rows `from..to`, colours from top to bottom.
    pub(super) fn gradient(&mut self, from: f32, to: f32, stops: &[(f32, Color)]) {
        let (first, last) = (self.row(from), self.row(to.ceil()));
        for row in first..last {
            let place = (row as f32 - from) / (to - from).max(1.0);
            let color = bytes(gradient(stops, place));
            let width = self.columns * 3;
            for pixel in self.pixels[row * width..(row + 1) * width].chunks_exact_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }

    /// Paints a box with the colour and opacity that a function returns for each pixel.
    pub(super) fn paint(&mut self, from: Point, to: Point, mut shade: impl FnMut(f32, f32) -> (Color, f32)) {
        let (left, right) = (self.column(from.0), self.column(to.0.ceil()));
        for row in self.row(from.1)..self.row(to.1.ceil()) {
            let start = row * self.columns;
            let pixels = &mut self.pixels[(start + left) * 3..(start + right) * 3];
            for (offset, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                let (color, share) = shade((left + offset) as f32, row as f32);
                cover(pixel, color, share);
            }
        }
    }

    /// Fills the area between a line across the image and a row below it. The arguments of the shade are x, y and the
    /// depth under the line.
    pub(super) fn below(
        &mut self,
        line: impl Fn(f32) -> f32,
        bottom: f32,
        mut shade: impl FnMut(f32, f32, f32) -> Color,
    ) {
        let tops: Vec<f32> = (0..self.columns).map(|x| line(x as f32)).collect();
        let highest = tops.iter().copied().fold(self.height, f32::min);
        let width = self.width;
        self.paint((0.0, highest.floor()), (width, bottom), |x, y| {
            let depth = y + 1.0 - tops[x as usize];
            if depth <= 0.0 {
                return (super::color::BLACK, 0.0);
            }
            (shade(x, y, depth), depth.min(1.0))
        });
    }

    /// Covers part of a row: `from..to` in fractions of pixels.
    pub(super) fn span(
        &mut self,
        row: usize,
        coverage: &[f32],
        left: usize,
        shade: impl Fn(f32, f32) -> Color,
        alpha: f32,
    ) {
        let start = (row * self.columns + left) * 3;
        let pixels = &mut self.pixels[start..start + coverage.len() * 3];
        for (offset, (pixel, share)) in pixels.chunks_exact_mut(3).zip(coverage).enumerate() {
            if *share > 0.0 {
                cover(pixel, shade((left + offset) as f32, row as f32), share.min(1.0) * alpha);
            }
        }
    }

    /// A soft, translucent light, brightest in the middle.
    pub(super) fn glow(&mut self, middle: Point, radius: f32, color: Color, strength: f32) {
        let reach = 1.0 / radius.max(1.0);
        let corner = |sign: f32| (middle.0 + sign * radius, middle.1 + sign * radius);
        let (from, to) = (corner(-1.0), corner(1.0));
        self.paint(from, to, |x, y| {
            let (right, down) = ((x - middle.0) * reach, (y - middle.1) * reach);
            let fade = (1.0 - (right * right + down * down)).max(0.0);
            (color, strength * fade * fade * fade)
        });
    }

    /// A filled circle.
    pub(super) fn disc(&mut self, middle: Point, radius: f32, color: Color, alpha: f32) {
        self.oval(middle, (radius, radius), color, alpha);
    }

    /// A filled ellipse with upright axes.
    pub(super) fn oval(&mut self, middle: Point, radii: Point, color: Color, alpha: f32) {
        let (across, down) = (radii.0.max(0.5), radii.1.max(0.5));
        let edge = across.min(down);
        let from = (middle.0 - across - 1.0, middle.1 - down - 1.0);
        let to = (middle.0 + across + 1.0, middle.1 + down + 1.0);
        self.paint(from, to, |x, y| {
            let (right, below) = ((x + 0.5 - middle.0) / across, (y + 0.5 - middle.1) / down);
            let distance = (right * right + below * below).sqrt();
            (color, alpha * ((1.0 - distance) * edge + 0.5).clamp(0.0, 1.0))
        });
    }

    /// Adds film grain and darkens the corners, as in a photograph.
    pub(super) fn finish(&mut self, seed: u64, grain: f32, vignette: f32) {
        let (width, height) = (self.width, self.height);
        let columns: Vec<f32> = (0..self.columns).map(|x| (x as f32 / width - 0.5).powi(2)).collect();
        let mut state = seed | 1;
        let row_bytes = self.columns * 3;
        for (row, pixels) in self.pixels.chunks_exact_mut(row_bytes).enumerate() {
            let down = (row as f32 / height - 0.5).powi(2);
            for (pixel, across) in pixels.chunks_exact_mut(3).zip(&columns) {
                // Xorshift is fast; its quality suffices.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let light = 1.0 - vignette * (across + down) * 2.0;
                let speck = ((state & 0xFF) as f32 - 127.5) / 127.5 * grain;
                for channel in pixel {
                    *channel = (f32::from(*channel) * light + speck) as u8;
                }
            }
        }
    }

    /// The same image at twice the size, cut to `width` and `height`. Each new pixel is three quarters of the nearest
    /// old one and a quarter of the next, in both directions.
    pub(super) fn enlarge(&self, width: u32, height: u32) -> Self {
        let mut large = Self::new(width, height);
        let old_row = |row: usize| &self.pixels[row * self.columns * 3..(row + 1) * self.columns * 3];
        let mut blended = vec![0_u16; self.columns * 3];
        for (row, pixels) in large.pixels.chunks_exact_mut(large.columns * 3).enumerate() {
            let nearest = (row / 2).min(self.rows - 1);
            let next = if row % 2 == 0 { nearest.saturating_sub(1) } else { (nearest + 1).min(self.rows - 1) };
            for (sum, (near, far)) in blended.iter_mut().zip(old_row(nearest).iter().zip(old_row(next))) {
                *sum = 3 * u16::from(*near) + u16::from(*far);
            }
            widen(&blended, pixels);
        }
        large
    }

    pub(super) fn row(&self, y: f32) -> usize {
        y.clamp(0.0, self.height) as usize
    }

    pub(super) fn column(&self, x: f32) -> usize {
        x.clamp(0.0, self.width) as usize
    }
}

fn bytes(color: Color) -> [u8; 3] {
    [color.red as u8, color.green as u8, color.blue as u8]
}

#[inline]
fn cover(pixel: &mut [u8], color: Color, share: f32) {
    if share <= 0.0 {
        return;
    }
    let blend = |old: u8, new: f32| {
        let old = f32::from(old);
        (old + (new - old) * share) as u8
    };
    pixel[0] = blend(pixel[0], color.red);
    pixel[1] = blend(pixel[1], color.green);
    pixel[2] = blend(pixel[2], color.blue);
}

/// Twice as many pixels, from sums of four. The last one may be left out.
fn widen(row: &[u16], pixels: &mut [u8]) {
    let last = row.len() / 3 - 1;
    for (column, pair) in pixels.chunks_mut(6).enumerate() {
        let (left, right) = (column.saturating_sub(1).min(last), (column + 1).min(last));
        let column = column.min(last);
        for channel in 0..3 {
            let near = 3 * row[column * 3 + channel] + 8;
            pair[channel] = ((near + row[left * 3 + channel]) / 16) as u8;
            if let Some(second) = pair.get_mut(3 + channel) {
                *second = ((near + row[right * 3 + channel]) / 16) as u8;
            }
        }
    }
}
