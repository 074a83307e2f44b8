//! Pending images in the hands of workers: claimed for the time of a lease, recorded under the claim's fence.

use std::time::Duration;

use super::scope::Scope;
use super::{Candidate, Keep};
use crate::errors::Failure;
use crate::store::clock::{later, now};
use crate::store::{
    Row, execute, params, read, read_one, read_optional, wait_briefly_for_locks, write, write_optional,
};

/// The lease of a claimed image. A download may take 60 s and an inference 20 s.
const LEASE: Duration = Duration::from_secs(90);
/// After the end of so many workers that had an image in hand it is not tried again.
pub(super) const DEATHS: i32 = 3;

/// An image that the caller has to work on until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedImage {
    /// The pin it belongs to.
    pub pin_id: String,
    /// 0-based position within the pin.
    pub position: i32,
    /// The URLs, the one to show first.
    pub candidates: Vec<Candidate>,
    /// The CDN's content hash.
    pub content_hash: Option<String>,
    /// Its bytes are kept: see [`kept`].
    pub kept: bool,
    /// Attempts, including this one.
    pub attempts: i32,
    /// Must be unchanged when the result is recorded.
    pub fence: i64,
}

/// The content hashes of the images that the import works on next.
pub fn next_hashes(account_id: i64, import_id: i64, limit: i64) -> Result<Vec<String>, Failure> {
    read(
        "SELECT DISTINCT n.content_hash FROM (SELECT i.content_hash FROM pinterest.pin_image i \
             WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' \
             AND i.next_attempt_at <= $4 \
             ORDER BY i.next_attempt_at, i.pin_id, i.position LIMIT $3) AS n WHERE n.content_hash IS NOT NULL",
        &params![account_id, import_id, limit, now()],
        |row| row.get(1),
    )
}

/// Which images to claim, for which worker, and where else their embeddings may come from.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest<'a> {
    /// The import's account.
    pub account_id: i64,
    /// The import.
    pub import_id: i64,
    /// The model that embeds.
    pub model_id: i64,
    /// Only embeddings of images of which this is stored can be reused.
    pub keep: Keep,
    /// Embeddings of other accounts' images count too.
    pub across: bool,
    /// The worker.
    pub by: &'a str,
    /// All workers that are running.
    pub live: &'a [String],
}

/// Makes workers claim and record one after another, until the transaction ends: each sees what the others have
/// claimed, and no two wait for each other, since recording one import's images counts for other imports too.
pub fn take_turns(account_id: i64, across: bool) -> Result<(), Failure> {
    wait_briefly_for_locks();
    execute("SELECT FROM pinterest.account WHERE account_id = $1 FOR NO KEY UPDATE", &params![account_id])?;
    if across {
        execute("SELECT FROM pinterest.installation FOR NO KEY UPDATE", &[])?;
    }
    Ok(())
}

/// Claims up to `limit` images of the import that are ready. Of those with the same content hash only the first, none
/// that another import of the account (with `across`, of any account) has claimed, and none that can reuse an
/// embedding: [`reuse_by_content_hash`](super::reuse_by_content_hash) serves those without a claim.
pub fn claim(request: ClaimRequest<'_>, limit: i64) -> Result<Vec<ClaimedImage>, Failure> {
    let ClaimRequest { account_id, import_id, model_id, keep, across, by, live } = request;
    let (own, compared) = (Scope::Account.condition("o")?, Scope::of(across).condition("o")?);
    // OFFSET 0 keeps the searches for the same content hash subqueries, one for each image in the order of the index:
    // as joins they compare all pending images with each other, 12 s instead of 0.3 ms on a board of 5,000. `+ 0` keeps
    // them to the indexes by content hash: the statistics know nothing of the images of a new import or model, and the
    // planner then takes an index by which each search reads all of these.
    write(
        &format!(
            "WITH ready AS ( \
             SELECT i.pin_id, i.position FROM pinterest.pin_image i WHERE i.account_id = $1 \
             AND i.import_id = $2 AND i.state = 'pending' AND i.next_attempt_at <= $7 \
             AND (i.claimed_by IS NULL OR i.lease_until < $7 OR i.claimed_by <> ALL ($4)) \
             AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE {own} AND o.content_hash = i.content_hash \
                 AND o.import_id + 0 = $2 AND o.state = 'pending' \
                 AND (o.pin_id, o.position) < (i.pin_id, i.position) OFFSET 0) \
             AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE {compared} AND o.content_hash = i.content_hash \
                 AND (o.account_id, o.import_id) <> ($1, $2) AND o.state = 'pending' \
                 AND o.lease_until >= $7 AND o.claimed_by = ANY ($4) OFFSET 0) \
             AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE {compared} AND o.content_hash = i.content_hash \
                 AND o.state = 'embedded' AND o.model_id + 0 = $8 \
                 AND (o.thumbnail IS NOT NULL OR NOT $9) AND (o.image IS NOT NULL OR NOT $10) OFFSET 0) \
             ORDER BY i.next_attempt_at, i.pin_id, i.position LIMIT $5 FOR UPDATE SKIP LOCKED) \
             UPDATE pinterest.pin_image t SET claimed_by = $3, lease_until = $6, \
             fence = t.fence + 1, attempts = t.attempts + 1 FROM ready r \
             WHERE t.account_id = $1 AND t.pin_id = r.pin_id AND t.position = r.position \
             RETURNING t.pin_id, t.position, t.candidates::text, t.content_hash, t.image IS NOT NULL AND NOT t.stale, \
             t.attempts, t.fence"
        ),
        &params![
            account_id,
            import_id,
            by,
            live.to_vec(),
            limit,
            later(LEASE),
            now(),
            model_id,
            keep.thumbnails(),
            keep.originals()
        ],
        claimed_image,
    )
}

pub(super) fn claimed_image(row: Row<'_, '_>) -> Result<ClaimedImage, Failure> {
    Ok(ClaimedImage {
        pin_id: row.get(1)?,
        position: row.get(2)?,
        candidates: Candidate::from_json(&row.get::<String>(3)?),
        content_hash: row.maybe(4)?,
        kept: row.get(5)?,
        attempts: row.get(6)?,
        fence: row.get(7)?,
    })
}

/// Claims one image that workers had in hand twice when they ended: it may be the cause, so no other image of its
/// import is to be in hand with it.
///
/// A failed attempt leaves a reason, the end of a worker does not. When the first worker ends after failed attempts,
/// they are forgotten, and the image counts as if two workers had ended.
pub fn claim_suspect(
    account_id: i64,
    import_id: i64,
    by: &str,
    live: &[String],
) -> Result<Option<ClaimedImage>, Failure> {
    write_optional(
        "WITH suspect AS (SELECT i.pin_id, i.position FROM pinterest.pin_image i \
             WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' AND i.claimed_by <> ALL ($4) \
             AND i.attempts >= $6 LIMIT 1 FOR UPDATE SKIP LOCKED) \
         UPDATE pinterest.pin_image t SET claimed_by = $3, lease_until = $5, \
         fence = t.fence + 1, attempts = CASE WHEN t.reason IS NULL THEN t.attempts + 1 ELSE $6 END, reason = NULL, \
         reason_code = NULL FROM suspect s \
         WHERE t.account_id = $1 AND t.pin_id = s.pin_id AND t.position = s.position \
         RETURNING t.pin_id, t.position, t.candidates::text, t.content_hash, t.image IS NOT NULL AND NOT t.stale, \
         t.attempts, t.fence",
        &params![account_id, import_id, by, live.to_vec(), later(LEASE), DEATHS - 1],
        claimed_image,
    )
}

/// The kept bytes of a claimed image, with the size they were downloaded in and whether that is a fixed-box crop;
/// `None` if another worker has claimed it since.
pub fn kept(account_id: i64, claimed: &ClaimedImage) -> Result<Option<(Vec<u8>, String, bool)>, Failure> {
    read_optional(
        "SELECT i.image, COALESCE(i.source_size, ''), COALESCE(i.cropped, false) FROM pinterest.pin_image i \
         WHERE i.account_id = $1 AND i.pin_id = $2 AND i.position = $3 AND i.fence = $4 AND i.image IS NOT NULL",
        &params![account_id, claimed.pin_id.as_str(), claimed.position, claimed.fence],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// Releases what a worker has claimed of an import that is no longer worked on; interrupted attempts do not count.
pub fn release(account_id: i64, import_id: i64, by: Option<&str>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.pin_image SET claimed_by = NULL, lease_until = NULL, attempts = attempts - 1, \
         fence = fence + 1 WHERE account_id = $1 AND import_id = $2 AND state = 'pending' AND claimed_by IS NOT NULL \
         AND ($3::text IS NULL OR claimed_by = $3)",
        &params![account_id, import_id, by],
    )
}

/// The pending images of an import: their number, and seconds until the first of them is ready.
pub fn pending(account_id: i64, import_id: i64) -> Result<(i64, f64), Failure> {
    read_one(
        "SELECT count(*), COALESCE(EXTRACT(EPOCH FROM min(i.next_attempt_at) - $3), 0)::float8 \
         FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending'",
        &params![account_id, import_id, now()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}
