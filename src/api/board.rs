//! Boards: the live list, which one is meant, the purge.

use std::convert::Infallible;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pinterest::model::Board;
use pinterest::{BoardReference, BookmarkGuard, Client, Error, Secret};

use super::{given, not_empty, usable};
use crate::errors::{Failure, Kind};
use crate::identity::{as_worker, current_role};
use crate::interruptible::block_on;
use crate::platform::NoCoreDump;
use crate::rows::board_row;
use crate::settings;
use crate::store::board::KnownBoard;
use crate::store::{account, board, refuse_if_read_only};

/// The account's boards as Pinterest lists them now; they are remembered in pinterest.board.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)] // Columns of an SQL function.
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
    refuse_if_read_only(c"pinterest_list_boards()");
    let account_id = account::resolve(&current_role(), account_id)?;
    let _no_core_dump = NoCoreDump::new();
    let access = usable::access(account_id)?;
    let boards = match live_list(access.token) {
        // Pinterest may have stopped to accept a token before its time; only a fresh one's refusal is final.
        Err(refused) if refused.kind == Kind::NeedsReauth && access.refreshable => {
            usable::renew(account_id, access.generation)?;
            live_list(usable::access(account_id)?.token)?
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

/// All pages of the account's boards.
fn live_list(token: Secret) -> Result<Vec<Board>, Failure> {
    let endpoints = settings::endpoints()?;
    block_on(move || async move {
        let client = Client::new(endpoints)?;
        let mut guard = BookmarkGuard::new();
        let mut bookmark: Option<String> = None;
        let mut boards = Vec::new();
        loop {
            let page = client.boards(&token, bookmark.as_deref()).await?.value;
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

/// The board that the caller means, among those seen so far.
pub fn known(reference: &str, account_id: Option<i64>) -> Result<KnownBoard, Failure> {
    not_empty(reference, "board")?;
    let account_id = account_id.map(|id| account::resolve(&current_role(), Some(id))).transpose()?;
    let mut found = matching(reference, account_id)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, format!("no board \"{reference}\" has been seen")).with_hint(
            "Import it with pinterest_import_board(); SELECT * FROM pinterest_list_boards() lists what there is.",
        )),
        several => Err(Failure::new(Kind::BadArgument, format!("{several} boards are named \"{reference}\""))
            .with_hint("Pass the board's id, or account_id.")
            .with_detail(
                found
                    .iter()
                    .map(|board| format!("{} (account {})", board.board_id, board.account_id))
                    .collect::<Vec<_>>()
                    .join(", "),
            )),
    }
}

/// All boards seen so far that the words fit.
pub fn matching(reference: &str, account_id: Option<i64>) -> Result<Vec<KnownBoard>, Failure> {
    let parsed: Result<BoardReference, Infallible> = reference.parse();
    let Ok(parsed) = parsed;
    let mut boards = board::visible(account_id)?;
    boards.retain(|board| parsed.matches(&board.board_id, &board.name, board.owner_username.as_deref()));
    Ok(boards)
}

/// Deletes a board's pins, images, vectors and imports; returns how many pins and images that were.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_purge_board(
    board: Option<&str>,
    account_id: default!(Option<i64>, "NULL"),
) -> Result<TableIterator<'static, (name!(pins, i64), name!(images, i64))>, ErrorReport> {
    let board = given(board, "board")?;
    let board = known(board, account_id)?;
    let counts = as_worker(|| crate::store::board::purge(board.account_id, &board.board_id))?;
    Ok(TableIterator::once(counts))
}
