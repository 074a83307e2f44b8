//! Images scaled down for a page, by the embedder.

use bytes::Bytes;
use embedder::{MOST_THUMBNAIL_SIDE, THUMBNAIL_SIDE};
use gallery::Picture;

use super::embed::thumbnails;
use crate::errors::Failure;
use crate::postgres::memory::room_for;

/// The longest side of an image below a card, in pixels: twice the greatest size at which it is shown.
const SMALL_SIDE: u16 = 160;
/// Bytes of images that are sent to the embedder before an answer is awaited.
const BATCH_BYTES: usize = 16 << 20;

/// How large a page shows an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// On a card.
    OnCard,
    /// In a theme.
    InTheme,
    /// Below a card.
    BelowCard,
}

impl Shown {
    fn side(self) -> u16 {
        match self {
            Shown::OnCard => MOST_THUMBNAIL_SIDE,
            Shown::InTheme => THUMBNAIL_SIDE,
            Shown::BelowCard => SMALL_SIDE,
        }
    }

    /// An image of at most so many bytes stays as it is: scaling it would save little.
    fn few_bytes(self) -> usize {
        match self {
            Shown::OnCard | Shown::InTheme => 32 << 10,
            Shown::BelowCard => 8 << 10,
        }
    }
}

/// Replaces images by smaller ones. An image that cannot be scaled down, or is not smaller then, stays as it is.
///
/// # Errors
///
/// Those of the embedder if it is not available; then no more images are replaced.
pub fn shrink<'a>(images: impl Iterator<Item = (Shown, &'a mut Picture)>) -> Result<(), Failure> {
    let mut batch: Vec<(Shown, &mut Picture)> = Vec::new();
    let mut bytes = 0;
    for (shown, picture) in images.filter(|(shown, picture)| picture.bytes().len() > shown.few_bytes()) {
        bytes += picture.bytes().len();
        batch.push((shown, picture));
        if bytes >= BATCH_BYTES {
            shrink_batch(std::mem::take(&mut batch), bytes)?;
            bytes = 0;
        }
    }
    shrink_batch(batch, bytes)
}

fn shrink_batch(batch: Vec<(Shown, &mut Picture)>, bytes: usize) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    // Once here, and a second time in flight.
    room_for(2 * bytes)?;
    let request = |(shown, picture): &(Shown, &mut Picture)| (Bytes::copy_from_slice(picture.bytes()), shown.side());
    let requests = batch.iter().map(request).collect();
    for ((_, picture), thumbnail) in batch.into_iter().zip(thumbnails(requests)?) {
        let smaller = thumbnail.filter(|thumbnail| thumbnail.len() < picture.bytes().len());
        if let Some(smaller) = smaller.and_then(|smaller| Picture::embedded(smaller.into())) {
            *picture = smaller;
        }
    }
    Ok(())
}
