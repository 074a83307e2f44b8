//! What processes left that ended while they ran code of a table's owner.

use std::sync::Arc;

use crate::errors::Failure;
use crate::platform;
use crate::store::track::work;
use crate::trial;
use crate::workers::bridge::Database;
use crate::workers::registry;

/// The processes that live, once what the others left is settled; and whether anything was. The list is for the claims
/// that follow: a row that is claimed by nobody on it is not to blame for its claimer's end.
pub async fn settle(database: &Database) -> Result<(Arc<[String]>, bool), Failure> {
    let (live, left) = database
        .run(|| {
            let live = registry::live_identities();
            // After the list: who ends in between counts as alive, and is settled the next time.
            let left = trial::left_by_the_dead(platform::current_database(), &live);
            left.iter().try_for_each(work::settle)?;
            Ok((live, left))
        })
        .await?;
    left.iter().for_each(trial::Left::discard);
    let blamed = left.iter().any(|left| left.on_trial.is_some());
    Ok((live.into(), blamed))
}
