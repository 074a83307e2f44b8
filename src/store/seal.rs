//! Sealed secrets in all tables: the keys that they name, and their re-encryption, batch by batch.

use super::{execute, params, read, write};
use crate::errors::Failure;

/// Secrets that were sealed with one key.
pub struct SealedWith {
    /// The key's fingerprint, 16 hex digits.
    pub fingerprint: String,
    /// Their number.
    pub secrets: i64,
}

/// The keys of sealed secrets, with their numbers. Bytes 3 to 10 of a sealed secret are the fingerprint, see
/// `pinterest::seal`.
pub fn by_key() -> Result<Vec<SealedWith>, Failure> {
    read(
        "SELECT encode(substr(s.sealed, 3, 8), 'hex'), count(*) FROM ( \
             SELECT t.access_token AS sealed FROM pinterest.token t UNION ALL \
             SELECT t.refresh_token FROM pinterest.token t UNION ALL \
             SELECT t.previous_refresh_token FROM pinterest.token t UNION ALL \
             SELECT w.access_token FROM pinterest.token_answer w UNION ALL \
             SELECT w.refresh_token FROM pinterest.token_answer w UNION ALL \
             SELECT w.previous_refresh_token FROM pinterest.token_answer w UNION ALL \
             SELECT p.client_secret FROM pinterest.app p) AS s \
         WHERE s.sealed IS NOT NULL GROUP BY 1 ORDER BY 1",
        &[],
        |row| Ok(SealedWith { fingerprint: row.get(1)?, secrets: row.get(2)? }),
    )
}

/// A row to be re-encrypted.
pub struct SealedRow {
    /// The account's or app's id.
    pub id: i64,
    /// Bound into the sealed bytes; 0 for an app.
    pub generation: i64,
    /// Access, refresh and previous refresh token; or the client secret alone.
    pub secrets: [Option<Vec<u8>>; 3],
}

/// A table with sealed secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedTable {
    /// pinterest.token.
    Tokens,
    /// pinterest.app.
    Apps,
}

/// The next rows after the id `after`, at most `limit`, with a secret that is sealed with one of `keys`; locked.
pub fn batch(place: SealedTable, after: i64, keys: &[String], limit: i64) -> Result<Vec<SealedRow>, Failure> {
    let statement = match place {
        SealedTable::Tokens => {
            "SELECT t.account_id, t.generation, t.access_token, t.refresh_token, t.previous_refresh_token \
             FROM pinterest.token t WHERE t.account_id > $1 AND ( \
                 encode(substr(t.access_token, 3, 8), 'hex') = ANY ($2) \
                 OR encode(substr(t.refresh_token, 3, 8), 'hex') = ANY ($2) \
                 OR encode(substr(t.previous_refresh_token, 3, 8), 'hex') = ANY ($2)) \
             ORDER BY t.account_id LIMIT $3 FOR UPDATE"
        }
        SealedTable::Apps => {
            "SELECT p.app_id, 0::int8, p.client_secret, NULL::bytea, NULL::bytea FROM pinterest.app p \
             WHERE p.app_id > $1 AND encode(substr(p.client_secret, 3, 8), 'hex') = ANY ($2) \
             ORDER BY p.app_id LIMIT $3 FOR UPDATE"
        }
    };
    write(statement, &params![after, keys.to_vec(), limit], |row| {
        Ok(SealedRow {
            id: row.get(1)?,
            generation: row.get(2)?,
            secrets: [row.maybe(3)?, row.maybe(4)?, row.maybe(5)?],
        })
    })
}

/// Stores the re-encrypted secrets of a row that [`batch`] locked in this transaction.
pub fn put_back(place: SealedTable, row: SealedRow) -> Result<(), Failure> {
    let [first, second, third] = row.secrets;
    match place {
        SealedTable::Tokens => execute(
            "UPDATE pinterest.token SET access_token = $2, refresh_token = $3, previous_refresh_token = $4 \
             WHERE account_id = $1",
            &params![row.id, first, second, third],
        )?,
        SealedTable::Apps => {
            execute("UPDATE pinterest.app SET client_secret = $2 WHERE app_id = $1", &params![row.id, first])?
        }
    };
    Ok(())
}
