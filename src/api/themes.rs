//! The themes of a board.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use taste::Theme;

use super::board::known;
use super::board_images::BoardImages;
use super::label_embeddings::{embedded, labels as checked, texts};
use super::{given, index, up_to};
use crate::postgres::vector::Vector;

/// The number of pins that exemplify a theme.
const EXEMPLARS: usize = 5;
/// The greatest number of themes; each costs a pass over the board.
const MOST_THEMES: i32 = 100;

/// The themes of a board, heaviest first: spherical k-means over its images.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_board_themes(
    board: Option<&str>,
    k: default!(Option<i32>, "NULL"),
    labels: default!(Option<Array<'_, &str>>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    skip_ai: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(theme, i32),
            name!(embedding, Vector),
            name!(weight, f64),
            name!(cohesion, f64),
            name!(images, i64),
            name!(exemplar_pins, Vec<String>),
            name!(label, Option<String>),
            name!(label_probability, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let board = given(board, "board")?;
    let count = k.map(|k| up_to(MOST_THEMES, k, "k")).transpose()?;
    let labels = labels.map(|labels| checked(texts(labels, "labels")?)).transpose()?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let collected = BoardImages::of_board(known(board, account_id)?, skip_ai)?.not_empty()?;
    let model = collected.model()?;
    let prompts = labels.clone().map(embedded).transpose()?;
    if let (Some(prompts), Some(model)) = (&prompts, model) {
        prompts.check_model(model, &format!("the images of {}", collected.boards[0].named()))?;
    }
    let mut rows = Vec::new();
    for (number, theme) in (1..).zip(collected.themes(None, count)) {
        let best = prompts.as_ref().and_then(|prompts| {
            taste::classify(&theme.direction, &prompts.vectors)
                .into_iter()
                .reduce(|best, next| if next.similarity > best.similarity { next } else { best })
        });
        let label = best.and_then(|best| labels.as_ref().map(|labels| labels[best.label].clone()));
        let images = i64::try_from(theme.members.len()).unwrap_or(i64::MAX);
        rows.push((
            index(number),
            Vector::from_slice(&theme.direction)?,
            theme.weight,
            theme.cohesion,
            images,
            exemplars(&collected, &theme),
            label,
            best.map(|best| best.probability),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// The pins nearest to a theme's direction, each once.
fn exemplars(collected: &BoardImages, theme: &Theme) -> Vec<String> {
    let mut pins: Vec<String> = Vec::with_capacity(EXEMPLARS);
    for &member in &theme.members {
        let pin = &collected.images[member].1.pin_id;
        if pins.len() < EXEMPLARS && !pins.contains(pin) {
            pins.push(pin.clone());
        }
    }
    pins
}
