//! Blames the rows whose tables' code has ended a process, and releases that process' claims.

use std::sync::Arc;

use crate::errors::Failure;
use crate::owner_code;
use crate::postgres::platform;
use crate::store;
use crate::store::track::work;
use crate::workers::jobs::Database;
use crate::workers::registry;

/// Settles the notes of dead processes. Returns the live processes, and whether a row was blamed. The list is for the claims that
/// follow: a row that is claimed by a process not on it is not to blame for that process' end. A process whose note cannot be
/// settled now is on the list, and its note is settled the next time.
pub async fn settle(database: &Database) -> Result<(Arc<[String]>, bool), Failure> {
    let (mut live, left) = database
        .run(|| {
            let live = registry::live_identities();
            // After the list: a process that ends in between is on it, and its note is settled the next time.
            let left = owner_code::notes_of_ended(platform::current_database(), &live);
            Ok((live, left))
        })
        .await?;
    let mut blamed = false;
    for left in left {
        let note = left.clone();
        let settled = database.run(move || {
            store::wait_briefly_for_locks();
            work::settle(&note)
        });
        match settled.await {
            Ok(()) => {
                left.discard();
                blamed |= left.row.is_some();
            }
            // A session may have locked the row. Other columns do not wait for it, but the row's column does.
            Err(_) => {
                let note = left.clone();
                let pause = database.run(move || {
                    store::wait_briefly_for_locks();
                    work::pause_unsettled(&note)
                });
                // If this fails, the next check tries again.
                let _ = pause.await;
                live.push(left.identity);
            }
        }
    }
    Ok((live.into(), blamed))
}
