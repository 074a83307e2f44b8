//! The images of a page of a listing.

use super::{Candidate, Keep, Reason};
use crate::errors::Failure;
use crate::store::account::owner_of_rows;
use crate::store::clock::now;
use crate::store::{affected, as_integer, column, execute, params, write};

/// An image in a page of a listing.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// The pin it belongs to.
    pub pin_id: String,
    /// 0-based position within the pin.
    pub position: i32,
    /// image or video_cover.
    pub kind: &'static str,
    /// The URLs, the one to show first.
    pub candidates: Vec<Candidate>,
    /// The CDN's content hash.
    pub content_hash: Option<String>,
}

/// Counts of a page's images.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageCounts {
    /// Images in the page.
    pub total: i32,
    /// Of these, already embedded.
    pub reused: i32,
}

/// Upserts the images of pins that an import sees for the first time. An embedded image stays embedded if its content
/// hash and the model are the same, and all is stored that is to be kept; all others become pending. If the content hash
/// is another one, the embedding and the stored bytes of the previous image stay, marked as stale, until the new image is embedded: a response may name an
/// image that cannot be downloaded.
pub fn upsert_page(
    account_id: i64,
    import_id: i64,
    model_id: Option<i64>,
    keep: Keep,
    images: &[ImageRow],
) -> Result<PageCounts, Failure> {
    // Numbers and booleans in the text, because a shard could not determine the types of the other parameters if there
    // were some after ON CONFLICT.
    let model_id = model_id.map_or_else(|| "NULL::int8".to_owned(), |model_id| model_id.to_string());
    let (thumbnails, originals) = (keep.thumbnails(), keep.originals());
    let statement = format!(
        "INSERT INTO pinterest.pin_image AS t (account_id, import_id, pin_id, position, kind, candidates, \
         content_hash, owner, next_attempt_at) SELECT $1, $2, p.pin_id, p.position, p.kind, p.candidates::json, \
         p.content_hash, $8, $9 \
         FROM unnest($3::text[], $4::int4[], $5::text[], $6::text[], $7::text[]) AS p(pin_id, position, kind, \
         candidates, content_hash) ON CONFLICT (account_id, pin_id, position) DO UPDATE \
         SET import_id = EXCLUDED.import_id, kind = EXCLUDED.kind, candidates = EXCLUDED.candidates, \
         content_hash = EXCLUDED.content_hash, owner = EXCLUDED.owner, attempts = 0, reason = NULL, reason_code = NULL, \
         next_attempt_at = EXCLUDED.next_attempt_at, claimed_by = NULL, lease_until = NULL, fence = t.fence + 1, \
         (state, embedding, model_id, embedded_at, stale, previous_hash, misses, missed_by) = (SELECT k.state, \
                 k.embedding, k.model_id, k.embedded_at, k.stale, CASE WHEN k.stale THEN w.hash END, k.misses, \
                 CASE WHEN k.misses > 0 THEN EXCLUDED.import_id END \
             FROM (SELECT CASE WHEN t.stale THEN t.previous_hash ELSE t.content_hash END AS hash, \
                 COALESCE(t.model_id = {model_id}, false) AS fits) AS w, \
             LATERAL (SELECT COALESCE(w.hash <> EXCLUDED.content_hash, true) AS differs) AS d, \
             LATERAL (VALUES (true, 'embedded', t.embedding, t.model_id, t.embedded_at, false, 0), \
                 (false, 'pending', CASE WHEN w.fits THEN t.embedding END, CASE WHEN w.fits THEN t.model_id END, \
                     CASE WHEN w.fits THEN t.embedded_at END, \
                     d.differs AND (w.fits OR t.image IS NOT NULL OR t.thumbnail IS NOT NULL), \
                     CASE WHEN NOT w.fits OR NOT d.differs THEN 0 WHEN t.missed_by = EXCLUDED.import_id THEN t.misses \
                         ELSE t.misses + 1 END)) AS k(same, state, embedding, model_id, embedded_at, stale, misses) \
             WHERE k.same = (w.fits AND NOT d.differs AND (t.state = 'embedded' OR t.stale) \
                 AND (NOT {thumbnails} OR t.thumbnail IS NOT NULL) AND (NOT {originals} OR t.image IS NOT NULL))) \
         RETURNING t.state"
    );
    let states = write(
        &statement,
        &params![
            account_id,
            import_id,
            column(images, |i| i.pin_id.clone()),
            column(images, |i| i.position),
            column(images, |i| i.kind.to_owned()),
            column(images, |i| Candidate::to_json(&i.candidates)),
            column(images, |i| i.content_hash.clone()),
            owner_of_rows(account_id)?.parameter(),
            now()
        ],
        |row| row.get::<String>(1),
    )?;
    Ok(PageCounts {
        total: as_integer(states.len()),
        reused: as_integer(states.iter().filter(|state| *state == "embedded").count()),
    })
}

/// As [`upsert_page`], for images that the import was asked to leave out: they are skipped, without embedding. Kept
/// bytes of the same image stay, for an import that includes it. Returns the number of images.
pub fn skip_page(account_id: i64, import_id: i64, images: &[ImageRow], reason: &Reason) -> Result<i32, Failure> {
    if images.is_empty() {
        return Ok(0);
    }
    let skipped = affected(
        "INSERT INTO pinterest.pin_image AS t (account_id, import_id, pin_id, position, kind, candidates, \
             content_hash, state, reason, reason_code, owner, next_attempt_at) \
         SELECT $1, $2, p.pin_id, p.position, p.kind, p.candidates::json, p.content_hash, 'skipped', $8, $9, $10, \
         $11 \
         FROM unnest($3::text[], $4::int4[], $5::text[], $6::text[], $7::text[]) AS p(pin_id, position, kind, \
         candidates, content_hash) ON CONFLICT (account_id, pin_id, position) DO UPDATE \
         SET import_id = EXCLUDED.import_id, kind = EXCLUDED.kind, candidates = EXCLUDED.candidates, \
         content_hash = EXCLUDED.content_hash, state = EXCLUDED.state, owner = EXCLUDED.owner, \
         reason = EXCLUDED.reason, reason_code = EXCLUDED.reason_code, attempts = 0, claimed_by = NULL, \
         lease_until = NULL, fence = t.fence + 1, embedding = NULL, model_id = NULL, embedded_at = NULL, \
         stale = false, previous_hash = NULL, misses = 0, missed_by = NULL, \
         (sha256, source_size, cropped, image, thumbnail) = (SELECT k.sha256, k.source_size, k.cropped, k.image, \
             k.thumbnail FROM (VALUES (true, t.sha256, t.source_size, t.cropped, t.image, t.thumbnail), \
                 (false, NULL, NULL, NULL, NULL, NULL)) AS k(same, sha256, source_size, cropped, image, thumbnail) \
             WHERE k.same = COALESCE(t.content_hash = EXCLUDED.content_hash AND NOT t.stale, false))",
        &params![
            account_id,
            import_id,
            column(images, |i| i.pin_id.clone()),
            column(images, |i| i.position),
            column(images, |i| i.kind.to_owned()),
            column(images, |i| Candidate::to_json(&i.candidates)),
            column(images, |i| i.content_hash.clone()),
            reason.text.as_str(),
            reason.code,
            owner_of_rows(account_id)?.parameter(),
            now()
        ],
    )?;
    Ok(as_integer(skipped))
}

/// Marks images that their pins no longer have: `counts` contains each pin with the number of its images. The images
/// stay until another import has found the same, see [`delete_missed_again`]. Returns the number of images missed for
/// the first time.
pub fn miss(account_id: i64, import_id: i64, counts: &[(String, i32)]) -> Result<i32, Failure> {
    let (pins, numbers): (Vec<_>, Vec<_>) = counts.iter().cloned().unzip();
    let misses = write(
        "UPDATE pinterest.pin_image i SET misses = i.misses + 1, missed_by = $4 \
         FROM unnest($2::text[], $3::int4[]) AS p(pin_id, number) \
         WHERE i.account_id = $1 AND i.pin_id = p.pin_id AND i.position >= p.number AND i.missed_by IS DISTINCT \
         FROM $4 RETURNING i.misses",
        &params![account_id, pins, numbers, import_id],
        |row| row.get::<i32>(1),
    )?;
    Ok(as_integer(misses.into_iter().filter(|misses| *misses == 1).count()))
}

/// Deletes images that were missed by this import, whose listing is complete, and by another one before.
pub fn delete_missed_again(account_id: i64, import_id: i64) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.pin_image i WHERE i.account_id = $1 AND i.missed_by = $2 AND i.import_id <> $2 \
         AND i.misses >= 2",
        &params![account_id, import_id],
    )
}
