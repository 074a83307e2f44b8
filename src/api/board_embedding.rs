//! One vector for a board: the direction of the mean of its images, weighted as the caller likes.

use pgrx::datum::Interval;
use pgrx::prelude::*;
use pinterest::SectionReference;
use serde_json::Value;

use super::board::known;
use super::board_images::{Collected, without_images};
use super::{Answer, given, not_empty, seconds};
use crate::errors::{Failure, Kind};
use crate::names;
use crate::postgres::json_text::Jsonb;
use crate::postgres::query_cache::once_per_query;
use crate::postgres::vector::Vector;
use crate::store::board::KnownBoard;
use crate::store::board_images;

/// Bytes of `sections`: more names than a board has sections.
const MOST_BYTES: usize = 1 << 20;

/// The direction of the mean of a board's image embeddings, of unit length. Newer pins may count more than older ones,
/// sections more than others, and one theme may stand for the board.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_board_embedding(
    board: Option<&str>,
    account_id: default!(Option<i64>, "NULL"),
    half_life: default!(Option<Interval>, "NULL"),
    sections: default!(Option<Jsonb>, "NULL"),
    theme: default!(Option<i32>, "NULL"),
    skip_ai: default!(Option<bool>, "false"),
    call: pg_sys::FunctionCallInfo,
) -> Answer<Vector> {
    let board = given(board, "board")?;
    not_empty(board, "board")?;
    let sections = sections.map(|json| json.parse(MOST_BYTES, "sections")).transpose()?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let wanted = Wanted { half_life: half_life.as_ref().map(seconds), sections, theme, skip_ai };
    let key = (board.to_owned(), account_id, wanted.clone());
    Ok(once_per_query(call, key, || {
        let board = known(board, account_id)?;
        let plain = wanted == Wanted::default() && board.section.is_none();
        if plain { mean_direction(&board) } else { weighted_direction(board, &wanted) }
    })?)
}

/// What the images are weighted by.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    /// Seconds after which a pin counts half as much.
    half_life: Option<f64>,
    /// Weights by name or id of a section; `""` is the board outside of sections.
    sections: Option<Value>,
    /// Number of a theme of `pinterest_board_themes`.
    theme: Option<i32>,
    /// Without pins that are disclosed as made or changed with AI.
    skip_ai: bool,
}

/// The plain mean, which the server computes without handing out every image.
fn mean_direction(board: &KnownBoard) -> Result<Vector, Failure> {
    let mean = board_images::mean(board.account_id, &board.board_id)?;
    if mean.models > 1 {
        return Err(Failure::new(
            Kind::ModelsMixed,
            format!("the images of board \"{}\" were embedded by {} different models", board.name, mean.models),
        ));
    }
    mean.mean.and_then(Vector::normalized).ok_or_else(|| without_images(&[board], false))
}

fn weighted_direction(board: KnownBoard, wanted: &Wanted) -> Result<Vector, Failure> {
    let collected = Collected::of_board(board, wanted.skip_ai)?.some()?;
    collected.model()?;
    let mut weights = vec![1.0; collected.images.len()];
    if let Some(half_life) = wanted.half_life {
        by_age(&mut weights, &collected, half_life)?;
    }
    if let Some(sections) = &wanted.sections {
        by_section(&mut weights, &collected, sections)?;
    }
    if let Some(theme) = wanted.theme {
        of_theme(&mut weights, &collected, theme)?;
    }
    match taste::mean_direction(&collected.vectors, Some(&weights)) {
        Some(direction) => Vector::from_slice(&direction),
        None => Err(Failure::new(
            Kind::BadArgument,
            format!("no image of {} is left with a weight above 0", collected.boards[0].named()),
        )),
    }
}

/// Half the weight for each half-life before the newest pin: counted from now, the direction would be the same, and old
/// boards would vanish in rounding.
fn by_age(weights: &mut [f64], collected: &Collected, half_life: f64) -> Result<(), Failure> {
    if half_life <= 0.0 {
        return Err(Failure::new(Kind::BadArgument, "half_life must be longer than 0"));
    }
    let times = || collected.images.iter().map(|(_, image)| image.pinned_at);
    let newest = times().fold(f64::NEG_INFINITY, f64::max);
    for (weight, time) in weights.iter_mut().zip(times()) {
        *weight *= (-(newest - time) / half_life).exp2();
    }
    Ok(())
}

/// Multiplies by the weights of sections; those that are not named count 1.
fn by_section(weights: &mut [f64], collected: &Collected, wanted: &Value) -> Result<(), Failure> {
    let Value::Object(wanted) = wanted else {
        return Err(Failure::new(Kind::BadArgument, "sections must be an object of weights")
            .with_hint("As in '{\"Ceremony\": 2, \"Dress\": 0}'; \"\" means the board outside of its sections."));
    };
    let board = &collected.boards[0];
    let known = board_images::sections_of(board.account_id, &board.board_id)?;
    for (name, weight) in wanted {
        let weight = weight.as_f64().filter(|weight| weight.is_finite() && *weight >= 0.0).ok_or_else(|| {
            Failure::new(Kind::BadArgument, format!("the weight of section \"{name}\" must be a number, 0 or more"))
        })?;
        let wanted = match name.as_str() {
            "" => None,
            name => {
                let board = format!("board \"{}\"", board.name);
                Some(names::section(&known, &SectionReference::named(name), &board)?)
            }
        };
        for (factor, (_, image)) in weights.iter_mut().zip(&collected.images) {
            if image.section_id == wanted {
                *factor *= weight;
            }
        }
    }
    Ok(())
}

/// Leaves the images of one theme, numbered as `pinterest_board_themes` numbers them.
fn of_theme(weights: &mut [f64], collected: &Collected, theme: i32) -> Result<(), Failure> {
    let themes = collected.themes(None, None);
    let members = usize::try_from(theme).ok().and_then(|theme| themes.get(theme.checked_sub(1)?));
    let Some(found) = members else {
        return Err(Failure::new(
            Kind::BadArgument,
            format!(
                "theme must be from 1 to {}, the themes of {}, not {theme}",
                themes.len(),
                collected.boards[0].named()
            ),
        )
        .with_hint("SELECT * FROM pinterest_board_themes() lists them."));
    };
    let mut inside = vec![false; weights.len()];
    found.members.iter().for_each(|&member| inside[member] = true);
    for (weight, inside) in weights.iter_mut().zip(inside) {
        if !inside {
            *weight = 0.0;
        }
    }
    Ok(())
}
