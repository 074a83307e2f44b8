//! Results of the work on images.

use std::time::Duration;

use bytes::Bytes;

use pgrx::datum::DatumWithOid;

use super::Reason;
use super::claim::{ClaimedImage, DEATHS, claimed_image};
use super::scope::Scope;
use crate::errors::Failure;
use crate::postgres::vector::Vector;
use crate::store::clock::{later, now};
use crate::store::{affected, execute, params, read, read_optional, write, write_optional};

/// What the work on an image came to.
#[derive(Clone, Debug)]
pub enum ImageResult {
    /// It has its embedding.
    Embedded(Box<Embedded>),
    /// An image of the same bytes is embedded already; its embedding is copied.
    SameBytes {
        /// The model that made it.
        model_id: i64,
        /// Of the downloaded bytes.
        sha256: [u8; 32],
        /// The size that was downloaded.
        source_size: String,
        /// It is a fixed-box crop.
        cropped: bool,
        /// The bytes, if they are to be kept and are not yet.
        image: Option<Bytes>,
        /// The thumbnail of that image is to be kept too.
        thumbnail: bool,
    },
    /// It cannot be embedded.
    Skipped(Reason),
    /// All attempts failed.
    Failed(Reason),
    /// It is to be tried again after a pause.
    Retry {
        /// Why this attempt failed.
        reason: String,
        /// The pause.
        after: Duration,
        /// False if the image did not cause the failure: the attempt does not count.
        blame: bool,
    },
}

/// A fresh embedding.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Unit length.
    pub embedding: Vector,
    /// The model that made it.
    pub model_id: i64,
    /// Of the downloaded bytes.
    pub sha256: [u8; 32],
    /// The size that was downloaded.
    pub source_size: String,
    /// It is a fixed-box crop.
    pub cropped: bool,
    /// It is an animation, whose first frame was embedded.
    pub animated: bool,
    /// The bytes, if they are to be kept and are not yet.
    pub image: Option<Bytes>,
    /// The thumbnail, if it is to be kept: empty if none could be made, so that no later import tries again.
    pub thumbnail: Option<Bytes>,
}

/// How a result was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Not at all: another worker has claimed the image since, or the embedding to copy is gone and the image is released.
    No,
    /// As it is.
    AsIs,
    /// The image could not be embedded, and the embedding of the previous image at its position stays until another
    /// import has the same result.
    KeptBefore,
}

/// Records the result for a claimed image, unless another worker has claimed it since. If the embedding to copy is gone,
/// the image is released and can be claimed at once.
pub fn record(
    account_id: i64,
    claimed: &ClaimedImage,
    result: &ImageResult,
    across: bool,
) -> Result<Recorded, Failure> {
    let touched = match result {
        ImageResult::Embedded(done) => affected(
            "UPDATE pinterest.pin_image SET state = 'embedded', reason = NULL, reason_code = NULL, embedding = $5, \
             model_id = $6, sha256 = $7, source_size = $8, cropped = $9, animated = $11, image = COALESCE($10, CASE \
             WHEN NOT stale THEN image END), thumbnail = COALESCE($12, CASE WHEN NOT stale THEN thumbnail END), \
             stale = false, previous_hash = NULL, misses = 0, missed_by = NULL, embedded_at = $13, claimed_by = NULL, \
             lease_until = NULL \
             WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending'",
            &fenced(
                account_id,
                claimed,
                params![
                    done.embedding.clone().parameter(),
                    done.model_id,
                    done.sha256.to_vec(),
                    done.source_size.as_str(),
                    done.cropped,
                    done.image.as_deref(),
                    done.animated,
                    done.thumbnail.as_deref(),
                    now()
                ],
            ),
        )?,
        ImageResult::SameBytes { model_id, sha256, source_size, cropped, image, thumbnail } => affected(
            &format!(
                "UPDATE pinterest.pin_image t SET state = 'embedded', reason = NULL, reason_code = NULL, \
                 embedding = s.embedding, model_id = s.model_id, sha256 = $5, source_size = $6, cropped = $7, \
                 animated = s.animated, image = COALESCE($8, CASE WHEN NOT stale THEN image END), \
                 thumbnail = COALESCE(CASE WHEN $10 THEN s.thumbnail END, CASE WHEN NOT stale THEN t.thumbnail END), \
                 stale = false, previous_hash = NULL, misses = 0, missed_by = NULL, embedded_at = $11, \
                 claimed_by = NULL, lease_until = NULL \
                 FROM (SELECT i.embedding, i.model_id, i.animated, i.thumbnail FROM pinterest.pin_image i \
                     WHERE {} AND i.sha256 = $5 AND i.state = 'embedded' AND i.model_id + 0 = $9 \
                     AND (i.thumbnail IS NOT NULL OR NOT $10) LIMIT 1) s \
                 WHERE t.account_id = $1 AND t.pin_id = $2 AND t.position = $3 AND t.fence = $4 \
                 AND t.state = 'pending'",
                Scope::of(across).condition("i")?
            ),
            &fenced(
                account_id,
                claimed,
                params![
                    sha256.to_vec(),
                    source_size.as_str(),
                    *cropped,
                    image.as_deref(),
                    *model_id,
                    *thumbnail,
                    now()
                ],
            ),
        )?,
        ImageResult::Skipped(reason) | ImageResult::Failed(reason) => {
            let wanted = if matches!(result, ImageResult::Skipped(_)) { "skipped" } else { "failed" };
            let model_id = model_of_import(account_id, claimed)?;
            let state = write_optional(
                "UPDATE pinterest.pin_image t SET reason = $6, reason_code = $7, claimed_by = NULL, \
                 lease_until = NULL, (state, embedding, model_id, embedded_at, content_hash, stale, \
                     previous_hash) = (SELECT k.state, k.embedding, \
                     k.model_id, k.embedded_at, k.content_hash, k.stale, k.previous_hash \
                     FROM (VALUES (true, 'embedded', t.embedding, t.model_id, t.embedded_at, \
                             CASE WHEN t.stale THEN t.previous_hash ELSE t.content_hash END, false, NULL), \
                         (false, $5, NULL, NULL, NULL, t.content_hash, t.stale, t.previous_hash)) \
                         AS k(keeps, state, embedding, model_id, embedded_at, content_hash, stale, previous_hash) \
                     WHERE k.keeps = (t.embedding IS NOT NULL AND t.misses < 2 \
                         AND COALESCE(t.model_id = $8::int8, false))) \
                 WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending' \
                 RETURNING t.state",
                &fenced(account_id, claimed, params![wanted, reason.text.as_str(), reason.code, model_id]),
                |row| row.get::<String>(1),
            )?;
            if state.as_deref() == Some("embedded") {
                return Ok(Recorded::KeptBefore);
            }
            usize::from(state.is_some())
        }
        ImageResult::Retry { reason, after, blame } => affected(
            "UPDATE pinterest.pin_image SET reason = $5, claimed_by = NULL, lease_until = NULL, \
             next_attempt_at = $6, attempts = attempts - $7 \
             WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending'",
            &fenced(account_id, claimed, params![reason.as_str(), later(*after), i32::from(!blame)]),
        )?,
    };
    if touched > 0 {
        return Ok(Recorded::AsIs);
    }
    if matches!(result, ImageResult::SameBytes { .. }) {
        // Otherwise it would stay claimed until its lease ends.
        let reason = "the embedding of the same bytes is gone".to_owned();
        let released = ImageResult::Retry { reason, after: Duration::ZERO, blame: false };
        record(account_id, claimed, &released, across)?;
    }
    Ok(Recorded::No)
}

/// The model of the import that a claimed image belongs to now, if the image has an embedding of a previous image.
fn model_of_import(account_id: i64, claimed: &ClaimedImage) -> Result<Option<i64>, Failure> {
    let import_id = read_optional(
        "SELECT i.import_id FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.pin_id = $2 AND i.position = $3 \
         AND i.fence = $4 AND i.embedding IS NOT NULL",
        &fenced(account_id, claimed, []),
        |row| row.get::<i64>(1),
    )?;
    let Some(import_id) = import_id else { return Ok(None) };
    let model_id = read_optional(
        "SELECT i.model_id FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &params![account_id, import_id],
        |row| row.maybe::<i64>(1),
    )?;
    Ok(model_id.flatten())
}

/// The parameters of a statement on a claimed image: its key, its fence, which must not have grown, and others.
fn fenced<'a>(
    account_id: i64,
    claimed: &'a ClaimedImage,
    others: impl IntoIterator<Item = DatumWithOid<'a>>,
) -> Vec<DatumWithOid<'a>> {
    let key = [account_id.into(), claimed.pin_id.as_str().into(), claimed.position.into(), claimed.fence.into()];
    key.into_iter().chain(others).collect()
}

/// Makes the failed images of an import pending again, and those that were skipped for one of these reasons; their
/// number by state and reason.
pub fn retry_failed(account_id: i64, import_id: i64, skipped: &[&str]) -> Result<Vec<(String, String, i64)>, Failure> {
    write(
        "WITH failed AS (SELECT f.pin_id, f.position, f.state, \
             COALESCE(f.reason_code, '') AS code FROM pinterest.pin_image f \
             WHERE f.account_id = $1 AND f.import_id = $2 \
             AND (f.state = 'failed' OR f.state = 'skipped' AND f.reason_code = ANY ($3)) FOR UPDATE), \
         again AS (UPDATE pinterest.pin_image t SET state = 'pending', reason = NULL, \
             reason_code = NULL, attempts = 0, \
             next_attempt_at = $4, claimed_by = NULL, lease_until = NULL, fence = t.fence + 1 \
             FROM failed f WHERE t.account_id = $1 AND t.pin_id = f.pin_id AND t.position = f.position \
             RETURNING f.state, f.code) \
         SELECT a.state, a.code, count(*) FROM again a GROUP BY a.state, a.code",
        &params![account_id, import_id, skipped.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>(), now()],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// Handles images that workers had in hand when they ended: those that were in hand three times fail, and those that
/// were in hand once are released. The others are to be tried one by one, see
/// [`claim_suspect`](super::claim::claim_suspect). Returns the number of failed images, and of those that kept their
/// previous embedding.
pub fn fail_repeatedly_interrupted(account_id: i64, import_id: i64, live: &[String]) -> Result<(i32, i32), Failure> {
    execute(
        "UPDATE pinterest.pin_image SET claimed_by = NULL, lease_until = NULL, fence = fence + 1 \
         WHERE account_id = $1 AND import_id = $2 AND state = 'pending' AND claimed_by <> ALL ($3) AND attempts < $4",
        &params![account_id, import_id, live.to_vec(), DEATHS - 1],
    )?;
    let deadly = read(
        "SELECT i.pin_id, i.position, i.candidates::text, i.content_hash, false, i.attempts, i.fence \
         FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' \
         AND i.claimed_by <> ALL ($3) AND i.attempts >= $4 AND i.reason IS NULL",
        &params![account_id, import_id, live.to_vec(), DEATHS],
        claimed_image,
    )?;
    let text = format!("the worker ended {DEATHS} times while it worked on the image");
    let result = ImageResult::Failed(Reason::new("worker_died", text));
    let (mut failed, mut kept) = (0, 0);
    for image in &deadly {
        match record(account_id, image, &result, false)? {
            Recorded::No => {}
            Recorded::AsIs => failed += 1,
            Recorded::KeptBefore => kept += 1,
        }
    }
    Ok((failed, kept))
}
