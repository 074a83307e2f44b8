//! The same picture pinned twice, and pictures that are almost the same.

use std::collections::HashMap;
use std::hash::Hash;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use taste::Vectors;

use super::board::known;
use super::board_images::{Collected, check};
use super::given;
use super::recommend::pin_page;
use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::vector::DIMENSION;
use crate::store::board_images::{self, Bytes, shown};

// What \df shows is what the crate argues for.
const _: () = assert!(taste::DEFAULT_THRESHOLD == 0.05);

/// Groups of images of a board that show the same picture, each with its distance from the first of its group.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)] // Columns of an SQL function.
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
            name!(link, String),
            name!(image_url, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let board = given(board, "board")?;
    let threshold = given(threshold, "threshold")?;
    if !(0.0..=1.0).contains(&threshold) {
        return Err(Failure::new(
            Kind::BadArgument,
            format!("threshold must be a cosine distance from 0 to 1, not {threshold}"),
        )
        .into());
    }
    let collected = Collected::of_board(known(board, account_id)?, false)?;
    collected.model()?;
    let board = &collected.boards[0];
    let bytes = board_images::bytes_of(board.account_id, &board.board_id)?;
    let first = first_with_the_same_bytes(&collected, &bytes);
    let groups = groups(&collected.vectors, &first, threshold)?;
    let places: Vec<_> = groups.iter().flatten().map(|&row| collected.place(row)).collect();
    let words = shown(&places)?;
    let mut rows = Vec::new();
    for (number, group) in (1..).zip(&groups) {
        for &row in group {
            let place = collected.place(row);
            let words = words.get(&place);
            let (_, pin_id, position) = place.clone();
            let link = pin_page(&pin_id);
            rows.push((
                number,
                pin_id,
                position,
                first[row] == first[group[0]],
                distance(&collected.vectors, group[0], row),
                words.and_then(|words| words.title.clone()),
                link,
                words.and_then(|words| words.image_url().map(str::to_owned)),
            ));
        }
    }
    Ok(TableIterator::new(rows))
}

/// For each image the first one with the same bytes: by the hash of what was downloaded, or by the CDN's.
fn first_with_the_same_bytes(collected: &Collected, bytes: &HashMap<(String, i32), Bytes>) -> Vec<usize> {
    let mut downloads = HashMap::new();
    let mut contents = HashMap::new();
    let mut first: Vec<usize> = Vec::with_capacity(collected.images.len());
    for (row, (_, image)) in collected.images.iter().enumerate() {
        let known = bytes.get(&(image.pin_id.clone(), image.position));
        let download = known.and_then(|bytes| bytes.sha256.clone());
        let content = known.and_then(|bytes| bytes.content_hash.clone());
        let earlier = seen(&downloads, download.as_ref()).or(seen(&contents, content.as_ref())).unwrap_or(row);
        download.map(|hash| downloads.entry(hash).or_insert(earlier));
        content.map(|hash| contents.entry(hash).or_insert(earlier));
        first.push(earlier);
    }
    first
}

fn seen<K: Hash + Eq>(known: &HashMap<K, usize>, hash: Option<&K>) -> Option<usize> {
    hash.and_then(|hash| known.get(hash)).copied()
}

/// Groups of two or more, by their first image: near ones among those of different bytes, and all with the bytes of one of
/// these.
fn groups(vectors: &Vectors, first: &[usize], threshold: f64) -> Result<Vec<Vec<usize>>, Failure> {
    let different: Vec<usize> = (0..first.len()).filter(|&row| first[row] == row).collect();
    // Those of different bytes, the leaders among them, and the groups.
    room_for(first.len().saturating_mul(4 * size_of::<[f32; DIMENSION]>()))?;
    let mut among = Vectors::with_capacity(vectors.dimension(), different.len());
    for &row in &different {
        among.push(vectors.row(row)).map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
    }
    // The row that leads each row's group.
    let mut leader: Vec<usize> = (0..first.len()).collect();
    for near in taste::duplicates(&among, threshold, &mut check) {
        near.iter().for_each(|&place| leader[different[place]] = different[near[0]]);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); first.len()];
    for row in 0..first.len() {
        groups[leader[first[row]]].push(row);
    }
    groups.retain(|group| group.len() > 1);
    Ok(groups)
}

/// Cosine distance of two rows: 0 for a row and its equal, whatever f32 has left of their lengths.
fn distance(vectors: &Vectors, left: usize, right: usize) -> f64 {
    let dot = |left: usize, right: usize| -> f64 {
        vectors.row(left).iter().zip(vectors.row(right)).map(|(&l, &r)| f64::from(l) * f64::from(r)).sum()
    };
    (1.0 - dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()).max(0.0)
}
