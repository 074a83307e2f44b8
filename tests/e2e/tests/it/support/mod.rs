//! What the tests share: worlds, imports as their row shows them, refusals.

pub mod canaries;
pub mod chromium;
pub mod doc_pages;
pub mod imports;
pub mod key_files;
pub mod oauth;
pub mod pgbouncer;
pub mod random;
pub mod refresh_steps;
pub mod search;
pub mod sql;
pub mod tracking;
pub mod tracking_process;
pub mod tracking_work;

use std::time::Duration;

use e2e::{Result, World, wait_for};
use postgres::Client;
use sandbox::config::{Config, ImageRules};
use sandbox::{Family, Fault, Kind, Rule};

pub use sql::{Sql, expect_refusal, refusal};

/// Longer than anything takes that a test waits for, on a machine that is busy with other things.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until a condition holds; `what` is named if it never does.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_for(what, SOON, || Ok(holds()?.then_some(())))
}

/// A Pinterest with one board of single pictures that cost next to nothing to serve: a test that asks for fifty of them
/// is not about their looks.
pub fn quick_board(name: &str, pins: u64) -> Config {
    let config = Config::with_board(name, &[Family::Beach, Family::Barn], pins);
    Config { images: ImageRules { pool: Some(1), ..config.images.clone() }, ..config }
}

/// A preloaded world with such a board, connected.
pub fn quick_world(name: &str, pins: u64) -> Result<World> {
    World::builder().sandbox(quick_board(name, pins)).start()
}

/// Has the first `passing` pictures served and the rest held back until `faults().release(GATE)`: an import stays in its
/// middle for as long as a test wants it there.
pub fn hold_pictures_after(world: &World, passing: u64) {
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).skip(passing));
}

/// The gate of [`hold_pictures_after`].
pub const GATE: &str = "pictures";

/// Imports a board while the CDN refuses every picture. That brings the pins and the paths of their best pictures, by
/// which faults can be laid under single ones before the next import.
pub fn pins_without_pictures(world: &World, client: &mut Client, board: &str) -> Result<Vec<(String, String)>> {
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let row = import(client, board)?;
    assert_eq!(row.failed, row.total, "{row:?}");
    world.sandbox.faults().remove(closed);
    let rows = client.query(
        "SELECT pin_id, regexp_replace(candidates -> 0 ->> 'url', '^https://[^/]*', '') FROM pinterest.pin_image
          ORDER BY pin_id",
        &[],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// An import as its view shows it.
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
    /// How it stands now.
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

    /// Images that came to an end, one way or another.
    pub fn done(&self) -> i32 {
        self.embedded + self.reused + self.skipped + self.failed
    }
}

/// Queues an import.
pub fn start(client: &mut Client, board: &str) -> Result<i64> {
    Ok(client.query_one("SELECT pinterest_import_board($1)", &[&board])?.get(0))
}

/// Waits for the end of an import, which must be `completed`, with every image accounted for.
pub fn complete(client: &mut Client, import: i64) -> Result<Row> {
    let state: String =
        client.query_one("SELECT pinterest_wait_for_import($1, interval '2 minutes')", &[&import])?.get(0);
    let row = Row::of(client, import)?;
    assert_eq!(state, "completed", "{row:?}");
    assert_eq!((row.state.as_str(), row.phase.as_str()), ("completed", "finished"), "{row:?}");
    assert_eq!(row.done(), row.total, "every image has come to an end: {row:?}");
    check_images(client, import)?;
    Ok(row)
}

/// Imports a board to the end.
pub fn import(client: &mut Client, board: &str) -> Result<Row> {
    let id = start(client, board)?;
    complete(client, id)
}

/// Waits until an import's row looks as wanted.
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

/// An embedding is right or absent, an image without one has a reason, and the board's images are those that the import
/// counts.
fn check_images(client: &mut Client, import: i64) -> Result<()> {
    let wrong: Vec<String> = client
        .query(
            "SELECT format('%s/%s: %s, %s', pin_id, position, state, reason) FROM pinterest.pin_image
              WHERE import_id = $1 AND NOT CASE state
                    WHEN 'embedded' THEN abs(vector_norm(embedding) - 1) < 1e-3 AND model_id IS NOT NULL
                    WHEN 'pending' THEN false
                    ELSE embedding IS NULL AND reason <> '' END",
            &[&import],
        )?
        .iter()
        .map(|row| row.get(0))
        .collect();
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
    assert_eq!(agree, [true; 4], "the counts of import {import} are not those of the board's images");
    Ok(())
}
