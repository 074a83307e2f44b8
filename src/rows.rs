//! From the client's types to rows. The client has replaced U+0000, which no text of Postgres can hold, in all texts
//! that it reads (`pinterest::model::item`).

use std::collections::{HashMap, HashSet};

use pinterest::Page;
use pinterest::model::{AiDisclosures, Board, NoImage, Pin, PinImageKind};

use crate::store::as_integer;
use crate::store::board::BoardRow;
use crate::store::pin::PinRow;
use crate::store::pin_image::{Candidate, ImageRow};

/// A page of a listing, as rows.
#[derive(Default)]
pub struct PageRows {
    /// Its pins, each once.
    pub pins: Vec<PinRow>,
    /// Their images.
    pub images: Vec<ImageRow>,
    /// Each pin with the number of its images.
    pub image_counts: Vec<(String, i32)>,
    /// Items that could not be read.
    pub unreadable: i32,
}

impl PageRows {
    /// The pins' ids.
    pub fn ids(&self) -> Vec<String> {
        self.pins.iter().map(|pin| pin.pin_id.clone()).collect()
    }

    /// Removes the pins that `keep`, which gets each with the number of its images, returns false for; returns their
    /// number.
    pub fn retain(&mut self, mut keep: impl FnMut(&PinRow, i32) -> bool) -> i32 {
        let counts: HashMap<_, _> = self.image_counts.iter().cloned().collect();
        let before = self.pins.len();
        self.pins.retain(|pin| keep(pin, counts.get(&pin.pin_id).copied().unwrap_or(0)));
        let kept: HashSet<&str> = self.pins.iter().map(|pin| pin.pin_id.as_str()).collect();
        self.images.retain(|image| kept.contains(image.pin_id.as_str()));
        self.image_counts.retain(|(pin_id, _)| kept.contains(pin_id.as_str()));
        as_integer(before - kept.len())
    }
}

/// Why a pin has no image, as one word.
fn no_image(reason: &NoImage) -> &'static str {
    match reason {
        NoImage::NoMedia => "no_media",
        NoImage::NoUrl { .. } => "no_url",
        _ => "unknown_media_type",
    }
}

/// The board's row.
pub fn board_row(board: &Board) -> BoardRow {
    BoardRow {
        board_id: board.id.clone(),
        name: board.name.clone(),
        description: board.description.clone(),
        privacy: board.privacy.clone(),
        owner_username: board.owner.as_ref().and_then(|owner| owner.username.clone()),
        pin_count: board.pin_count.and_then(|count| i32::try_from(count).ok()),
        created_at: board.created_at.map(|time| time.as_microseconds()),
        pins_modified_at: board.board_pins_modified_at.map(|time| time.as_microseconds()),
    }
}

/// The disclosures as a JSON list of texts; `None` if Pinterest does not state any.
fn disclosures_json(disclosures: &AiDisclosures) -> Option<String> {
    let AiDisclosures::Disclosed(values) = disclosures else { return None };
    serde_json::to_string(values).ok()
}

/// The page's rows. A pin that is twice on a page counts once.
pub fn page_rows(page: &Page<Pin>) -> PageRows {
    let mut rows = PageRows { unreadable: as_integer(page.unreadable), ..PageRows::default() };
    let mut seen = HashSet::new();
    for pin in page.items.iter().filter(|pin| seen.insert(pin.id.as_str())) {
        let found = pin.images();
        let no_image = found.as_ref().err().map(no_image);
        let images = found.unwrap_or_default();
        rows.image_counts.push((pin.id.clone(), as_integer(images.len())));
        rows.images.extend(images.iter().map(|image| ImageRow {
            pin_id: pin.id.clone(),
            position: image.position,
            kind: match image.kind {
                PinImageKind::Image => "image",
                PinImageKind::VideoCover => "video_cover",
            },
            candidates: Candidate::of(&image.candidates),
            content_hash: image.content_hash.clone(),
        }));
        rows.pins.push(PinRow {
            pin_id: pin.id.clone(),
            board_section_id: pin.board_section_id.clone(),
            title: pin.title.clone(),
            description: pin.description.clone(),
            link: pin.link.clone(),
            link_domain: pin.link_domain(),
            alt_text: pin.alt_text.clone(),
            dominant_color: pin.dominant_color.clone(),
            creative_type: pin.creative_type.clone(),
            media_type: pin.media.as_ref().and_then(|media| media.media_type.clone()),
            parent_pin_id: pin.parent_pin_id.clone(),
            is_product: pin.is_product,
            ai_disclosures: disclosures_json(&pin.ai_disclosures),
            ai_unreadable: pin.ai_disclosures == AiDisclosures::Unreadable,
            is_ai: pin.ai_disclosures.discloses(),
            product_tags: pin.product_tags.clone(),
            created_at: pin.created_at.map(|time| time.as_microseconds()),
            raw: pin.raw.clone(),
            no_image,
            odd: pin.odd,
        });
    }
    rows
}
