//! The counters in shared memory: a header, then tables of databases, hosts and tracked columns. A preloaded library requests
//! 370 kB for them. Otherwise they are smaller, since they are taken from the server's reserve of 100 kB, which all libraries
//! share.
//!
//! A database takes a place when its first process attaches, which is a session that uses the extension or a worker that has
//! found it, and leaves the place when the launcher finds that the database has been dropped. Both happen under a lock. Without
//! the extension it keeps the place: sessions that are attached remember it. Databases beyond the places are not counted: their
//! views show NULL, and `pinterest_doctor()` reports it.

use std::ffi::CStr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::pg_sys;

use super::counter::{Counter, Refresh, View};
use super::embedder::Embedder;
use super::file;
use super::named::{self, Column, Host, HostCounters};
use crate::errors::Failure;
use crate::postgres::{platform, shared_memory};

/// Names the layout of this memory: libraries of different versions in one server do not share it. Also that of the file.
pub const LAYOUT: &CStr = c"pg_pinterest statistics, layout 1";

/// Numbers of places for databases, hosts and tracked columns.
pub const PRELOADED: [usize; 3] = [256, 512, 1024];
const OTHERWISE: [usize; 3] = [16, 32, 64];

/// The first part of the memory.
#[repr(C, align(64))]
pub struct Header {
    /// Numbers of places.
    places: [AtomicU64; 3],
    /// Of the whole cluster.
    pub embedder: Embedder,
}

/// The counters of a database.
#[repr(C, align(64))]
pub struct Database {
    /// 0: free.
    pub oid: AtomicU32,
    /// When each view was reset, or the database took its place.
    pub resets: [AtomicI64; View::OF_DATABASE],
    pub counters: [AtomicU64; Counter::NUMBER],
    /// Hosts that found no place.
    pub other_hosts: HostCounters,
    /// Hosts that have a place.
    pub hosts: AtomicU32,
    /// Tracked columns that have a place.
    pub columns: AtomicU32,
}

/// The memory, for a process that has attached it.
#[derive(Clone, Copy)]
pub struct Memory {
    pub header: &'static Header,
    pub databases: &'static [Database],
    pub hosts: &'static [Host],
    pub columns: &'static [Column],
}

/// The header, once this process is attached. The postmaster's children inherit it.
static HEADER: AtomicPtr<Header> = AtomicPtr::new(std::ptr::null_mut());
/// This database's place, plus 1; 0: not known yet.
static OWN: AtomicU32 = AtomicU32::new(0);
/// All places are taken by other databases. The next process of this one tries again.
const NONE: u32 = u32::MAX;

fn bytes([databases, hosts, columns]: [usize; 3]) -> usize {
    size_of::<Header>() + databases * size_of::<Database>() + hosts * size_of::<Host>() + columns * size_of::<Column>()
}

/// Requests the memory from the server, and reads the counters of the last run once it exists. From `_PG_init` while preloading.
pub fn reserve() {
    shared_memory::reserve(bytes(PRELOADED));
    shared_memory::at_startup(|| {
        // The postmaster's memory of a run that has crashed.
        HEADER.store(std::ptr::null_mut(), Relaxed);
        if attach().is_ok()
            && let Some(memory) = memory()
        {
            file::read(memory);
            file::write_at_exit();
        }
    });
}

/// Attaches this process, and its database, once it is connected to one. On the main thread.
///
/// # Errors
/// [`Kind::Busy`](crate::errors::Kind::Busy) if the server has no memory for the counters.
pub fn attach() -> Result<(), Failure> {
    if HEADER.load(Relaxed).is_null() {
        // A library that is newer than the preloaded one has no memory of its own.
        let found = if platform::is_preloaded() {
            attach_with(PRELOADED).or_else(|_| attach_with(OTHERWISE))
        } else {
            attach_with(OTHERWISE)
        };
        HEADER.store(found?, Relaxed);
    }
    let oid = platform::current_database();
    if oid == pg_sys::InvalidOid || OWN.load(Relaxed) != 0 {
        return Ok(());
    }
    let Some(memory) = memory() else { return Ok(()) };
    let place = match memory.find(oid.to_u32()) {
        None => shared_memory::locked(|| memory.place_of(oid.to_u32()))?,
        found => found,
    };
    OWN.store(place.map_or(NONE, |index| index as u32 + 1), Relaxed);
    Ok(())
}

fn attach_with(places: [usize; 3]) -> Result<*mut Header, Failure> {
    shared_memory::attach(LAYOUT, bytes(places), |header: *mut Header| {
        // SAFETY: zeros are a valid header, and no other process sees it yet.
        let created = unsafe { &*header };
        for (number, places) in created.places.iter().zip(places) {
            number.store(places as u64, Relaxed);
        }
        created.embedder.begin(now());
    })
}

/// The memory, if this process is attached.
pub fn memory() -> Option<Memory> {
    // SAFETY: null, or memory of this layout that exists as long as the process. The tables follow the header without gaps, since
    // the size of each element is a multiple of its alignment, which is the same for all.
    unsafe {
        let header = HEADER.load(Relaxed).as_ref()?;
        let [databases, hosts, columns] = [0, 1, 2].map(|index: usize| header.places[index].load(Relaxed) as usize);
        let first = std::ptr::from_ref(header).add(1).cast::<Database>();
        let second = first.add(databases).cast::<Host>();
        let third = second.add(hosts).cast::<Column>();
        Some(Memory {
            header,
            databases: std::slice::from_raw_parts(first, databases),
            hosts: std::slice::from_raw_parts(second, hosts),
            columns: std::slice::from_raw_parts(third, columns),
        })
    }
}

const _: () = assert!(
    align_of::<Header>() == 64
        && align_of::<Database>() == 64
        && align_of::<Host>() == 64
        && align_of::<Column>() == 64
);

/// Seconds from 1970 to 2000, from when Postgres counts.
const TO_2000: i64 = 946_684_800;

/// Microseconds since 2000-01-01 UTC. Not from the server's function: threads count too, and call none.
pub fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX) - TO_2000 * 1_000_000
}

/// The counters of this process' database. `None` if it is not attached, connected to none, or all places are taken.
pub fn own() -> Option<&'static Database> {
    memory()?.databases.get((OWN.load(Relaxed) as usize).checked_sub(1)?)
}

impl Memory {
    fn find(&self, oid: u32) -> Option<usize> {
        self.databases.iter().position(|database| database.oid.load(Acquire) == oid)
    }

    /// The index of a database's place, which it takes if it has none. Under the lock, or before other processes see the memory.
    pub fn place_of(&self, oid: u32) -> Option<usize> {
        self.find(oid).or_else(|| {
            let index = self.find(0)?;
            let database = &self.databases[index];
            let now = now();
            database.resets.iter().for_each(|reset| reset.store(now, Relaxed));
            database.oid.store(oid, Release);
            Some(index)
        })
    }
}

impl Database {
    /// Adds to a counter.
    pub fn add(&self, counter: Counter, number: u64) {
        self.counters[counter.index()].fetch_add(number, Relaxed);
        let moment = match counter {
            Counter::Refresh(Refresh::Succeeded) => Refresh::LastSuccess,
            Counter::Refresh(Refresh::Failed | Refresh::Rejected) => Refresh::LastFailure,
            _ => return,
        };
        self.counters[Counter::Refresh(moment).index()].store(now().unsigned_abs(), Relaxed);
    }

    /// Sets the counters of a view to 0. What other processes count meanwhile is counted before or after, never lost in part.
    fn reset(&self, view: View) {
        for index in Counter::indexes_of(view) {
            self.counters[index].store(0, Relaxed);
        }
        if view == View::Requests {
            self.other_hosts.reset();
        }
        if let Some(reset) = self.resets.get(view as usize) {
            reset.store(now(), Relaxed);
        }
    }

    /// Leaves the place to another database.
    fn free(&self) {
        View::ALL.into_iter().for_each(|view| self.reset(view));
        self.resets.iter().for_each(|reset| reset.store(0, Relaxed));
        self.hosts.store(0, Relaxed);
        self.columns.store(0, Relaxed);
        self.oid.store(0, Release);
    }
}

/// The counters of this database at one moment.
pub struct Counts(&'static Database);

/// The counters of this database; `None` if they are not kept.
pub fn counts() -> Option<Counts> {
    own().map(Counts)
}

impl Counts {
    /// A number.
    pub fn get(&self, counter: Counter) -> i64 {
        i64::try_from(self.0.counters[counter.index()].load(Relaxed)).unwrap_or(i64::MAX)
    }

    /// A time in milliseconds.
    pub fn milliseconds(&self, counter: Counter) -> f64 {
        self.get(counter) as f64 / 1000.0
    }

    /// A moment, in microseconds since 2000-01-01 UTC.
    pub fn moment(&self, counter: Counter) -> Option<i64> {
        Some(self.get(counter)).filter(|moment| *moment != 0)
    }

    /// When the counters of a view were last reset.
    pub fn reset_at(&self, view: View) -> Option<i64> {
        Some(self.0.resets.get(view as usize)?.load(Relaxed)).filter(|moment| *moment != 0)
    }
}

/// Resets the counters of a view: those of this database, or of the embedder.
pub fn reset(view: View) {
    let Some(memory) = memory() else { return };
    if view == View::Embedder {
        memory.header.embedder.reset(now());
        return;
    }
    let Some(database) = own() else { return };
    let oid = database.oid.load(Relaxed);
    match view {
        View::Requests => named::reset_hosts(memory, oid),
        View::Tracked => named::reset_columns(memory, oid),
        _ => {}
    }
    database.reset(view);
}

/// Do the counters exist, without a place for this database?
pub fn is_full() -> bool {
    memory().is_some() && own().is_none()
}

/// Databases that have a place. To be read before the list of databases that [`forget_others`] gets: a database that takes a place
/// later is not in it.
pub fn seen_databases() -> Vec<u32> {
    let databases = memory().into_iter().flat_map(|memory| memory.databases);
    databases.map(|database| database.oid.load(Acquire)).filter(|oid| *oid != 0).collect()
}

/// Frees the places of those `seen` databases that do not exist any more.
pub fn forget_others(seen: &[u32], existing: &[u32]) {
    let Some(memory) = memory() else { return };
    for database in memory.databases {
        let oid = database.oid.load(Acquire);
        if oid != 0 && seen.contains(&oid) && !existing.contains(&oid) {
            // If it fails, the next round tries again.
            let _ = shared_memory::locked(|| {
                named::forget(memory, oid);
                database.free();
            });
        }
    }
}
