//! What a role owns, whatever table it lies in: handing it over, and finding what is left of roles that are gone.

use super::track::trigger;
use super::{affected, execute, import, read, write};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;

/// What changed hands.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandedOver {
    /// Apps.
    pub apps: i64,
    /// Accounts, with all that was imported through them.
    pub accounts: i64,
    /// Tracked columns.
    pub tracked_columns: i64,
}

/// Hands over to a role what another owns: all of it, or nothing where that would make two of one. Tracked columns of
/// tables that still belong to the old owner stay with their tables.
pub fn hand_over(from: &Owner, to: &Owner) -> Result<HandedOver, Failure> {
    // An app registered meanwhile breaks the unique index instead. The lock lets rows that refer to an app be inserted: a
    // consent that is stored meanwhile does not wait for the caller.
    execute(
        "SELECT FROM pinterest.app a WHERE a.owner OPERATOR(pinterest.=) $1 OR a.owner OPERATOR(pinterest.=) $2 \
         ORDER BY a.app_id FOR NO KEY UPDATE",
        &[from.parameter(), to.parameter()],
    )?;
    refuse_twins(from, to)?;
    // Their users begin anew: a state was promised to the old owner's browser.
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
    Ok(HandedOver { apps: count(apps), accounts: count(accounts.len()), tracked_columns: count(tracked_columns) })
}

fn refuse_twins(from: &Owner, to: &Owner) -> Result<(), Failure> {
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
        .with_hint(
            "A superuser can give one of them another name: UPDATE pinterest.app SET name = … WHERE app_id = ….",
        ));
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
            format!("accounts {first} and {second} are the same user's through the same app"),
        )
        .with_hint("pinterest_disconnect(account_id, purge => true) erases one of them.")),
    }
}

/// What one owner that is no role has.
#[derive(Clone, Debug)]
pub struct Ownerless {
    /// As pinterest_reassign() takes it.
    pub owner: String,
    /// Apps.
    pub apps: i64,
    /// Accounts.
    pub accounts: i64,
    /// Tracked columns.
    pub tracked_columns: i64,
}

/// What belongs to roles that are gone, or that were missing when a dump was restored.
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

/// Parks the imports of accounts whose owner is gone: nobody could see or end them. Their tokens are refreshed all the
/// same. How many accounts that concerned.
pub fn park_ownerless() -> Result<usize, Failure> {
    let accounts = read(
        "SELECT a.account_id FROM pinterest.account a WHERE pinterest.owner_is_gone(a.owner) \
         AND EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = a.account_id \
             AND i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access')) ORDER BY a.account_id LIMIT 100",
        &[],
        |row| row.get::<i64>(1),
    )?;
    for &account_id in &accounts {
        import::requeue_running(account_id)?;
        import::park(
            account_id,
            "the role that owned the account is gone; pinterest_reassign() hands the account over",
        )?;
    }
    Ok(accounts.len())
}
