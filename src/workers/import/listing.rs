//! The listing of a board: page by page, each page's bookmark committed with its pins.

use std::collections::HashSet;

use pinterest::{BoardReference, BookmarkGuard, ErrorKind, SectionReference};
use tokio::sync::Notify;

use super::api::{Api, Refused};
use super::completeness;
use super::failure::Interruption;
use super::images::reuse;
use super::run::Run;
use crate::names;
use crate::rows::{PageRows, page_rows};
use crate::store;
use crate::store::as_integer;
use crate::store::board::LastImport;
use crate::store::import::{After, Coverage, PageListed};
use crate::store::import_outcome::{self, ImageOutcome, PinOutcome};
use crate::store::pin::PinRow;
use crate::store::pin_image::{AI_DISCLOSED, Reason};
use crate::workers::log::About;

/// The listing of one import.
pub struct Listing<'a> {
    run: &'a Run,
    board_id: &'a str,
    model_id: i64,
    last: LastImport,
}

impl<'a> Listing<'a> {
    /// The listing of a board whose last import was `last`.
    pub fn new(run: &'a Run, board_id: &'a str, model_id: i64, last: LastImport) -> Self {
        Listing { run, board_id, model_id, last }
    }

    /// Lists the board's pins from where the last attempt stopped, and concludes what that proves.
    pub async fn list(&self, api: &mut Api, progress: &Notify) -> Result<(), Interruption> {
        if !self.run.claimed.listed && !self.list_pages(api, progress).await? {
            return Ok(());
        }
        completeness::conclude(self.run, api, self.board_id).await
    }

    /// Lists all pages that are needed; true if the conclusion is still to be drawn.
    async fn list_pages(&self, api: &mut Api, progress: &Notify) -> Result<bool, Interruption> {
        let found = sections(self.run, api, self.board_id).await?;
        let wanted = self.wanted_sections(&found)?;
        let mut guard = BookmarkGuard::new();
        let mut bookmark = self.run.claimed.bookmark.clone();
        // Pinterest does not document how long a bookmark is valid: a resumed listing may have to start over, once.
        let mut may_start_over = bookmark.is_some();
        loop {
            let page = api
                .call(|client, token| {
                    let (board_id, bookmark) = (self.board_id.to_owned(), bookmark.clone());
                    async move { client.board_pins(&token, &board_id, bookmark.as_deref()).await }
                })
                .await;
            let page = match page {
                Ok(page) => page,
                Err(error) if error.kind() == Some(ErrorKind::StaleBookmark) && may_start_over => {
                    self.run.transaction(store::import::forget_bookmark).await?;
                    (bookmark, may_start_over) = (None, false);
                    continue;
                }
                Err(error) if error.kind() == Some(ErrorKind::ListingLimit) => {
                    self.stopped_by_limit().await?;
                    return Ok(false);
                }
                Err(error) => return Err(api.interruption(error)),
            };
            may_start_over = false;
            let after = self.record(page_rows(&page), wanted.clone(), page.bookmark).await?;
            progress.notify_one();
            match after {
                After::Page(next) => {
                    guard.admit(&next).map_err(|error| api.interruption(error))?;
                    bookmark = Some(next);
                }
                After::Conclusion => return Ok(true),
                After::Nothing(_) => return Ok(false),
            }
        }
    }

    /// The ids of the sections to import; `None` for the whole board.
    fn wanted_sections(&self, found: &[(String, String)]) -> Result<Option<HashSet<String>>, Interruption> {
        let claimed = &self.run.claimed;
        let Some(asked) = &claimed.sections else { return Ok(None) };
        let in_address = claimed.board_reference.parse::<BoardReference>().ok().and_then(|board| board.section());
        let wanted: Vec<SectionReference> = match in_address {
            Some(section) => vec![section],
            None => asked.iter().map(|section| SectionReference::named(section)).collect(),
        };
        let ids: Result<_, _> = wanted.iter().map(|section| names::section(found, section, "the board")).collect();
        ids.map(Some).map_err(Interruption::fail)
    }

    async fn stopped_by_limit(&self) -> Result<(), Interruption> {
        let reason = "complete up to Pinterest's limit of one listing";
        Ok(self.run.transaction(|claimed| store::import::record_listing_limit(claimed, reason)).await?)
    }

    /// Stores a page; returns the next step.
    async fn record(
        &self,
        mut rows: PageRows,
        wanted: Option<HashSet<String>>,
        bookmark: Option<String>,
    ) -> Result<After, Interruption> {
        let board_id = self.board_id.to_owned();
        let (model_id, last) = (self.model_id, self.last);
        let across = self.run.across;
        let recorded = self.run.in_turn(move |claimed| {
            let (account_id, import_id) = (claimed.account_id, claimed.import_id);
            let seen = store::pin::seen_by(account_id, import_id, rows.ids())?;
            let mut left_out = Vec::new();
            if let Some(wanted) = wanted {
                left_out.push(("other_section", rows.retain(|pin, _| is_in(pin, &wanted))));
            }
            // Pins that this import has seen before are counted already.
            let mut images = store::import::images_found(claimed)?;
            let limit = claimed.max_images.unwrap_or(i32::MAX);
            let skips = |is_ai: bool| claimed.skip_ai && is_ai;
            let beyond = rows.retain(|pin, count| {
                let known = seen.contains(&pin.pin_id);
                let fits = known || images < limit;
                if fits && !known && !skips(pin.is_ai) {
                    images = images.saturating_add(count);
                }
                fits
            });
            left_out.push(("beyond_max_images", beyond));
            let full = images >= limit;
            let known = store::pin::known_on_board(account_id, &board_id, rows.ids())?;
            let new = rows.pins.iter().filter(|pin| !known.contains(&pin.pin_id)).count();
            // Pinterest lists new pins first.
            let ends_known = rows.pins.last().is_some_and(|pin| known.contains(&pin.pin_id));
            let odd = rows.pins.iter().filter(|pin| pin.odd).map(|pin| pin.pin_id.clone()).collect();
            // A pin that cannot be read keeps its stored members and images.
            let spared = store::pin::known(account_id, odd)?;
            let bare = rows.pins.iter().filter(|pin| pin.no_image.is_some() && !spared.contains(&pin.pin_id));
            let bare_before =
                store::pin::known_without_image(account_id, bare.map(|pin| pin.pin_id.clone()).collect())?;
            let listed = store::pin::upsert_page(account_id, &board_id, import_id, &rows.pins)?;
            let disclosed: HashSet<String> =
                listed.iter().filter(|pin| pin.is_ai).map(|pin| pin.pin_id.clone()).collect();
            let fresh: HashSet<String> = listed.into_iter().map(|pin| pin.pin_id).collect();
            let bare: Vec<_> = rows
                .pins
                .iter()
                .filter(|pin| fresh.contains(&pin.pin_id))
                .filter_map(|pin| pin.no_image)
                .map(|reason| (PinOutcome::WithoutImage, reason, 1))
                .collect();
            let of = |pins: &dyn Fn(&&PinRow) -> bool| {
                as_integer(rows.pins.iter().filter(|pin| fresh.contains(&pin.pin_id)).filter(pins).count())
            };
            let odd = of(&|pin| pin.odd);
            let newly_bare = of(&|pin| !pin.odd && pin.no_image.is_some() && !bare_before.contains(&pin.pin_id));
            let touched = |pin: &String| fresh.contains(pin) && !spared.contains(pin);
            let counts: Vec<_> = rows.image_counts.into_iter().filter(|(pin, _)| touched(pin)).collect();
            let (skipped, images): (Vec<_>, Vec<_>) = rows
                .images
                .into_iter()
                .filter(|image| touched(&image.pin_id))
                .partition(|image| skips(disclosed.contains(&image.pin_id)));
            let missed = store::pin_image::miss(account_id, import_id, &counts)?;
            let mut found =
                store::pin_image::upsert_page(account_id, import_id, Some(model_id), claimed.keep(), &images)?;
            let reason = Reason::new(AI_DISCLOSED, "the pin is disclosed as made or changed with AI");
            let images_skipped = store::pin_image::skip_page(account_id, import_id, &skipped, &reason)?;
            found.total += images_skipped;
            let pins_skipped = of(&|pin| pin.no_image.is_none() && skips(disclosed.contains(&pin.pin_id)));
            let left: i32 = left_out.iter().map(|(_, count)| count).sum();
            let pins = PageListed {
                pins: as_integer(fresh.len()) + left,
                new: as_integer(new),
                without_image: as_integer(bare.len()),
                unreadable: rows.unreadable,
                doubts: odd + newly_bare + missed,
            };
            let after = match (bookmark, full) {
                (bookmark, true) if left > 0 || bookmark.is_some() => After::Nothing(Coverage::Sample),
                (None, _) if claimed.sections.is_some() => After::Nothing(Coverage::Sections),
                (None, _) => After::Conclusion,
                (Some(_), _)
                    if last.complete
                        && claimed.sections.is_none()
                        && ends_known
                        && rows.unreadable == 0
                        && store::import::only_additions(claimed, &board_id)? =>
                {
                    After::Nothing(Coverage::UntilKnown)
                }
                (Some(bookmark), _) => After::Page(bookmark),
            };
            store::import::record_page(claimed, pins, found, &after)?;
            let with_images = (PinOutcome::WithImages, "", as_integer(fresh.len() - bare.len()) - pins_skipped);
            let left_out = left_out.into_iter().map(|(reason, count)| (PinOutcome::LeftOut, reason, count));
            let others = [
                (PinOutcome::Skipped, AI_DISCLOSED, pins_skipped),
                (PinOutcome::AiDisclosed, "", as_integer(disclosed.len())),
                (PinOutcome::Unreadable, "unknown_shape", rows.unreadable),
                (PinOutcome::Doubtful, "odd_members", odd),
                (PinOutcome::Doubtful, "new_without_image", newly_bare),
            ];
            let outcomes: Vec<_> = bare.into_iter().chain([with_images]).chain(left_out).chain(others).collect();
            import_outcome::count_pins(account_id, import_id, &outcomes)?;
            // Images that were embedded already; upsert_page has counted them in the import's row.
            import_outcome::count_kept(account_id, import_id, found.reused)?;
            let skipped = [(ImageOutcome::Skipped, AI_DISCLOSED, images_skipped)];
            import_outcome::count_images(account_id, import_id, &skipped)?;
            import_outcome::count_missing(account_id, import_id, missed)?;
            let hashes = images.into_iter().filter_map(|image| image.content_hash).collect();
            reuse(account_id, model_id, hashes, across, claimed.keep())?;
            Ok(after)
        });
        recorded.await
    }
}

fn is_in(pin: &PinRow, sections: &HashSet<String>) -> bool {
    pin.board_section_id.as_ref().is_some_and(|section| sections.contains(section))
}

/// Is it a refusal of the list of sections only? The board itself was answered a moment ago.
fn is_about_sections(kind: ErrorKind) -> bool {
    use ErrorKind::{AppAccess, Forbidden, MissingScope, NotFound, NotPermitted, Restricted};
    matches!(kind, AppAccess | Forbidden | MissingScope | NotFound | NotPermitted | Restricted)
}

/// The ids and names of the board's sections. The listing of the board contains the pins of its sections.
async fn sections(run: &Run, api: &mut Api, board_id: &str) -> Result<Vec<(String, String)>, Interruption> {
    let mut guard = BookmarkGuard::new();
    let mut bookmark: Option<String> = None;
    let mut found = Vec::new();
    loop {
        let page = api
            .call(|client, token| {
                let (board_id, bookmark) = (board_id.to_owned(), bookmark.clone());
                async move { client.sections(&token, &board_id, bookmark.as_deref()).await }
            })
            .await;
        let page = match page {
            Ok(page) => page,
            // The import of a whole board does not need the names of its sections.
            Err(Refused::Call(error)) if run.claimed.sections.is_none() && is_about_sections(error.kind()) => {
                let line = format!("the import continues without the names of sections: {error}");
                run.context.database.log(About::import(&run.claimed), line).await;
                return Ok(found);
            }
            Err(refused) => return Err(api.interruption(refused)),
        };
        found.extend(page.items.into_iter().map(|section| {
            let name = section.name.unwrap_or_else(|| section.id.clone());
            (section.id, name)
        }));
        match page.bookmark {
            Some(next) => {
                guard.admit(&next).map_err(|error| api.interruption(error))?;
                bookmark = Some(next);
            }
            None => break,
        }
    }
    let (board_id, stored) = (board_id.to_owned(), found.clone());
    run.transaction(move |claimed| store::board::update_sections(claimed.account_id, &board_id, &stored)).await?;
    Ok(found)
}
