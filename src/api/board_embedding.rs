//! One vector for a board: the direction of the mean of its images, weighted by age, section or theme.

use pgrx::datum::Interval;
use pgrx::prelude::*;
use pinterest::SectionReference;
use serde_json::Value;
use taste::weights;

use super::board::known;
use super::board_images::{BoardImages, without_images};
use super::{Answer, given, not_empty, seconds};
use crate::errors::{Failure, Kind};
use crate::names;
use crate::postgres::json_text::Jsonb;
use crate::postgres::query_cache::once_per_query;
use crate::postgres::vector::Vector;
use crate::store::board::KnownBoard;
use crate::store::board_images;

/// Bytes of `sections`: more than the names of a board's sections.
const MOST_BYTES: usize = 1 << 20;

/// The direction of the mean of a board's image embeddings, of unit length. Newer pins can count more than older ones,
/// sections more than others, and one theme can represent the board.
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
    let options = Options { half_life: half_life.as_ref().map(seconds), sections, theme, skip_ai };
    let key = (board.to_owned(), account_id, options.clone());
    Ok(once_per_query(call, key, || {
        let board = known(board, account_id)?;
        let plain = options == Options::default() && board.section.is_none();
        if plain { mean_direction(&board) } else { weighted_direction(board, &options) }
    })?)
}

/// The weights of the images.
#[derive(Clone, Debug, Default, PartialEq)]
struct Options {
    /// Seconds after which a pin counts half as much.
    half_life: Option<f64>,
    /// Weights by name or id of a section; `""` is the board outside of sections.
    sections: Option<Value>,
    /// Number of a theme of `pinterest_board_themes`.
    theme: Option<i32>,
    /// Without pins that are disclosed as made or changed with AI.
    skip_ai: bool,
}

/// The plain mean, which the server computes without returning every image.
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

fn weighted_direction(board: KnownBoard, options: &Options) -> Result<Vector, Failure> {
    let collected = BoardImages::of_board(board, options.skip_ai)?.not_empty()?;
    collected.model()?;
    let mut weights = vec![1.0; collected.images.len()];
    if let Some(half_life) = options.half_life {
        if half_life <= 0.0 {
            return Err(Failure::new(Kind::BadArgument, "half_life must be greater than 0"));
        }
        weights::by_age(&mut weights, collected.images.iter().map(|(_, image)| image.pinned_at), half_life);
    }
    if let Some(sections) = &options.sections {
        by_section(&mut weights, &collected, sections)?;
    }
    if let Some(theme) = options.theme {
        let themes = collected.themes(None, None);
        let found = usize::try_from(theme).ok().and_then(|theme| themes.get(theme.checked_sub(1)?));
        let Some(found) = found else {
            let (count, board) = (themes.len(), collected.boards[0].named());
            let message = format!("theme must be from 1 to {count}, the themes of {board}, not {theme}");
            return Err(Failure::new(Kind::BadArgument, message)
                .with_hint("SELECT * FROM pinterest_board_themes() lists them."));
        };
        weights::only(&mut weights, &found.members);
    }
    match taste::mean_direction(&collected.vectors, Some(&weights)) {
        Some(direction) => Vector::from_slice(&direction),
        None => {
            let message = format!("no image of {} has a weight greater than 0", collected.boards[0].named());
            Err(Failure::new(Kind::BadArgument, message))
        }
    }
}

/// Multiplies by the weights of sections; sections that are not named have weight 1.
fn by_section(weights: &mut [f64], collected: &BoardImages, named: &Value) -> Result<(), Failure> {
    let Value::Object(named) = named else {
        return Err(Failure::new(Kind::BadArgument, "sections must be an object of weights").with_hint(
            "For example '{\"Ceremony\": 2, \"Dress\": 0}'; the name \"\" stands for the board outside of its sections.",
        ));
    };
    let board = &collected.boards[0];
    let known = board_images::sections_of(board.account_id, &board.board_id)?;
    for (name, weight) in named {
        let weight = weight.as_f64().filter(|weight| weight.is_finite() && *weight >= 0.0).ok_or_else(|| {
            Failure::new(Kind::BadArgument, format!("the weight of section \"{name}\" must be a number, 0 or greater"))
        })?;
        let section_id = match name.as_str() {
            "" => None,
            name => {
                let board = format!("board \"{}\"", board.name);
                Some(names::section(&known, &SectionReference::named(name), &board)?)
            }
        };
        for (factor, (_, image)) in weights.iter_mut().zip(&collected.images) {
            if image.section_id == section_id {
                *factor *= weight;
            }
        }
    }
    Ok(())
}
