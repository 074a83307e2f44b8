//! Pins.

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::disclosures::{AiDisclosures, ai_disclosures};
use super::item::{Item, Members, id, is_id_value, is_odd, maybe_id};
use super::media::Media;
use super::pin_image::{NoImage, PinImage, images_of};
use crate::Timestamp;
use crate::lenient::{lenient, lenient_timestamp, raw_list};

/// A pin: `GET /v5/boards/{board_id}/pins`, `GET /v5/pins/{pin_id}`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Pin {
    /// Digits.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The pin's board.
    #[serde(default, deserialize_with = "maybe_id")]
    pub board_id: Option<String>,
    /// The section of the board, if the pin is in one.
    #[serde(default, deserialize_with = "maybe_id")]
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
    /// The URL that the pin links to.
    #[serde(default, deserialize_with = "lenient")]
    pub link: Option<String>,
    /// A description of the image for people who cannot see it.
    #[serde(default, deserialize_with = "lenient")]
    pub alt_text: Option<String>,
    /// Such as `#6E7874`.
    #[serde(default, deserialize_with = "lenient")]
    pub dominant_color: Option<String>,
    /// The pin this one was saved from.
    #[serde(default, deserialize_with = "maybe_id")]
    pub parent_pin_id: Option<String>,
    /// An advertising format (`REGULAR`, `VIDEO`, …); not reliable for the media.
    #[serde(default, deserialize_with = "lenient")]
    pub creative_type: Option<String>,
    /// Whether it shows a product of a catalogue.
    #[serde(default, deserialize_with = "lenient")]
    pub is_product: Option<bool>,
    /// Disclosures about the use of AI.
    #[serde(default, deserialize_with = "ai_disclosures")]
    pub ai_disclosures: AiDisclosures,
    /// The products tagged in it: the JSON text of the list, if the answer has one.
    #[serde(default, deserialize_with = "raw_list")]
    pub product_tags: Option<String>,
    /// Images and videos.
    #[serde(default, deserialize_with = "lenient")]
    pub media: Option<Media>,
    /// Members are present that could not be read: a value that the pin lacks may still exist.
    #[serde(skip)]
    pub odd: bool,
    /// The JSON text the pin was read from.
    #[serde(skip)]
    pub raw: String,
}

impl Pin {
    /// The pin's images, each with the URLs to try in order.
    ///
    /// A carousel has one per part, a video its cover. A part without a URL is an image without candidates, so that positions
    /// are those of the parts and no part is lost silently.
    ///
    /// # Errors
    /// The reason why the pin has no image at all.
    pub fn images(&self) -> Result<Vec<PinImage>, NoImage> {
        images_of(self.media.as_ref().ok_or(NoImage::NoMedia)?)
    }

    /// The link's host, in lower case and without `www.`, as in Pinterest's filter by domain; `None` if the link is not an
    /// http or https URL.
    pub fn link_domain(&self) -> Option<String> {
        let link = Url::parse(self.link.as_deref()?.trim()).ok()?;
        let host = link.host_str().filter(|_| matches!(link.scheme(), "http" | "https"))?.trim_end_matches('.');
        let domain = host.strip_prefix("www.").unwrap_or(host);
        (!domain.is_empty()).then(|| domain.to_owned())
    }
}

impl Item for Pin {
    fn set_raw(&mut self, raw: String) {
        self.raw = raw;
    }

    fn note_odd_members(&mut self, members: &Members<'_>) {
        self.odd = TEXTS.iter().any(|name| is_odd(members, name, Value::is_string))
            || IDS.iter().any(|name| is_odd(members, name, is_id_value))
            || is_odd(members, "media", |media| media.as_object().is_some_and(|media| !has_odd_media(media)))
            || is_odd(members, "created_at", |time| {
                time.as_str().is_some_and(|time| time.parse::<Timestamp>().is_ok())
            });
    }

    /// Tiles have no member of a pin but the title.
    fn is_tile(members: &Members<'_>) -> bool {
        !TEXTS
            .iter()
            .chain(&IDS)
            .chain(&["media", "created_at"])
            .any(|name| *name != "title" && members.contains_key(*name))
    }
}

/// Members that are text.
const TEXTS: [&str; 6] = ["title", "description", "link", "alt_text", "dominant_color", "creative_type"];
/// Members that are ids.
const IDS: [&str; 3] = ["board_id", "board_section_id", "parent_pin_id"];

/// Whether the media, or a part of a carousel, has members with image URLs that cannot be read.
fn has_odd_media(media: &Map<String, Value>) -> bool {
    let is_odd = |object: &Map<String, Value>, name: &str, fits: &dyn Fn(&Value) -> bool| {
        object.get(name).is_some_and(|value| !value.is_null() && !fits(value))
    };
    let is_size =
        |size: &Value| size.is_null() || size.as_object().is_some_and(|size| !is_odd(size, "url", &Value::is_string));
    let is_part = |part: &Value| part.as_object().is_some_and(|part| !has_odd_media(part));
    is_odd(media, "media_type", &Value::is_string)
        || is_odd(media, "cover_image_url", &Value::is_string)
        || is_odd(media, "images", &|sizes| sizes.as_object().is_some_and(|sizes| sizes.values().all(is_size)))
        || is_odd(media, "items", &|parts| parts.as_array().is_some_and(|parts| parts.iter().all(is_part)))
}
