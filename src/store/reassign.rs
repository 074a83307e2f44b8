//! The rows that a role owns, in every table: transferring them to another role, and finding those of dropped roles.

use std::collections::BTreeSet;

use super::account::owner_of_rows;
use super::distribution::TABLES;
use super::track::trigger;
use super::{affected, execute, extension, import, read, write};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;

/// Numbers of rows that changed owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transferred {
    /// Apps.
    pub apps: i64,
    /// Accounts, with everything imported through them.
    pub accounts: i64,
    /// Tracked columns.
    pub tracked_columns: i64,
}

/// Transfers the rows of one owner to another, except tracked columns of tables that still belong to the old owner.
///
/// # Errors
///
/// Both have an app of the same name, or an account of the same user through the same app. Nothing is transferred.
pub fn transfer(from: &Owner, to: &Owner) -> Result<Transferred, Failure> {
    // An app that is registered in the meantime violates the unique index instead. The lock permits rows that refer to
    // an app to be inserted: a consent that is stored in the meantime does not wait for the caller.
    execute(
        "SELECT FROM pinterest.app a WHERE a.owner OPERATOR(pinterest.=) $1 OR a.owner OPERATOR(pinterest.=) $2 \
         ORDER BY a.app_id FOR NO KEY UPDATE",
        &[from.parameter(), to.parameter()],
    )?;
    refuse_duplicates(from, to)?;
    // Authorizations under way have to be started again: their states were given to the old owner.
    execute("DELETE FROM pinterest.oauth_state WHERE owner OPERATOR(pinterest.=) $1", &[from.parameter()])?;
    let apps = affected(
        "UPDATE pinterest.app SET owner = $2 WHERE owner OPERATOR(pinterest.=) $1",
        &[from.parameter(), to.parameter()],
    )?;
    let accounts = write(
        "UPDATE pinterest.account SET owner = $2 WHERE owner OPERATOR(pinterest.=) $1 \
         RETURNING account_id, status IN ('connected', 'refresh_uncertain')",
        &[from.parameter(), to.parameter()],
        |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
    )?;
    for &(account_id, usable) in &accounts {
        give_rows(account_id, to)?;
        if usable {
            import::unpark(account_id)?;
        }
    }
    let columns = read(
        "SELECT c.tracked_column_id FROM pinterest.tracked_column c WHERE c.owner OPERATOR(pinterest.=) $1 ORDER BY 1",
        &[from.parameter()],
        |row| row.get::<i64>(1),
    )?;
    let mut moved = Vec::new();
    for id in columns {
        if trigger::relation(id)?.is_none() {
            moved.push(id);
        }
    }
    let tracked_columns = affected(
        "UPDATE pinterest.tracked_column SET owner = $2, problem = NULL, problem_code = NULL, problem_hint = NULL, \
         next_attempt_at = clock_timestamp() WHERE tracked_column_id = ANY ($1)",
        &[moved.into(), to.parameter()],
    )?;
    let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(Transferred { apps: count(apps), accounts: count(accounts.len()), tracked_columns: count(tracked_columns) })
}

/// Gives the rows that were imported through an account to its owner. Insertions that have read the account's owner lock
/// its row, see [`account::owner_of_rows`](super::account::owner_of_rows): the caller has changed it, and so waited for them.
fn give_rows(account_id: i64, owner: &Owner) -> Result<(), Failure> {
    if !extension::rows_have_owners()? {
        // ALTER EXTENSION UPDATE will add the column, and fill it from the accounts.
        return Ok(());
    }
    for table in TABLES {
        execute(
            &format!(
                "UPDATE pinterest.{table} r SET owner = $2 \
                 WHERE r.account_id = $1 AND r.owner OPERATOR(pinterest.<>) $2"
            ),
            &[account_id.into(), owner.parameter()],
        )?;
    }
    Ok(())
}

/// Gives the rows of a restored dump of version 0.0.1, in which they have no owner, to the owners of their accounts.
pub fn own_restored() -> Result<(), Failure> {
    if !extension::rows_have_owners()? {
        return Ok(());
    }
    let mut accounts = BTreeSet::new();
    // In each table: an import of before may have given some of an account's rows their owner.
    for table in TABLES {
        accounts.extend(read(
            &format!(
                "SELECT DISTINCT r.account_id FROM pinterest.{table} r \
                 WHERE r.owner OPERATOR(pinterest.=) 'restored (missing)'"
            ),
            &[],
            |row| row.get::<i64>(1),
        )?);
    }
    for account_id in accounts {
        give_rows(account_id, &owner_of_rows(account_id)?)?;
    }
    Ok(())
}

fn refuse_duplicates(from: &Owner, to: &Owner) -> Result<(), Failure> {
    let apps = read(
        "SELECT a.name FROM pinterest.app a \
         WHERE a.owner OPERATOR(pinterest.=) $1 OR a.owner OPERATOR(pinterest.=) $2 \
         GROUP BY a.name HAVING count(*) > 1 ORDER BY a.name LIMIT 1",
        &[from.parameter(), to.parameter()],
        |row| row.get::<String>(1),
    )?;
    if let Some(name) = apps.first() {
        return Err(Failure::new(
            Kind::Duplicate,
            format!("\"{from}\" and \"{to}\" each have an app named \"{name}\""),
        )
        .with_hint("A superuser can rename one of them: UPDATE pinterest.app SET name = … WHERE app_id = …."));
    }
    let accounts = read(
        "SELECT min(a.account_id), max(a.account_id) FROM pinterest.account a \
         WHERE (a.owner OPERATOR(pinterest.=) $1 OR a.owner OPERATOR(pinterest.=) $2) \
         AND a.app_id IS NOT NULL AND a.pinterest_user_id IS NOT NULL \
         GROUP BY a.app_id, a.pinterest_user_id HAVING count(*) > 1 LIMIT 1",
        &[from.parameter(), to.parameter()],
        |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?)),
    )?;
    match accounts.first() {
        None => Ok(()),
        Some((first, second)) => Err(Failure::new(
            Kind::Duplicate,
            format!("accounts {first} and {second} belong to the same Pinterest user and the same app"),
        )
        .with_hint("Delete one of them with pinterest_disconnect(account_id, purge => true).")),
    }
}

/// The rows of one owner that is not a role.
#[derive(Clone, Debug)]
pub struct Ownerless {
    /// The owner, as an argument of pinterest_reassign().
    pub owner: String,
    /// Apps.
    pub apps: i64,
    /// Accounts.
    pub accounts: i64,
    /// Tracked columns.
    pub tracked_columns: i64,
}

/// The rows of roles that have been dropped, or that did not exist when a dump was restored.
pub fn ownerless() -> Result<Vec<Ownerless>, Failure> {
    read(
        "SELECT o.owner, sum(o.apps)::int8, sum(o.accounts)::int8, sum(o.tracked_columns)::int8 FROM ( \
             SELECT a.owner::text, 1, 0, 0 FROM pinterest.app a WHERE pinterest.owner_is_gone(a.owner) \
             UNION ALL SELECT a.owner::text, 0, 1, 0 FROM pinterest.account a WHERE pinterest.owner_is_gone(a.owner) \
             UNION ALL SELECT c.owner::text, 0, 0, 1 FROM pinterest.tracked_column c WHERE pinterest.owner_is_gone(c.owner) \
         ) AS o(owner, apps, accounts, tracked_columns) GROUP BY o.owner ORDER BY o.owner",
        &[],
        |row| {
            Ok(Ownerless { owner: row.get(1)?, apps: row.get(2)?, accounts: row.get(3)?, tracked_columns: row.get(4)? })
        },
    )
}

/// Parks the imports of accounts whose owner is gone, because no role could see or cancel them. Their tokens are still
/// refreshed. Returns the number of accounts.
pub fn park_ownerless() -> Result<usize, Failure> {
    // A loose index scan: one probe per owner, however many accounts each has. The accounts of those that are gone are
    // searched for each, because the planner expects many such owners.
    let accounts = read(
        "WITH RECURSIVE owners AS ( \
         (SELECT a.owner FROM pinterest.account a ORDER BY a.owner LIMIT 1) UNION ALL \
         SELECT (SELECT a.owner FROM pinterest.account a WHERE a.owner OPERATOR(pinterest.>) o.owner \
             ORDER BY a.owner LIMIT 1) FROM owners o WHERE o.owner IS NOT NULL), \
         gone AS MATERIALIZED (SELECT o.owner FROM owners o WHERE o.owner IS NOT NULL \
             AND pinterest.owner_is_gone(o.owner)) \
         SELECT a.account_id FROM gone g CROSS JOIN LATERAL (SELECT a.account_id FROM pinterest.account a \
             WHERE a.owner OPERATOR(pinterest.=) g.owner AND EXISTS (SELECT FROM pinterest.import i \
                 WHERE i.account_id = a.account_id \
                 AND i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access')) OFFSET 0) AS a \
         ORDER BY a.account_id LIMIT 100",
        &[],
        |row| row.get::<i64>(1),
    )?;
    for &account_id in &accounts {
        import::requeue_running(account_id)?;
        import::park(
            account_id,
            "the role that owns the account does not exist; pinterest_reassign() transfers the account",
        )?;
    }
    Ok(accounts.len())
}
