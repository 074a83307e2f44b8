//! A pin and the images it holds.

use serde::Deserialize;

use super::board::Owner;
use super::item::{Item, id};
use super::media::Media;
use super::pin_image::{NoImage, PinImage, images_of};
use crate::Timestamp;
use crate::lenient::{lenient, lenient_timestamp};

/// A pin: `GET /v5/boards/{board_id}/pins`, `GET /v5/pins/{pin_id}`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Pin {
    /// Digits.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The board the pin is on.
    #[serde(default, deserialize_with = "lenient")]
    pub board_id: Option<String>,
    /// The section of the board, where the pin is in one.
    #[serde(default, deserialize_with = "lenient")]
    pub board_section_id: Option<String>,
    /// When the pin was saved.
    #[serde(default, deserialize_with = "lenient_timestamp")]
    pub created_at: Option<Timestamp>,
    /// Free text.
    #[serde(default, deserialize_with = "lenient")]
    pub title: Option<String>,
    /// Free text.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// Where the pin leads.
    #[serde(default, deserialize_with = "lenient")]
    pub link: Option<String>,
    /// A description of the picture for those who cannot see it.
    #[serde(default, deserialize_with = "lenient")]
    pub alt_text: Option<String>,
    /// As `#6E7874`.
    #[serde(default, deserialize_with = "lenient")]
    pub dominant_color: Option<String>,
    /// Whose board the pin is on.
    #[serde(default, deserialize_with = "lenient")]
    pub board_owner: Option<Owner>,
    /// The pin this one was saved from.
    #[serde(default, deserialize_with = "lenient")]
    pub parent_pin_id: Option<String>,
    /// An advertising format (`REGULAR`, `VIDEO`, …); says nothing reliable about the media.
    #[serde(default, deserialize_with = "lenient")]
    pub creative_type: Option<String>,
    /// Whether the token's account owns the pin.
    #[serde(default, deserialize_with = "lenient")]
    pub is_owner: Option<bool>,
    /// Whether it is an ordinary pin and no ad.
    #[serde(default, deserialize_with = "lenient")]
    pub is_standard: Option<bool>,
    /// Whether it was ever promoted.
    #[serde(default, deserialize_with = "lenient")]
    pub has_been_promoted: Option<bool>,
    /// Pictures and videos.
    #[serde(default, deserialize_with = "lenient")]
    pub media: Option<Media>,
    /// The JSON text the pin was read from.
    #[serde(skip)]
    pub raw: String,
}

impl Pin {
    /// The pin's images, each with the URLs to try in order.
    ///
    /// A carousel has one per part, a video its cover. A part that names no URL is there with no candidates, so that
    /// positions are the parts' own and no part goes missing without a trace.
    ///
    /// # Errors
    /// The reason why the pin has no image at all.
    pub fn images(&self) -> Result<Vec<PinImage>, NoImage> {
        images_of(self.media.as_ref().ok_or(NoImage::NoMedia)?)
    }
}

impl Item for Pin {
    fn set_raw(&mut self, raw: String) {
        self.raw = raw;
    }
}
