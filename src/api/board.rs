//! Boards: Pinterest's list, look-up by id, title or address, deletion.

use std::collections::HashSet;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pinterest::model::Board;
use pinterest::{BoardReference, BookmarkGuard, Closest, Error, Likeness, Secret};

use super::{access_token, given, not_empty, on_coordinator, writes_here};
use crate::errors::{Failure, Kind};
use crate::names::{self, ambiguous, shortened};
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::{as_worker, current_role};
use crate::postgres::platform::NoCoreDump;
use crate::postgres::threads::WaitEvent;
use crate::rows::board_row;
use crate::settings;
use crate::statistics;
use crate::store::board::{KnownBoard, KnownSection};
use crate::store::{account, board, board_images, extension, refuse_if_read_only};

/// The account's boards as Pinterest lists them now; they are stored in pinterest.board.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_list_boards(
    account_id: default!(Option<i64>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(account_id, i64),
            name!(board_id, String),
            name!(name, String),
            name!(privacy, Option<String>),
            name!(owner, Option<String>),
            name!(pin_count, Option<i32>),
            name!(description, Option<String>),
        ),
    >,
    ErrorReport,
> {
    writes_here("pinterest_list_boards()")?;
    if !extension::is_updated()? {
        return Err(extension::not_updated().into());
    }
    let account_id = account::resolve(&current_role(), account_id)?;
    let _no_core_dump = NoCoreDump::new();
    let access = access_token::access(account_id)?;
    let boards = match live_list(access.token) {
        // Pinterest may refuse a token before it expires; only the refusal of a new token is final.
        Err(refused) if refused.kind == Kind::NeedsReauth && access.refreshable => {
            access_token::renew(account_id, access.generation)?;
            live_list(access_token::access(account_id)?.token)?
        }
        boards => boards?,
    };
    let mut seen = std::collections::HashSet::new();
    let rows: Vec<_> = boards.iter().filter(|board| seen.insert(board.id.as_str())).map(board_row).collect();
    as_worker(|| board::upsert(account_id, &rows))?;
    Ok(TableIterator::new(rows.into_iter().map(move |row| {
        let name = row.name.unwrap_or_else(|| row.board_id.clone());
        (account_id, row.board_id, name, row.privacy, row.owner_username, row.pin_count, row.description)
    })))
}

/// The number of refusals for too many requests after which one call waits and tries again.
const TOO_FAST: u32 = 3;

/// All pages of the account's boards.
fn live_list(token: Secret) -> Result<Vec<Board>, Failure> {
    let endpoints = settings::endpoints()?;
    // Without the counters it works as well.
    let _ = statistics::attach();
    block_on(WaitEvent::Api, move || async move {
        let client = statistics::requests::client(endpoints)?;
        let mut guard = BookmarkGuard::new();
        let mut bookmark: Option<String> = None;
        let mut boards = Vec::new();
        let mut too_fast = 0;
        loop {
            let answer = match client.boards(&token, bookmark.as_deref()).await {
                Err(error) if error.is_about_pace() && too_fast < TOO_FAST => {
                    too_fast += 1;
                    tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
                    continue;
                }
                answer => answer?,
            };
            tokio::time::sleep(answer.rate_limit.pace.unwrap_or_default()).await;
            let page = answer.value;
            boards.extend(page.items);
            match page.bookmark {
                Some(next) => {
                    guard.admit(&next)?;
                    bookmark = Some(next);
                }
                None => return Ok::<_, Error>(boards),
            }
        }
    })
}

/// The known board with this id, title or address, or the section of it that the address names.
///
/// # Errors
///
/// NotFound; BadArgument if several boards fit, or the address is not of a board.
pub fn known(reference: &str, account_id: Option<i64>) -> Result<KnownBoard, Failure> {
    Ok(closest(reference, account_id)?.0)
}

/// The same, with its likeness.
fn closest(reference: &str, account_id: Option<i64>) -> Result<(KnownBoard, Likeness), Failure> {
    not_empty(reference, "board")?;
    let account_id = account_id.map(|id| account::resolve(&current_role(), Some(id))).transpose()?;
    let matches = matching(reference, account_id)?;
    let section = matches.reference.section();
    let likeness = matches.likeness;
    let (mut board, likeness) = matches.one()?.zip(likeness).ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("no board \"{}\" has been seen", shortened(reference))).with_hint(
            "Import it with pinterest_import_board(). SELECT * FROM pinterest_list_boards() lists the account's boards.",
        )
    })?;
    if let Some(wanted) = section {
        let sections = board_images::sections_of(board.account_id, &board.board_id)?;
        let section_id = names::section(&sections, &wanted, &board.named())?;
        let name = sections.into_iter().find(|(id, _)| *id == section_id).map(|(_, name)| name).unwrap_or_default();
        board.section = Some(KnownSection { section_id, name });
    }
    Ok((board, likeness))
}

/// The known board with this id, title or address, for changes of a whole board. A similar title is not enough, because the
/// board with that title may not be known yet; `fits` decides.
///
/// # Errors
///
/// Those of [`known`]; BadArgument for a section.
pub fn known_whole(
    reference: &str,
    account_id: Option<i64>,
    fits: impl Fn(Likeness) -> bool,
) -> Result<KnownBoard, Failure> {
    let (board, likeness) = closest(reference, account_id)?;
    if board.section.is_some() {
        return Err(Failure::new(Kind::BadArgument, "whole boards can be changed, not a section")
            .with_hint("Pass the board's address without the section, or its title or id."));
    }
    if !fits(likeness) {
        let owner = board.owner_username.map(|owner| format!(" of {owner}")).unwrap_or_default();
        return Err(Failure::new(Kind::NotFound, format!("no board \"{}\" has been seen", shortened(reference)))
            .with_hint(format!(
                "The most similar one is \"{}\"{owner}. To use it, pass its id: {}.",
                shortened(&board.name),
                board.board_id
            )));
    }
    Ok(board)
}

/// The known boards that fit a reference best.
pub struct Matches {
    /// The parsed reference.
    pub reference: BoardReference,
    /// Their likeness.
    pub likeness: Option<Likeness>,
    found: Vec<KnownBoard>,
}

impl Matches {
    /// The board, if any.
    ///
    /// # Errors
    ///
    /// BadArgument if there are several.
    pub fn one(mut self) -> Result<Option<KnownBoard>, Failure> {
        if self.found.len() < 2 {
            return Ok(self.found.pop());
        }
        let ids: HashSet<_> = self.found.iter().map(|board| &board.board_id).collect();
        // Several accounts may have imported the same board.
        let have_ids = ids.len() == self.found.len();
        let of = self.found.into_iter().map(|board| {
            let owner = board.owner_username.map(|owner| format!(" of {owner}")).unwrap_or_default();
            let name = format!("{}{owner}", shortened(&board.name));
            match have_ids {
                true => (board.board_id, format!("{name}, account {}", board.account_id)),
                false => (board.account_id.to_string(), format!("{name}, board {}", board.board_id)),
            }
        });
        let hint = if have_ids { "Pass the board's id, or account_id" } else { "Pass account_id" };
        Err(ambiguous("boards", &self.reference.to_string(), of.collect(), hint))
    }
}

/// The known boards that fit a reference best. A title that looks like another address is found only as it is written.
///
/// # Errors
///
/// BadArgument if no board fits, and the reference is an address that is not a board's; NotReady on another node of Citus
/// than the coordinator.
pub fn matching(reference: &str, account_id: Option<i64>) -> Result<Matches, Failure> {
    on_coordinator()?;
    let parsed = reference.parse::<BoardReference>();
    let wanted = parsed.as_ref().map_or_else(|_| BoardReference::title(reference), BoardReference::clone);
    let mut closest = Closest::default();
    for board in board::visible(account_id)? {
        pgrx::check_for_interrupts!();
        let likeness = wanted.likeness(&board.board_id, &board.name, board.owner_username.as_deref());
        closest.offer(board, likeness.filter(|likeness| parsed.is_ok() || likeness.is_spelling()));
    }
    let likeness = closest.likeness();
    if likeness.is_none() {
        parsed?;
    }
    Ok(Matches { reference: wanted, likeness, found: closest.into_found() })
}

/// Deletes a board's pins, images, vectors and imports; returns the numbers of pins and images.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_purge_board(
    board: Option<&str>,
    account_id: default!(Option<i64>, "NULL"),
) -> Result<TableIterator<'static, (name!(pins, i64), name!(images, i64))>, ErrorReport> {
    refuse_if_read_only("pinterest_purge_board()")?;
    let board = given(board, "board")?;
    let board = known_whole(board, account_id, Likeness::is_certain)?;
    let counts = as_worker(|| crate::store::board::purge(board.account_id, &board.board_id))?;
    Ok(TableIterator::once(counts))
}
