//! The launcher: connected to no database, it has a worker look at each that may hold the extension, again after a time
//! that depends on what the last one found. So it is the clock by which resting databases are looked at; and it starts
//! what a commit has asked for in vain.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::outcome::Outcome;
use super::registry::{self, Sent, Starting, Worker, served_databases, tracked_databases};
use super::{pause, presence, transaction, worker_process};
use crate::errors::Failure;
use crate::postgres::threads;

/// Between looks at the list of databases.
const ROUND: Duration = Duration::from_secs(60);
/// Between two looks at the least.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);
/// Between two looks, however many commits find no worker.
const BREATH: Duration = Duration::from_millis(20);
/// After a worker's start was announced: only now is it to be seen among the processes.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// After a look that found nothing due, or failed: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// To a database without the extension. Whoever creates it there and uses it starts a worker.
const FOREIGN: Duration = Duration::from_secs(3600);
/// A worker that has found neither work nor its absence by now waits for a lock that keeps everybody out of its database.
/// A key command may take 10 seconds.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// `datconnlimit` of a database that a DROP DATABASE has left half-done (pg_database.h, of minor releases since August 2023).
const INVALID_DATABASE: i32 = -2;

/// What the launcher remembers of a database.
struct Visit {
    under_way: Option<UnderWay>,
    next: Instant,
    pause: Duration,
    /// A worker was there at the last look.
    served: bool,
    /// One of tracked columns was.
    tracked: bool,
}

/// A look that has begun.
struct UnderWay {
    starting: Starting,
    began: Instant,
    /// Where its worker tells what it finds; none once it has found work.
    place: Option<usize>,
}

impl Visit {
    fn new(now: Instant) -> Self {
        Visit { under_way: None, next: now, pause: BACKOFF.0, served: false, tracked: false }
    }

    /// Draws the consequences of a look that is over.
    fn end(&mut self, outcome: Outcome, now: Instant) {
        self.under_way = None;
        self.pause = match outcome {
            Outcome::Nothing => FOREIGN,
            // Killed, or it could not even connect.
            Outcome::Rested | Outcome::Failed | Outcome::Looking => (self.pause * 2).min(BACKOFF.1),
            Outcome::Serving | Outcome::Told => BACKOFF.0,
        };
        self.next = now + self.pause;
        if outcome == Outcome::Nothing {
            self.pause = BACKOFF.0;
        }
    }

    /// Is asked for: what was found before does not count.
    fn is_wanted(&mut self, now: Instant) {
        (self.next, self.pause) = (now, BACKOFF.0);
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
    // By a worker that starts or has ended.
    let mut woken = false;
    loop {
        let now = Instant::now();
        if worker_process::take_reload() {
            visits.values_mut().for_each(|visit| visit.is_wanted(now));
        }
        match transaction::run(databases) {
            Ok(databases) => {
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
            Err(failure) => pgrx::log!("pg_pinterest: cannot list the databases: {failure}"),
        }
        take_wanted(&mut visits, now);
        let (served, tracked) = (served_databases(), tracked_databases());
        for (oid, visit) in &mut visits {
            let mut left = std::mem::replace(&mut visit.served, served.contains(oid)) && !visit.served;
            left |= std::mem::replace(&mut visit.tracked, tracked.contains(oid)) && !visit.tracked;
            if left && visit.served {
                // The database's worker looks whether rows of tracked columns wait, and starts another.
                registry::wake_all(Worker::Database(*oid));
            } else if left && visit.under_way.is_none() {
                // One that a call had started: it may have been terminated at work, or left while more was queued.
                visit.next = now;
            }
            follow(visit, now);
        }
        let mut places: Vec<usize> = (0..presence::VISITS).collect();
        places.retain(|place| visits.values().all(|visit| visit.place() != Some(*place)));
        let mut due: Vec<_> =
            visits.iter_mut().filter(|(_, visit)| !visit.served && visit.under_way.is_none()).collect();
        // Those that have waited longest come first: with more databases than places they take turns.
        due.sort_by_key(|(_, visit)| visit.next);
        let mut full = false;
        for (oid, visit) in due.into_iter().filter(|(_, visit)| visit.next <= now) {
            let Some(place) = places.last().copied() else { break };
            // One that a commit has asked for looks when it comes.
            if presence::expected(Worker::Database(*oid)) > 0 {
                continue;
            }
            match Worker::Database(*oid).visit(place) {
                Ok(Some(starting)) => {
                    places.pop();
                    visit.under_way = Some(UnderWay { starting, began: now, place: Some(place) });
                }
                // It rests after a crash.
                Ok(None) => {}
                Err(failure) => {
                    full = true;
                    if !out_of_slots {
                        pgrx::log!("pg_pinterest: {failure}; databases without a worker wait");
                    }
                    break;
                }
            }
        }
        out_of_slots = full;
        let next = visits.values().filter(|visit| !visit.served).map(|visit| match &visit.under_way {
            None => visit.next.saturating_duration_since(now),
            Some(look) if look.place.is_some() => SHORTEST_ROUND,
            Some(_) => ROUND,
        });
        let pause = next.min().unwrap_or(ROUND).clamp(SHORTEST_ROUND, ROUND);
        woken = threads::wait(None, Some(if woken { SECOND_LOOK } else { pause })).latch;
        while let Some(left) = BREATH.checked_sub(now.elapsed()).filter(|left| !left.is_zero()) {
            threads::wait(None, Some(left));
        }
    }
}

impl Visit {
    fn place(&self) -> Option<usize> {
        self.under_way.as_ref()?.place
    }
}

/// Goes on with a look that has begun: takes note of its end, and brings it about where it takes too long.
fn follow(visit: &mut Visit, now: Instant) {
    let Some(look) = &mut visit.under_way else { return };
    let outcome = look.place.map_or(Outcome::Serving, presence::visited);
    if look.starting.has_ended() {
        visit.end(outcome, now);
        return;
    }
    match outcome {
        // Another database may be looked at meanwhile.
        Outcome::Serving => look.place = None,
        Outcome::Looking if now - look.began > LONGEST_LOOK => look.starting.terminate(),
        _ => {}
    }
}

/// Starts what commits have asked for since the last round.
fn take_wanted(visits: &mut HashMap<pg_sys::Oid, Visit>, now: Instant) {
    let (wanted, overflow) = presence::take_wanted();
    for worker in wanted {
        match worker {
            Worker::Database(database) => {
                if let Some(visit) = visits.get_mut(&database) {
                    visit.is_wanted(now);
                }
            }
            // Without a slot its database's worker tries again.
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
            let takes_connections =
                (*row).datallowconn && !(*row).datistemplate && (*row).datconnlimit != INVALID_DATABASE;
            found.push(Database { oid: (*row).oid, takes_connections });
        }
        pg_sys::heap_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    Ok(found)
}
