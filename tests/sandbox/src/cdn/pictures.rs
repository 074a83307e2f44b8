//! Image files: drawn at their first request, and cached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use image::RgbImage;
use image::imageops::{crop_imm, thumbnail};

use super::cache::Cache;
use super::encoding::{encode, with_comment};
use super::size::Size;
use crate::config::Config;
use crate::scene::{Family, draw};
use crate::world::{Picture, PictureKey};

#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    jpeg_quality: u8,
    cache: Mutex<Cache<(Picture, Size)>>,
    /// Drawn before the first request and kept.
    pool: HashMap<(Picture, Size), Bytes>,
}

/// Sizes in the pool.
const POOLED: [Size; 2] = [Size::Width(600), Size::Width(1200)];

impl Pictures {
    pub(crate) fn new(config: &Config) -> Self {
        let jpeg_quality = config.images.jpeg_quality;
        let mut pool = HashMap::new();
        if let Some(count) = config.images.pool {
            for family in families(config) {
                for seed in 0..u64::from(count) {
                    let picture = Picture::pooled(family, seed);
                    let pixels = upload(picture);
                    for size in POOLED {
                        let file = encode(&scale(&pixels, picture, size), picture.format, jpeg_quality);
                        pool.insert((picture, size), file);
                    }
                }
            }
        }
        Self {
            shared: Arc::new(Shared { jpeg_quality, cache: Mutex::new(Cache::new(config.images.cache_bytes)), pool }),
        }
    }

    /// The file of an image in one size.
    pub(crate) async fn file(&self, key: PictureKey, picture: Picture, size: Size) -> Bytes {
        if let Some(file) = self.shared.pool.get(&(picture, size)) {
            let PictureKey { pin, item } = key;
            return with_comment(file, &format!("{}/{}/{item}", pin.board, pin.serial));
        }
        if let Some(file) = self.cached(picture, size) {
            return file;
        }
        let shared = Arc::clone(&self.shared);
        let drawn = tokio::task::spawn_blocking(move || {
            let pixels = scale(&upload(picture), picture, size);
            encode(&pixels, picture.format, shared.jpeg_quality)
        });
        match drawn.await {
            Ok(file) => {
                let mut cache = self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.put((picture, size), file.clone());
                file
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn cached(&self, picture: Picture, size: Size) -> Option<Bytes> {
        let cache = self.shared.cache.lock();
        cache.unwrap_or_else(PoisonError::into_inner).get(&(picture, size))
    }
}

/// The families of all boards, without duplicates.
fn families(config: &Config) -> Vec<Family> {
    let boards = config.accounts.iter().flat_map(|account| &account.boards);
    let mut families: Vec<Family> = boards.flat_map(|board| board.families.clone()).collect();
    families.sort_unstable();
    families.dedup();
    families
}

fn upload(picture: Picture) -> RgbImage {
    draw(picture.family, picture.seed, picture.width, picture.height)
}

/// Scales the uploaded image down to a size.
fn scale(pixels: &RgbImage, picture: Picture, size: Size) -> RgbImage {
    let (width, height) = size.of(picture);
    match size {
        Size::Box { .. } => {
            let (x, y, cut_width, cut_height) = middle(pixels.dimensions(), (width, height));
            let cut = crop_imm(pixels, x, y, cut_width, cut_height).to_image();
            thumbnail(&cut, width, height)
        }
        _ if (width, height) == pixels.dimensions() => pixels.clone(),
        _ if (2 * width, 2 * height) == pixels.dimensions() => halve(pixels),
        _ => thumbnail(pixels, width, height),
    }
}

/// The largest centred part with the aspect ratio of the box: x, y, width, height.
fn middle((width, height): (u32, u32), (box_width, box_height): (u32, u32)) -> (u32, u32, u32, u32) {
    let cut_width = width.min(height * box_width / box_height);
    let cut_height = height.min(width * box_height / box_width);
    ((width - cut_width) / 2, (height - cut_height) / 2, cut_width, cut_height)
}

/// Halves both sides: each pixel is the mean of four.
fn halve(pixels: &RgbImage) -> RgbImage {
    let (width, height) = (pixels.width() / 2, pixels.height() / 2);
    let stride = pixels.width() as usize * 3;
    let mut half = RgbImage::new(width, height);
    let rows = half.chunks_exact_mut(width as usize * 3);
    for (row, pair) in rows.zip(pixels.chunks_exact(2 * stride)) {
        let (upper, lower) = pair.split_at(stride);
        let squares = upper.chunks_exact(6).zip(lower.chunks_exact(6));
        for (pixel, (upper, lower)) in row.chunks_exact_mut(3).zip(squares) {
            for channel in 0..3 {
                let sum = [upper[channel], upper[channel + 3], lower[channel], lower[channel + 3]]
                    .map(u32::from)
                    .iter()
                    .sum::<u32>();
                pixel[channel] = ((sum + 2) / 4) as u8;
            }
        }
    }
    half
}
