//! `pinterest.import_outcome` and the counts of `pinterest.import`: the outcomes of all pins and images. Both are
//! written in the transaction that changes the state of a pin or image, so they always agree.

use super::pin_image::AI_DISCLOSED;
use super::{execute, params, words};
use crate::errors::Failure;
use crate::statistics::{self, Counter, Image, Source};

words! {
    /// The outcome of a listed pin.
    pub enum PinOutcome {
        /// It has at least one image.
        WithImages = "with_images",
        /// It has none; the reason states why.
        WithoutImage = "without_image",
        /// It is not in the part of the board that the import was asked for.
        LeftOut = "left_out",
        /// Its images are left out; the reason states why.
        Skipped = "skipped",
        /// Counted in addition to another outcome: it is disclosed as made or changed with AI.
        AiDisclosed = "ai_disclosed",
        /// It could not be read. Not counted as listed.
        Unreadable = "unreadable",
        /// Counted in addition to another outcome: the next import checks it again.
        Doubtful = "doubtful",
    }
}

words! {
    /// The outcome of an image.
    pub enum ImageOutcome {
        /// A fresh embedding.
        Embedded = "embedded",
        /// An embedding that existed already.
        Reused = "reused",
        /// It is not embedded, or another import of the account has taken it over.
        Skipped = "skipped",
        /// All attempts failed; pinterest_retry_failed() tries again.
        Failed = "failed",
    }
}

/// An outcome, its reason, which is one word or empty, and their number.
pub type Counted<T> = (T, &'static str, i32);

/// Counts listed pins.
pub fn count_pins(account_id: i64, import_id: i64, counted: &[Counted<PinOutcome>]) -> Result<(), Failure> {
    add(
        account_id,
        import_id,
        "pin",
        counted.iter().map(|(outcome, reason, count)| (outcome.as_str(), *reason, *count)),
    )
}

/// Counts images that their pins no longer have, for the first time. They are kept until another import has found the
/// same.
pub fn count_missing(account_id: i64, import_id: i64, count: i32) -> Result<(), Failure> {
    add(account_id, import_id, "image", [("missing", "", count)].into_iter())
}

/// Counts images that were embedded already; the import's row counts them with their page.
pub fn count_kept(account_id: i64, import_id: i64, count: i32) -> Result<(), Failure> {
    note(Image::Reused, count);
    add(account_id, import_id, "image", [(ImageOutcome::Reused.as_str(), "kept", count)].into_iter())
}

/// Counts images, in the import's row as well. Any worker may do so, because images are reused across an account's
/// imports.
pub fn count_images(account_id: i64, import_id: i64, counted: &[Counted<ImageOutcome>]) -> Result<(), Failure> {
    if counted.iter().all(|(_, _, count)| *count == 0) {
        return Ok(());
    }
    let sum = |wanted: ImageOutcome| -> i32 {
        counted.iter().filter(|(outcome, _, _)| *outcome == wanted).map(|(_, _, count)| count).sum()
    };
    note(Image::Embedded, sum(ImageOutcome::Embedded));
    note(Image::Reused, sum(ImageOutcome::Reused));
    note(Image::Skipped, sum(ImageOutcome::Skipped));
    note(Image::Failed, sum(ImageOutcome::Failed));
    execute(
        "UPDATE pinterest.import SET images_embedded = images_embedded + $3, images_reused = images_reused + $4, \
         images_skipped = images_skipped + $5, images_failed = images_failed + $6, attempts = 0, deaths = 0 \
         WHERE account_id = $1 AND import_id = $2",
        &params![
            account_id,
            import_id,
            sum(ImageOutcome::Embedded),
            sum(ImageOutcome::Reused),
            sum(ImageOutcome::Skipped),
            sum(ImageOutcome::Failed)
        ],
    )?;
    add(
        account_id,
        import_id,
        "image",
        counted.iter().map(|(outcome, reason, count)| (outcome.as_str(), *reason, *count)),
    )
}

fn note(counter: Image, number: i32) {
    statistics::note(Counter::Image(Source::Import, counter), usize::try_from(number).unwrap_or_default());
}

fn add<'a>(
    account_id: i64,
    import_id: i64,
    item: &str,
    counted: impl Iterator<Item = (&'a str, &'a str, i32)>,
) -> Result<(), Failure> {
    let counted: Vec<_> = counted.filter(|(_, _, count)| *count != 0).collect();
    if counted.is_empty() {
        return Ok(());
    }
    execute(
        "INSERT INTO pinterest.import_outcome AS o (account_id, import_id, item, outcome, reason, count) \
         SELECT i.account_id, i.import_id, $3, n.outcome, n.reason, sum(n.count) FROM pinterest.import i, \
             unnest($4::text[], $5::text[], $6::int4[]) AS n(outcome, reason, count) \
         WHERE i.account_id = $1 AND i.import_id = $2 GROUP BY i.account_id, i.import_id, n.outcome, n.reason \
         ON CONFLICT (account_id, import_id, item, outcome, reason) DO UPDATE SET count = o.count + EXCLUDED.count",
        &params![
            account_id,
            import_id,
            item,
            counted.iter().map(|(outcome, _, _)| (*outcome).to_owned()).collect::<Vec<_>>(),
            counted.iter().map(|(_, reason, _)| (*reason).to_owned()).collect::<Vec<_>>(),
            counted.iter().map(|(_, _, count)| *count).collect::<Vec<_>>()
        ],
    )
}

/// Counts the whole board as it is: it has not changed since its last import.
pub fn count_unchanged(account_id: i64, import_id: i64, board_id: &str) -> Result<(), Failure> {
    execute(
        "WITH pins AS (SELECT p.pin_id, p.no_image, p.is_ai, EXISTS (SELECT \
                 FROM pinterest.pin_image s WHERE s.account_id = $1 \
                 AND s.pin_id = p.pin_id AND s.state = 'skipped' AND s.reason_code = $4) AS skipped \
                 FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $3 AND p.removed_at IS NULL), \
         outcomes AS (SELECT 'image' AS item, CASE i.state WHEN 'embedded' THEN 'reused' ELSE i.state END AS outcome, \
                 CASE i.state WHEN 'embedded' THEN 'unchanged' ELSE COALESCE(i.reason_code, '') END AS reason \
                 FROM pins JOIN pinterest.pin_image i ON i.account_id = $1 AND i.pin_id = pins.pin_id \
             UNION ALL SELECT 'pin', CASE WHEN pins.skipped THEN 'skipped' \
                 WHEN pins.no_image IS NULL THEN 'with_images' \
                 ELSE 'without_image' END, CASE WHEN pins.skipped THEN $4 ELSE COALESCE(pins.no_image, '') END \
                 FROM pins \
             UNION ALL SELECT 'pin', 'ai_disclosed', '' FROM pins WHERE pins.is_ai), \
         counted AS (INSERT INTO pinterest.import_outcome (account_id, import_id, item, outcome, reason, count) \
             SELECT $1, $2, o.item, o.outcome, o.reason, count(*) FROM outcomes o GROUP BY o.item, o.outcome, o.reason \
             RETURNING item, outcome, count) \
         UPDATE pinterest.import SET \
             pins_listed = (SELECT COALESCE(sum(c.count), 0) FROM counted c WHERE c.item = 'pin' \
                 AND c.outcome <> 'ai_disclosed'), \
             pins_without_image = (SELECT COALESCE(sum(c.count), 0) FROM counted c WHERE c.outcome = 'without_image'), \
             images_total = (SELECT COALESCE(sum(c.count), 0) FROM counted c WHERE c.item = 'image'), \
             images_reused = (SELECT COALESCE(sum(c.count), 0) FROM counted c WHERE c.outcome = 'reused'), \
             images_skipped = (SELECT COALESCE(sum(c.count), 0) FROM counted c WHERE c.item = 'image' \
                 AND c.outcome = 'skipped') \
         WHERE account_id = $1 AND import_id = $2",
        &params![account_id, import_id, board_id, AI_DISCLOSED],
    )
}

/// Subtracts images that failed or were skipped, by outcome and reason, before they are tried again.
pub fn subtract_failed(account_id: i64, import_id: i64, again: &[(String, String, i64)]) -> Result<(), Failure> {
    let outcomes: Vec<String> = again.iter().map(|(outcome, ..)| outcome.clone()).collect();
    let reasons: Vec<String> = again.iter().map(|(_, reason, _)| reason.clone()).collect();
    let counts: Vec<i64> = again.iter().map(|(.., count)| *count).collect();
    execute(
        "WITH less AS (UPDATE pinterest.import_outcome o SET count = o.count - n.count \
             FROM unnest($3::text[], $4::text[], $5::int8[]) AS n(outcome, reason, count) \
             WHERE o.account_id = $1 AND o.import_id = $2 AND o.item = 'image' AND o.outcome = n.outcome \
             AND o.reason = n.reason AND o.count > n.count RETURNING o.outcome, o.reason) \
         DELETE FROM pinterest.import_outcome o USING unnest($3::text[], $4::text[]) AS n(outcome, reason) \
             WHERE o.account_id = $1 AND o.import_id = $2 AND o.item = 'image' AND o.outcome = n.outcome \
             AND o.reason = n.reason AND (o.outcome, o.reason) NOT IN (SELECT l.outcome, l.reason FROM less l)",
        &params![account_id, import_id, outcomes, reasons, counts],
    )
}

/// Subtracts embeddings that the import has counted, fresh ones first, then reused ones: another model is about to
/// replace them.
pub fn subtract_embedded(account_id: i64, import_id: i64, number: i32) -> Result<(), Failure> {
    if number == 0 {
        return Ok(());
    }
    execute(
        "WITH line AS (SELECT o.outcome, o.reason, o.count, \
             LEAST(o.count, GREATEST($3 - COALESCE(sum(o.count) OVER (ORDER BY o.outcome, o.reason \
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), 0)) AS less \
             FROM pinterest.import_outcome o WHERE o.account_id = $1 AND o.import_id = $2 AND o.item = 'image' \
             AND o.outcome IN ('embedded', 'reused')), \
         gone AS (DELETE FROM pinterest.import_outcome o USING line l WHERE o.account_id = $1 AND o.import_id = $2 \
             AND o.item = 'image' AND o.outcome = l.outcome AND o.reason = l.reason AND l.less = l.count), \
         fewer AS (UPDATE pinterest.import_outcome o SET count = o.count - l.less FROM line l WHERE o.account_id = $1 \
             AND o.import_id = $2 AND o.item = 'image' AND o.outcome = l.outcome AND o.reason = l.reason \
             AND l.less BETWEEN 1 AND l.count - 1) \
         UPDATE pinterest.import SET \
             images_embedded = images_embedded - COALESCE((SELECT sum(l.less) FROM line l \
             WHERE l.outcome = 'embedded'), 0), images_reused = images_reused - COALESCE((SELECT sum(l.less) \
             FROM line l WHERE l.outcome = 'reused'), 0) \
         WHERE account_id = $1 AND import_id = $2",
        &params![account_id, import_id, i64::from(number)],
    )
}
