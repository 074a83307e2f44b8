//! The order of imports. A waiting import sleeps until its `wake_at`, is then due, and is claimed when it is the turn
//! of its owner and its account. Every statement here reads the head of an index, so its cost does not grow with the
//! queue. `(SELECT clock_timestamp())` bounds a scan; `clock_timestamp()` itself is volatile, and only filters the rows
//! of a scan.
//!
//! Only workers write `due` and `turn_owner`, and each skips rows that another session has locked: a client with an
//! open transaction delays no other client's import. `due` is NULL for an import that is held because its account
//! cannot be used; it is checked again when the account changes, and from time to time.

use crate::errors::Failure;
use crate::statistics::{self, Counter, Import};
use crate::store::app_access::{self, Permission};
use crate::store::{affected, execute, is_true, params, read, read_optional, write};

/// Imports that one transaction makes due; it takes a few milliseconds.
const BATCH: i64 = 500;
/// The number of owners, and of accounts of one owner, to choose among.
const CANDIDATES: i64 = 16;
/// An import fails after so many workers have ended while they worked on it without progress.
const DEATHS: i32 = 3;

/// The condition under which imports of an account may run, for `pinterest.account a`, apart from its app's access.
macro_rules! account_usable {
    () => {
        "a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL AND a.identity_due IS NULL \
         AND NOT pinterest.owner_is_gone(a.owner)"
    };
}

/// The same, if the app has access as far as is known, or its probe is due; see `app_access`.
macro_rules! usable {
    () => {
        concat!(
            account_usable!(),
            " AND NOT EXISTS (SELECT FROM pinterest.app p WHERE p.app_id = a.app_id \
                 AND p.access_refused_since IS NOT NULL AND p.access_probe_at > clock_timestamp())"
        )
    };
}

/// Takes imports from workers that have ended: they are queued again, and fail the third time. From the second time on
/// they are woken one after another, so that one that crashes its worker affects few others. Cancelled ones end.
/// Returns their number.
pub fn requeue_of_ended_workers(live: &[String]) -> Result<usize, Failure> {
    let ended = write(
        "WITH dead AS (SELECT i.account_id, i.import_id, i.deaths + CASE WHEN i.claimed_by = ANY ($1) THEN 0 \
             ELSE 1 END AS deaths FROM pinterest.import i \
             WHERE i.state = 'running' AND (i.lease_until < clock_timestamp() OR i.claimed_by <> ALL ($1)) \
             LIMIT 100 FOR UPDATE SKIP LOCKED), \
         next AS (SELECT d.account_id, d.import_id, d.deaths, NOT i.cancel_requested AND d.deaths >= $2 AS failed, \
             CASE WHEN i.cancel_requested THEN 'cancelled' WHEN d.deaths >= $2 THEN 'failed' ELSE 'queued' \
             END AS state, CASE WHEN d.deaths > 1 THEN row_number() OVER (PARTITION BY d.deaths > 1 \
             ORDER BY d.import_id) ELSE 0 END AS place FROM dead d \
             JOIN pinterest.import i ON i.account_id = d.account_id AND i.import_id = d.import_id) \
         UPDATE pinterest.import t SET deaths = n.deaths, fence = t.fence + 1, claimed_by = NULL, lease_until = NULL, \
         state = n.state, due = CASE WHEN n.state = 'queued' THEN false END, \
         wake_at = clock_timestamp() + n.place * '5 seconds'::interval, \
         phase = CASE WHEN n.state = 'queued' THEN t.phase ELSE 'finished' END, \
         finished_at = CASE WHEN n.state <> 'queued' THEN clock_timestamp() END, \
         reason = CASE WHEN n.failed THEN format('the worker ended %s times while it worked on the import', n.deaths) \
         ELSE t.reason END, error_code = CASE WHEN n.failed THEN '57P02' ELSE t.error_code END, \
         hint = CASE WHEN n.failed THEN 'See the server log for how the worker ended. Import the board again once that \
         is fixed.' ELSE t.hint END FROM next n WHERE t.account_id = n.account_id AND t.import_id = n.import_id \
         RETURNING CASE WHEN t.state <> 'queued' THEN t.import_id END, t.state = 'cancelled', t.state = 'failed'",
        &params![live.to_vec(), DEATHS],
        |row| Ok((row.maybe::<i64>(1)?, row.get::<bool>(2)?, row.get::<bool>(3)?)),
    )?;
    super::queue::count_cancelled(ended.iter().map(|(_, cancelled, _)| *cancelled));
    statistics::note(Counter::Import(Import::Failed), ended.iter().filter(|(_, _, failed)| *failed).count());
    ended.iter().filter_map(|(ended, ..)| *ended).try_for_each(super::end::notify_finished)?;
    Ok(ended.len())
}

/// Makes imports due whose time has come, and holds those of accounts that cannot be used; true if there may be more.
pub fn make_due() -> Result<bool, Failure> {
    let looked_at = affected(
        concat!(
            "WITH ready AS (SELECT i.account_id, i.import_id FROM pinterest.import i \
                 WHERE NOT i.due AND i.wake_at <= (SELECT clock_timestamp()) ORDER BY i.wake_at \
                 LIMIT $1 FOR UPDATE SKIP LOCKED) \
             UPDATE pinterest.import t SET turn_owner = a.owner::text, due = CASE WHEN ",
            usable!(),
            " THEN true END FROM ready r JOIN pinterest.account a ON a.account_id = r.account_id \
             WHERE t.account_id = r.account_id AND t.import_id = r.import_id"
        ),
        &params![BATCH],
    )?;
    Ok(i64::try_from(looked_at).unwrap_or(BATCH) >= BATCH)
}

/// Owners with a due import, in a ring that starts after this one, without those in `but`.
pub fn owners_after(owner: &str, but: &[String]) -> Result<Vec<String>, Failure> {
    // A loose index scan: one probe per owner, however many imports each has.
    let after = |owner: &str| {
        read(
            "WITH RECURSIVE ring AS ( \
             (SELECT i.turn_owner FROM pinterest.import i WHERE i.due AND i.turn_owner > $1 ORDER BY i.turn_owner \
             LIMIT 1) UNION ALL \
             SELECT (SELECT i.turn_owner FROM pinterest.import i WHERE i.due AND i.turn_owner > r.turn_owner \
                 ORDER BY i.turn_owner LIMIT 1) FROM ring r WHERE r.turn_owner IS NOT NULL) \
             SELECT r.turn_owner FROM ring r WHERE r.turn_owner IS NOT NULL AND r.turn_owner <> ALL ($3) LIMIT $2",
            &params![owner, CANDIDATES, but.to_vec()],
            |row| row.get::<String>(1),
        )
    };
    let mut ring = after(owner)?;
    if i64::try_from(ring.len()).is_ok_and(|found| found < CANDIDATES) && !owner.is_empty() {
        ring.extend(after("")?.into_iter().take_while(|next| next.as_str() <= owner));
    }
    Ok(ring)
}

/// Accounts of an owner with a due import, in a ring that starts after this one, without those in `but`.
pub fn accounts_after(owner: &str, account_id: i64, but: &[i64]) -> Result<Vec<i64>, Failure> {
    let after = |account_id: i64| {
        read(
            "WITH RECURSIVE ring AS ( \
             (SELECT i.account_id FROM pinterest.import i WHERE i.due AND i.turn_owner = $1 AND i.account_id > $2 \
                 ORDER BY i.account_id LIMIT 1) \
             UNION ALL \
             SELECT (SELECT i.account_id FROM pinterest.import i WHERE i.due AND i.turn_owner = $1 \
                 AND i.account_id > r.account_id ORDER BY i.account_id LIMIT 1) FROM ring r \
                 WHERE r.account_id IS NOT NULL) \
             SELECT r.account_id FROM ring r WHERE r.account_id IS NOT NULL AND r.account_id <> ALL ($4) LIMIT $3",
            &params![owner, account_id, CANDIDATES, but.to_vec()],
            |row| row.get::<i64>(1),
        )
    };
    let mut ring = after(account_id)?;
    if i64::try_from(ring.len()).is_ok_and(|found| found < CANDIDATES) {
        ring.extend(after(i64::MIN)?.into_iter().take_while(|next| *next <= account_id));
    }
    Ok(ring)
}

/// Holds the imports of an account that cannot be used, or whose app has to wait for access; otherwise, whether the
/// import that is claimed now is the app's probe.
pub fn hold_unless_usable(account_id: i64) -> Result<Permission, Failure> {
    let usable = read(
        concat!("SELECT ", usable!(), " FROM pinterest.account a WHERE a.account_id = $1"),
        &params![account_id],
        |row| row.get::<bool>(1),
    )?;
    if usable == [true] && !app_access::pass_turn(account_id)? {
        match app_access::ask(account_id)? {
            Permission::Closed => {}
            permission => return Ok(permission),
        }
    }
    execute(
        "UPDATE pinterest.import t SET due = NULL FROM (SELECT i.import_id FROM pinterest.import i \
             WHERE i.account_id = $1 AND i.due ORDER BY i.wake_at, i.import_id LIMIT $2 FOR UPDATE SKIP LOCKED) AS h \
         WHERE t.account_id = $1 AND t.import_id = h.import_id",
        &params![account_id, BATCH],
    )?;
    Ok(Permission::Closed)
}

/// Releases the held imports of an account that can be used again.
pub fn release_held(account_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET due = false WHERE account_id = $1 \
         AND due IS NULL AND state IN ('queued', 'waiting_quota', 'waiting_access')",
        &params![account_id],
    )
}

/// The same for the next accounts after this one that can be used; returns the last of them, `None` at the end. An
/// import may have been held at the moment in which its account became usable.
pub fn release_all_held(after: i64) -> Result<Option<i64>, Failure> {
    let accounts = read(
        concat!(
            "WITH RECURSIVE held AS ( \
             (SELECT i.account_id FROM pinterest.import i WHERE i.due IS NULL \
                 AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
                 AND i.account_id > $1 ORDER BY i.account_id LIMIT 1) \
             UNION ALL \
             SELECT (SELECT i.account_id FROM pinterest.import i WHERE i.due IS NULL \
                 AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
                 AND i.account_id > h.account_id ORDER BY i.account_id LIMIT 1) FROM held h \
                 WHERE h.account_id IS NOT NULL) \
             SELECT h.account_id, EXISTS (SELECT FROM pinterest.account a WHERE a.account_id = h.account_id AND ",
            account_usable!(),
            " AND NOT EXISTS (SELECT FROM pinterest.app p WHERE p.app_id = a.app_id AND p.access_refused_since IS NOT \
             NULL) OFFSET 0) FROM held h WHERE h.account_id IS NOT NULL LIMIT $2"
        ),
        &params![after, BATCH],
        |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
    )?;
    let usable: Vec<i64> = accounts.iter().filter(|(_, usable)| *usable).map(|(account_id, _)| *account_id).collect();
    // Rows that a client has locked are left to the next round.
    execute(
        "UPDATE pinterest.import t SET due = false FROM (SELECT i.account_id, i.import_id FROM pinterest.import i \
             WHERE i.account_id = ANY ($1) AND i.due IS NULL \
             AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
             FOR UPDATE SKIP LOCKED) AS h WHERE t.account_id = h.account_id AND t.import_id = h.import_id",
        &params![usable],
    )?;
    let all = i64::try_from(accounts.len()).is_ok_and(|found| found < BATCH);
    Ok(accounts.last().map(|(account_id, _)| *account_id).filter(|_| !all))
}

/// Whether imports of other accounts wait for a worker.
pub fn others_wait(account_id: i64) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM (SELECT i.account_id FROM pinterest.import i WHERE i.due \
                 ORDER BY i.account_id LIMIT 1) AS l WHERE l.account_id <> $1) \
             OR EXISTS (SELECT FROM (SELECT i.account_id FROM pinterest.import i \
                 WHERE i.due ORDER BY i.account_id DESC LIMIT 1) AS h WHERE h.account_id <> $1)",
        &params![account_id],
    )
}

/// Seconds until the next sleeping import is due, and whether one is due now.
pub fn next_wake() -> Result<(Option<f64>, bool), Failure> {
    Ok(read_optional(
        "SELECT (SELECT EXTRACT(EPOCH FROM i.wake_at - clock_timestamp())::float8 \
                 FROM pinterest.import i WHERE NOT i.due ORDER BY i.wake_at LIMIT 1), \
             EXISTS (SELECT FROM pinterest.import i WHERE i.due)",
        &[],
        |row| Ok((row.maybe::<f64>(1)?, row.get::<bool>(2)?)),
    )?
    .unwrap_or_default())
}
