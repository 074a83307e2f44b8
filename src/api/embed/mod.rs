//! Embeddings of images and texts from the cluster's embedder.

mod ask;

use bytes::Bytes;
use embedder::{Input, ModelFingerprint};
use pgrx::datum::UnboxDatum;
use pgrx::prelude::*;

pub use self::ask::thumbnails;
use self::ask::{all, one};
use super::Answer;
use crate::errors::{Failure, Kind};
use crate::input_limits::{beginning, check_image, check_text};
use crate::postgres::memory::room_for;
use crate::postgres::query_cache::once_per_query;
use crate::postgres::vector::Vector;
use crate::settings;

/// Elements of one array: about half a minute of work, which is lost if the statement is cancelled.
const MOST_ELEMENTS: usize = 1000;
/// Bytes of one array's images, which are in memory twice while the call runs.
const MOST_BYTES: usize = 256 << 20;

/// The CLIP embedding of an image, of unit length.
#[pg_extern(volatile, parallel_restricted)]
fn pinterest_embed_image(image: &[u8]) -> Answer<Vector> {
    Ok(one(image_input(image)?)?)
}

/// The CLIP embedding of a text, of unit length: comparable with those of images.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_embed_text(text: &str, call: pg_sys::FunctionCallInfo) -> Answer<Vector> {
    let text = check_text(text)?.to_owned();
    Ok(once_per_query(call, text.clone(), || one(Input::Text(text)))?)
}

/// The embeddings of many images, in their order; NULL for NULL.
#[pg_extern(volatile, parallel_restricted)]
fn pinterest_embed_images(images: Array<'_, &[u8]>) -> Answer<Vec<Option<Vector>>> {
    let images = checked(images, "images")?;
    let bytes = images.iter().flatten().map(<[u8]>::len).fold(0, usize::saturating_add);
    if bytes > MOST_BYTES {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("images has {bytes} bytes in total, more than the limit of {MOST_BYTES}"),
        )
        .with_hint("Embed them in several calls.")
        .into());
    }
    // Once here, and a second time in flight.
    room_for(2 * bytes)?;
    Ok(all(inputs(&images, image_input)?)?)
}

/// The embeddings of many texts, in their order; NULL for NULL.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_embed_texts(texts: Array<'_, &str>, call: pg_sys::FunctionCallInfo) -> Answer<Vec<Option<Vector>>> {
    let texts = checked(texts, "texts")?;
    let bytes = texts.iter().flatten().map(|text| beginning(text).len()).sum::<usize>();
    // As requests, and as the key of the call.
    room_for(3 * bytes)?;
    let inputs = inputs(&texts, text_input)?;
    let key: Vec<Option<String>> = texts.iter().map(|text| text.map(|text| beginning(text).to_owned())).collect();
    Ok(once_per_query(call, key, || all(inputs))?)
}

/// The embeddings of texts, in their order, and the model that computed them.
///
/// # Errors
///
/// TooLarge, BadArgument with the element's number; those of the embedder.
pub fn texts_with_model(texts: &[String]) -> Result<(Vec<Vector>, ModelFingerprint), Failure> {
    let placed = |(index, text): (usize, &String)| text_input(text).map_err(|failure| failure.at_element(index + 1));
    ask::all_by_one_model(texts.iter().enumerate().map(placed).collect::<Result<_, _>>()?)
}

fn image_input(image: &[u8]) -> Result<Input, Failure> {
    check_image(image.len(), settings::max_image_bytes())?;
    room_for(2 * image.len())?;
    Ok(Input::Image(Bytes::copy_from_slice(image), settings::animated_images()))
}

fn text_input(text: &str) -> Result<Input, Failure> {
    Ok(Input::Text(check_text(text)?.to_owned()))
}

/// The input of each element. An error contains the element's number.
fn inputs<'a, T>(
    array: &'a Array<'_, T>,
    input: impl Fn(T::As<'a>) -> Result<Input, Failure>,
) -> Result<Vec<Option<Input>>, Failure>
where
    T: UnboxDatum,
{
    let placed = |(index, element): (usize, Option<T::As<'a>>)| {
        element.map(&input).transpose().map_err(|failure| failure.at_element(index + 1))
    };
    array.iter().enumerate().map(placed).collect()
}

/// Refuses an array of several dimensions, because the result has one dimension, and one with too many elements.
fn checked<'a, T: UnboxDatum>(array: Array<'a, T>, name: &str) -> Result<Array<'a, T>, Failure> {
    let elements = array.len();
    let start = array.into_array_type();
    // SAFETY: a detoasted array with elements of T in the call's memory, which is not freed before its end.
    let (dimensions, array) = unsafe {
        let datum = pg_sys::Datum::from(start);
        ((*start).ndim, Array::from_polymorphic_datum(datum, false, (*start).elemtype))
    };
    if dimensions > 1 {
        return Err(Failure::new(
            Kind::BadArgument,
            format!("{name} must be an array of one dimension, not of {dimensions}"),
        ));
    }
    if elements > MOST_ELEMENTS {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{name} has {elements} elements, more than the limit of {MOST_ELEMENTS}"),
        )
        .with_hint("Embed them in several calls."));
    }
    array.ok_or_else(|| Failure::new(Kind::Internal, "an array became NULL"))
}
