//! The counters behind the views pinterest.stat_….

use super::Finding;
use crate::errors::Failure;
use crate::postgres::identity::as_worker;
use crate::postgres::platform;
use crate::{statistics, store};

pub fn counters() -> Result<Finding, Failure> {
    if let Err(failure) = statistics::attach() {
        let hint = "Add pg_pinterest to shared_preload_libraries, which requires a restart.".to_owned();
        return Ok(Finding::Advice(format!("not kept, shared memory has no room for them: {failure}"), hint));
    }
    if statistics::is_full() {
        return Ok(Finding::Note(
            "not kept for this database, because too many others have some; its views show NULL".to_owned(),
        ));
    }
    let tracked = as_worker(store::statistics::tracked_column_ids)?;
    if tracked.into_iter().any(|id| statistics::tracked(id).is_none()) {
        return Ok(Finding::Note(
            "not kept for some tracked columns, because too many others have some: pinterest.stat_tracked shows NULL"
                .to_owned(),
        ));
    }
    Ok(if platform::is_preloaded() {
        Finding::Good("kept in shared memory, also over a clean restart of the server".to_owned())
    } else {
        Finding::Note("kept in shared memory until the server stops, because the library is not preloaded".to_owned())
    })
}
