//! A pin's media.
//!
//! The API describes five variants, distinguished by `media_type`. One struct with optional members reads all of them,
//! future ones, and the items of a mixed carousel, which have no discriminator.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::bounds::side;
use crate::lenient::{lenient, lenient_list, lenient_map};

/// The media of a pin: a single image, a video, or a carousel in `items`.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// `image`, `video`, `multiple_images`, `multiple_videos`, `multiple_mixed`, or an unknown type.
    #[serde(default, deserialize_with = "lenient")]
    pub media_type: Option<String>,
    /// The URLs of the image by size name (`600x`, `1200x`, `originals`, `150x150`, …).
    #[serde(default, deserialize_with = "lenient_map")]
    pub images: BTreeMap<String, SizedImage>,
    /// A frame of a video.
    #[serde(default, deserialize_with = "lenient")]
    pub cover_image_url: Option<String>,
    /// The parts of a carousel, in order.
    #[serde(default, deserialize_with = "lenient_list")]
    pub items: Vec<MediaItem>,
}

/// One part of a carousel: an image in `images`, or a video's frame in `cover_image_url`.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct MediaItem {
    /// `image` or `video`, if the variant has it.
    #[serde(default, deserialize_with = "lenient")]
    pub item_type: Option<String>,
    /// The URLs of the image by size name.
    #[serde(default, deserialize_with = "lenient_map")]
    pub images: BTreeMap<String, SizedImage>,
    /// A frame of a video.
    #[serde(default, deserialize_with = "lenient")]
    pub cover_image_url: Option<String>,
}

/// One size of an image.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct SizedImage {
    /// The URL. Untrusted: [`crate::Client::fetch_image`] checks it.
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
    /// Width in pixels as stated; wrong after a redirect, so use the decoded size.
    #[serde(default, deserialize_with = "side")]
    pub width: Option<u32>,
    /// Height in pixels as stated.
    #[serde(default, deserialize_with = "side")]
    pub height: Option<u32>,
}
