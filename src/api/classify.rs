//! Zero-shot classification of an embedding by texts.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use taste::Direction;

use super::label_embeddings::{embedded, labels as checked, texts};
use crate::errors::{Failure, Kind};
use crate::postgres::vector::Vector;

/// The probability of each label, greatest first: the softmax over CLIP's scaled cosines.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_classify(
    embedding: Vector,
    labels: Array<'_, &str>,
) -> Result<TableIterator<'static, (name!(label, String), name!(probability, f64), name!(similarity, f64))>, ErrorReport>
{
    let direction = direction(&embedding)?;
    let labels = checked(texts(labels, "labels")?)?;
    let prompts = embedded(labels.clone())?;
    let mut found = taste::classify(&direction, &prompts.vectors);
    found.sort_by(|left, right| right.similarity.total_cmp(&left.similarity));
    Ok(TableIterator::new(found.into_iter().map(move |of| (labels[of.label].clone(), of.probability, of.similarity))))
}

/// An argument's direction.
///
/// # Errors
///
/// BadArgument if it has none: zeros, or numbers that are not finite.
pub fn direction(embedding: &Vector) -> Result<Direction, Failure> {
    Direction::normalised(embedding.values())
        .map_err(|error| Failure::new(Kind::BadArgument, format!("embedding: {error}")))
}
