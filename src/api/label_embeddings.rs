//! Texts with which many rows of one statement are compared, embedded once.

use std::cell::RefCell;
use std::rc::Rc;

use embedder::ModelFingerprint;
use pgrx::datum::Array;
use pgrx::pg_sys;
use taste::Vectors;

use super::board_images::push;
use super::embed::texts_with_model;
use super::not_empty;
use crate::errors::{Failure, Kind};
use crate::postgres::vector::DIMENSION;
use crate::store::model;

/// The greatest number of labels or boards of one call.
const MOST_LABELS: usize = 1000;
/// The greatest number of bytes of a label or a board's name.
const LONGEST_LABEL: usize = 4096;

/// Texts with their embeddings.
pub struct Prompts {
    /// In the order they were given.
    pub vectors: Vectors,
    model: ModelFingerprint,
}

impl Prompts {
    /// Refuses texts and images of different models.
    ///
    /// # Errors
    ///
    /// ModelsMixed.
    pub fn check_model(&self, model_id: i64, of: &str) -> Result<(), Failure> {
        if model::is(model_id, self.model.as_bytes())? {
            return Ok(());
        }
        Err(Failure::new(
            Kind::ModelsMixed,
            format!("{of} were embedded by another model than the present one, which embeds texts"),
        ))
    }
}

/// The texts that were embedded last, and the start of the client's statement: the model may change between statements.
type Remembered = Option<(i64, Vec<String>, Rc<Prompts>)>;

thread_local! {
    static LAST: RefCell<Remembered> = const { RefCell::new(None) };
}

/// The embeddings of texts, kept for the statement, because a set-returning function cannot keep them between calls.
///
/// # Errors
///
/// Those of [`texts_with_model`].
pub fn embedded(texts: Vec<String>) -> Result<Rc<Prompts>, Failure> {
    // SAFETY: reads when the client's statement began; inside one.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let known = LAST.with_borrow(|last| match last {
        Some((of, known, prompts)) if *of == statement && *known == texts => Some(prompts.clone()),
        _ => None,
    });
    if let Some(prompts) = known {
        return Ok(prompts);
    }
    let (embeddings, model) = texts_with_model(&texts)?;
    let mut vectors = Vectors::with_capacity(DIMENSION, embeddings.len());
    embeddings.iter().try_for_each(|embedding| push(&mut vectors, embedding))?;
    let prompts = Rc::new(Prompts { vectors, model });
    LAST.set(Some((statement, texts, prompts.clone())));
    Ok(prompts)
}

/// The elements of an array.
///
/// # Errors
///
/// TooLarge for too many or too long elements, before they are copied.
pub fn texts(array: Array<'_, &str>, argument: &str) -> Result<Vec<Option<String>>, Failure> {
    if array.len() > MOST_LABELS {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {} elements, more than the limit of {MOST_LABELS}", array.len()),
        ));
    }
    let copied = |(index, text): (usize, Option<&str>)| match text {
        Some(text) => {
            check_length(text.len(), argument).map(|()| Some(text.to_owned())).map_err(|f| f.at_element(index + 1))
        }
        None => Ok(None),
    };
    array.iter().enumerate().map(copied).collect()
}

fn check_length(bytes: usize, argument: &str) -> Result<(), Failure> {
    if bytes <= LONGEST_LABEL {
        return Ok(());
    }
    let message = format!("the text has {bytes} bytes, more than the limit of {LONGEST_LABEL}");
    let failure = Failure::new(Kind::TooLarge, message);
    Err(match argument {
        "labels" | "contrasts" => failure.with_hint("CLIP reads 77 tokens, which are about 50 words."),
        _ => failure,
    })
}

/// The names of an argument.
///
/// # Errors
///
/// BadArgument if one is NULL or empty.
pub fn named(names: Vec<Option<String>>, argument: &str) -> Result<Vec<String>, Failure> {
    let checked = |(index, name): (usize, Option<String>)| match name {
        Some(name) => not_empty(&name, argument).map(str::to_owned),
        None => Err(Failure::new(Kind::BadArgument, format!("{argument} must not be NULL")).at_element(index + 1)),
    };
    names.into_iter().enumerate().map(checked).collect()
}

/// The labels of an array.
///
/// # Errors
///
/// BadArgument if there are none, one is NULL, or two are equal.
pub fn labels(labels: Vec<Option<String>>) -> Result<Vec<String>, Failure> {
    if labels.is_empty() {
        return Err(Failure::new(Kind::BadArgument, "labels must contain at least one label"));
    }
    let mut found: Vec<String> = Vec::with_capacity(labels.len());
    for (index, label) in labels.into_iter().enumerate() {
        let Some(label) = label else {
            return Err(Failure::new(Kind::BadArgument, "a label must not be NULL").at_element(index + 1));
        };
        if found.contains(&label) {
            return Err(
                Failure::new(Kind::BadArgument, format!("label \"{label}\" is given twice")).at_element(index + 1)
            );
        }
        found.push(label);
    }
    Ok(found)
}
