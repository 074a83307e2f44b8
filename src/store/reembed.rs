//! Images that were embedded by another model than the current one: made pending again, a batch at a time. They keep
//! everything that is stored of them, in particular kept bytes, but lose their embedding at once: half of a board by
//! one model and half by another have no common direction.

use super::clock::now;
use super::{execute, params, write};
use crate::errors::Failure;
use crate::store::import::ClaimedImport;
use crate::store::import_outcome;

/// Images in one transaction, which then takes a few milliseconds.
const BATCH: i64 = 500;

/// Which images.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Those of the pins that are on this board now; they become the import's.
    Board(String),
    /// Those that belong to the import already.
    Import,
}

/// Position in an account's images: the last one that was made pending.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    pin_id: String,
    position: i32,
}

/// Makes the next batch pending, and counts it; the position of its end, or `None` if no image is left. Under the
/// import's lock.
pub fn put_back(claimed: &ClaimedImport, model_id: i64, of: &Scope, after: &Cursor) -> Result<Option<Cursor>, Failure> {
    let board_id = match of {
        Scope::Board(board_id) => Some(board_id.as_str()),
        Scope::Import => None,
    };
    // In the order of the primary key, so that all batches together pass through the account once.
    let places = write(
        "WITH old AS ( \
         SELECT i.pin_id, i.position FROM pinterest.pin_image i WHERE i.account_id = $1 AND (i.pin_id, \
         i.position) > ($4, $5) AND i.state = 'embedded' AND i.model_id <> $3 \
         AND CASE WHEN $6::text IS NULL THEN i.import_id = $2 ELSE EXISTS (SELECT FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.pin_id = i.pin_id AND p.board_id = $6 AND p.removed_at IS NULL) END \
         ORDER BY i.pin_id, i.position LIMIT $7 FOR UPDATE), \
         again AS (UPDATE pinterest.pin_image t SET state = 'pending', import_id = $2, \
             embedding = NULL, model_id = NULL, \
             embedded_at = NULL, attempts = 0, next_attempt_at = $8, claimed_by = NULL, \
             lease_until = NULL, fence = t.fence + 1 FROM old o WHERE t.account_id = $1 AND t.pin_id = o.pin_id \
             AND t.position = o.position RETURNING t.pin_id, t.position) \
         SELECT a.pin_id, a.position FROM again a ORDER BY a.pin_id, a.position",
        &params![
            claimed.account_id,
            claimed.import_id,
            model_id,
            after.pin_id.as_str(),
            after.position,
            board_id,
            BATCH,
            now()
        ],
        |row| Ok(Cursor { pin_id: row.get(1)?, position: row.get(2)? }),
    )?;
    let number = i32::try_from(places.len()).unwrap_or(i32::MAX);
    match of {
        Scope::Board(_) => find(claimed, number)?,
        Scope::Import => import_outcome::subtract_embedded(claimed.account_id, claimed.import_id, number)?,
    }
    Ok(places.into_iter().next_back())
}

/// Adds images to the import's count.
fn find(claimed: &ClaimedImport, number: i32) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET images_total = images_total + $3 WHERE account_id = $1 AND import_id = $2",
        &params![claimed.account_id, claimed.import_id, number],
    )
}
