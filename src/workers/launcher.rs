//! The launcher: connected to no database, it starts a worker in each that may hold the extension, again after it has
//! left. A worker that finds nothing to do leaves soon, so this is the clock by which resting databases are looked at.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::process;
use super::registry::{Sent, Starting, Worker, served_databases};
use super::transaction;
use crate::errors::Failure;
use crate::threads;

/// Between looks at the list of databases.
const ROUND: Duration = Duration::from_secs(60);
/// Between two looks at the least.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);
/// After a worker's start was announced: only now is it to be seen among the processes.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// A worker that ended after less than this found nothing to do, or failed.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Back-off after short lives: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// What the launcher remembers of a database.
struct Visit {
    starting: Option<(Starting, Instant)>,
    next: Instant,
    pause: Duration,
    /// A worker was there at the last look.
    served: bool,
}

/// Entry point of the launcher.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_launcher_main(_argument: pg_sys::Datum) {
    process::begin(None);
    if Worker::Launcher.is_superfluous() {
        return;
    }
    process::show_activity(None);
    // SAFETY: a plain read of a process-wide variable.
    let own = unsafe { pg_sys::MyProcPid };
    let mut visits: HashMap<pg_sys::Oid, Visit> = HashMap::new();
    let mut out_of_slots = false;
    // By a worker that starts or has ended.
    let mut woken = false;
    loop {
        if process::take_reload() {
            visits.clear();
        }
        let now = Instant::now();
        match transaction::run(connectable_databases) {
            Ok(databases) => {
                visits.retain(|oid, _| databases.contains(oid));
                for oid in databases {
                    visits.entry(oid).or_insert(Visit { starting: None, next: now, pause: BACKOFF.0, served: false });
                }
            }
            Err(failure) => pgrx::log!("pg_pinterest: cannot list the databases: {failure}"),
        }
        let served = served_databases();
        for (oid, visit) in &mut visits {
            let left = std::mem::replace(&mut visit.served, served.contains(oid)) && !visit.served;
            if left && visit.starting.is_none() {
                // One that a call had started: it may have been terminated at work, or left while more was queued.
                visit.next = now;
            }
        }
        let mut due: Vec<_> = visits.iter_mut().filter(|(_, visit)| !visit.served).collect();
        // Those that have waited longest come first: with more databases than slots they take turns.
        due.sort_by_key(|(_, visit)| visit.next);
        let mut full = false;
        for (oid, visit) in due {
            match &visit.starting {
                Some((starting, _)) if starting.pid().is_ok() => continue,
                Some((_, began)) => {
                    visit.pause =
                        if began.elapsed() < SHORT_LIFE { (visit.pause * 2).min(BACKOFF.1) } else { BACKOFF.0 };
                    visit.next = now + visit.pause;
                    visit.starting = None;
                }
                None => {}
            }
            if visit.next <= now && !full {
                match Worker::Database(*oid).start(Sent::ToLook, Some(own)) {
                    Ok(starting) => visit.starting = Some((starting, now)),
                    Err(failure) => {
                        full = true;
                        if !out_of_slots {
                            pgrx::log!("pg_pinterest: {failure}; databases without a worker wait");
                        }
                    }
                }
            }
        }
        out_of_slots = full;
        let pause = visits
            .values()
            .filter(|visit| visit.starting.is_none() && !visit.served)
            .map(|visit| visit.next.saturating_duration_since(now))
            .min()
            .unwrap_or(ROUND)
            .clamp(SHORTEST_ROUND, ROUND);
        woken = threads::wait(None, Some(if woken { SECOND_LOOK } else { pause })).latch;
    }
}

/// Databases that take connections and are no templates.
fn connectable_databases() -> Result<Vec<pg_sys::Oid>, Failure> {
    let mut found = Vec::new();
    // SAFETY: a scan of a shared catalog inside a transaction, as autovacuum's launcher does it; each tuple is read
    // before the next is fetched.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let header = (*tuple).t_data;
            let row = header.cast::<u8>().add(usize::from((*header).t_hoff)).cast::<pg_sys::FormData_pg_database>();
            if (*row).datallowconn && !(*row).datistemplate {
                found.push((*row).oid);
            }
        }
        pg_sys::heap_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    Ok(found)
}
