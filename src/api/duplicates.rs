//! Pictures that were pinned twice, and pictures that are almost the same.

use gallery::Address;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::board::known;
use super::board_images::{BoardImages, check};
use super::given;
use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::vector::DIMENSION;
use crate::store::board_images::{self, shown};

// The default that \df shows is the one that the crate gives reasons for.
const _: () = assert!(taste::DEFAULT_THRESHOLD == 0.05);

/// Groups of images of a board that show the same picture, each with its distance from the first of its group.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_duplicates(
    board: Option<&str>,
    threshold: default!(Option<f64>, "0.05"),
    account_id: default!(Option<i64>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(group_number, i32),
            name!(pin_id, String),
            name!(position, i32),
            name!(same_bytes, bool),
            name!(distance, f64),
            name!(title, Option<String>),
            name!(link, Option<String>),
            name!(image_url, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let board = given(board, "board")?;
    let threshold = given(threshold, "threshold")?;
    if !(0.0..=1.0).contains(&threshold) {
        let message = format!("threshold must be a cosine distance from 0 to 1, not {threshold}");
        return Err(Failure::new(Kind::BadArgument, message).into());
    }
    let collected = BoardImages::of_board(known(board, account_id)?, false)?;
    collected.model()?;
    let board = &collected.boards[0];
    let mut hashes = board_images::bytes_of(board.account_id, &board.board_id)?;
    let first = taste::first_equal(collected.images.iter().map(|(_, image)| {
        let known = hashes.remove(&(image.pin_id.clone(), image.position));
        known.map_or([None, None], |known| [known.sha256, known.content_hash.map(String::into_bytes)])
    }));
    // The images of different bytes, the leaders among them, and the groups.
    room_for(first.len().saturating_mul(4 * size_of::<[f32; DIMENSION]>()))?;
    let vectors = &collected.vectors;
    let groups = taste::duplicates_with_equal(vectors, &first, threshold, &mut check);
    let keys: Vec<_> = groups.iter().flatten().map(|&row| collected.key(row)).collect();
    let shown = shown(&keys)?;
    let numbered = (1..).zip(&groups).flat_map(|(number, group)| group.iter().map(move |&row| (number, group[0], row)));
    let rows = numbered.zip(keys).map(|((number, leader, row), key)| {
        let shown = shown.get(&key);
        let title = shown.and_then(|shown| shown.title.clone());
        let image_url = shown.and_then(|shown| shown.image_url().map(str::to_owned));
        let (_, pin_id, position) = key;
        let link = Address::of_pin(&pin_id).map(String::from);
        let distance = taste::distance(vectors.row(leader), vectors.row(row));
        (number, pin_id, position, first[row] == first[leader], distance, title, link, image_url)
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
