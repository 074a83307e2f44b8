//! One row: its source read, embedded and recorded, with no transaction open in between.

use std::time::Duration;

use embedder::Input;
use sha2::{Digest, Sha256};

use super::turns::Turns;
use super::url_images::Pictures;
use super::verdict::{BEHIND_OTHERS, Verdict};
use crate::errors::{Failure, Kind};
use crate::input_limits::{LONGEST_TEXT, beginning, check_image, is_blank};
use crate::postgres::vector::Vector;
use crate::store::track::work::{self, ClaimedRow, Embedding};
use crate::store::track::{Source, SourceKind};
use crate::workers::database::Context;
use crate::workers::embedding::{Gate, Judgement, Ready, judge};

/// Bytes of a URL at most; what is longer is no address of a picture.
const LONGEST_URL: usize = 4096;

/// How often, and how far apart, the end of a claim is tried: for most of the lease.
const SETTLE_TRIES: u32 = 40;
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// What an attempt on a row leaves to do.
pub enum Ended {
    /// Nothing: it is recorded.
    Recorded,
    /// To try it alone.
    Suspect(Box<ClaimedRow>),
    /// To note what is wrong with its column. The row is given back.
    Column(Failure),
}

/// All that work on a row needs.
#[derive(Clone)]
pub struct OneRow {
    pub context: Context,
    pub embedder_gate: Gate,
    pub embedder: Ready,
    /// Absent where no column holds URLs.
    pub pictures: Option<Pictures>,
    /// For what runs code of the table's owner.
    pub turns: Turns,
}

impl OneRow {
    /// Works on the row and records what becomes of it. `alone`: no other row is with the embedder meanwhile, so its death
    /// is this one's fault.
    pub async fn work(&self, claimed: ClaimedRow, alone: bool) -> Ended {
        let verdict = match self.embed(&claimed, alone).await {
            Ok(embedding) => Verdict::Embedded(Box::new(embedding)),
            Err(verdict) => verdict,
        };
        match verdict {
            Verdict::Embedded(embedding) => {
                let row = claimed.clone();
                let recorded = self.context.database.run(move || work::record(&row, *embedding));
                match self.turns.take(claimed.tracked_column_id, recorded).await {
                    Ok(()) => Ended::Recorded,
                    Err(failure) => self.settle(&claimed, Verdict::of_database(failure, claimed.attempts)).await,
                }
            }
            Verdict::Suspect => Ended::Suspect(Box::new(claimed)),
            verdict => self.settle(&claimed, verdict).await,
        }
    }

    async fn settle(&self, claimed: &ClaimedRow, verdict: Verdict) -> Ended {
        // A session that has changed the source holds the row of the queue until it commits. Where even the last try fails
        // the lease runs out, and the row is claimed again.
        for _ in 0..SETTLE_TRIES {
            let (row, verdict) = (claimed.clone(), verdict.clone());
            if self.context.database.run(move || note(&row, verdict)).await.is_ok() {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        match verdict {
            Verdict::Column(failure) | Verdict::Proxy(failure) => Ended::Column(failure),
            _ => Ended::Recorded,
        }
    }

    async fn embed(&self, claimed: &ClaimedRow, alone: bool) -> Result<Embedding, Verdict> {
        let limit = self.context.config.borrow().max_image_bytes;
        let (bytes, embedded) = self.read(claimed, limit).await?;
        let (input, sha256) = match claimed.target.kind {
            SourceKind::Image => {
                // As NULL: there is nothing to embed.
                if bytes.is_empty() {
                    return Err(Verdict::Gone);
                }
                check_image(bytes.len(), limit).map_err(Verdict::Failed)?;
                let sha256 = Sha256::digest(&bytes).into();
                (Input::Image(bytes.into(), self.animations()), sha256)
            }
            SourceKind::Text => {
                let text = text(bytes)?;
                let sha256 = Sha256::digest(beginning(&text)).into();
                (Input::Text(beginning(&text).to_owned()), sha256)
            }
            SourceKind::ImageUrl => {
                let Some(pictures) = &self.pictures else { return Err(Verdict::Overtaken) };
                let image = pictures.fetch(&text(bytes)?, claimed.attempts).await?;
                (Input::Image(image.bytes.into(), self.animations()), image.sha256)
            }
        };
        let model_id = self.embedder.model_id;
        let recorded = claimed.recorded.as_ref();
        if embedded && recorded.is_some_and(|(bytes, model)| bytes[..] == sha256 && *model == model_id) {
            return Ok(Embedding { vector: None, model_id, sha256 });
        }
        let answer = self.embedder_gate.embed(&self.embedder.client, input, alone).await;
        let answer = answer.map_err(|error| match judge(&error, claimed.attempts, alone) {
            Judgement::Unsuitable(reason) => {
                let mut failure = Failure::from(error);
                failure.message = reason.text;
                Verdict::Failed(failure)
            }
            Judgement::Failed(_) => Verdict::Failed(error.into()),
            Judgement::Again { after, blame, .. } => Verdict::Again { failure: error.into(), after, blame },
            Judgement::Suspect => Verdict::Suspect,
            Judgement::Nobody(failure) => Verdict::Column(failure),
        })?;
        if answer.model != self.embedder.fingerprint {
            return Err(Verdict::Overtaken);
        }
        Ok(Embedding { vector: Some(Vector::new(answer.vector).map_err(Verdict::Failed)?), model_id, sha256 })
    }

    fn animations(&self) -> embedder::Animations {
        self.context.config.borrow().animated_images
    }

    /// The source's bytes, and whether the row has an embedding.
    async fn read(&self, claimed: &ClaimedRow, max_image_bytes: usize) -> Result<(Vec<u8>, bool), Verdict> {
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
            .map_err(|failure| Verdict::of_database(failure, claimed.attempts))?
        {
            Some(Source::Bytes { bytes, embedded }) => Ok((bytes, embedded)),
            Some(Source::None) => Err(Verdict::Gone),
            Some(Source::TooLarge(bytes)) => Err(Verdict::Failed(too_large(kind, bytes, limit))),
            None => Err(Verdict::Overtaken),
        }
    }
}

/// Ends the claim as the verdict says.
fn note(claimed: &ClaimedRow, verdict: Verdict) -> Result<(), Failure> {
    work::give_way();
    match verdict {
        Verdict::Gone => work::forget(claimed),
        Verdict::Failed(failure) => work::fail(claimed, &failure.message, &failure.first_sqlstate()),
        Verdict::Again { failure, after, blame } => {
            work::retry(claimed, &failure.message, &failure.first_sqlstate(), after, blame)
        }
        Verdict::Proxy(failure) => {
            work::retry(claimed, &failure.message, &failure.first_sqlstate(), BEHIND_OTHERS, false)
        }
        Verdict::Refused(failure, first) => {
            work::retry_refused(claimed, &failure.message, &failure.first_sqlstate(), first)
        }
        Verdict::Embedded(_) | Verdict::Overtaken | Verdict::Suspect | Verdict::Column(_) => work::release(claimed),
    }
}

/// A text in which something can be seen. Any other is no source, as NULL is none.
fn text(bytes: Vec<u8>) -> Result<String, Verdict> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Verdict::Failed(Failure::new(Kind::Internal, "a text of the database is no UTF-8")))?;
    if is_blank(beginning(&text)) { Err(Verdict::Gone) } else { Ok(text) }
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
