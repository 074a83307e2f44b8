//! A small JPEG of an image, made from the rows that the model's input is made from: the file is decoded once, and the image is
//! never in memory as a whole.
//!
//! Each pixel is the mean of the pixels that it covers, in integers, so that the bytes are the same on every processor. That
//! blurs less than it may seem: a thumbnail is always smaller than its image. Transparent pixels are shown on white. The
//! JPEG has no metadata, the EXIF orientation is applied, and colour profiles are ignored, as for the model.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use mozjpeg::{ColorSpace, Compress};

use super::rows::Rows;

/// On the scale of libjpeg. Below it, rings around edges begin to show; 75 takes a tenth more bytes, and 85 a half.
const QUALITY: f32 = 70.0;
/// Tried in turn for an image of noise, whose JPEG would be over the limit.
const LOWER_QUALITIES: [f32; 2] = [45.0, 20.0];

/// Fraction bits of a weight. Sums of weights are exactly 1.
const FRACTION_BITS: u32 = 16;

/// Collects the rows of an image, reduced.
pub(super) struct Thumbnail {
    /// The longest side, in pixels.
    side: usize,
    passes: Option<Passes>,
    /// The alpha of the next rows, if there is any.
    alpha: Vec<u8>,
    /// One of those rows on white.
    flattened: Vec<u8>,
}

struct Passes {
    orientation: Orientation,
    /// Width and height as stored, and of the thumbnail.
    size: [usize; 2],
    small: [usize; 2],
    /// The first column of each column of the thumbnail, and the weights.
    columns: Vec<(usize, Vec<u32>)>,
    /// Rows received.
    seen: usize,
    /// The weighted sums of the unfinished row of the thumbnail.
    sums: Vec<u32>,
    rgb: Vec<u8>,
}

impl Thumbnail {
    pub fn new(side: usize) -> Self {
        Self { side: side.max(1), passes: None, alpha: vec![], flattened: vec![] }
    }

    /// The JPEG; `None` if rows of the image are missing, or no quality makes it small enough.
    pub fn finish(self, most_bytes: usize) -> Option<Vec<u8>> {
        let passes = self.passes.filter(|passes| passes.seen == passes.size[1])?;
        let [width, height] = passes.small.map(|side| side as u32);
        let mut picture = DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, passes.rgb)?);
        picture.apply_orientation(passes.orientation);
        let picture = picture.into_rgb8();
        let jpegs = [QUALITY].into_iter().chain(LOWER_QUALITIES).map(|quality| jpeg(&picture, quality));
        jpegs.flatten().find(|jpeg| jpeg.len() <= most_bytes)
    }
}

impl Rows for Thumbnail {
    fn begin(&mut self, size: [usize; 2], orientation: Orientation) {
        let long = size[0].max(size[1]);
        let small = match long <= self.side {
            true => size,
            false => size.map(|length| ((2 * length * self.side + long) / (2 * long)).max(1)),
        };
        self.passes = Some(Passes {
            orientation,
            size,
            small,
            columns: (0..small[0]).map(|column| covered(column, size[0], small[0])).collect(),
            seen: 0,
            sums: vec![0; 3 * size[0]],
            rgb: Vec::with_capacity(3 * small[0] * small[1]),
        });
    }

    fn alpha(&mut self, alpha: &[u8]) {
        self.alpha.extend_from_slice(alpha);
    }

    fn take(&mut self, rgb: &[u8]) {
        let Some(passes) = &mut self.passes else { unreachable!("rows come after their size: this is a bug") };
        if self.alpha.is_empty() {
            return passes.take(rgb);
        }
        let width = passes.size[0];
        for (row, alpha) in rgb.chunks_exact(3 * width).zip(self.alpha.chunks_exact(width)) {
            let (pixels, _) = row.as_chunks::<3>();
            self.flattened.clear();
            self.flattened.extend(pixels.iter().zip(alpha).flat_map(|(pixel, &alpha)| on_white(*pixel, alpha)));
            passes.take(&self.flattened);
        }
        self.alpha.clear();
    }
}

impl Passes {
    fn take(&mut self, rows: &[u8]) {
        let [height, small] = [self.size[1], self.small[1]];
        for row in rows.chunks_exact(3 * self.size[0]) {
            // In units of 1 / small of a row, so that the borders of rows of the thumbnail are whole numbers as well.
            let (top, bottom) = (self.seen * small, (self.seen + 1) * small);
            let place = top / height;
            let border = (place + 1) * height;
            add(&mut self.sums, row, weight(top - place * height, bottom.min(border) - place * height, height));
            if bottom >= border {
                self.finish_row();
                if bottom > border {
                    add(&mut self.sums, row, weight(0, bottom - border, height));
                }
            }
            self.seen += 1;
        }
    }

    /// Reduces the sums to a row of the thumbnail.
    fn finish_row(&mut self) {
        const HALF: u64 = 1 << (2 * FRACTION_BITS - 1);
        for (first, weights) in &self.columns {
            let mut pixel = [HALF; 3];
            let (sums, _) = self.sums[3 * first..].as_chunks::<3>();
            for (sums, &weight) in sums.iter().zip(weights) {
                for (level, &sum) in pixel.iter_mut().zip(sums) {
                    *level += u64::from(sum) * u64::from(weight);
                }
            }
            self.rgb.extend(pixel.map(|level| (level >> (2 * FRACTION_BITS)) as u8));
        }
        self.sums.fill(0);
    }
}

/// The first of `length` positions that a position of the thumbnail covers, and the weight of each.
fn covered(place: usize, length: usize, small: usize) -> (usize, Vec<u32>) {
    let (start, end) = (place * length, (place + 1) * length);
    let positions = start / small..end.div_ceil(small);
    let weights = positions.clone().map(|position| {
        let (from, to) = ((position * small).max(start), ((position + 1) * small).min(end));
        weight(from - start, to - start, length)
    });
    (positions.start, weights.collect())
}

/// The share of a whole that the part from `from` to `to` is.
fn weight(from: usize, to: usize, whole: usize) -> u32 {
    let until = |end: usize| (end << FRACTION_BITS) / whole;
    (until(to) - until(from)) as u32
}

fn add(sums: &mut [u32], samples: &[u8], weight: u32) {
    for (sum, &sample) in sums.iter_mut().zip(samples) {
        *sum += u32::from(sample) * weight;
    }
}

fn on_white(pixel: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    pixel.map(|level| ((u32::from(level) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// `None` if the encoder fails. An error of libjpeg unwinds.
fn jpeg(picture: &RgbImage, quality: f32) -> Option<Vec<u8>> {
    let encode = || {
        let mut encoder = Compress::new(ColorSpace::JCS_RGB);
        encoder.set_fastest_defaults();
        encoder.set_size(picture.width() as usize, picture.height() as usize);
        encoder.set_quality(quality);
        encoder.set_optimize_coding(true);
        let mut encoder = encoder.start_compress(Vec::new())?;
        encoder.write_scanlines(picture.as_raw())?;
        encoder.finish()
    };
    catch_unwind(AssertUnwindSafe(encode)).ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::super::rows::hand_over;
    use super::*;

    /// Encoding loses colour details, so a comparison allows some levels.
    fn made(picture: &RgbImage, orientation: Orientation, side: usize) -> RgbImage {
        let mut thumbnail = Thumbnail::new(side);
        hand_over(picture, orientation, &mut thumbnail);
        let jpeg = thumbnail.finish(64 << 10).unwrap();
        let (width, height, rgb) = crate::decoded(&jpeg, &crate::Limits::default()).unwrap();
        RgbImage::from_raw(width, height, rgb).unwrap()
    }

    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| image::Rgb(if x < width / 2 { [200, 40, 40] } else { [30, 60, 200] }))
    }

    fn near(found: &image::Rgb<u8>, wanted: [u8; 3]) {
        let far = found.0.iter().zip(wanted).any(|(&found, wanted)| found.abs_diff(wanted) > 6);
        assert!(!far, "{found:?}, not {wanted:?}");
    }

    #[test]
    fn weights_are_whole() {
        for (length, small) in [(1, 1), (7, 7), (736, 267), (5000, 400), (65_500, 1), (401, 400)] {
            let mut positions = vec![0u32; length];
            for place in 0..small {
                let (first, weights) = covered(place, length, small);
                assert_eq!(weights.iter().sum::<u32>(), 1 << FRACTION_BITS, "{place} of {length} to {small}");
                positions[first..].iter_mut().zip(&weights).for_each(|(position, weight)| *position += weight);
            }
            let each = (small << FRACTION_BITS) / length;
            assert!(positions.iter().all(|&sum| sum.abs_diff(each as u32) <= 2), "{length} to {small}");
        }
    }

    #[test]
    fn the_longest_side_is_limited_and_small_images_are_not_enlarged() {
        for (size, wanted) in [
            ((1000, 500), (400, 200)),
            ((500, 1001), (200, 400)),
            ((5000, 3), (400, 1)),
            ((400, 400), (400, 400)),
            ((30, 20), (30, 20)),
            ((1, 1), (1, 1)),
        ] {
            assert_eq!(made(&halves(size.0, size.1), Orientation::NoTransforms, 400).dimensions(), wanted);
        }
    }

    #[test]
    fn colours_stay_and_the_orientation_is_applied() {
        let picture = halves(600, 300);
        let upright = made(&picture, Orientation::NoTransforms, 100);
        near(upright.get_pixel(20, 25), [200, 40, 40]);
        near(upright.get_pixel(80, 25), [30, 60, 200]);
        // The left half comes to the top.
        let turned = made(&picture, Orientation::Rotate90, 100);
        assert_eq!(turned.dimensions(), (50, 100));
        near(turned.get_pixel(25, 20), [200, 40, 40]);
        near(turned.get_pixel(25, 80), [30, 60, 200]);
    }

    #[test]
    fn a_mean_is_exact() {
        let picture = RgbImage::from_fn(301, 203, |x, y| image::Rgb([if (x + y) % 2 == 0 { 255 } else { 1 }; 3]));
        let mut thumbnail = Thumbnail::new(7);
        hand_over(&picture, Orientation::NoTransforms, &mut thumbnail);
        let passes = thumbnail.passes.unwrap();
        assert_eq!(passes.rgb.len(), 3 * 7 * 5);
        assert!(passes.rgb.iter().all(|level| (127..=129).contains(level)), "{:?}", passes.rgb);
    }

    #[test]
    fn transparent_pixels_are_white() {
        let mut thumbnail = Thumbnail::new(4);
        thumbnail.begin([4, 4], Orientation::NoTransforms);
        for alpha in [0u8, 255, 128, 0] {
            thumbnail.alpha(&[alpha; 4]);
            thumbnail.take(&[0; 12]);
        }
        let rows: Vec<u8> = thumbnail.passes.unwrap().rgb.chunks(12).map(|row| row[5]).collect();
        assert_eq!(rows, [255, 0, 127, 255]);
    }

    #[test]
    fn noise_is_compressed_more() {
        let mut state = 1u32;
        let noise = RgbImage::from_fn(400, 400, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
        });
        let make = |most| {
            let mut thumbnail = Thumbnail::new(400);
            hand_over(&noise, Orientation::NoTransforms, &mut thumbnail);
            thumbnail.finish(most)
        };
        assert!(make(usize::MAX).unwrap().len() > 64 << 10, "the limit matters");
        assert!(make(64 << 10).unwrap().len() <= 64 << 10);
        assert_eq!(make(1000), None);
    }

    #[test]
    fn missing_rows_make_no_thumbnail() {
        let mut thumbnail = Thumbnail::new(4);
        thumbnail.begin([2, 2], Orientation::NoTransforms);
        thumbnail.take(&[9; 6]);
        assert_eq!(thumbnail.finish(1 << 16), None);
        assert_eq!(Thumbnail::new(4).finish(1 << 16), None);
    }
}
