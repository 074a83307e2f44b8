//! The tastes in a board.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use taste::Theme;

use super::board::known;
use super::board_images::Collected;
use super::given;
use super::label_embeddings::{embedded, labels as checked, texts};
use crate::errors::{Failure, Kind};
use crate::postgres::vector::Vector;

/// Pins that stand for a theme.
const EXEMPLARS: usize = 5;
/// More themes than anybody looks at; each costs a pass over the board.
const MOST_THEMES: i32 = 100;

/// The tastes in a board, heaviest first: spherical k-means over its images.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)] // Columns of an SQL function.
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
    let count = k.map(theme_count).transpose()?;
    let labels = labels.map(|labels| checked(texts(labels, "labels")?)).transpose()?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let collected = Collected::of_board(known(board, account_id)?, skip_ai)?.some()?;
    let model = collected.model()?;
    let prompts = labels.clone().map(embedded).transpose()?;
    if let (Some(prompts), Some(model)) = (&prompts, model) {
        prompts.check_model(model, &format!("the images of {}", collected.boards[0].named()))?;
    }
    let mut rows = Vec::new();
    for (place, theme) in collected.themes(None, count).into_iter().enumerate() {
        let best = prompts.as_ref().and_then(|prompts| {
            taste::classify(&theme.direction, &prompts.vectors)
                .into_iter()
                .reduce(|best, next| if next.similarity > best.similarity { next } else { best })
        });
        let label = best.and_then(|best| labels.as_ref().map(|labels| labels[best.label].clone()));
        let images = i64::try_from(theme.members.len()).unwrap_or(i64::MAX);
        rows.push((
            i32::try_from(place + 1).unwrap_or(i32::MAX),
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

/// How many themes the caller wants.
fn theme_count(k: i32) -> Result<usize, Failure> {
    match usize::try_from(k) {
        Ok(count) if (1..=MOST_THEMES).contains(&k) => Ok(count),
        _ => Err(Failure::new(Kind::BadArgument, format!("k must be from 1 to {MOST_THEMES}, or NULL, not {k}"))),
    }
}

/// The pins nearest to a theme's direction, each once.
fn exemplars(collected: &Collected, theme: &Theme) -> Vec<String> {
    let mut pins: Vec<String> = Vec::with_capacity(EXEMPLARS);
    for &member in &theme.members {
        let pin = &collected.images[member].1.pin_id;
        if pins.len() < EXEMPLARS && !pins.contains(pin) {
            pins.push(pin.clone());
        }
    }
    pins
}
