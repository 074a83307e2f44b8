//! What processes left that ended while they ran code of a table's owner.

use std::sync::Arc;

use crate::errors::Failure;
use crate::owner_code;
use crate::postgres::platform;
use crate::store;
use crate::store::track::work;
use crate::workers::jobs::Database;
use crate::workers::registry;

/// The processes that live, once what the others left is settled; and whether anything was. The list is for the claims
/// that follow: a row that is claimed by nobody on it is not to blame for its claimer's end. A process whose note cannot be
/// settled now counts as alive, and is settled the next time.
pub async fn settle(database: &Database) -> Result<(Arc<[String]>, bool), Failure> {
    let (mut live, left) = database
        .run(|| {
            let live = registry::live_identities();
            // After the list: who ends in between counts as alive, and is settled the next time.
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
            // A session holds the row, perhaps. The others' rows do not wait for it, and its column's do.
            Err(_) => {
                let note = left.clone();
                let pause = database.run(move || {
                    store::wait_briefly_for_locks();
                    work::pause_unsettled(&note)
                });
                // Where even this fails there is another look.
                let _ = pause.await;
                live.push(left.identity);
            }
        }
    }
    Ok((live.into(), blamed))
}
