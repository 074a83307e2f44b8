//! Queues imports, waits for them, and reads their views.

use std::collections::BTreeMap;
use std::fmt;

pub use e2e::imports::{queue, queue_board, wait};

use crate::support::prelude::*;

/// An import in `pinterest.imports`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub state: String,
    pub phase: String,
    pub reason: String,
    pub error_code: String,
    pub hint: String,
    pub pins_listed: i32,
    pub pins_without_image: i32,
    pub pins_removed: i32,
    pub total: i32,
    pub embedded: i32,
    pub reused: i32,
    pub skipped: i32,
    pub failed: i32,
}

impl Row {
    /// Reads the import's present row.
    pub fn of(client: &mut Client, import: i64) -> Result<Self> {
        let row = client.query_one(
            "SELECT state, phase, reason, error_code, hint, pins_listed, pins_without_image, pins_removed,
                    images_total, images_embedded, images_reused, images_skipped, images_failed
               FROM pinterest.imports WHERE import_id = $1",
            &[&import],
        )?;
        let text = |index: usize| row.get::<_, Option<String>>(index).unwrap_or_default();
        Ok(Self {
            state: text(0),
            phase: text(1),
            reason: text(2),
            error_code: text(3),
            hint: text(4),
            pins_listed: row.get(5),
            pins_without_image: row.get(6),
            pins_removed: row.get(7),
            total: row.get(8),
            embedded: row.get(9),
            reused: row.get(10),
            skipped: row.get(11),
            failed: row.get(12),
        })
    }

    /// Images with a final outcome.
    pub fn done(&self) -> i32 {
        self.embedded + self.reused + self.skipped + self.failed
    }
}

/// Waits for the end of an import, which must be `completed` with an outcome for every image.
pub fn complete(client: &mut Client, import: i64) -> Result<Row> {
    let state = wait(client, import)?;
    let row = Row::of(client, import)?;
    assert_eq!(state, "completed", "{row:?}");
    assert_eq!((row.state.as_str(), row.phase.as_str()), ("completed", "finished"), "{row:?}");
    assert_eq!(row.done(), row.total, "every image has an outcome: {row:?}");
    check_images(client, import)?;
    Ok(row)
}

/// Imports a board and waits until the import has completed.
pub fn import(client: &mut Client, board: &str) -> Result<Row> {
    let import = queue_board(client, board)?;
    complete(client, import)
}

/// Waits until an import's row fulfils a condition.
pub fn until_row(client: &mut Client, import: i64, what: &str, wanted: impl Fn(&Row) -> bool) -> Result<Row> {
    let mut last = Row::default();
    let found = wait_for(what, SOON, || {
        last = Row::of(client, import)?;
        Ok(wanted(&last).then(|| last.clone()))
    });
    found.map_err(|error| error.context(format!("{last:?}")))
}

/// Waits until an import is in a state.
pub fn until_state(client: &mut Client, import: i64, state: &str) -> Result<Row> {
    until_row(client, import, state, |row| row.state == state)
}

/// Requires a normalised embedding or a reason for each image, and counts in the import that match the board's images.
fn check_images(client: &mut Client, import: i64) -> Result<()> {
    let wrong: Vec<String> = client.column_with(
        "SELECT format('%s/%s: %s, %s', pin_id, position, state, reason) FROM pinterest.pin_image
              WHERE import_id = $1 AND NOT CASE state
                    WHEN 'embedded' THEN abs(vector_norm(embedding) - 1) < 1e-3 AND model_id IS NOT NULL
                    WHEN 'pending' THEN false
                    ELSE embedding IS NULL AND reason <> '' END",
        &[&import],
    )?;
    assert!(wrong.is_empty(), "{wrong:#?}");
    let row = client.query_one(
        "SELECT i.images_total = count(image), i.images_embedded + i.images_reused = count(image) FILTER (WHERE image = 'embedded'),
                i.images_skipped = count(image) FILTER (WHERE image = 'skipped'),
                i.images_failed = count(image) FILTER (WHERE image = 'failed')
           FROM (SELECT * FROM pinterest.imports WHERE import_id = $1) AS i
           LEFT JOIN (SELECT account_id, board_id, image.state AS image FROM pinterest.pin
                        JOIN pinterest.pin_image AS image USING (account_id, pin_id) WHERE removed_at IS NULL) AS images
                  USING (account_id, board_id)
          GROUP BY i.images_total, i.images_embedded, i.images_reused, i.images_skipped, i.images_failed",
        &[&import],
    )?;
    let agree: Vec<bool> = (0..4).map(|index| row.get(index)).collect();
    assert_eq!(agree, [true; 4], "the counts of import {import} differ from the board's images");
    Ok(())
}

/// Runs an import, which must be `completed`, and returns its report. `arguments` as for [`queue`].
pub fn imported(client: &mut Client, arguments: &str) -> Result<Report> {
    let import = queue(client, arguments)?;
    Report::completed(client, import)
}

/// One import in `pinterest.import_report`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Id of the import.
    pub import: i64,
    /// State in `pinterest.imports`.
    pub state: String,
    /// Coverage of the listing; empty until it is known.
    pub coverage: String,
    /// Counts by item, outcome and reason.
    lines: BTreeMap<(String, String, String), i64>,
}

/// The items, outcomes and reasons that a report may contain.
const WORDS: [(&str, &str, &[&str]); 14] = [
    ("pin", "reported", &[""]),
    ("pin", "with_images", &[""]),
    ("pin", "without_image", &["no_media", "no_url", "unknown_media_type"]),
    ("pin", "left_out", &["other_section", "beyond_max_images"]),
    ("pin", "skipped", &["ai_disclosed"]),
    ("pin", "ai_disclosed", &[""]),
    ("pin", "removed", &[""]),
    ("pin", "unreadable", &["unknown_shape"]),
    ("pin", "doubtful", &["odd_members", "new_without_image"]),
    ("image", "missing", &[""]),
    ("image", "embedded", &[""]),
    ("image", "reused", &["kept", "same_picture", "same_bytes", "unchanged", "before"]),
    ("image", "skipped", &["no_url", "unsupported_format", "animated", "too_large", "other_import", "ai_disclosed"]),
    (
        "image",
        "failed",
        &["not_downloadable", "download", "malformed", "embedder_died", "embedder", "bad_vector", "worker_died"],
    ),
];

impl Report {
    /// The present report of an import, whose sums must be right and match `pinterest.imports`.
    pub fn of(client: &mut Client, import: i64) -> Result<Self> {
        // One statement reads both views with the same snapshot.
        let rows = client.query(
            "SELECT r.item, r.outcome, COALESCE(r.reason, ''), COALESCE(r.count, 0), i.state, COALESCE(i.coverage, ''),
                    ARRAY[COALESCE(i.pins_reported, 0), i.pins_listed, i.pins_without_image, i.pins_removed, i.images_total,
                          i.images_embedded, i.images_reused, i.images_skipped, i.images_failed, i.images_pending]::int8[]
               FROM pinterest.import_report r JOIN pinterest.imports i USING (import_id) WHERE import_id = $1",
            &[&import],
        )?;
        let Some(first) = rows.first() else { panic!("import {import} has no report") };
        let mut report = Self { import, state: first.get(4), coverage: first.get(5), lines: BTreeMap::new() };
        for row in &rows {
            let before = report.lines.insert((row.get(0), row.get(1), row.get(2)), row.get(3));
            assert_eq!(before, None, "duplicate line: {rows:?}");
        }
        report.check(&first.get::<_, Vec<i64>>(6));
        Ok(report)
    }

    /// The report of an import, which must complete.
    pub fn completed(client: &mut Client, import: i64) -> Result<Self> {
        let state = wait(client, import)?;
        let report = Self::of(client, import)?;
        assert_eq!(state, "completed", "{report:?}");
        Ok(report)
    }

    /// The count of an outcome with any reason.
    pub fn sum(&self, item: &str, outcome: &str) -> i64 {
        self.lines.iter().filter(|((i, o, _), _)| i == item && o == outcome).map(|(_, count)| count).sum()
    }

    /// The count of an outcome with this reason.
    pub fn count(&self, item: &str, outcome: &str, reason: &str) -> i64 {
        self.lines.get(&(item.into(), outcome.into(), reason.into())).copied().unwrap_or(0)
    }

    /// The lines of an item without sums: `outcome reason count`.
    pub fn outcomes(&self, item: &str) -> Vec<String> {
        let all = self.lines.iter().filter(|((i, o, _), _)| i == item && !SUMS.contains(&o.as_str()));
        let words = |outcome: &str, reason: &str| [outcome, reason].join(" ").trim_end().to_owned();
        all.map(|((_, outcome, reason), count)| format!("{} {count}", words(outcome, reason))).collect()
    }

    fn check(&self, row: &[i64]) {
        let [reported, listed, bare, removed, found, embedded, reused, skipped, failed, pending] = *row else {
            panic!("ten counts: {row:?}")
        };
        for (item, outcome, expected) in [
            ("pin", "reported", reported),
            ("pin", "listed", listed),
            ("pin", "without_image", bare),
            ("pin", "removed", removed),
            ("image", "found", found),
            ("image", "embedded", embedded),
            ("image", "reused", reused),
            ("image", "skipped", skipped),
            ("image", "failed", failed),
            ("image", "pending", pending),
        ] {
            assert_eq!(self.sum(item, outcome), expected, "{item} {outcome} in pinterest.imports: {self:?}");
        }
        let of =
            |item: &str, outcomes: &[&str]| -> i64 { outcomes.iter().map(|outcome| self.sum(item, outcome)).sum() };
        let pins = of("pin", &["with_images", "without_image", "skipped", "left_out"]);
        assert_eq!(listed, pins, "every listed pin has one outcome: {self:?}");
        let images = of("image", &["embedded", "reused", "skipped", "failed", "pending"]);
        assert_eq!(found, images, "every image found has one outcome: {self:?}");
        assert_eq!(self.count("pin", "listed", &self.coverage), listed, "{self:?}");
        if self.state == "completed" {
            assert_eq!(pending, 0, "images are pending: {self:?}");
            assert_ne!(self.coverage, "", "{self:?}");
        }
        for ((item, outcome, reason), count) in &self.lines {
            let sums = SUMS.contains(&outcome.as_str());
            assert!(*count > 0 || sums && *count == 0, "{item} {outcome} {reason}: {self:?}");
            let known = WORDS.iter().any(|(i, o, words)| i == item && o == outcome && words.contains(&reason.as_str()));
            assert!(known || sums, "unknown line {item} {outcome} {reason:?}: {self:?}");
        }
    }
}

/// Outcomes that are sums of others or not final.
const SUMS: [&str; 4] = ["reported", "listed", "found", "pending"];

impl fmt::Debug for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.state, self.coverage)?;
        for ((item, outcome, reason), count) in &self.lines {
            write!(formatter, "\n    {item} {outcome} {reason} {count}")?;
        }
        Ok(())
    }
}
