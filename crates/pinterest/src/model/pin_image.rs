//! A pin's images and the URLs to try for each, by the shape of the media and not by its declared type alone.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::media::{Media, SizedImage};
use super::size::{Rank, content_hash};
use crate::bounds::PARTS;

/// One image of a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinImage {
    /// The part of a carousel, from 0; 0 for a single image or video.
    pub position: i32,
    /// An image, or a video's frame.
    pub kind: PinImageKind,
    /// The URLs, the one to show first; [`Ladder`](super::Ladder) has the order in which they are downloaded. Empty if a
    /// part of a carousel has none.
    pub candidates: Vec<ImageCandidate>,
    /// The first candidate's content hash.
    pub content_hash: Option<String>,
}

/// The kind of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinImageKind {
    /// An image.
    Image,
    /// A frame of a video.
    VideoCover,
}

/// One URL of an image. Do not change it: the host refuses a URL with another size or extension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageCandidate {
    /// The size's name, or `cover` for a video's frame.
    pub size: String,
    /// The URL.
    pub url: String,
    /// Whether the size is a crop to a fixed box: the last choice for an embedding.
    pub cropped: bool,
    /// Width in pixels as stated; not reliable.
    pub width: Option<u32>,
    /// Height in pixels as stated; not reliable.
    pub height: Option<u32>,
    /// The hash in the URL's path, the same for every size of an image, crops included: 32 hex digits. It is undocumented:
    /// it may save a download, but only a hash of the bytes proves that two images are equal.
    pub content_hash: Option<String>,
}

/// Why a pin has no image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoImage {
    /// The pin has no media.
    NoMedia,
    /// The media is of a known type and has no URL, such as a video that is still processed.
    NoUrl {
        /// The media's type.
        media_type: String,
    },
    /// The media is of an unknown type, and no image was found in it.
    UnknownMediaType {
        /// The type; empty if it has none.
        media_type: String,
    },
}

impl fmt::Display for NoImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMedia => formatter.write_str("the pin has no media"),
            Self::NoUrl { media_type } => write!(formatter, "media of type {media_type} has no image URL"),
            Self::UnknownMediaType { media_type } => {
                write!(formatter, "no image found in media of unknown type {media_type:?}")
            }
        }
    }
}

const CAROUSELS: [&str; 3] = ["multiple_images", "multiple_videos", "multiple_mixed"];
const SINGLES: [&str; 2] = ["image", "video"];

/// The images of a pin's media.
pub(super) fn images_of(media: &Media) -> Result<Vec<PinImage>, NoImage> {
    let media_type = media.media_type.as_deref().unwrap_or_default();
    let single = || -> Option<Vec<PinImage>> {
        let image = image_at(0, media_type == "video", &media.images, media.cover_image_url.as_deref());
        (!image.candidates.is_empty()).then(|| vec![image])
    };
    let carousel = || -> Option<Vec<PinImage>> {
        let images: Vec<_> = (0..)
            .zip(media.items.iter().take(PARTS))
            .map(|(position, item)| {
                let is_video = item.item_type.as_deref() == Some("video");
                image_at(position, is_video, &item.images, item.cover_image_url.as_deref())
            })
            .collect();
        images.iter().any(|image| !image.candidates.is_empty()).then_some(images)
    };
    // The declared place comes first; the other one is used only if that has no image.
    let images = if SINGLES.contains(&media_type) { single().or_else(carousel) } else { carousel().or_else(single) };
    images.ok_or_else(|| {
        let media_type = media_type.to_owned();
        if SINGLES.contains(&&*media_type) || CAROUSELS.contains(&&*media_type) {
            NoImage::NoUrl { media_type }
        } else {
            NoImage::UnknownMediaType { media_type }
        }
    })
}

/// One image with its URLs in order; the same URL under two names is tried once.
fn image_at(position: i32, is_video: bool, images: &BTreeMap<String, SizedImage>, cover: Option<&str>) -> PinImage {
    let mut ladder: Vec<(Rank, ImageCandidate)> = Vec::new();
    for (size, image) in images {
        if let Some(url) = image.url.as_deref() {
            let rank = Rank::of(size);
            ladder.push((rank, candidate(size, url, rank.is_crop(), (image.width, image.height))));
        }
    }
    if let Some(url) = cover {
        ladder.push((Rank::Cover, candidate("cover", url, false, (None, None))));
    }
    ladder.retain(|(_, candidate)| !candidate.url.is_empty());
    ladder.sort_by_key(|(rank, _)| *rank);
    let mut seen = HashSet::new();
    let candidates: Vec<_> = ladder
        .into_iter()
        .map(|(_, candidate)| candidate)
        .filter(|candidate| seen.insert(candidate.url.clone()))
        .collect();
    let kind = if is_video || cover.is_some() { PinImageKind::VideoCover } else { PinImageKind::Image };
    let content_hash = candidates.first().and_then(|candidate| candidate.content_hash.clone());
    PinImage { position, kind, candidates, content_hash }
}

fn candidate(size: &str, url: &str, cropped: bool, (width, height): (Option<u32>, Option<u32>)) -> ImageCandidate {
    ImageCandidate {
        size: size.to_owned(),
        url: url.to_owned(),
        cropped,
        width,
        height,
        content_hash: content_hash(url),
    }
}

#[cfg(test)]
mod tests;
