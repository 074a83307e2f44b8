//! The launcher, which is connected to no database. It starts a worker in each database that may contain the extension, and
//! the next one after a time that depends on the finding of the last one: so idle databases are checked periodically. It
//! also starts workers that commits have requested.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::log::{self, About};
use super::presence::Finding;
use super::registry::{self, Sent, Starting, Worker, served_databases, tracked_databases};
use super::{pause, presence, transaction, worker_process};
use crate::errors::Failure;
use crate::postgres::threads::{self, WaitEvent};
use crate::statistics;

/// Between reads of the list of databases.
const ROUND: Duration = Duration::from_secs(60);
/// The shortest time between two rounds.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);
/// The shortest time between two rounds when commits wake the launcher.
const LEAST_ROUND: Duration = Duration::from_millis(20);
/// After the server has announced a worker's start: it is listed as running only a moment later.
const SECOND_ROUND: Duration = Duration::from_millis(100);
/// After a visit without due work, or that failed: twice the first, doubling up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// Between visits to a database without the extension. A session that creates and uses it starts a worker.
const NO_EXTENSION: Duration = Duration::from_secs(3600);
/// A worker without a finding by now waits for a lock, for example one that keeps all sessions out of its database. A key
/// command may take 10 seconds.
const LONGEST_VISIT: Duration = Duration::from_secs(30);
/// `datconnlimit` of a database after an interrupted DROP DATABASE (pg_database.h, of minor releases since August 2023).
const INVALID_DATABASE: i32 = -2;

/// What the launcher remembers of a database.
struct Visit {
    under_way: Option<UnderWay>,
    next: Instant,
    pause: Duration,
    /// Another one has been requested since this one began, whose worker may have looked before.
    wanted_again: bool,
    /// A database worker ran in the last round.
    served: bool,
    /// A tracking worker ran in the last round.
    tracked: bool,
}

/// A visit that has begun.
struct UnderWay {
    starting: Starting,
    began: Instant,
    /// The number under which its worker reports; none once it has found work.
    number: Option<usize>,
}

impl Visit {
    fn new(now: Instant) -> Self {
        Visit { under_way: None, next: now, pause: BACKOFF.0, wanted_again: false, served: false, tracked: false }
    }

    /// Plans the next visit after one that has ended.
    fn end(&mut self, finding: Finding, now: Instant) {
        self.under_way = None;
        // Its worker may have been listed a moment ago, which must not count as one that a call had started.
        self.served = false;
        self.pause = match finding {
            Finding::NoExtension => NO_EXTENSION,
            // Unknown: it was killed, or could not connect.
            Finding::Idle | Finding::Failed | Finding::Unknown => (self.pause * 2).min(BACKOFF.1),
            Finding::Work | Finding::Terminated => BACKOFF.0,
        };
        self.next = now + self.pause;
        if finding == Finding::NoExtension {
            self.pause = BACKOFF.0;
        }
        if std::mem::take(&mut self.wanted_again) {
            self.is_wanted(now);
        }
    }

    /// The next visit is due at once; earlier findings do not count.
    fn is_wanted(&mut self, now: Instant) {
        (self.next, self.pause) = (now, BACKOFF.0);
        self.wanted_again = self.under_way.is_some();
    }
}

/// Entry point of the launcher.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_launcher_main(_argument: pg_sys::Datum) {
    worker_process::begin(Worker::Launcher);
    if Worker::Launcher.is_superfluous() {
        return;
    }
    worker_process::show_activity(None);
    let mut visits: HashMap<pg_sys::Oid, Visit> = HashMap::new();
    let mut out_of_slots = false;
    let mut is_first_round = true;
    // A worker has started or ended.
    let mut woken = false;
    loop {
        let now = Instant::now();
        if worker_process::take_reload() {
            visits.values_mut().for_each(|visit| visit.is_wanted(now));
        }
        let counted = statistics::seen_databases();
        match transaction::run(databases) {
            Ok(databases) => {
                let all: Vec<_> = databases.iter().map(|database| database.oid.to_u32()).collect();
                statistics::forget_others(&counted, &all);
                if std::mem::take(&mut is_first_round) {
                    let all: Vec<_> = databases.iter().map(|database| database.oid).collect();
                    pause::forget_others(&all);
                }
                let open = |oid: &pg_sys::Oid| databases.iter().any(|one| one.oid == *oid && one.is_open());
                visits.retain(|oid, _| open(oid));
                for database in databases.iter().filter(|database| database.is_open()) {
                    visits.entry(database.oid).or_insert_with(|| Visit::new(now));
                }
            }
            Err(failure) => log::line(About::Server, format_args!("could not list the databases: {failure}")),
        }
        take_wanted(&mut visits, now);
        let (served, tracked) = (served_databases(), tracked_databases());
        for (oid, visit) in &mut visits {
            let mut left = std::mem::replace(&mut visit.served, served.contains(oid)) && !visit.served;
            left |= std::mem::replace(&mut visit.tracked, tracked.contains(oid)) && !visit.tracked;
            if left && visit.served {
                // The database worker checks whether rows of tracked columns wait, and starts another tracking worker.
                registry::wake_all(Worker::Database(*oid));
            } else if left && visit.under_way.is_none() {
                // A call had started it: it may have been terminated at work, or ended while more was queued.
                visit.next = now;
            }
            follow(visit, now);
        }
        let mut numbers: Vec<usize> = (0..presence::VISITS).collect();
        numbers.retain(|number| visits.values().all(|visit| visit.number() != Some(*number)));
        let mut due: Vec<_> =
            visits.iter_mut().filter(|(_, visit)| !visit.served && visit.under_way.is_none()).collect();
        // Those that have waited longest come first, so that all databases take turns.
        due.sort_by_key(|(_, visit)| visit.next);
        let mut full = false;
        for (oid, visit) in due.into_iter().filter(|(_, visit)| visit.next <= now) {
            let Some(number) = numbers.last().copied() else { break };
            // A commit has requested a worker already.
            if presence::expected(Worker::Database(*oid)) > 0 {
                continue;
            }
            match Worker::Database(*oid).visit(number) {
                Ok(Some(starting)) => {
                    numbers.pop();
                    visit.under_way = Some(UnderWay { starting, began: now, number: Some(number) });
                }
                // It pauses after a crash.
                Ok(None) => {}
                Err(failure) => {
                    full = true;
                    if !out_of_slots {
                        log::line(About::Server, format_args!("{failure}; databases without a worker wait"));
                    }
                    break;
                }
            }
        }
        out_of_slots = full;
        let next = visits.values().filter(|visit| !visit.served).map(|visit| match &visit.under_way {
            None => visit.next.saturating_duration_since(now),
            Some(visit) if visit.number.is_some() => SHORTEST_ROUND,
            Some(_) => ROUND,
        });
        let pause = next.min().unwrap_or(ROUND).clamp(SHORTEST_ROUND, ROUND);
        woken = threads::wait(WaitEvent::Main, None, Some(if woken { SECOND_ROUND } else { pause })).latch;
        while let Some(left) = LEAST_ROUND.checked_sub(now.elapsed()).filter(|left| !left.is_zero()) {
            threads::wait(WaitEvent::Main, None, Some(left));
        }
    }
}

impl Visit {
    fn number(&self) -> Option<usize> {
        self.under_way.as_ref()?.number
    }
}

/// Continues a visit that has begun: records its end, and terminates its worker if it takes too long.
fn follow(visit: &mut Visit, now: Instant) {
    let Some(under_way) = &mut visit.under_way else { return };
    // Before the report is read: a worker that has ended has reported.
    let has_ended = under_way.starting.has_ended();
    let finding = under_way.number.map_or(Finding::Work, presence::visited);
    if has_ended {
        visit.end(finding, now);
        return;
    }
    match finding {
        // The number is free for another database.
        Finding::Work => under_way.number = None,
        Finding::Unknown if now - under_way.began > LONGEST_VISIT => under_way.starting.terminate(),
        _ => {}
    }
}

/// Starts the workers that commits have requested since the last round.
fn take_wanted(visits: &mut HashMap<pg_sys::Oid, Visit>, now: Instant) {
    let (wanted, overflow) = presence::take_wanted();
    for worker in wanted {
        match worker {
            Worker::Database(database) => {
                if let Some(visit) = visits.get_mut(&database) {
                    visit.is_wanted(now);
                }
            }
            // If no slot is free, the database worker tries again.
            other => drop(registry::start_unless_coming(other, Sent::ToWork)),
        }
    }
    if overflow {
        visits.values_mut().for_each(|visit| visit.is_wanted(now));
    }
}

/// A row of pg_database.
struct Database {
    oid: pg_sys::Oid,
    takes_connections: bool,
}

impl Database {
    fn is_open(&self) -> bool {
        self.takes_connections && !presence::is_paused(self.oid)
    }
}

fn databases() -> Result<Vec<Database>, Failure> {
    let mut found = Vec::new();
    // SAFETY: a scan of a shared catalog inside a transaction, as in autovacuum's launcher; each tuple is read before the next
    // is fetched.
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
            let takes_connections =
                (*row).datallowconn && !(*row).datistemplate && (*row).datconnlimit != INVALID_DATABASE;
            found.push(Database { oid: (*row).oid, takes_connections });
        }
        pg_sys::heap_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    Ok(found)
}
