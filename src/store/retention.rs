//! Deletes imported rows that are older than `pinterest.retention`, one batch per call.
//!
//! The age of a pin on its board counts from the last import that found it: one that listed it, or one that found its
//! board complete or unchanged (`board.confirmed_at`). The age of a removed pin counts from the import that found it
//! removed. Boards, their sections and their settings are not deleted. Ages are measured in observed time, up to the
//! last observation: see [`super::clock`].

use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};

use super::{affected, by_account, execute, params, read, read_optional, row_as, write_optional};
use crate::errors::Failure;

/// The condition that a column's time is before `$1`, and is so after the gaps of the clock that followed it, whose times
/// are `$2` and lengths `$3`.
macro_rules! is_old {
    ($column:literal) => {
        concat!(
            $column,
            " < $1 AND ",
            $column,
            " + COALESCE((SELECT sum(g.length) FROM unnest($2::timestamptz[], $3::interval[]) AS g(at, length) \
                 WHERE g.at > ",
            $column,
            "), '0'::interval) < $1"
        )
    };
}

/// What is older than this is deleted.
struct Cut {
    at: TimestampWithTimeZone,
    gaps: Vec<TimestampWithTimeZone>,
    lengths: Vec<Interval>,
}

/// `None` while no clock has been observed.
fn cut(age: Duration) -> Result<Option<Cut>, Failure> {
    read_optional(
        "SELECT n.clock_seen_at - make_interval(secs => $1), n.clock_gaps, n.clock_gap_lengths \
         FROM pinterest.installation n WHERE n.clock_seen_at IS NOT NULL",
        &params![age.as_secs_f64()],
        row_as!(Cut { at, gaps, lengths }),
    )
}

/// Deletes up to `limit` pins, with their images and vectors; their number. The next import of their boards lists them
/// from the start. Rows that another session has locked are left to a later round.
///
/// What is old is read of all accounts, and deleted account by account: where pins are distributed, rows can be locked in
/// one account only.
pub fn delete_pins(age: Duration, limit: i64) -> Result<i64, Failure> {
    let Some(cut) = cut(age)? else { return Ok(0) };
    Ok(delete_removed(&cut, limit)? + delete_standing(&cut, limit)?)
}

/// Deletes pins that are no longer on their boards.
fn delete_removed(cut: &Cut, limit: i64) -> Result<i64, Failure> {
    let (mut deleted, mut passed) = (0, 0);
    loop {
        // ORDER BY, here and below, because most rounds find nothing: without it the planner expects a third of all rows
        // to be old, and searches the whole table for the first of them.
        let old = read(
            concat!(
                "SELECT p.account_id, p.pin_id FROM pinterest.pin p WHERE ",
                is_old!("p.removed_at"),
                " ORDER BY p.removed_at, p.account_id, p.pin_id LIMIT $4 OFFSET $5"
            ),
            &params![cut.at, cut.gaps.clone(), cut.lengths.clone(), limit, passed],
            |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
        )?;
        let found = i64::try_from(old.len()).unwrap_or(limit);
        for (account_id, pins) in by_account(old) {
            let gone = affected(
                "WITH old AS (SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.pin_id = ANY ($2) \
                     AND p.removed_at < $3 FOR UPDATE SKIP LOCKED) \
                 DELETE FROM pinterest.pin p USING old WHERE p.account_id = $1 AND p.pin_id = old.pin_id",
                &params![account_id, pins, cut.at],
            )?;
            deleted += i64::try_from(gone).unwrap_or(limit);
        }
        // If all of these are locked, there may be others behind them.
        if found < limit || deleted > 0 {
            return Ok(deleted);
        }
        passed += found;
    }
}

/// Deletes pins on boards that no import has confirmed since.
fn delete_standing(cut: &Cut, limit: i64) -> Result<i64, Failure> {
    let (mut deleted, mut passed) = (0, 0);
    loop {
        let boards = read(
            concat!(
                "SELECT b.account_id, b.board_id FROM pinterest.board b \
                 WHERE COALESCE(b.confirmed_at, '-infinity') < $1 AND (b.confirmed_at IS NULL OR ",
                is_old!("b.confirmed_at"),
                ") AND EXISTS (SELECT 1 FROM pinterest.pin p WHERE p.account_id = b.account_id \
                     AND p.board_id = b.board_id AND p.removed_at IS NULL AND ",
                is_old!("p.imported_at"),
                ") ORDER BY COALESCE(b.confirmed_at, '-infinity'), b.account_id, b.board_id LIMIT $4 OFFSET $5"
            ),
            &params![cut.at, cut.gaps.clone(), cut.lengths.clone(), limit, passed],
            |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
        )?;
        let found = i64::try_from(boards.len()).unwrap_or(limit);
        for (account_id, board_id) in without_running_import(boards)? {
            if deleted < limit {
                deleted += delete_standing_of(cut, account_id, &board_id, limit - deleted)?;
            }
        }
        if found < limit || deleted > 0 {
            return Ok(deleted);
        }
        passed += found;
    }
}

fn without_running_import(boards: Vec<(i64, String)>) -> Result<Vec<(i64, String)>, Failure> {
    let (accounts, ids): (Vec<_>, Vec<_>) = boards.into_iter().unzip();
    read(
        "SELECT b.account_id, b.board_id FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS b(account_id, board_id, \
         place) WHERE NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = b.account_id \
             AND i.board_id = b.board_id AND i.state = 'running') ORDER BY b.place",
        &params![accounts, ids],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

fn delete_standing_of(cut: &Cut, account_id: i64, board_id: &str, limit: i64) -> Result<i64, Failure> {
    let locked = write_optional(
        "SELECT b.board_id FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2 \
         AND COALESCE(b.confirmed_at, '-infinity') < $3 FOR NO KEY UPDATE SKIP LOCKED",
        &params![account_id, board_id, cut.at],
        |row| row.get::<String>(1),
    )?;
    if locked.is_none() {
        return Ok(0);
    }
    let gone = affected(
        concat!(
            "WITH old AS (SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $4 AND p.board_id = $5 \
                 AND p.removed_at IS NULL AND ",
            is_old!("p.imported_at"),
            " LIMIT $6 FOR UPDATE SKIP LOCKED) \
             DELETE FROM pinterest.pin p USING old WHERE p.account_id = $4 AND p.pin_id = old.pin_id"
        ),
        &params![cut.at, cut.gaps.clone(), cut.lengths.clone(), account_id, board_id, limit],
    )?;
    if gone > 0 {
        execute(
            "UPDATE pinterest.board b SET imported_modified_at = NULL WHERE b.account_id = $1 AND b.board_id = $2",
            &params![account_id, board_id],
        )?;
    }
    Ok(i64::try_from(gone).unwrap_or(limit))
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
