//! `pinterest.pin_image`: images of pins, which are the work items of an import as well.

use std::time::Duration;

use super::{Row, execute, read, write};
use crate::errors::{Failure, Kind};
use crate::postgres::vector::Vector;
use crate::rows::number;

/// How long a claimed image is its claimer's. A download may take 60 s and an inference 20 s.
const LEASE: &str = "90 seconds";
/// An image that workers had in hand so often when they ended is not tried again.
const DEATHS: i32 = 3;

/// Why an image is skipped whose pin is disclosed as made or changed with AI.
pub const AI_DISCLOSED: &str = "ai_disclosed";

/// An image as a page of a listing brings it.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// The pin it belongs to.
    pub pin_id: String,
    /// 0-based place within the pin.
    pub position: i32,
    /// image or video_cover.
    pub kind: &'static str,
    /// JSON: the URLs, best first.
    pub candidates: String,
    /// The CDN's content hash.
    pub content_hash: Option<String>,
}

/// What a page's images came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageCounts {
    /// Images found.
    pub total: i32,
    /// Of these, already embedded.
    pub reused: i32,
}

/// An image that the caller has to work on until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedImage {
    /// The pin it belongs to.
    pub pin_id: String,
    /// 0-based place within the pin.
    pub position: i32,
    /// JSON: the URLs, best first.
    pub candidates: String,
    /// The CDN's content hash.
    pub content_hash: Option<String>,
    /// Its bytes are there: see [`kept`].
    pub kept: bool,
    /// With this one.
    pub attempts: i32,
    /// Must be unchanged when the result is recorded.
    pub fence: i64,
}

/// Why an image is skipped or failed.
#[derive(Clone, Debug)]
pub struct Reason {
    /// In a word, as reports count it.
    pub code: &'static str,
    /// In a sentence.
    pub text: String,
}

impl Reason {
    /// A word and a sentence.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Reason { code, text: text.into() }
    }
}

/// What became of an image.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It has its vector.
    Embedded(Box<Embedded>),
    /// The same bytes stood embedded already; their vector is copied.
    SameBytes {
        /// The model that made it.
        model_id: i64,
        /// Of the downloaded bytes.
        sha256: [u8; 32],
        /// The size that was downloaded.
        source_size: String,
        /// It is a fixed-box crop.
        cropped: bool,
        /// The bytes, where they are to be kept and are not yet.
        image: Option<Vec<u8>>,
    },
    /// It never will.
    Skipped(Reason),
    /// It did not, after all attempts.
    Failed(Reason),
    /// Again after a pause.
    Retry {
        /// Why this attempt failed.
        reason: String,
        /// The pause.
        after: Duration,
        /// False where the image is not to blame: the attempt does not count.
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
    /// The bytes, where they are to be kept and are not yet.
    pub image: Option<Vec<u8>>,
}

/// Upserts the images of pins that an import sees for the first time. An embedded one stays so where the content hash
/// and the model are the same; all others become pending. Until the picture of another hash is in, embedding and kept
/// bytes of the one before stay, marked as stale: an answer may name a picture that cannot be had.
pub fn upsert_page(
    account_id: i64,
    import_id: i64,
    model_id: Option<i64>,
    keep_images: bool,
    images: &[ImageRow],
) -> Result<PageCounts, Failure> {
    fn column<T>(images: &[ImageRow], pick: impl Fn(&ImageRow) -> T) -> Vec<T> {
        images.iter().map(pick).collect()
    }
    let states = write(
        "INSERT INTO pinterest.pin_image AS t (account_id, import_id, pin_id, position, kind, candidates, content_hash) \
         SELECT $1, $2, p.pin_id, p.position, p.kind, p.candidates::json, p.content_hash \
         FROM unnest($3::text[], $4::int4[], $5::text[], $6::text[], $7::text[]) AS p(pin_id, position, kind, candidates, content_hash) \
         ON CONFLICT (account_id, pin_id, position) DO UPDATE SET import_id = EXCLUDED.import_id, kind = EXCLUDED.kind, \
         candidates = EXCLUDED.candidates, content_hash = EXCLUDED.content_hash, attempts = 0, reason = NULL, reason_code = NULL, \
         next_attempt_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL, fence = t.fence + 1, \
         (state, embedding, model_id, embedded_at, stale, previous_hash, misses, missed_by) = (SELECT k.state, k.embedding, \
                 k.model_id, k.embedded_at, k.stale, CASE WHEN k.stale THEN w.hash END, k.misses, \
                 CASE WHEN k.misses > 0 THEN EXCLUDED.import_id END \
             FROM (SELECT CASE WHEN t.stale THEN t.previous_hash ELSE t.content_hash END AS hash, \
                 COALESCE(t.model_id = $8, false) AS fits) AS w, \
             LATERAL (SELECT COALESCE(w.hash <> EXCLUDED.content_hash, true) AS differs) AS d, \
             LATERAL (VALUES (true, 'embedded', t.embedding, t.model_id, t.embedded_at, false, 0), \
                 (false, 'pending', CASE WHEN w.fits THEN t.embedding END, CASE WHEN w.fits THEN t.model_id END, \
                     CASE WHEN w.fits THEN t.embedded_at END, d.differs AND (w.fits OR t.image IS NOT NULL), \
                     CASE WHEN NOT w.fits OR NOT d.differs THEN 0 WHEN t.missed_by = EXCLUDED.import_id THEN t.misses \
                         ELSE t.misses + 1 END)) AS k(same, state, embedding, model_id, embedded_at, stale, misses) \
             WHERE k.same = (w.fits AND NOT d.differs AND (t.state = 'embedded' OR t.stale) \
                 AND (NOT $9 OR t.image IS NOT NULL))) \
         RETURNING t.state",
        &[
            account_id.into(),
            import_id.into(),
            column(images, |i| i.pin_id.clone()).into(),
            column(images, |i| i.position).into(),
            column(images, |i| i.kind.to_owned()).into(),
            column(images, |i| i.candidates.clone()).into(),
            column(images, |i| i.content_hash.clone()).into(),
            model_id.into(),
            keep_images.into(),
        ],
        |row| row.get::<String>(1),
    )?;
    Ok(PageCounts {
        total: number(states.len()),
        reused: number(states.iter().filter(|state| *state == "embedded").count()),
    })
}

/// As [`upsert_page`], for images that the import was asked not to bring: they are skipped, without embedding. Bytes that
/// are kept of the same picture stay, for the import that brings it. Returns how many images there are.
pub fn skip_page(account_id: i64, import_id: i64, images: &[ImageRow], reason: &Reason) -> Result<i32, Failure> {
    fn column<T>(images: &[ImageRow], pick: impl Fn(&ImageRow) -> T) -> Vec<T> {
        images.iter().map(pick).collect()
    }
    if images.is_empty() {
        return Ok(0);
    }
    let skipped = execute(
        "INSERT INTO pinterest.pin_image AS t (account_id, import_id, pin_id, position, kind, candidates, content_hash, \
             state, reason, reason_code) \
         SELECT $1, $2, p.pin_id, p.position, p.kind, p.candidates::json, p.content_hash, 'skipped', $8, $9 \
         FROM unnest($3::text[], $4::int4[], $5::text[], $6::text[], $7::text[]) AS p(pin_id, position, kind, candidates, content_hash) \
         ON CONFLICT (account_id, pin_id, position) DO UPDATE SET import_id = EXCLUDED.import_id, kind = EXCLUDED.kind, \
         candidates = EXCLUDED.candidates, content_hash = EXCLUDED.content_hash, state = EXCLUDED.state, \
         reason = EXCLUDED.reason, reason_code = EXCLUDED.reason_code, attempts = 0, claimed_by = NULL, lease_until = NULL, \
         fence = t.fence + 1, embedding = NULL, model_id = NULL, embedded_at = NULL, stale = false, previous_hash = NULL, \
         misses = 0, missed_by = NULL, \
         (sha256, source_size, cropped, image) = (SELECT k.sha256, k.source_size, k.cropped, k.image \
             FROM (VALUES (true, t.sha256, t.source_size, t.cropped, t.image), (false, NULL, NULL, NULL, NULL)) \
                 AS k(same, sha256, source_size, cropped, image) \
             WHERE k.same = COALESCE(t.content_hash = EXCLUDED.content_hash AND NOT t.stale, false))",
        &[
            account_id.into(),
            import_id.into(),
            column(images, |i| i.pin_id.clone()).into(),
            column(images, |i| i.position).into(),
            column(images, |i| i.kind.to_owned()).into(),
            column(images, |i| i.candidates.clone()).into(),
            column(images, |i| i.content_hash.clone()).into(),
            reason.text.as_str().into(),
            reason.code.into(),
        ],
    )?;
    Ok(number(skipped))
}

/// Takes note of images that pins came without: `counts` holds each pin with the number of its images. They stay until
/// another import has seen the same, see [`delete_missed_again`]. Returns how many were missed for the first time.
pub fn miss(account_id: i64, import_id: i64, counts: &[(String, i32)]) -> Result<i32, Failure> {
    let pins: Vec<String> = counts.iter().map(|(pin, _)| pin.clone()).collect();
    let numbers: Vec<i32> = counts.iter().map(|(_, number)| *number).collect();
    let misses = write(
        "UPDATE pinterest.pin_image i SET misses = i.misses + 1, missed_by = $4 \
         FROM unnest($2::text[], $3::int4[]) AS p(pin_id, number) \
         WHERE i.account_id = $1 AND i.pin_id = p.pin_id AND i.position >= p.number AND i.missed_by IS DISTINCT FROM $4 \
         RETURNING i.misses",
        &[account_id.into(), pins.into(), numbers.into(), import_id.into()],
        |row| row.get::<i32>(1),
    )?;
    Ok(number(misses.into_iter().filter(|misses| *misses == 1).count()))
}

/// Deletes images that this import, whose listing is whole, has missed, and another one before it.
pub fn delete_missed_again(account_id: i64, import_id: i64) -> Result<usize, Failure> {
    execute(
        "DELETE FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.missed_by = $2 AND i.import_id <> $2 AND i.misses >= 2",
        &[account_id.into(), import_id.into()],
    )
}

/// Gives pending images of the account that have one of these content hashes the embedding that stands under it, in the
/// account or with `across` in any; returns how many of which import. A claimed one is left to its claimer, those of an
/// import that works with another model to that. Imports that keep images are served only `with_bytes`, by images that
/// have theirs.
pub fn reuse_by_content_hash(
    account_id: i64,
    model_id: i64,
    hashes: Vec<String>,
    across: bool,
    with_bytes: bool,
) -> Result<Vec<(i64, i32)>, Failure> {
    // The twins first, then the pending images under their hashes: the import is no join, nor its id or account a way in,
    // or all of its pending images are compared with all twins.
    write(
        "WITH twins AS MATERIALIZED (SELECT s.* FROM (SELECT DISTINCT u.content_hash FROM unnest($3::text[]) AS u(content_hash)) AS h \
             CROSS JOIN LATERAL (SELECT e.content_hash, e.embedding, e.model_id, e.sha256, e.source_size, e.cropped, e.animated, e.image \
                 FROM pinterest.pin_image e WHERE e.content_hash = h.content_hash AND (e.account_id = $1 OR $4) \
                 AND e.state = 'embedded' AND e.model_id = $2 AND (e.image IS NOT NULL OR NOT $5) LIMIT 1) AS s), \
         reused AS ( \
         UPDATE pinterest.pin_image t SET state = 'embedded', reason = NULL, reason_code = NULL, embedding = s.embedding, model_id = s.model_id, \
         embedded_at = clock_timestamp(), animated = s.animated, fence = t.fence + 1, stale = false, previous_hash = NULL, \
         misses = 0, missed_by = NULL, \
         (sha256, source_size, cropped, image) = (SELECT k.sha256, k.source_size, k.cropped, k.image \
             FROM (VALUES (true, t.sha256, t.source_size, t.cropped, t.image), (false, s.sha256, s.source_size, s.cropped, \
                 CASE WHEN (SELECT w.keep_images FROM pinterest.import w WHERE w.account_id = $1 AND w.import_id = t.import_id) \
                     THEN s.image END)) AS k(kept, sha256, source_size, cropped, image) \
             WHERE k.kept = (t.image IS NOT NULL AND NOT t.stale)) \
         FROM twins s \
         WHERE t.account_id + 0 = $1 AND t.state = 'pending' AND t.content_hash = s.content_hash AND t.claimed_by IS NULL \
         AND EXISTS (SELECT FROM pinterest.import k WHERE k.account_id = $1 AND k.import_id = t.import_id \
             AND k.model_id = $2 AND ($5 OR NOT k.keep_images)) \
         RETURNING t.import_id) \
         SELECT r.import_id, count(*)::int4 FROM reused r GROUP BY r.import_id",
        &[account_id.into(), model_id.into(), hashes.into(), across.into(), with_bytes.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// The content hashes of the images that the import works on next.
pub fn next_hashes(account_id: i64, import_id: i64, limit: i64) -> Result<Vec<String>, Failure> {
    read(
        "SELECT DISTINCT n.content_hash FROM (SELECT i.content_hash FROM pinterest.pin_image i \
             WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' AND i.next_attempt_at <= (SELECT clock_timestamp()) \
             ORDER BY i.next_attempt_at, i.pin_id, i.position LIMIT $3) AS n WHERE n.content_hash IS NOT NULL",
        &[account_id.into(), import_id.into(), limit.into()],
        |row| row.get(1),
    )
}

/// Whose images are claimed, for whom, and where else their embeddings may come from.
#[derive(Clone, Copy, Debug)]
pub struct Claimer<'a> {
    /// The import's account.
    pub account_id: i64,
    /// The import.
    pub import_id: i64,
    /// The model that embeds.
    pub model_id: i64,
    /// Only embeddings of images whose bytes are kept can be taken over.
    pub keep_images: bool,
    /// Embeddings of other accounts' images count too.
    pub across: bool,
    /// The worker.
    pub by: &'a str,
    /// All workers that are alive.
    pub live: &'a [String],
}

/// Lets workers claim and record one after another, until the transaction ends: each sees what the others have in work,
/// and none waits for another that waits for it, since recording one import's images counts for other imports too.
pub fn take_turns(account_id: i64, across: bool) -> Result<(), Failure> {
    super::wait_briefly_for_locks();
    write("SELECT FROM pinterest.account WHERE account_id = $1 FOR NO KEY UPDATE", &[account_id.into()], |_| Ok(()))?;
    if across {
        write("SELECT FROM pinterest.installation FOR NO KEY UPDATE", &[], |_| Ok(()))?;
    }
    Ok(())
}

/// Claims up to `limit` images of the import that are ready. Of those that show the same picture only the first, none
/// that another import of the account (with `across`, of any) has in work, and none that has an embedding already:
/// they get it without being claimed, see [`reuse_by_content_hash`].
pub fn claim(claimer: Claimer<'_>, limit: i64) -> Result<Vec<ClaimedImage>, Failure> {
    let Claimer { account_id, import_id, model_id, keep_images, across, by, live } = claimer;
    // The looks for the same picture stay subqueries, one for each image in the index's order (OFFSET 0): as joins they
    // compare all pending images with each other, 12 s instead of 0.3 ms on a board of 5,000. `+ 0`: before the first
    // ANALYZE the planner cannot tell the index by content hash from the one by import.
    write(
        "WITH ready AS ( \
         SELECT i.account_id, i.pin_id, i.position FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.import_id = $2 \
         AND i.state = 'pending' AND i.next_attempt_at <= (SELECT clock_timestamp()) \
         AND (i.claimed_by IS NULL OR i.lease_until < clock_timestamp() OR i.claimed_by <> ALL ($4)) \
         AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE o.account_id + 0 = $1 AND o.content_hash = i.content_hash \
             AND o.import_id + 0 = $2 AND o.state = 'pending' AND (o.pin_id, o.position) < (i.pin_id, i.position) OFFSET 0) \
         AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE (o.account_id + 0 = $1 OR $7) \
             AND o.content_hash = i.content_hash AND (o.account_id, o.import_id) <> ($1, $2) AND o.state = 'pending' \
             AND o.lease_until >= clock_timestamp() AND o.claimed_by = ANY ($4) OFFSET 0) \
         AND NOT EXISTS (SELECT FROM pinterest.pin_image o WHERE o.content_hash = i.content_hash \
             AND (o.account_id + 0 = $1 OR $7) AND o.state = 'embedded' AND o.model_id = $8 \
             AND (o.image IS NOT NULL OR NOT $9) OFFSET 0) \
         ORDER BY i.next_attempt_at, i.pin_id, i.position LIMIT $5 FOR UPDATE SKIP LOCKED) \
         UPDATE pinterest.pin_image t SET claimed_by = $3, lease_until = clock_timestamp() + $6::interval, \
         fence = t.fence + 1, attempts = t.attempts + 1 FROM ready r \
         WHERE t.account_id = r.account_id AND t.pin_id = r.pin_id AND t.position = r.position \
         RETURNING t.pin_id, t.position, t.candidates::text, t.content_hash, t.image IS NOT NULL AND NOT t.stale, \
         t.attempts, t.fence",
        &[
            account_id.into(),
            import_id.into(),
            by.into(),
            live.to_vec().into(),
            limit.into(),
            LEASE.into(),
            across.into(),
            model_id.into(),
            keep_images.into(),
        ],
        claimed_image,
    )
}

fn claimed_image(row: Row<'_, '_>) -> Result<ClaimedImage, Failure> {
    Ok(ClaimedImage {
        pin_id: row.get(1)?,
        position: row.get(2)?,
        candidates: row.get(3)?,
        content_hash: row.maybe(4)?,
        kept: row.get(5)?,
        attempts: row.get(6)?,
        fence: row.get(7)?,
    })
}

/// Looks after images that workers had in hand when they ended: those that were in hand three times fail, and those that
/// were once are as any other. What is left is to be tried one by one, see [`claim_suspect`]. Returns how many failed and
/// how many kept the embedding that they had.
pub fn give_up_deadly(account_id: i64, import_id: i64, live: &[String]) -> Result<(i32, i32), Failure> {
    execute(
        "UPDATE pinterest.pin_image SET claimed_by = NULL, lease_until = NULL, fence = fence + 1 \
         WHERE account_id = $1 AND import_id = $2 AND state = 'pending' AND claimed_by <> ALL ($3) AND attempts < $4",
        &[account_id.into(), import_id.into(), live.to_vec().into(), (DEATHS - 1).into()],
    )?;
    let deadly = read(
        "SELECT i.pin_id, i.position, i.candidates::text, i.content_hash, false, i.attempts, i.fence FROM pinterest.pin_image i \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' AND i.claimed_by <> ALL ($3) AND i.attempts >= $4 \
         AND i.reason IS NULL",
        &[account_id.into(), import_id.into(), live.to_vec().into(), DEATHS.into()],
        claimed_image,
    )?;
    let text = format!("the worker ended {DEATHS} times while it was at work on the image");
    let outcome = Outcome::Failed(Reason::new("worker_died", text));
    let (mut failed, mut kept) = (0, 0);
    for image in &deadly {
        match record(account_id, image, &outcome, false)? {
            Recorded::No => {}
            Recorded::AsIs => failed += 1,
            Recorded::KeptBefore => kept += 1,
        }
    }
    Ok((failed, kept))
}

/// Claims one image that workers had in hand twice when they ended: it may be what ended them, so nothing else of its import
/// is to be in hand with it.
///
/// An attempt that was judged leaves a reason, and is no worker's end: from the first one on that is, the image counts as one
/// that was in hand so often, whatever was tried before.
pub fn claim_suspect(
    account_id: i64,
    import_id: i64,
    by: &str,
    live: &[String],
) -> Result<Option<ClaimedImage>, Failure> {
    let claimed = write(
        "WITH suspect AS (SELECT i.account_id, i.pin_id, i.position FROM pinterest.pin_image i \
             WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending' AND i.claimed_by <> ALL ($4) \
             AND i.attempts >= $6 LIMIT 1 FOR UPDATE SKIP LOCKED) \
         UPDATE pinterest.pin_image t SET claimed_by = $3, lease_until = clock_timestamp() + $5::interval, \
         fence = t.fence + 1, attempts = CASE WHEN t.reason IS NULL THEN t.attempts + 1 ELSE $6 END, reason = NULL, \
         reason_code = NULL FROM suspect s \
         WHERE t.account_id = s.account_id AND t.pin_id = s.pin_id AND t.position = s.position \
         RETURNING t.pin_id, t.position, t.candidates::text, t.content_hash, t.image IS NOT NULL AND NOT t.stale, \
         t.attempts, t.fence",
        &[account_id.into(), import_id.into(), by.into(), live.to_vec().into(), LEASE.into(), (DEATHS - 1).into()],
        claimed_image,
    )?;
    Ok(claimed.into_iter().next())
}

/// The kept bytes of a claimed image, with the size they were downloaded in and whether that is a fixed-box crop; `None`
/// where the claim has passed to another.
pub fn kept(account_id: i64, claimed: &ClaimedImage) -> Result<Option<(Vec<u8>, String, bool)>, Failure> {
    let rows = read(
        "SELECT i.image, COALESCE(i.source_size, ''), COALESCE(i.cropped, false) FROM pinterest.pin_image i \
         WHERE i.account_id = $1 AND i.pin_id = $2 AND i.position = $3 AND i.fence = $4 AND i.image IS NOT NULL",
        &[account_id.into(), claimed.pin_id.as_str().into(), claimed.position.into(), claimed.fence.into()],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    Ok(rows.into_iter().next())
}

/// Does the account, or with `across` any, hold an embedding of these very bytes by this model?
pub fn has_bytes(account_id: i64, sha256: [u8; 32], model_id: i64, across: bool) -> Result<bool, Failure> {
    let found = read(
        "SELECT EXISTS (SELECT FROM pinterest.pin_image i WHERE (i.account_id = $1 OR $4) AND i.sha256 = $2 \
         AND i.state = 'embedded' AND i.model_id = $3)",
        &[account_id.into(), sha256.to_vec().into(), model_id.into(), across.into()],
        |row| row.get(1),
    )?;
    Ok(found.first().copied().unwrap_or(false))
}

/// How an outcome was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Not at all: the claim has passed to another.
    No,
    /// As it is.
    AsIs,
    /// The picture cannot be had or is none, and the embedding that stood before, of another picture at its place, stays
    /// until another import comes to the same.
    KeptBefore,
}

/// Records what became of a claimed image, unless the claim has passed to another.
pub fn record(account_id: i64, claimed: &ClaimedImage, outcome: &Outcome, across: bool) -> Result<Recorded, Failure> {
    // The claim: every statement below is fenced by it.
    let claim = || [account_id.into(), claimed.pin_id.as_str().into(), claimed.position.into(), claimed.fence.into()];
    let touched = match outcome {
        Outcome::Embedded(done) => execute(
            "UPDATE pinterest.pin_image SET state = 'embedded', reason = NULL, reason_code = NULL, embedding = $5, model_id = $6, sha256 = $7, \
             source_size = $8, cropped = $9, animated = $11, image = COALESCE($10, CASE WHEN NOT stale THEN image END), stale = false, previous_hash = NULL, \
             misses = 0, missed_by = NULL, embedded_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL \
             WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending'",
            &claim()
                .into_iter()
                .chain([
                    done.embedding.clone().parameter(),
                    done.model_id.into(),
                    done.sha256.to_vec().into(),
                    done.source_size.as_str().into(),
                    done.cropped.into(),
                    done.image.clone().into(),
                    done.animated.into(),
                ])
                .collect::<Vec<_>>(),
        )?,
        Outcome::SameBytes { model_id, sha256, source_size, cropped, image } => execute(
            "UPDATE pinterest.pin_image t SET state = 'embedded', reason = NULL, reason_code = NULL, embedding = s.embedding, model_id = s.model_id, \
             sha256 = $5, source_size = $6, cropped = $7, animated = s.animated, image = COALESCE($9, CASE WHEN NOT stale THEN image END), stale = false, previous_hash = NULL, \
             misses = 0, missed_by = NULL, embedded_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL \
             FROM (SELECT i.embedding, i.model_id, i.animated FROM pinterest.pin_image i \
                 WHERE (i.account_id = $1 OR $8) AND i.sha256 = $5 AND i.state = 'embedded' AND i.model_id = $10 LIMIT 1) s \
             WHERE t.account_id = $1 AND t.pin_id = $2 AND t.position = $3 AND t.fence = $4 AND t.state = 'pending'",
            &claim()
                .into_iter()
                .chain([
                    sha256.to_vec().into(),
                    source_size.as_str().into(),
                    (*cropped).into(),
                    across.into(),
                    image.clone().into(),
                    (*model_id).into(),
                ])
                .collect::<Vec<_>>(),
        )?,
        Outcome::Skipped(reason) | Outcome::Failed(reason) => {
            let state = if matches!(outcome, Outcome::Skipped(_)) { "skipped" } else { "failed" };
            let states = write(
                "UPDATE pinterest.pin_image t SET reason = $6, reason_code = $7, claimed_by = NULL, lease_until = NULL, \
                 (state, embedding, model_id, embedded_at, content_hash, stale, previous_hash) = (SELECT k.state, k.embedding, \
                     k.model_id, k.embedded_at, k.content_hash, k.stale, k.previous_hash \
                     FROM (VALUES (true, 'embedded', t.embedding, t.model_id, t.embedded_at, \
                             CASE WHEN t.stale THEN t.previous_hash ELSE t.content_hash END, false, NULL), \
                         (false, $5, NULL, NULL, NULL, t.content_hash, t.stale, t.previous_hash)) \
                         AS k(keeps, state, embedding, model_id, embedded_at, content_hash, stale, previous_hash) \
                     WHERE k.keeps = (t.embedding IS NOT NULL AND t.misses < 2 AND COALESCE(t.model_id = (SELECT w.model_id \
                         FROM pinterest.import w WHERE w.account_id = $1 AND w.import_id = t.import_id), false))) \
                 WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending' \
                 RETURNING t.state",
                &claim()
                    .into_iter()
                    .chain([state.into(), reason.text.as_str().into(), reason.code.into()])
                    .collect::<Vec<_>>(),
                |row| row.get::<String>(1),
            )?;
            if states.first().is_some_and(|state| state == "embedded") {
                return Ok(Recorded::KeptBefore);
            }
            states.len()
        }
        Outcome::Retry { reason, after, blame } => execute(
            "UPDATE pinterest.pin_image SET reason = $5, claimed_by = NULL, lease_until = NULL, \
             next_attempt_at = clock_timestamp() + make_interval(secs => $6), attempts = attempts - $7 \
             WHERE account_id = $1 AND pin_id = $2 AND position = $3 AND fence = $4 AND state = 'pending'",
            &claim()
                .into_iter()
                .chain([reason.as_str().into(), after.as_secs_f64().into(), i32::from(!blame).into()])
                .collect::<Vec<_>>(),
        )?,
    };
    Ok(if touched > 0 { Recorded::AsIs } else { Recorded::No })
}

/// Puts the failed images of an import back to work, and those that were skipped for one of these reasons; how many there
/// are, by state and the word of their reason.
pub fn retry_failed(account_id: i64, import_id: i64, skipped: &[&str]) -> Result<Vec<(String, String, i64)>, Failure> {
    write(
        "WITH failed AS (SELECT f.pin_id, f.position, f.state, COALESCE(f.reason_code, '') AS code FROM pinterest.pin_image f \
             WHERE f.account_id = $1 AND f.import_id = $2 \
             AND (f.state = 'failed' OR f.state = 'skipped' AND f.reason_code = ANY ($3)) FOR UPDATE), \
         again AS (UPDATE pinterest.pin_image t SET state = 'pending', reason = NULL, reason_code = NULL, attempts = 0, \
             next_attempt_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL, fence = t.fence + 1 \
             FROM failed f WHERE t.account_id = $1 AND t.pin_id = f.pin_id AND t.position = f.position RETURNING f.state, f.code) \
         SELECT a.state, a.code, count(*) FROM again a GROUP BY a.state, a.code",
        &[
            account_id.into(),
            import_id.into(),
            skipped.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>().into(),
        ],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// Gives back what a worker has claimed of an import that is not worked on any more; broken-off attempts do not count.
pub fn release(account_id: i64, import_id: i64, by: Option<&str>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.pin_image SET claimed_by = NULL, lease_until = NULL, attempts = attempts - 1, fence = fence + 1 \
         WHERE account_id = $1 AND import_id = $2 AND state = 'pending' AND claimed_by IS NOT NULL \
         AND ($3 IS NULL OR claimed_by = $3)",
        &[account_id.into(), import_id.into(), by.into()],
    )?;
    Ok(())
}

/// The pending images of an import: how many there are, and seconds until the first of them is ready.
pub fn pending(account_id: i64, import_id: i64) -> Result<(i64, f64), Failure> {
    let rows = read(
        "SELECT count(*), COALESCE(EXTRACT(EPOCH FROM min(i.next_attempt_at) - clock_timestamp()), 0)::float8 \
         FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.import_id = $2 AND i.state = 'pending'",
        &[account_id.into(), import_id.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    rows.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "a count returned no row"))
}

/// The mean of a board's embeddings.
pub struct BoardMean {
    /// Not of unit length; `None` where no image is embedded.
    pub mean: Option<Vector>,
    /// How many models made the embeddings.
    pub models: i64,
}

/// The mean over the images of pins that are still on the board. Runs with the caller's rights.
pub fn board_mean(account_id: i64, board_id: &str) -> Result<BoardMean, Failure> {
    // avg(vector) is pgvector's, in whatever schema: the function bound it when it was created.
    let rows = read(
        "SELECT m.mean, m.models FROM pinterest.board_mean($1, $2) m",
        &[account_id.into(), board_id.into()],
        |row: Row<'_, '_>| Ok(BoardMean { mean: row.maybe(1)?, models: row.get(2)? }),
    )?;
    rows.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "an aggregate returned no row"))
}
