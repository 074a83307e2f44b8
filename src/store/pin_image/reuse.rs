//! Embeddings of equal images, which are copied.

use super::Keep;
use super::scope::Scope;
use crate::errors::Failure;
use crate::store::{clock, is_true, params, read, row_as, write};

/// Whether the account, or with `across` any account, has an embedding of these bytes by this model; with `thumbnail`,
/// one with a thumbnail.
pub fn has_bytes(
    account_id: i64,
    sha256: [u8; 32],
    model_id: i64,
    across: bool,
    thumbnail: bool,
) -> Result<bool, Failure> {
    is_true(
        // The account is a parameter in either case. For `+ 0` see `claim`.
        &format!(
            "SELECT EXISTS (SELECT 1 FROM pinterest.pin_image i WHERE {} AND i.sha256 = $2 AND i.state = 'embedded' \
             AND i.model_id + 0 = $3 AND (i.thumbnail IS NOT NULL OR NOT $4) AND $1 IS NOT NULL)",
            Scope::of(across).condition("i")?
        ),
        &params![account_id, sha256.to_vec(), model_id, thumbnail],
    )
}

/// An import whose pending images can take embeddings.
struct Waiting {
    import_id: i64,
    keeps_originals: bool,
    keeps_thumbnails: bool,
}

/// Copies an embedding to each pending image of the account that has one of these content hashes, from an embedded
/// image with the same hash in the account or, with `across`, in any account. Returns the number of images per import.
/// Claimed images and those of imports that work with another model are left out, and those of imports that keep more than
/// `keep`. Of the copied image this is stored, and it is copied as far as the import keeps it.
pub fn reuse_by_content_hash(
    account_id: i64,
    model_id: i64,
    hashes: Vec<String>,
    across: bool,
    keep: Keep,
) -> Result<Vec<(i64, i32)>, Failure> {
    let waiting = waiting(account_id, model_id, &hashes, keep)?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let keeping = |keeps: fn(&Waiting) -> bool| -> Vec<i64> {
        waiting.iter().filter(|import| keeps(import)).map(|import| import.import_id).collect()
    };
    // First the embedded images, then the pending images with their hashes. For `+ 0` see `claim`.
    write(
        &format!(
            "WITH twins AS MATERIALIZED (SELECT s.* FROM (SELECT DISTINCT u.content_hash \
                 FROM unnest($3::text[]) AS u(content_hash)) AS h \
                 CROSS JOIN LATERAL (SELECT e.content_hash, e.embedding, e.model_id, e.sha256, e.source_size, e.cropped, \
                     e.animated, e.image, e.thumbnail \
                     FROM pinterest.pin_image e WHERE e.content_hash = h.content_hash AND {others} \
                     AND e.state = 'embedded' AND e.model_id + 0 = $2 AND (e.thumbnail IS NOT NULL OR NOT $4) \
                     AND (e.image IS NOT NULL OR NOT $5) LIMIT 1) AS s), \
             reused AS ( \
             UPDATE pinterest.pin_image t SET state = 'embedded', reason = NULL, reason_code = NULL, \
             embedding = s.embedding, model_id = s.model_id, embedded_at = $6, animated = s.animated, \
             fence = t.fence + 1, stale = false, previous_hash = NULL, misses = 0, missed_by = NULL, \
             thumbnail = COALESCE(CASE WHEN NOT t.stale THEN t.thumbnail END, \
                 CASE WHEN t.import_id = ANY ($8) THEN s.thumbnail END), \
             sha256 = CASE WHEN t.image IS NOT NULL AND NOT t.stale THEN t.sha256 ELSE s.sha256 END, \
             source_size = CASE WHEN t.image IS NOT NULL AND NOT t.stale THEN t.source_size ELSE s.source_size END, \
             cropped = CASE WHEN t.image IS NOT NULL AND NOT t.stale THEN t.cropped ELSE s.cropped END, \
             image = CASE WHEN t.image IS NOT NULL AND NOT t.stale THEN t.image \
                 WHEN t.import_id = ANY ($9) THEN s.image END \
             FROM twins s \
             WHERE {own} AND t.state = 'pending' AND t.content_hash = s.content_hash \
             AND t.claimed_by IS NULL AND t.import_id + 0 = ANY ($7) \
             RETURNING t.import_id) \
             SELECT r.import_id, count(*)::int4 FROM reused r GROUP BY r.import_id",
            others = Scope::of(across).condition("e")?,
            own = Scope::Account.condition("t")?,
        ),
        &params![
            account_id,
            model_id,
            hashes,
            keep.thumbnails(),
            keep.originals(),
            clock::now(),
            keeping(|_| true),
            keeping(|import| import.keeps_thumbnails),
            keeping(|import| import.keeps_originals),
        ],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// The imports of the account with images that wait for these content hashes, as far as they work with the model and
/// keep no more than `keep`.
fn waiting(account_id: i64, model_id: i64, hashes: &[String], keep: Keep) -> Result<Vec<Waiting>, Failure> {
    let imports = read(
        &format!(
            "SELECT DISTINCT w.import_id FROM (SELECT DISTINCT u.content_hash FROM unnest($2::text[]) AS u(content_hash)) \
             AS h CROSS JOIN LATERAL (SELECT t.import_id FROM pinterest.pin_image t \
                 WHERE {} AND t.content_hash = h.content_hash AND t.state = 'pending' AND t.claimed_by IS NULL) AS w",
            Scope::Account.condition("t")?
        ),
        &params![account_id, hashes.to_vec()],
        |row| row.get::<i64>(1),
    )?;
    if imports.is_empty() {
        return Ok(Vec::new());
    }
    read(
        "SELECT w.import_id, w.keep_images, w.keep_images OR w.keep_thumbnails FROM pinterest.import w \
         WHERE w.account_id = $1 AND w.import_id = ANY ($2) AND w.model_id = $3 \
         AND ($4 OR NOT (w.keep_images OR w.keep_thumbnails)) AND ($5 OR NOT w.keep_images)",
        &params![account_id, imports, model_id, keep.thumbnails(), keep.originals()],
        row_as!(Waiting { import_id, keeps_originals, keeps_thumbnails }),
    )
}
