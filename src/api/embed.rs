//! Embedding one image or text, by the embedder that serves the whole cluster.

use std::time::{Duration, Instant};

use embedder::{Client, Embedded, ErrorKind};
use pgrx::prelude::*;

use super::Answer;
use crate::errors::{Failure, Kind};
use crate::interruptible::block_on;
use crate::once_per_query::once_per_query;
use crate::vector::Vector;
use crate::workers::registry;
use crate::{platform, settings, threads};

/// As the embedder's own limit; checked here so that nothing oversized is copied around.
const LONGEST_IMAGE: usize = embedder::protocol::MAX_IMAGE_BYTES;
/// Ten times what 77 tokens of CLIP's vocabulary can hold: more is a mistake, not a query.
const LONGEST_TEXT: usize = 4096;
/// How long a supervisor that has just been asked for may take to listen.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The CLIP embedding of an image, of unit length.
#[pg_extern(volatile, parallel_restricted)]
fn pinterest_embed_image(image: &[u8]) -> Answer<Vector> {
    if image.is_empty() {
        return Err(Failure::new(Kind::BadImage, "the image has 0 bytes").into());
    }
    if image.len() > LONGEST_IMAGE {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("the image has {} bytes, more than the limit of {LONGEST_IMAGE}", image.len()),
        )
        .into());
    }
    let image = image.to_vec();
    Ok(ask(move |client| {
        let image = image.clone();
        async move { client.embed_image(image).await }
    })?)
}

/// The CLIP embedding of a text, of unit length: comparable with those of images.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_embed_text(text: &str, call: pg_sys::FunctionCallInfo) -> Answer<Vector> {
    if text.trim().is_empty() {
        return Err(Failure::new(Kind::BadArgument, "the text is empty").into());
    }
    if text.len() > LONGEST_TEXT {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("the text has {} bytes, more than the limit of {LONGEST_TEXT}", text.len()),
        )
        .with_hint("CLIP reads 77 tokens, about 50 words; the rest would be cut off.")
        .into());
    }
    Ok(once_per_query(call, text.to_owned(), || {
        let text = text.to_owned();
        ask(move |client| {
            let text = text.clone();
            async move { client.embed_text(text).await }
        })
    })?)
}

/// Asks the embedder, starting its supervisor where none runs.
fn ask<F>(request: impl Fn(Client) -> F + Clone + Send + 'static) -> Result<Vector, Failure>
where
    F: Future<Output = Result<Embedded, embedder::Error>> + Send,
{
    if settings::model_dir().is_none() {
        return Err(Failure::new(Kind::ModelMissing, "pinterest.model_dir is not set"));
    }
    let until = Instant::now() + SUPERVISOR_PATIENCE;
    loop {
        let request = request.clone();
        let result = block_on(move || async move {
            Ok::<_, Failure>(match Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await {
                Ok(client) => request(client).await,
                Err(error) => Err(error),
            })
        })?;
        match result {
            Ok(embedded) => return Vector::new(embedded.vector),
            Err(error) if error.kind() == ErrorKind::Unavailable && Instant::now() < until => {
                registry::ensure_supervisor()?;
                threads::wait(None, Some(LOOK_AGAIN));
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                return Err(Failure::new(Kind::NotReady, "the embedder does not start")
                    .with_hint("The server log says why; SELECT * FROM pinterest_doctor() checks the usual reasons."));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
