//! The listing of a board: page by page, each page's bookmark committed with its pins.

use pinterest::model::Board;
use pinterest::{BoardReference, BookmarkGuard, ErrorKind};
use tokio::sync::Notify;

use super::api::Api;
use super::failure::{Interruption, held};
use super::run::Run;
use crate::rows::{PageRows, page_rows};
use crate::store;
use crate::store::import::{Claim, Done};

/// Looks through the account's boards.
pub async fn find_board(api: &mut Api, reference: &BoardReference) -> Result<Option<Board>, Interruption> {
    let mut guard = BookmarkGuard::new();
    let mut bookmark: Option<String> = None;
    loop {
        let page = api
            .call(|client, token| {
                let bookmark = bookmark.clone();
                async move { client.boards(&token, bookmark.as_deref()).await }
            })
            .await
            .map_err(|error| api.interruption(error))?;
        let found = page.items.into_iter().find(|board| {
            let owner = board.owner.as_ref().and_then(|owner| owner.username.as_deref());
            reference.matches(&board.id, board.name.as_deref().unwrap_or_default(), owner)
        });
        if found.is_some() {
            return Ok(found);
        }
        match page.bookmark {
            Some(next) => {
                guard.admit(&next).map_err(|error| api.interruption(error))?;
                bookmark = Some(next);
            }
            None => return Ok(None),
        }
    }
}

/// Lists the board's pins from where the last attempt stopped. False where Pinterest shows only a part of the board.
pub async fn list(
    run: &Run,
    api: &mut Api,
    board_id: &str,
    model_id: i64,
    progress: &Notify,
) -> Result<bool, Interruption> {
    sections(run, api, board_id).await?;
    let mut guard = BookmarkGuard::new();
    let mut bookmark = run.claimed.bookmark.clone();
    // How long a bookmark lives is not documented: a resumed listing may have to start over, once.
    let mut may_start_over = bookmark.is_some();
    loop {
        let page = api
            .call(|client, token| {
                let (board_id, bookmark) = (board_id.to_owned(), bookmark.clone());
                async move { client.board_pins(&token, &board_id, bookmark.as_deref()).await }
            })
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) if error.kind() == Some(ErrorKind::StaleBookmark) && may_start_over => {
                let claimed = run.claimed.clone();
                run.context.database.run(move || store::import::forget_bookmark(&claimed)).await?;
                (bookmark, may_start_over) = (None, false);
                continue;
            }
            Err(error) if error.kind() == Some(ErrorKind::ListingLimit) => {
                let claimed = run.claimed.clone();
                run.context
                    .database
                    .run(move || {
                        store::import::record_listing_limit(&claimed, "complete up to Pinterest's limit of one listing")
                    })
                    .await?;
                return Ok(false);
            }
            Err(error) => return Err(api.interruption(error)),
        };
        may_start_over = false;
        let next = page.bookmark.clone();
        record(run, board_id, model_id, page_rows(&page.items), next.clone()).await?;
        progress.notify_one();
        match next {
            Some(next) => {
                guard.admit(&next).map_err(|error| api.interruption(error))?;
                bookmark = Some(next);
            }
            None => return Ok(true),
        }
    }
}

async fn record(
    run: &Run,
    board_id: &str,
    model_id: i64,
    page: PageRows,
    bookmark: Option<String>,
) -> Result<(), Interruption> {
    let (claimed, board_id) = (run.claimed.clone(), board_id.to_owned());
    let claim = run
        .context
        .database
        .run(move || {
            let (account_id, import_id) = (claimed.account_id, claimed.import_id);
            let claim = store::import::lock(&claimed)?;
            if claim != Claim::Held {
                return Ok(claim);
            }
            let fresh: std::collections::HashSet<String> =
                store::pin::upsert_page(account_id, &board_id, import_id, &page.pins)?.into_iter().collect();
            let counts: Vec<_> = page.image_counts.into_iter().filter(|(pin, _)| fresh.contains(pin)).collect();
            let images: Vec<_> = page.images.into_iter().filter(|image| fresh.contains(&image.pin_id)).collect();
            store::pin_image::trim(account_id, &counts)?;
            let found =
                store::pin_image::upsert_page(account_id, import_id, Some(model_id), claimed.keep_images, &images)?;
            let bare = counts.iter().filter(|(_, number)| *number == 0).count();
            let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
            store::import::record_page(&claimed, bookmark.as_deref(), number(fresh.len()), number(bare), found)?;
            let hashes = images.into_iter().filter_map(|image| image.content_hash).collect();
            for (import_id, reused) in store::pin_image::reuse_by_content_hash(account_id, model_id, hashes)? {
                store::import::count_done(account_id, import_id, Done { reused, ..Done::default() })?;
            }
            Ok(Claim::Held)
        })
        .await?;
    held(claim)
}

/// The names of the board's sections. A board listing already holds the sections' pins.
async fn sections(run: &Run, api: &mut Api, board_id: &str) -> Result<(), Interruption> {
    let mut guard = BookmarkGuard::new();
    let mut bookmark: Option<String> = None;
    let mut found = Vec::new();
    loop {
        let page = api
            .call(|client, token| {
                let (board_id, bookmark) = (board_id.to_owned(), bookmark.clone());
                async move { client.sections(&token, &board_id, bookmark.as_deref()).await }
            })
            .await
            .map_err(|error| api.interruption(error))?;
        found.extend(page.items.into_iter().map(|section| {
            let name = section.name.unwrap_or_else(|| section.id.clone()).replace('\0', "");
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
    let (account_id, board_id) = (run.claimed.account_id, board_id.to_owned());
    run.context.database.run(move || store::board::replace_sections(account_id, &board_id, &found)).await?;
    Ok(())
}
