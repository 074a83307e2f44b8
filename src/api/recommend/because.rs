//! The pins that a pick resembles.

use gallery::Address;
use pgrx::JsonB;
use serde_json::json;
use taste::{Direction, Pick};

use super::pool::Pool;
use super::tastes::Tastes;
use crate::api::board_images::check;
use crate::errors::{Failure, Kind};
use crate::store::board_images::shown;

/// The number of pins that are named.
const MOST_PINS: usize = 3;

/// For each pick the pins nearest to it, each by its nearest image, as a JSON array.
///
/// # Errors
///
/// Those of the store.
pub fn of(tastes: &Tastes, pool: &Pool, picks: &[Pick]) -> Result<Vec<JsonB>, Failure> {
    let liked = &tastes.liked;
    let mut nearest = Vec::with_capacity(picks.len());
    for pick in picks {
        check();
        let direction = Direction::normalised(pool.vectors.row(pick.candidate))
            .map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
        let mut found: Vec<(usize, f64)> = Vec::with_capacity(MOST_PINS);
        for (row, similarity) in taste::nearest(&liked.vectors, &direction, liked.images.len()) {
            let same_pin = |&(other, _): &(usize, f64)| {
                let ((board, image), (of, known)) = (&liked.images[row], &liked.images[other]);
                (board, &image.pin_id) == (of, &known.pin_id)
            };
            if tastes.weights[row] > 0.0 && !found.iter().any(same_pin) {
                found.push((row, similarity));
                if found.len() == MOST_PINS {
                    break;
                }
            }
        }
        nearest.push(found);
    }
    let keys: Vec<_> = nearest.iter().flatten().map(|(row, _)| liked.key(*row)).collect();
    let shown = shown(&keys)?;
    let pin = |(row, similarity): (usize, f64)| {
        let key = liked.key(row);
        let board = &liked.boards[liked.images[row].0];
        let shown = shown.get(&key);
        let (account_id, pin_id, position) = key;
        json!({
            "account_id": account_id,
            "board_id": board.board_id,
            "board": board.name,
            "link": Address::of_pin(&pin_id).map(String::from),
            "pin_id": pin_id,
            "position": position,
            "title": shown.and_then(|shown| shown.title.as_deref()),
            "image_url": shown.and_then(|shown| shown.image_url()),
            "distance": 1.0 - similarity,
        })
    };
    Ok(nearest.into_iter().map(|found| JsonB(found.into_iter().map(pin).collect())).collect())
}
