//! The end of imported rows that have lived as long as `pinterest.retention` lets them. Each call is one batch.

use std::time::Duration;

use super::{execute, write};
use crate::errors::Failure;

/// Deletes up to `limit` pins, with their images and vectors, that no import has listed for `age`; how many went. Their
/// boards are imported from the start the next time.
pub fn delete_pins(age: Duration, limit: i64) -> Result<i64, Failure> {
    let counts = write(
        "WITH old AS (SELECT p.account_id, p.pin_id FROM pinterest.pin p \
             WHERE p.imported_at < clock_timestamp() - make_interval(secs => $1) \
             AND NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = p.account_id \
                 AND i.board_id = p.board_id AND i.state IN ('queued', 'running', 'waiting_quota')) \
             LIMIT $2 FOR UPDATE SKIP LOCKED), \
         gone AS (DELETE FROM pinterest.pin p USING old \
             WHERE p.account_id = old.account_id AND p.pin_id = old.pin_id RETURNING p.account_id, p.board_id), \
         boards AS (UPDATE pinterest.board b SET imported_modified_at = NULL \
             FROM (SELECT DISTINCT g.account_id, g.board_id FROM gone g) AS g \
             WHERE b.account_id = g.account_id AND b.board_id = g.board_id) \
         SELECT count(*) FROM gone",
        &[age.as_secs_f64().into(), limit.into()],
        |row| row.get(1),
    )?;
    Ok(counts.into_iter().next().unwrap_or_default())
}

/// Deletes boards without pins that were last seen longer ago than `age`, and imports that ended then; how many went.
pub fn delete_boards_and_imports(age: Duration, limit: i64) -> Result<usize, Failure> {
    let boards = execute(
        "DELETE FROM pinterest.board b USING (SELECT o.account_id, o.board_id FROM pinterest.board o \
             WHERE GREATEST(o.seen_at, o.imported_at) < clock_timestamp() - make_interval(secs => $1) \
             AND NOT EXISTS (SELECT FROM pinterest.pin p \
                 WHERE p.account_id = o.account_id AND p.board_id = o.board_id) \
             AND NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = o.account_id \
                 AND i.board_id = o.board_id AND i.state NOT IN ('completed', 'failed', 'cancelled')) \
             LIMIT $2 FOR UPDATE SKIP LOCKED) AS old \
         WHERE b.account_id = old.account_id AND b.board_id = old.board_id",
        &[age.as_secs_f64().into(), limit.into()],
    )?;
    let imports = execute(
        "DELETE FROM pinterest.import i USING (SELECT o.account_id, o.import_id FROM pinterest.import o \
             WHERE o.state IN ('completed', 'failed', 'cancelled') \
             AND o.finished_at < clock_timestamp() - make_interval(secs => $1) LIMIT $2 FOR UPDATE SKIP LOCKED) AS old \
         WHERE i.account_id = old.account_id AND i.import_id = old.import_id",
        &[age.as_secs_f64().into(), limit.into()],
    )?;
    Ok(boards + imports)
}
