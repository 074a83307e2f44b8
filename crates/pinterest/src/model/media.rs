//! A pin's media, as one open shape.
//!
//! The API describes five variants told apart by `media_type`. Reading them as one struct in which everything is
//! optional takes all five, the ones to come, and items of a mixed carousel, which have no discriminator at all.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::bounds::side;
use crate::lenient::{lenient, lenient_list, lenient_map};

/// The media of a pin: a single picture, a video, or a carousel in `items`.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// `image`, `video`, `multiple_images`, `multiple_videos`, `multiple_mixed`, or one not known yet.
    #[serde(default, deserialize_with = "lenient")]
    pub media_type: Option<String>,
    /// The same picture by size name (`600x`, `1200x`, `originals`, `150x150`, …).
    #[serde(default, deserialize_with = "lenient_map")]
    pub images: BTreeMap<String, SizedImage>,
    /// A frame of a video.
    #[serde(default, deserialize_with = "lenient")]
    pub cover_image_url: Option<String>,
    /// A video's length in milliseconds; absent while it is processed.
    #[serde(default, deserialize_with = "lenient")]
    pub duration: Option<i64>,
    /// The parts of a carousel, in order.
    #[serde(default, deserialize_with = "lenient_list")]
    pub items: Vec<MediaItem>,
}

/// One part of a carousel: a picture in `images`, or a video's frame in `cover_image_url`.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct MediaItem {
    /// `image` or `video`, where the variant says so.
    #[serde(default, deserialize_with = "lenient")]
    pub item_type: Option<String>,
    /// The part's own title.
    #[serde(default, deserialize_with = "lenient")]
    pub title: Option<String>,
    /// The part's own description.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// Where the part leads.
    #[serde(default, deserialize_with = "lenient")]
    pub link: Option<String>,
    /// The same picture by size name.
    #[serde(default, deserialize_with = "lenient_map")]
    pub images: BTreeMap<String, SizedImage>,
    /// A frame of a video.
    #[serde(default, deserialize_with = "lenient")]
    pub cover_image_url: Option<String>,
    /// A video's length in milliseconds.
    #[serde(default, deserialize_with = "lenient")]
    pub duration: Option<i64>,
}

/// One size of a picture.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct SizedImage {
    /// Where to fetch it. Untrusted: [`crate::Client::fetch_image`] decides whether it may be.
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
    /// Width in pixels as stated; after a redirect it is wrong, so trust the decoded size.
    #[serde(default, deserialize_with = "side")]
    pub width: Option<u32>,
    /// Height in pixels as stated.
    #[serde(default, deserialize_with = "side")]
    pub height: Option<u32>,
}
