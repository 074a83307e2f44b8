//! From the client's types to rows.

use std::collections::{HashMap, HashSet};

use pinterest::Page;
use pinterest::model::{AiDisclosures, Board, ImageCandidate, NoImage, Pin, PinImageKind};
use serde::{Deserialize, Serialize};

use crate::store::board::BoardRow;
use crate::store::pin::PinRow;
use crate::store::pin_image::ImageRow;

/// A page of a listing, as it is stored.
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

    /// Leaves pins out, with their images; returns how many that were.
    pub fn retain(&mut self, mut keep: impl FnMut(&PinRow, i32) -> bool) -> i32 {
        let counts: HashMap<_, _> = self.image_counts.iter().cloned().collect();
        let before = self.pins.len();
        self.pins.retain(|pin| keep(pin, counts.get(&pin.pin_id).copied().unwrap_or(0)));
        let kept: HashSet<&str> = self.pins.iter().map(|pin| pin.pin_id.as_str()).collect();
        self.images.retain(|image| kept.contains(image.pin_id.as_str()));
        self.image_counts.retain(|(pin_id, _)| kept.contains(pin_id.as_str()));
        number(before - kept.len())
    }
}

/// A count as `integer` columns hold it.
pub fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Why a pin has no image, in a word.
fn no_image(reason: &NoImage) -> &'static str {
    match reason {
        NoImage::NoMedia => "no_media",
        NoImage::NoUrl { .. } => "no_url",
        _ => "unknown_media_type",
    }
}

/// One URL of an image, as `pin_image.candidates` holds it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Candidate {
    /// The size's name.
    pub size: String,
    /// Exactly as Pinterest gave it.
    pub url: String,
    /// A crop to a fixed box.
    pub cropped: bool,
}

/// Text that Postgres takes: JSON may hold U+0000, `text` may not.
fn text(value: &str) -> String {
    value.replace('\0', "")
}

fn maybe(value: &Option<String>) -> Option<String> {
    value.as_deref().map(text)
}

/// The board's row.
pub fn board_row(board: &Board) -> BoardRow {
    BoardRow {
        board_id: board.id.clone(),
        name: maybe(&board.name),
        description: maybe(&board.description),
        privacy: maybe(&board.privacy),
        owner_username: board.owner.as_ref().and_then(|owner| maybe(&owner.username)),
        pin_count: board.pin_count.and_then(|count| i32::try_from(count).ok()),
        created_at: board.created_at.map(|time| time.as_microseconds()),
        pins_modified_at: board.board_pins_modified_at.map(|time| time.as_microseconds()),
    }
}

/// The candidates as JSON.
pub fn candidates_json(candidates: &[ImageCandidate]) -> String {
    let candidates: Vec<_> = candidates
        .iter()
        .map(|candidate| Candidate {
            size: text(&candidate.size),
            url: text(&candidate.url),
            cropped: candidate.cropped,
        })
        .collect();
    serde_json::to_string(&candidates).unwrap_or_else(|_| "[]".to_owned())
}

/// What is disclosed as a JSON list of texts; `None` where that was not told.
fn disclosures_json(disclosures: &AiDisclosures) -> Option<String> {
    let AiDisclosures::Told(values) = disclosures else { return None };
    serde_json::to_string(&values.iter().map(|value| text(value)).collect::<Vec<_>>()).ok()
}

/// The page's rows. A pin that comes twice on a page counts once.
pub fn page_rows(page: &Page<Pin>) -> PageRows {
    let mut rows = PageRows { unreadable: number(page.unreadable), ..PageRows::default() };
    let mut seen = HashSet::new();
    for pin in page.items.iter().filter(|pin| seen.insert(pin.id.as_str())) {
        let found = pin.images();
        let no_image = found.as_ref().err().map(no_image);
        let images = found.unwrap_or_default();
        rows.image_counts.push((pin.id.clone(), number(images.len())));
        rows.images.extend(images.iter().map(|image| ImageRow {
            pin_id: pin.id.clone(),
            position: image.position,
            kind: match image.kind {
                PinImageKind::Image => "image",
                PinImageKind::VideoCover => "video_cover",
            },
            candidates: candidates_json(&image.candidates),
            content_hash: image.content_hash.clone(),
        }));
        rows.pins.push(PinRow {
            pin_id: pin.id.clone(),
            board_section_id: maybe(&pin.board_section_id),
            title: maybe(&pin.title),
            description: maybe(&pin.description),
            link: maybe(&pin.link),
            link_domain: pin.link_domain(),
            alt_text: maybe(&pin.alt_text),
            dominant_color: maybe(&pin.dominant_color),
            creative_type: maybe(&pin.creative_type),
            media_type: pin.media.as_ref().and_then(|media| maybe(&media.media_type)),
            parent_pin_id: maybe(&pin.parent_pin_id),
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
