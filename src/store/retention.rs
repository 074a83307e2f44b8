//! Deletes imported rows that are older than `pinterest.retention`, one batch per call.
//!
//! The age of a pin on its board counts from the last import that found it: one that listed it, or one that found its
//! board complete or unchanged (`board.confirmed_at`). The age of a removed pin counts from the import that found it
//! removed. Boards, their sections and their settings are not deleted. Ages are measured in observed time, up to the
//! last observation: see [`super::clock`].

use std::time::Duration;

use super::{affected, params, write};
use crate::errors::Failure;

/// Deletes up to `limit` pins, with their images and vectors; their number. The next import of their boards lists them
/// from the start.
///
/// ORDER BY, here and below, because most rounds find nothing: without it the planner expects a third of all rows to be
/// old, and searches the whole table for the first of them.
pub fn delete_pins(age: Duration, limit: i64) -> Result<i64, Failure> {
    let removed = write(
        "WITH old AS (SELECT p.account_id, p.pin_id FROM pinterest.pin p, pinterest.installation n \
             WHERE p.removed_at < (SELECT c.clock_seen_at - make_interval(secs => $1) FROM pinterest.installation c) \
             AND p.removed_at + COALESCE((SELECT sum(g.length) \
                 FROM unnest(n.clock_gaps, n.clock_gap_lengths) AS g(at, length) \
                 WHERE g.at > p.removed_at), '0') < n.clock_seen_at - make_interval(secs => $1) \
             ORDER BY p.removed_at LIMIT $2 FOR UPDATE OF p SKIP LOCKED), \
         gone AS (DELETE FROM pinterest.pin p USING old \
             WHERE p.account_id = old.account_id AND p.pin_id = old.pin_id RETURNING p.pin_id) \
         SELECT count(*) FROM gone",
        &params![age.as_secs_f64(), limit],
        |row| row.get::<i64>(1),
    )?;
    let standing = write(
        "WITH cut AS (SELECT n.clock_seen_at - make_interval(secs => $1) AS at, n.clock_gaps, n.clock_gap_lengths \
             FROM pinterest.installation n), \
         old AS (SELECT p.account_id, p.pin_id FROM cut c, pinterest.board b, pinterest.pin p \
             WHERE COALESCE(b.confirmed_at, '-infinity') < (SELECT a.at FROM cut a) AND (b.confirmed_at IS NULL OR b.confirmed_at < c.at AND b.confirmed_at + \
                 COALESCE((SELECT sum(g.length) \
                 FROM unnest(c.clock_gaps, c.clock_gap_lengths) AS g(at, length) WHERE \
                 g.at > b.confirmed_at), '0') < c.at) \
             AND p.account_id = b.account_id AND p.board_id = b.board_id AND p.removed_at IS NULL \
             AND p.imported_at < c.at AND p.imported_at + COALESCE((SELECT sum(g.length) \
                 FROM unnest(c.clock_gaps, c.clock_gap_lengths) AS g(at, length) \
                 WHERE g.at > p.imported_at), '0') < c.at \
             AND NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = b.account_id \
                 AND i.board_id = b.board_id AND i.state = 'running') \
             ORDER BY COALESCE(b.confirmed_at, '-infinity') LIMIT $2 FOR UPDATE OF p SKIP LOCKED FOR NO KEY UPDATE OF b SKIP LOCKED), \
         gone AS (DELETE FROM pinterest.pin p USING old \
             WHERE p.account_id = old.account_id AND p.pin_id = old.pin_id RETURNING p.account_id, p.board_id), \
         boards AS (UPDATE pinterest.board b SET imported_modified_at = NULL \
             FROM (SELECT DISTINCT g.account_id, g.board_id FROM gone g) AS g \
             WHERE b.account_id = g.account_id AND b.board_id = g.board_id) \
         SELECT count(*) FROM gone",
        &params![age.as_secs_f64(), limit],
        |row| row.get::<i64>(1),
    )?;
    Ok(removed.into_iter().chain(standing).sum())
}

/// Deletes up to `limit` imports that ended longer ago than `age`; their number.
pub fn delete_imports(age: Duration, limit: i64) -> Result<usize, Failure> {
    affected(
        "DELETE FROM pinterest.import i USING (SELECT o.account_id, o.import_id \
             FROM pinterest.import o, pinterest.installation n \
             WHERE o.state IN ('completed', 'failed', 'cancelled') \
             AND o.finished_at < (SELECT c.clock_seen_at - make_interval(secs => $1) FROM pinterest.installation c) \
             AND o.finished_at + COALESCE((SELECT sum(g.length) \
                 FROM unnest(n.clock_gaps, n.clock_gap_lengths) AS g(at, length) \
                 WHERE g.at > o.finished_at), '0') < n.clock_seen_at - make_interval(secs => $1) \
             ORDER BY o.finished_at LIMIT $2 FOR UPDATE OF o SKIP LOCKED) AS old \
         WHERE i.account_id = old.account_id AND i.import_id = old.import_id",
        &params![age.as_secs_f64(), limit],
    )
}
