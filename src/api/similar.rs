//! Pins similar to an embedding, and boards similar to a board.

use gallery::Address;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{notice, prelude::*};

use super::board::known;
use super::board_images::{BoardImages, check};
use super::classify::direction;
use super::{given, on_coordinator, up_to};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::current_role;
use crate::postgres::vector::Vector;
use crate::store::nearest_pins::Among;
use crate::store::{account, board, nearest_pins};

/// The greatest number of rows that a call returns.
const MOST_ROWS: i32 = 10_000;

/// The pins nearest to an embedding, of an image or a text; each pin once.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_pins_like(
    embedding: Option<Vector>,
    k: default!(Option<i32>, "20"),
    board: default!(Option<&str>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    skip_ai: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(rank, i32),
            name!(account_id, i64),
            name!(board_id, String),
            name!(board, String),
            name!(pin_id, String),
            name!(position, i32),
            name!(title, Option<String>),
            name!(link, Option<String>),
            name!(image_url, Option<String>),
            name!(distance, f64),
        ),
    >,
    ErrorReport,
> {
    let k = given(k, "k")?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    up_to(MOST_ROWS, k, "k")?;
    on_coordinator()?;
    // Like a comparison with NULL: not an error, and no row.
    let Some(embedding) = embedding else { return Ok(TableIterator::new(Vec::new())) };
    direction(&embedding)?;
    let among = match board {
        Some(board) => {
            let board = known(board, account_id)?;
            Among {
                account_id: Some(board.account_id),
                board_id: Some(board.board_id),
                section_id: board.section.map(|section| section.section_id),
                skip_ai,
            }
        }
        None => {
            let account_id = account_id.map(|id| account::resolve(&current_role(), Some(id))).transpose()?;
            Among { account_id, skip_ai, ..Among::default() }
        }
    };
    let models = nearest_pins::models(&among)?;
    if models > 1 {
        let message = format!("the pins to compare with were embedded by {models} different models");
        return Err(Failure::new(Kind::ModelsMixed, message).into());
    }
    let found = nearest_pins::to(&embedding, k, &among)?;
    let rows = (1..).zip(found).map(|(rank, pin)| {
        let link = Address::of_pin(&pin.pin_id).map(String::from);
        (
            rank,
            pin.account_id,
            pin.board_id,
            pin.board,
            pin.pin_id,
            pin.position,
            pin.title,
            link,
            pin.image_url,
            pin.distance,
        )
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The caller's boards that are most similar to one of them, by their themes and not by their means.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_boards_like(
    board: Option<&str>,
    k: default!(Option<i32>, "10"),
    account_id: default!(Option<i64>, "NULL"),
    skip_ai: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(rank, i32),
            name!(account_id, i64),
            name!(board_id, String),
            name!(board, String),
            name!(images, i64),
            name!(similarity, f64),
        ),
    >,
    ErrorReport,
> {
    let board = given(board, "board")?;
    let k = up_to(MOST_ROWS, given(k, "k")?, "k")?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let wanted = BoardImages::of_board(known(board, account_id)?, skip_ai)?.not_empty()?;
    let model = wanted.model()?;
    let themes = wanted.themes(None, None);
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    // Of all accounts: account_id only tells which board is meant, and similar ones may be of the partner's account.
    for other in board::visible(None)?.into_iter().filter(|other| !other.is_same_board(&wanted.boards[0])) {
        check();
        let other = BoardImages::of_board(other, skip_ai)?;
        if other.images.is_empty() {
            continue;
        }
        if other.model().ok() != Some(model) {
            left_out.push(format!("\"{}\"", other.boards[0].name));
            continue;
        }
        let likeness = taste::likeness(&themes, &other.themes(None, None));
        let images = i64::try_from(other.images.len()).unwrap_or(i64::MAX);
        found.extend(other.boards.into_iter().map(|board| (board, images, likeness)));
    }
    if !left_out.is_empty() {
        notice!("boards embedded by another model are left out: {}", left_out.join(", "));
    }
    // A stable sort: ties stay in the order of account and id.
    found.sort_by(|left, right| right.2.total_cmp(&left.2));
    found.truncate(k);
    Ok(TableIterator::new((1..).zip(found).map(|(rank, (board, images, similarity))| {
        (rank, board.account_id, board.board_id, board.name, images, similarity)
    })))
}
