//! Imports as a test asks for them, and the account that their views give of them.

use std::collections::BTreeMap;
use std::fmt;

use e2e::{Result, wait_for};
use postgres::Client;

use crate::support::{SOON, Sql};

/// Queues an import: arguments of `pinterest_import_board()` as SQL has them.
pub fn queue(client: &mut Client, arguments: &str) -> Result<i64> {
    client.value(&format!("SELECT pinterest_import_board({arguments})"))
}

/// Waits until an import has ended; returns its state.
pub fn ended(client: &mut Client, import: i64) -> Result<String> {
    wait_for("the import's end", SOON, || {
        let row = client.query_one("SELECT state FROM pinterest.imports WHERE import_id = $1", &[&import])?;
        Ok(Some(row.get::<_, String>(0)).filter(|state| ["completed", "failed", "cancelled"].contains(&state.as_str())))
    })
}

/// Imports to the end, which must be `completed`; the account it gives.
pub fn imported(client: &mut Client, arguments: &str) -> Result<(i64, Report)> {
    let import = queue(client, arguments)?;
    Ok((import, Report::completed(client, import)?))
}

/// One import in `pinterest.import_report`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// State in `pinterest.imports`.
    pub state: String,
    /// What the listing covered, once that is known.
    pub coverage: String,
    /// By item, outcome and reason.
    lines: BTreeMap<(String, String, String), i64>,
}

/// What an import may say became of pins and images, and why.
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
    /// The account of an import as it stands now, which must add up and say what `pinterest.imports` says.
    pub fn of(client: &mut Client, import: i64) -> Result<Self> {
        // One statement, so that both views show one moment.
        let rows = client.query(
            "SELECT r.item, r.outcome, COALESCE(r.reason, ''), COALESCE(r.count, 0), i.state, COALESCE(i.coverage, ''),
                    ARRAY[COALESCE(i.pins_reported, 0), i.pins_listed, i.pins_without_image, i.pins_removed, i.images_total,
                          i.images_embedded, i.images_reused, i.images_skipped, i.images_failed, i.images_pending]::int8[]
               FROM pinterest.import_report r JOIN pinterest.imports i USING (import_id) WHERE import_id = $1",
            &[&import],
        )?;
        let Some(first) = rows.first() else { panic!("import {import} has no report") };
        let mut report = Self { state: first.get(4), coverage: first.get(5), lines: BTreeMap::new() };
        for row in &rows {
            let before = report.lines.insert((row.get(0), row.get(1), row.get(2)), row.get(3));
            assert_eq!(before, None, "a line comes twice: {rows:?}");
        }
        report.check(&first.get::<_, Vec<i64>>(6));
        Ok(report)
    }

    /// The account of an import that has to complete, once it has.
    pub fn completed(client: &mut Client, import: i64) -> Result<Self> {
        let state = ended(client, import)?;
        let report = Self::of(client, import)?;
        assert_eq!(state, "completed", "{report:?}");
        Ok(report)
    }

    /// How many of an item came to this, whatever the reason.
    pub fn sum(&self, item: &str, outcome: &str) -> i64 {
        self.lines.iter().filter(|((i, o, _), _)| i == item && o == outcome).map(|(_, count)| count).sum()
    }

    /// How many came to this for this reason.
    pub fn count(&self, item: &str, outcome: &str, reason: &str) -> i64 {
        self.lines.get(&(item.into(), outcome.into(), reason.into())).copied().unwrap_or(0)
    }

    /// The lines of an item, without what only sums others up: `outcome reason count`.
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
            assert_eq!(self.sum(item, outcome), expected, "{item} {outcome}, as pinterest.imports has it: {self:?}");
        }
        let of =
            |item: &str, outcomes: &[&str]| -> i64 { outcomes.iter().map(|outcome| self.sum(item, outcome)).sum() };
        let pins = of("pin", &["with_images", "without_image", "skipped", "left_out"]);
        assert_eq!(listed, pins, "every listed pin has one outcome: {self:?}");
        let images = of("image", &["embedded", "reused", "skipped", "failed", "pending"]);
        assert_eq!(found, images, "every image found has one outcome: {self:?}");
        assert_eq!(self.count("pin", "listed", &self.coverage), listed, "{self:?}");
        if self.state == "completed" {
            assert_eq!(pending, 0, "it has ended: {self:?}");
            assert_ne!(self.coverage, "", "{self:?}");
        }
        for ((item, outcome, reason), count) in &self.lines {
            let sums = SUMS.contains(&outcome.as_str());
            assert!(*count > 0 || sums && *count == 0, "{item} {outcome} {reason}: {self:?}");
            let known = WORDS.iter().any(|(i, o, words)| i == item && o == outcome && words.contains(&reason.as_str()));
            assert!(known || sums, "nobody knows {item} {outcome} {reason:?}: {self:?}");
        }
    }
}

/// Outcomes that sum others up, or wait to become one.
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
