//! One row: its source is read, embedded and recorded, without an open transaction in between.

use std::time::{Duration, Instant};

use embedder::Input;
use sha2::{Digest, Sha256};

use super::turns::Turns;
use super::unembedded::{BEHIND_OTHERS, Unembedded};
use super::url_images::UrlImages;
use crate::errors::{Failure, Kind};
use crate::input_limits::{LONGEST_TEXT, beginning, check_image, is_blank};
use crate::postgres::vector::Vector;
use crate::statistics::{self, Counter, Image, Source as Of};
use crate::store::track::work::{self, ClaimedRow, Embedding};
use crate::store::track::{Source, SourceKind};
use crate::workers::context::Context;
use crate::workers::embedding::{Gate, Ready, Rejection};

/// The size limit of a URL, in bytes.
const LONGEST_URL: usize = 4096;

/// Tries to record the end of a claim, for most of the lease, and the pause between them.
const SETTLE_TRIES: u32 = 40;
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// Shared by the rows of a column.
#[derive(Clone)]
pub struct RowTask {
    pub context: Context,
    pub embedder_gate: Gate,
    pub embedder: Ready,
    /// `None` if no row has a URL.
    pub images: Option<UrlImages>,
    /// For transactions that run code of the table's owner.
    pub turns: Turns,
}

impl RowTask {
    /// Works on the row and records the result.
    ///
    /// # Errors
    /// A problem of the whole column. The row is released.
    pub async fn work(&self, claimed: ClaimedRow) -> Result<(), Failure> {
        let unembedded = match self.embed(&claimed).await {
            Ok(embedding) => {
                let row = claimed.clone();
                let recorded = self.context.database.run(move || work::record(&row, embedding));
                match self.turns.take(claimed.tracked_column_id, recorded).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => Unembedded::of_database(failure, claimed.attempts),
                }
            }
            Err(unembedded) => unembedded,
        };
        // A session that has changed the source holds the row of the queue until it commits. If the last try fails, the lease
        // ends, and the row is claimed again.
        for _ in 0..SETTLE_TRIES {
            let (row, unembedded) = (claimed.clone(), unembedded.clone());
            if self.context.database.run(move || note(&row, unembedded)).await.is_ok() {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        match unembedded {
            Unembedded::Column(failure) | Unembedded::Proxy(failure) => Err(failure),
            _ => Ok(()),
        }
    }

    async fn embed(&self, claimed: &ClaimedRow) -> Result<Embedding, Unembedded> {
        let limit = self.context.config.borrow().max_image_bytes;
        let (bytes, embedded) = self.read(claimed, limit).await?;
        let (input, sha256) = match claimed.target.kind {
            SourceKind::Image => {
                // Treated as NULL.
                if bytes.is_empty() {
                    return Err(Unembedded::Gone);
                }
                check_image(bytes.len(), limit).map_err(Unembedded::Failed)?;
                let sha256 = Sha256::digest(&bytes).into();
                (Input::Image(bytes.into(), self.animations()), sha256)
            }
            SourceKind::Text => {
                let text = text(bytes)?;
                let sha256 = Sha256::digest(beginning(&text)).into();
                (Input::Text(beginning(&text).to_owned()), sha256)
            }
            SourceKind::ImageUrl => {
                let Some(images) = &self.images else { return Err(Unembedded::Overtaken) };
                let image = images.fetch(&text(bytes)?, claimed.attempts).await?;
                (Input::Image(image.bytes.into(), self.animations()), image.sha256)
            }
        };
        let model_id = self.embedder.model_id;
        let recorded = claimed.recorded.as_ref();
        if embedded && recorded.is_some_and(|(bytes, model)| bytes[..] == sha256 && *model == model_id) {
            return Ok(Embedding { vector: None, model_id, sha256 });
        }
        let began = Instant::now();
        let answer = self.embedder_gate.embed(&self.embedder.client, input, claimed.attempts).await;
        if answer.is_ok() && claimed.target.kind.is_image() {
            statistics::add_time(Counter::Image(Of::Tracked, Image::EmbedTime), began.elapsed());
        }
        let answer = answer.map_err(|rejection| match rejection {
            Rejection::Unsuitable(_, failure) | Rejection::Failed(_, failure) => Unembedded::Failed(failure),
            Rejection::Again { failure, after, blame } => Unembedded::Again { failure, after, blame },
            Rejection::Unavailable(failure) => Unembedded::Column(failure),
        })?;
        if answer.model != self.embedder.fingerprint {
            return Err(Unembedded::Overtaken);
        }
        Ok(Embedding { vector: Some(Vector::new(answer.vector).map_err(Unembedded::Failed)?), model_id, sha256 })
    }

    fn animations(&self) -> embedder::Animations {
        self.context.config.borrow().animated_images
    }

    /// The source's bytes, and whether the row has an embedding.
    async fn read(&self, claimed: &ClaimedRow, max_image_bytes: usize) -> Result<(Vec<u8>, bool), Unembedded> {
        let kind = claimed.target.kind;
        let limit = match kind {
            SourceKind::Image => max_image_bytes,
            SourceKind::ImageUrl => LONGEST_URL,
            SourceKind::Text => LONGEST_TEXT,
        };
        let row = claimed.clone();
        let limit_parameter = i32::try_from(limit).unwrap_or(i32::MAX);
        let source = self.context.database.run(move || work::source(&row, limit_parameter));
        match self
            .turns
            .take(claimed.tracked_column_id, source)
            .await
            .map_err(|failure| Unembedded::of_database(failure, claimed.attempts))?
        {
            Some(Source::Bytes { bytes, embedded }) => Ok((bytes, embedded)),
            Some(Source::None) => Err(Unembedded::Gone),
            Some(Source::TooLarge(bytes)) => Err(Unembedded::Failed(too_large(kind, bytes, limit))),
            None => Err(Unembedded::Overtaken),
        }
    }
}

/// Ends the claim of a row that was not embedded.
fn note(claimed: &ClaimedRow, unembedded: Unembedded) -> Result<(), Failure> {
    work::give_way();
    match unembedded {
        Unembedded::Gone => work::forget(claimed),
        Unembedded::Failed(failure) => work::fail(claimed, &failure.message, &failure.first_sqlstate()),
        Unembedded::Again { failure, after, blame } => {
            work::retry(claimed, &failure.message, &failure.first_sqlstate(), after, blame)
        }
        Unembedded::Proxy(failure) => {
            work::retry(claimed, &failure.message, &failure.first_sqlstate(), BEHIND_OTHERS, false)
        }
        Unembedded::Refused(failure, first) => {
            work::retry_refused(claimed, &failure.message, &failure.first_sqlstate(), first)
        }
        Unembedded::Overtaken => work::skip(claimed),
        Unembedded::Column(_) => work::release(claimed),
    }
}

/// The text, unless it is blank: a blank text is treated as NULL.
fn text(bytes: Vec<u8>) -> Result<String, Unembedded> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Unembedded::Failed(Failure::new(Kind::Internal, "a text in the database is not valid UTF-8")))?;
    if is_blank(beginning(&text)) { Err(Unembedded::Gone) } else { Ok(text) }
}

fn too_large(kind: SourceKind, bytes: i64, limit: usize) -> Failure {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let refused = match kind {
        SourceKind::Image => check_image(length, limit),
        SourceKind::ImageUrl | SourceKind::Text => Ok(()),
    };
    refused.err().unwrap_or_else(|| {
        Failure::new(Kind::TooLarge, format!("the URL has {bytes} bytes, more than the limit of {LONGEST_URL}"))
    })
}
