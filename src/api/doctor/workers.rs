//! Background workers, and transactions that hold them up.

use super::Finding;
use crate::errors::Failure;
use crate::postgres::platform;
use crate::store::databases;
use crate::workers::pause;
use crate::workers::registry::{self, Worker};

/// Seconds after which a silent main loop of a worker is a problem; none of its steps should take as long.
const SILENCE: f64 = 10.0;
/// Seconds after which an open transaction is reported: it holds up claims of work and VACUUM.
const OLD: f64 = 30.0;
/// Seconds for which a worker that could not be started is reported.
const RECENT: f64 = 600.0;

pub fn launcher() -> Result<Finding, Failure> {
    Ok(running(Worker::Launcher, "starts with the first call that needs it"))
}

pub fn worker() -> Result<Finding, Failure> {
    if let Err(paused) = pause::refuse() {
        let hint = paused.hint().unwrap_or_default().to_owned();
        return Ok(Finding::Advice("paused: queued work waits".to_owned(), hint));
    }
    let own = Worker::Database(platform::current_database());
    let all = own.running().into_iter().chain(Worker::Tracking(platform::current_database()).running());
    let silent = all.filter_map(|found| Some((found.pid, found.silent_for()?)));
    Ok(match silent.max_by(|one, other| one.1.total_cmp(&other.1)).filter(|(_, seconds)| *seconds > SILENCE) {
        Some((pid, seconds)) => Finding::Bad(
            format!("process {pid} has not responded for {seconds:.0} seconds"),
            "See pg_stat_activity for the reason. pg_terminate_backend() ends it, and another worker continues its work."
                .to_owned(),
        ),
        None => running(own, "none: starts if there is work, ends a while later"),
    })
}

fn running(worker: Worker, otherwise: &str) -> Finding {
    match worker.running().first() {
        Some(instance) => Finding::Good(format!("process {}", instance.pid)),
        None => Finding::Note(otherwise.to_owned()),
    }
}

pub fn slots() -> Result<Finding, Failure> {
    let (used, all) = registry::background_workers();
    let text = format!("{used} of {all} background worker slots are in use");
    let hint = || "Raise max_worker_processes, which requires a restart.".to_owned();
    Ok(match registry::last_refusal().filter(|seconds| *seconds < RECENT) {
        _ if used >= all => Finding::Bad(format!("{text}: no other worker can start"), hint()),
        Some(seconds) => {
            Finding::Advice(format!("{text}; {seconds:.0} seconds ago none was free for a worker"), hint())
        }
        None => Finding::Good(text),
    })
}

/// Those that the caller may see.
pub fn transactions() -> Result<Finding, Failure> {
    let old = databases::old_transactions(OLD)?;
    let Some(oldest) = old.first() else {
        return Ok(Finding::Good(format!("none has been open for more than {OLD:.0} seconds")));
    };
    let role = oldest.role.as_deref().unwrap_or("no role");
    let owner = match (oldest.pid, &oldest.prepared_as) {
        (Some(pid), _) => format!("process {pid} of {role}"),
        (None, Some(gid)) => format!("prepared transaction \"{gid}\" of {role}"),
        (None, None) => role.to_owned(),
    };
    let others = if old.len() > 1 { format!(", and {} others", old.len() - 1) } else { String::new() };
    Ok(Finding::Advice(
        format!(
            "{owner} has had a transaction open for {:.0} seconds{others}: dead rows cannot be removed, which slows workers",
            oldest.age
        ),
        "End it, or limit such transactions by idle_in_transaction_session_timeout: pg_terminate_backend() for a process, \
         ROLLBACK PREPARED for a prepared transaction."
            .to_owned(),
    ))
}
