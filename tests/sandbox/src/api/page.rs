//! Pages and bookmarks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Call, Context};
use crate::faults::{Fault, OddShape};
use crate::random::{mix, mix_text};
use crate::server::answer::Refusal;

const DEFAULT_SIZE: u64 = 25;
const MAX_SIZE: u64 = 250;

/// The changes that faults make to a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tweaks {
    repeat_bookmark: bool,
    empty: bool,
    duplicate: bool,
    ends: bool,
    at_most: Option<u64>,
    first: Option<u64>,
    numeric_ids: Option<u64>,
    odd_items: Option<(u64, OddShape)>,
    without_media: Option<u64>,
    pin_count: i64,
}

impl Tweaks {
    pub(crate) fn from_faults(faults: &[Fault]) -> Self {
        let mut tweaks = Self::default();
        for fault in faults {
            match fault {
                Fault::RepeatedBookmark => tweaks.repeat_bookmark = true,
                Fault::EmptyPageWithBookmark => tweaks.empty = true,
                Fault::DuplicateItems => tweaks.duplicate = true,
                Fault::ShortPage { items } => tweaks.at_most = Some(*items),
                Fault::EmptyPage => (tweaks.ends, tweaks.first) = (true, Some(0)),
                Fault::LostBookmark => tweaks.ends = true,
                Fault::TruncatedPage { items } => tweaks.first = Some(*items),
                Fault::NumericIds { every } => tweaks.numeric_ids = Some(*every),
                Fault::OddItems { every, shape } => tweaks.odd_items = Some((*every, *shape)),
                Fault::WithoutMedia { every } => tweaks.without_media = Some(*every),
                Fault::PinCount { difference } => tweaks.pin_count = *difference,
                _ => {}
            }
        }
        tweaks
    }
}

impl Tweaks {
    /// The number of pins that a board reports.
    pub(super) fn pin_count(self, pins: u64) -> i64 {
        i64::try_from(pins).unwrap_or(i64::MAX).saturating_add(self.pin_count).max(0)
    }

    fn change_items(self, items: &mut Vec<Value>) {
        let hits = |every: u64, number: usize| (number as u64 + 1).is_multiple_of(every.max(1));
        items.truncate(self.first.map_or(usize::MAX, |first| usize::try_from(first).unwrap_or(usize::MAX)));
        for (number, item) in items.iter_mut().enumerate() {
            if self.without_media.is_some_and(|every| hits(every, number))
                && let Some(members) = item.as_object_mut()
            {
                members.remove("media");
            }
            if self.numeric_ids.is_some_and(|every| hits(every, number))
                && let Some(id) = item["id"].as_str().and_then(|id| id.parse::<u64>().ok())
            {
                item["id"] = json!(id);
            }
            match self.odd_items {
                Some((every, shape)) if hits(every, number) => *item = odd(item.take(), shape),
                _ => {}
            }
        }
    }
}

fn odd(mut item: Value, shape: OddShape) -> Value {
    match shape {
        OddShape::Null => Value::Null,
        OddShape::List => json!([item]),
        OddShape::NullId => {
            item["id"] = Value::Null;
            item
        }
        OddShape::WithoutId => {
            if let Some(members) = item.as_object_mut() {
                members.remove("id");
            }
            item
        }
        OddShape::OddMembers => {
            (item["title"], item["media"]) = (json!(7), json!(7));
            item
        }
    }
}

/// The start of a page.
pub(super) struct Start {
    /// Index in the unfiltered listing.
    pub(super) place: u64,
    /// Id of the last item of the previous page, which is found again after items were added or removed.
    pub(super) after: Option<String>,
    pub(super) size: u64,
}

/// The items of a page.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// Index of the next item, if any.
    pub(super) next: Option<u64>,
    /// Id of the last item on the page.
    pub(super) last: Option<String>,
}

impl Context<'_> {
    pub(super) fn start(&self) -> Result<Start, Refusal> {
        let size = match self.call.query.get("page_size") {
            None => DEFAULT_SIZE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=MAX_SIZE).contains(size))
                .ok_or_else(|| Refusal::invalid_parameter("page_size"))?,
        };
        let size = self.call.tweaks.at_most.map_or(size, |most| size.min(most));
        let (place, after) = match self.call.query.get("bookmark") {
            None | Some("") => (0, None),
            Some(bookmark) => {
                let (place, after) =
                    read_bookmark(bookmark, self.binding()).ok_or_else(|| Refusal::invalid_parameter("bookmark"))?;
                (place, Some(after).filter(|id| !id.is_empty()))
            }
        };
        Ok(Start { place, after, size })
    }

    pub(super) fn finish(&self, start: &Start, page: Page) -> Value {
        let tweaks = self.call.tweaks;
        let here = || write_bookmark(start.after.as_deref(), start.place, self.binding());
        let next = page.next.map(|place| write_bookmark(page.last.as_deref(), place, self.binding()));
        if tweaks.empty {
            return json!({ "items": [], "bookmark": here() });
        }
        let bookmark = if tweaks.repeat_bookmark {
            let sent = self.call.query.get("bookmark").map(str::to_string);
            Some(sent.or(next).unwrap_or_else(here))
        } else {
            next
        };
        let bookmark = bookmark.filter(|_| !tweaks.ends);
        let mut items = page.items;
        tweaks.change_items(&mut items);
        let items = if tweaks.duplicate {
            let twice = items.into_iter().flat_map(|item| [item.clone(), item]);
            twice.collect()
        } else {
            items
        };
        json!({ "items": items, "bookmark": bookmark })
    }

    /// A bookmark is valid for its own path and parameters, until all bookmarks expire.
    fn binding(&self) -> u64 {
        let Call { path, query, .. } = self.call;
        let parameters = query.without("bookmark");
        mix(&[mix_text(self.world.seed, path), mix_text(self.world.seed, &parameters), self.state.bookmark_age()])
    }
}

fn write_bookmark(after: Option<&str>, place: u64, binding: u64) -> String {
    let after = after.unwrap_or_default();
    STANDARD.encode(format!("->{after}:{place}|{binding:016x}"))
}

fn read_bookmark(bookmark: &str, binding: u64) -> Option<(u64, String)> {
    let text = String::from_utf8(STANDARD.decode(bookmark).ok()?).ok()?;
    let (position, bound_to) = text.strip_prefix("->")?.split_once('|')?;
    let (after, place) = position.split_once(':')?;
    if bound_to != format!("{binding:016x}") {
        return None;
    }
    Some((place.parse().ok()?, after.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_are_read_with_their_binding_only() {
        let bookmark = write_bookmark(Some("813"), 250, 7);
        assert_eq!(read_bookmark(&bookmark, 7), Some((250, "813".into())));
        assert_eq!(read_bookmark(&bookmark, 8), None);
        assert_eq!(read_bookmark("", 7), None);
        assert_eq!(read_bookmark("no base64!", 7), None);
        assert_eq!(read_bookmark(&STANDARD.encode([0xFF]), 7), None);
    }
}
