//! `pinterest.pin_image`: the images of pins, which are the work items of an import as well. `page` writes the images
//! of a page of a listing, `claim` gives them to workers, `result` records their results, and `reuse` copies those of equal
//! images, which `scope` limits to an account.

mod claim;
mod keep;
mod page;
mod result;
mod reuse;
mod scope;

pub use claim::{ClaimRequest, ClaimedImage, claim, claim_suspect, kept, next_hashes, pending, release, take_turns};
pub use keep::Keep;
pub use page::{ImageRow, PageCounts, delete_missed_again, miss, skip_page, upsert_page};
pub use result::{Embedded, ImageResult, Recorded, fail_repeatedly_interrupted, record, retry_failed};
pub use reuse::{has_bytes, reuse_by_content_hash};

use pinterest::model::{ImageCandidate, ListedSize};
use serde::{Deserialize, Serialize};

/// Why an image is skipped if its pin is disclosed as made or changed with AI.
pub const AI_DISCLOSED: &str = "ai_disclosed";

/// One URL of an image, as an element of the JSON list in `pin_image.candidates`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The size's name.
    pub size: String,
    /// Exactly as Pinterest gave it.
    pub url: String,
    /// It is a crop to a fixed box.
    pub cropped: bool,
    /// Width in pixels as Pinterest states it; `None` in rows of version 0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels as Pinterest states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

impl Candidate {
    /// The candidates that Pinterest gives for an image, the one to show first.
    pub fn of(candidates: &[ImageCandidate]) -> Vec<Self> {
        let candidate = |ImageCandidate { size, url, cropped, width, height, .. }: &ImageCandidate| Candidate {
            size: size.clone(),
            url: url.clone(),
            cropped: *cropped,
            width: *width,
            height: *height,
        };
        candidates.iter().map(candidate).collect()
    }

    /// Its size, for [`Ladder::sort`](pinterest::model::Ladder::sort).
    pub fn listed(&self) -> ListedSize<'_> {
        ListedSize { name: &self.size, width: self.width, height: self.height }
    }

    /// The content of `pin_image.candidates`; empty if it is not a list of candidates.
    pub(super) fn from_json(json: &str) -> Vec<Self> {
        serde_json::from_str(json).unwrap_or_default()
    }

    fn to_json(candidates: &[Self]) -> String {
        serde_json::to_string(candidates).unwrap_or_else(|_| "[]".to_owned())
    }
}

/// Why an image is skipped or failed.
#[derive(Clone, Debug)]
pub struct Reason {
    /// One word, by which reports count.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
}

impl Reason {
    /// A word and a sentence.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Reason { code, text: text.into() }
    }
}
