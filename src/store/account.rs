//! `pinterest.account`: connected accounts.

use super::{affected, execute, is_true, params, read, read_optional, row_as, write, write_one, write_optional};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;

/// The status of an account that must be reconnected by its user.
pub const NEEDS_REAUTH: &str = "needs_reauth";

/// The account that the caller means: the given one, otherwise the only one. Runs with the caller's rights.
///
/// For another role's account and for one that does not exist the error is the same.
pub fn resolve(owner: &Owner, account_id: Option<i64>) -> Result<i64, Failure> {
    if let Some(account_id) = account_id {
        return read_optional(
            "SELECT a.account_id FROM pinterest.account a WHERE a.account_id = $1",
            &params![account_id],
            |row| row.get(1),
        )?
        .ok_or_else(|| {
            Failure::new(Kind::NotYours, format!("account {account_id} does not exist or belongs to another role"))
        });
    }
    // A nameless account may be the same person's as another row, so it does not count beside one.
    let ids = read(
        "SELECT a.account_id FROM pinterest.account a WHERE a.owner OPERATOR(pinterest.=) $1 \
         AND a.status <> 'disconnected' AND (a.identity_due IS NULL OR NOT EXISTS ( \
             SELECT FROM pinterest.account o WHERE o.owner OPERATOR(pinterest.=) $1 AND o.status <> 'disconnected' \
             AND (o.identity_due IS NULL OR o.account_id < a.account_id))) ORDER BY a.account_id",
        &[owner.parameter()],
        |row| row.get::<i64>(1),
    )?;
    match ids.as_slice() {
        [only] => Ok(*only),
        [] => Err(Failure::new(Kind::NotFound, "you have no connected account").with_hint(
            "Connect one: open the URL that pinterest_authorize_url() returns, then call pinterest_connect(code, \
             state).",
        )),
        several => {
            Err(Failure::new(Kind::BadArgument, format!("you have {} accounts: account_id is required", several.len()))
                .with_hint("SELECT * FROM pinterest.accounts lists them."))
        }
    }
}

/// Inserts the account, or finds the one that the same user connected through the same app before.
pub fn upsert(
    owner: &Owner,
    app_id: Option<i64>,
    user_id: Option<&str>,
    username: Option<&str>,
    scopes: &[String],
    requested: &[String],
) -> Result<i64, Failure> {
    write_one(
        "INSERT INTO pinterest.account AS a (owner, app_id, pinterest_user_id, username, scopes, scopes_requested) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, app_id, pinterest_user_id) DO UPDATE SET \
         username = EXCLUDED.username, scopes = EXCLUDED.scopes, scopes_requested = EXCLUDED.scopes_requested, \
         status = 'connected', cause = NULL, status_since = clock_timestamp(), connected_at = clock_timestamp() \
         RETURNING a.account_id",
        &params![owner.parameter(), app_id, user_id, username, scopes.to_vec(), requested.to_vec()],
        |row| row.get(1),
    )
}

/// Inserts the account of a person who has just consented and whose name is not known yet. It is always a row of its
/// own, so that no lock held by another session keeps it and its tokens from being stored.
pub fn insert_nameless(owner: &Owner, app_id: i64, scopes: &[String], requested: &[String]) -> Result<i64, Failure> {
    write_one(
        "INSERT INTO pinterest.account AS a (owner, app_id, scopes, scopes_requested, identity_due) \
         VALUES ($1, $2, $3, $4, clock_timestamp() + '30 seconds'::interval) RETURNING a.account_id",
        &params![owner.parameter(), app_id, scopes.to_vec(), requested.to_vec()],
        |row| row.get(1),
    )
}

/// The owner of an account, for rows that are inserted or updated in the current transaction. The lock lets a transfer
/// of the account to another owner wait for the end of it, so that the transfer finds these rows.
///
/// # Errors
///
/// The account does not exist.
pub fn owner_of_rows(account_id: i64) -> Result<Owner, Failure> {
    write_optional(
        "SELECT a.owner FROM pinterest.account a WHERE a.account_id = $1 FOR KEY SHARE",
        &params![account_id],
        |row| row.get(1),
    )?
    .ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}

/// Accounts whose person is to be asked for now. Puts off the next time for each, since the caller asks.
pub fn nameless() -> Result<Vec<i64>, Failure> {
    write(
        "UPDATE pinterest.account a SET identity_due = clock_timestamp() \
             + LEAST('1 hour'::interval, '15 seconds'::interval + (clock_timestamp() - a.connected_at)) \
         FROM (SELECT o.account_id FROM pinterest.account o WHERE o.identity_due <= clock_timestamp() \
               AND o.status IN ('connected', 'refresh_uncertain') \
               AND NOT EXISTS (SELECT FROM pinterest.app p WHERE p.app_id = o.app_id \
                   AND p.access_refused_since IS NOT NULL \
                   AND (p.access_probe_at > clock_timestamp() OR p.access_probe_until > clock_timestamp())) \
                   LIMIT 10 FOR NO KEY UPDATE SKIP LOCKED) AS due \
         WHERE a.account_id = due.account_id RETURNING a.account_id",
        &[],
        |row| row.get(1),
    )
}

/// The other account of the same owner and app that is known to be this person's, if there is one, with both rows
/// locked; `None` if `account_id` has a name already or does not exist.
pub fn account_of_same_person(account_id: i64, user_id: &str) -> Result<Option<Option<i64>>, Failure> {
    let rows = write(
        "SELECT a.account_id, a.identity_due IS NOT NULL FROM pinterest.account a, pinterest.account n \
         WHERE n.account_id = $1 AND (a.account_id = $1 \
             OR a.owner OPERATOR(pinterest.=) n.owner AND a.app_id = n.app_id AND a.pinterest_user_id = $2) \
         ORDER BY a.account_id FOR NO KEY UPDATE OF a",
        &params![account_id, user_id],
        |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
    )?;
    if !rows.contains(&(account_id, true)) {
        return Ok(None);
    }
    Ok(Some(rows.into_iter().map(|(id, _)| id).find(|&id| id != account_id)))
}

/// The account of this person beside a nameless one, if there is one; nothing is locked.
pub fn beside(account_id: i64, user_id: &str) -> Result<Option<i64>, Failure> {
    read_optional(
        "SELECT a.account_id FROM pinterest.account a JOIN pinterest.account n ON n.account_id = $1 \
         WHERE a.owner OPERATOR(pinterest.=) n.owner AND a.app_id = n.app_id AND a.pinterest_user_id = $2",
        &params![account_id, user_id],
        |row| row.get(1),
    )
}

/// Whether the account was connected more than a day ago.
pub fn is_older_than_a_day(account_id: i64) -> Result<bool, Failure> {
    is_true(
        "SELECT a.connected_at < clock_timestamp() - '1 day'::interval FROM pinterest.account a \
         WHERE a.account_id = $1",
        &params![account_id],
    )
}

/// Records whose account it is, or, without a user, that this cannot be found out.
pub fn identify(account_id: i64, user: Option<(&str, Option<&str>)>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET pinterest_user_id = $2, username = COALESCE($3, username), identity_due = NULL \
         WHERE account_id = $1 AND identity_due IS NOT NULL",
        &params![account_id, user.map(|user| user.0), user.and_then(|user| user.1)],
    )?;
    super::import::release_held(account_id)
}

/// Copies to the known account what the same person's consent for a nameless account brought in addition to tokens.
pub fn renew(nameless: i64, known: i64, username: Option<&str>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account a SET status = 'connected', cause = NULL, \
         status_since = CASE a.status WHEN 'connected' THEN a.status_since ELSE clock_timestamp() END, \
         username = $3, scopes = n.scopes, scopes_requested = n.scopes_requested, connected_at = n.connected_at \
         FROM pinterest.account n WHERE a.account_id = $2 AND n.account_id = $1",
        &params![nameless, known, username],
    )
}

/// Merges a nameless account into the known one of the same person: the known one's id and everything imported through
/// it stay, and imports requested through the nameless one continue there.
pub fn merge(nameless: i64, known: i64) -> Result<(), Failure> {
    // Nothing was imported through it while it had no name.
    execute(
        "UPDATE pinterest.import SET account_id = $2, due = CASE WHEN state = 'queued' THEN false END \
         WHERE account_id = $1 AND state <> 'running' AND fence = 0",
        &params![nameless, known],
    )?;
    erase(nameless)
}

/// Locks the account's row; its status, `None` if it does not exist. A transaction that locks the tokens' row as well
/// does so after this.
pub fn lock(account_id: i64) -> Result<Option<String>, Failure> {
    write_optional(
        "SELECT a.status FROM pinterest.account a WHERE a.account_id = $1 FOR NO KEY UPDATE",
        &params![account_id],
        |row| row.get(1),
    )
}

/// Shows the result of the last attempt to refresh, unless the user must reconnect by now.
pub fn show_attempt(account_id: i64, uncertain: bool, cause: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET cause = $3, status = CASE WHEN $2 THEN 'refresh_uncertain' ELSE status END, \
         status_since = CASE WHEN $2 AND status <> 'refresh_uncertain' THEN clock_timestamp() ELSE status_since END \
         WHERE account_id = $1 AND status IN ('connected', 'refresh_uncertain')",
        &params![account_id, uncertain, cause],
    )
}

/// Marks an account as connected that got new tokens by `pinterest_store_token()`.
pub fn reconnect(account_id: i64, app_id: Option<i64>, scopes: &[String]) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET status = 'connected', cause = NULL, status_since = clock_timestamp(), \
         app_id = COALESCE($2, app_id), scopes = CASE WHEN cardinality($3) = 0 \
         THEN scopes ELSE $3 END, connected_at = clock_timestamp() \
         WHERE account_id = $1",
        &params![account_id, app_id, scopes.to_vec()],
    )
}

/// Marks an account that must be reconnected: parks its waiting imports and notifies listeners of the id alone. The
/// caller holds the lock of the tokens' row and has compared their generation, since a reconnect may have stored newer
/// ones.
pub fn needs_reauth(account_id: i64, cause: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET cause = $3, status = $2, \
         status_since = CASE status WHEN $2 THEN status_since ELSE clock_timestamp() END WHERE account_id = $1",
        &params![account_id, NEEDS_REAUTH, cause],
    )?;
    super::token::rest(account_id)?;
    super::import::park(account_id, cause)?;
    execute("SELECT pg_notify('pinterest_needs_reauth', $1::text)", &params![account_id])
}

/// Applies a stored response to the account's row: connected, with these scopes. Returns the account's app, `None` if
/// there is nothing to settle.
pub fn settle(account_id: i64) -> Result<Option<Option<i64>>, Failure> {
    // The account's row is locked first, as everywhere.
    lock(account_id)?;
    let found = write_optional(
        "SELECT a.app_id FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE t.account_id = $1 AND t.unsettled FOR NO KEY UPDATE OF t",
        &params![account_id],
        |row| row.maybe::<i64>(1),
    )?;
    let Some(app_id) = found else { return Ok(None) };
    execute(
        "UPDATE pinterest.account a SET status = 'connected', cause = NULL, \
         status_since = CASE a.status WHEN 'connected' THEN a.status_since ELSE clock_timestamp() END, \
         scopes = CASE WHEN cardinality(t.granted_scopes) = 0 THEN a.scopes ELSE t.granted_scopes END \
         FROM pinterest.token t WHERE a.account_id = $1 AND t.account_id = $1",
        &params![account_id],
    )?;
    Ok(Some(app_id))
}

/// Lets the account's parked imports continue; this completes the settling.
pub fn settle_imports(account_id: i64) -> Result<(), Failure> {
    super::import::unpark(account_id)?;
    super::token::settled(account_id)
}

/// Whether the user must reconnect: the account's status states that, or it still has the tokens of the generation that
/// was refused. Its row stays locked, as for [`needs_reauth`] and a connect.
pub fn needs_its_user(account_id: i64, refused: Option<i64>) -> Result<bool, Failure> {
    super::wait_briefly_for_locks();
    lock(account_id)?;
    let found = read_optional(
        "SELECT a.status NOT IN ('connected', 'refresh_uncertain') OR COALESCE(t.generation = $2, false) \
         FROM pinterest.account a LEFT JOIN pinterest.token t USING (account_id) WHERE a.account_id = $1",
        &params![account_id, refused],
        |row| row.get::<bool>(1),
    )?;
    Ok(found != Some(false))
}

/// Pauses the account's imports or lets them continue; true if that changed anything.
pub fn pause(account_id: i64, pause: bool) -> Result<bool, Failure> {
    let changed = affected(
        "UPDATE pinterest.account SET paused_at = CASE WHEN $2 THEN clock_timestamp() END \
         WHERE account_id = $1 AND (paused_at IS NOT NULL) <> $2",
        &params![account_id, pause],
    )?;
    Ok(changed > 0)
}

/// Counts of what a disconnect deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Erased {
    /// Tokens of every kind: access, refresh and previous refresh token.
    pub tokens: i64,
    /// Boards.
    pub boards: i64,
    /// Pins.
    pub pins: i64,
    /// Images.
    pub images: i64,
    /// Embeddings among them.
    pub vectors: i64,
    /// Imports, finished and running.
    pub imports: i64,
}

/// Deletes the tokens, or the account with everything imported through it, in the caller's transaction.
pub fn disconnect(account_id: i64, purge: bool) -> Result<Erased, Failure> {
    // First, so that nothing is added to what is counted. It conflicts with the key share lock of a new import, so that
    // none is queued after all others were ended; of the worker's writes it delays only those of this account.
    execute("SELECT FROM pinterest.account WHERE account_id = $1 FOR UPDATE", &params![account_id])?;
    let counts = write_one(
        "WITH gone AS (DELETE FROM pinterest.token t WHERE t.account_id = $1 \
             RETURNING num_nonnulls(t.access_token, t.refresh_token, t.previous_refresh_token) AS tokens) \
         SELECT (SELECT COALESCE(sum(tokens), 0) FROM gone)::int8, \
             (SELECT count(*) FROM pinterest.board WHERE account_id = $1), \
             (SELECT count(*) FROM pinterest.pin WHERE account_id = $1), \
             count(*), count(i.embedding), \
             (SELECT count(*) FROM pinterest.import WHERE account_id = $1) \
         FROM pinterest.pin_image i WHERE i.account_id = $1",
        &params![account_id],
        row_as!(Erased { tokens, boards, pins, images, vectors, imports }),
    )?;
    super::token_answer::forget(account_id)?;
    if purge {
        erase(account_id)?;
        return Ok(counts);
    }
    execute(
        "UPDATE pinterest.account SET status = 'disconnected', cause = NULL, status_since = clock_timestamp() \
         WHERE account_id = $1",
        &params![account_id],
    )?;
    super::import::end_all(account_id, "the account was disconnected")?;
    Ok(Erased { tokens: counts.tokens, ..Erased::default() })
}

/// Deletes the account with everything imported through it. Boards, with all that belongs to them, are deleted by a
/// statement of their own, because they have no foreign key on the account where they are distributed.
fn erase(account_id: i64) -> Result<(), Failure> {
    // Against sessions that insert boards of it meanwhile.
    execute("SELECT FROM pinterest.account a WHERE a.account_id = $1 FOR UPDATE", &params![account_id])?;
    execute("DELETE FROM pinterest.board b WHERE b.account_id = $1", &params![account_id])?;
    execute("DELETE FROM pinterest.account a WHERE a.account_id = $1", &params![account_id])
}
