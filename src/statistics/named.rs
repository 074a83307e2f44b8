//! Counters of hosts and of tracked columns. Both are tables with open addressing: an entry is found by a hash of its database and
//! its name, which also claims it. An entry whose database was dropped is free again; should a chain break by that, an entry may
//! exist twice, so readers add up entries of the same name.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};

use super::counter::Tracked;
use super::memory::{self, Database, Memory};

/// The most hosts of a database; others are counted together. In a small table a quarter of its places is less.
const MOST_HOSTS: u32 = 32;
/// The name under which they are counted.
pub const OTHER: &str = "other";
/// Bytes of a name that are kept.
const NAME: usize = 64;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum StatusClass {
    Success,
    Redirect,
    Client,
    RateLimit,
    Server,
    Error,
}

impl StatusClass {
    pub const ALL: [StatusClass; 6] = [
        StatusClass::Success,
        StatusClass::Redirect,
        StatusClass::Client,
        StatusClass::RateLimit,
        StatusClass::Server,
        StatusClass::Error,
    ];

    /// Of an answer with this status; `None`: no complete answer came.
    pub fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => StatusClass::Success,
            Some(300..=399) => StatusClass::Redirect,
            Some(429) => StatusClass::RateLimit,
            Some(400..=499) => StatusClass::Client,
            Some(500..=599) => StatusClass::Server,
            _ => StatusClass::Error,
        }
    }

    /// Its name in `pinterest.stat_requests`.
    pub fn name(self) -> &'static str {
        match self {
            StatusClass::Success => "2xx",
            StatusClass::Redirect => "3xx",
            StatusClass::Client => "4xx",
            StatusClass::RateLimit => "429",
            StatusClass::Server => "5xx",
            StatusClass::Error => "error",
        }
    }
}

/// Requests to a host that ended alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostCounts {
    pub requests: u64,
    pub retries: u64,
    pub bytes: u64,
    /// Microseconds.
    pub time: u64,
}

impl HostCounts {
    fn numbers(self) -> [u64; 4] {
        [self.requests, self.retries, self.bytes, self.time]
    }
}

/// The counters of a host: by status class, in the order of the fields of [`HostCounts`].
#[repr(C)]
pub struct HostCounters([[AtomicU64; 4]; 6]);

impl HostCounters {
    pub fn add(&self, class: StatusClass, counts: HostCounts) {
        for (counter, number) in self.0[class as usize].iter().zip(counts.numbers()) {
            counter.fetch_add(number, Relaxed);
        }
    }

    fn get(&self, class: StatusClass) -> HostCounts {
        let [requests, retries, bytes, time] =
            [0, 1, 2, 3].map(|index: usize| self.0[class as usize][index].load(Relaxed));
        HostCounts { requests, retries, bytes, time }
    }

    pub fn reset(&self) {
        self.0.iter().flatten().for_each(|counter| counter.store(0, Relaxed));
    }

    /// All numbers in order.
    pub fn dump(&self) -> Vec<u64> {
        self.0.iter().flatten().map(|counter| counter.load(Relaxed)).collect()
    }

    /// Adds what [`dump`](Self::dump) gave.
    pub fn load(&self, numbers: &[u64]) {
        for (counter, number) in self.0.iter().flatten().zip(numbers) {
            counter.fetch_add(*number, Relaxed);
        }
    }
}

/// Claims an entry for a name. `key` is set first, the rest before `ready`.
#[repr(C)]
pub struct Entry {
    /// A hash of database and name; 0: free.
    key: AtomicU64,
    ready: AtomicBool,
    database: AtomicU32,
}

trait Claimed {
    fn entry(&self) -> &Entry;
}

/// A host of a database.
#[repr(C, align(64))]
pub struct Host {
    entry: Entry,
    name: [AtomicU64; NAME / 8],
    counters: HostCounters,
}

/// A tracked column of a database.
#[repr(C, align(64))]
pub struct Column {
    entry: Entry,
    id: AtomicI64,
    counters: [AtomicU64; 4],
}

impl Claimed for Host {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Claimed for Column {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Entry {
    fn is_taken(&self) -> bool {
        self.ready.load(Acquire) && self.key.load(Relaxed) != 0
    }

    fn is_of(&self, database: u32) -> bool {
        self.is_taken() && self.database.load(Relaxed) == database
    }

    /// Frees the entry with this key; false if it has another one by now.
    fn free(&self, key: u64) -> bool {
        self.ready.store(false, SeqCst);
        self.key.compare_exchange(key, 0, SeqCst, SeqCst).is_ok()
    }
}

/// Not random: all processes, and all runs of the server, agree on it.
fn key(database: u32, name: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (database, name).hash(&mut hasher);
    hasher.finish() | 1
}

/// How many entries of a table a database may take.
struct Limit<'a> {
    taken: &'a AtomicU32,
    most: u32,
}

impl Limit<'_> {
    fn is_reached(&self) -> bool {
        self.taken.load(Relaxed) >= self.most
    }

    /// Whether it may take one more, which then counts.
    fn take(&self) -> bool {
        if self.is_reached() {
            return false;
        }
        let may = self.taken.fetch_add(1, Relaxed) < self.most;
        if !may {
            self.give_back();
        }
        may
    }

    /// The opposite of [`take`](Self::take): the entry is another's after all, or free again.
    fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }
}

/// The entry with this key. If there is none, the first free one, if `limit` allows it. `fill` stores the name; several may do that
/// at the same time.
fn entry<T: Claimed>(
    table: &'static [T],
    key: u64,
    database: u32,
    limit: &Limit<'_>,
    fill: impl Fn(&T),
) -> Option<&'static T> {
    let start = (key % table.len().max(1) as u64) as usize;
    for index in 0..table.len() {
        let found = &table[(start + index) % table.len()];
        let entry = found.entry();
        let (mut holder, mut is_new) = (entry.key.load(Acquire), false);
        if holder == 0 {
            if !limit.take() {
                return None;
            }
            match entry.key.compare_exchange(0, key, SeqCst, SeqCst) {
                Ok(_) => (holder, is_new) = (key, true),
                Err(other) => {
                    holder = other;
                    limit.give_back();
                }
            }
        }
        if holder == key {
            // The process that has claimed it may have ended before the entry was complete.
            if is_new || !entry.ready.load(Acquire) {
                entry.database.store(database, Relaxed);
                fill(found);
                entry.ready.store(true, Release);
            }
            return Some(found);
        }
    }
    None
}

/// A quarter of a table, so that no database takes the places of all others.
fn quarter(places: usize) -> u32 {
    u32::try_from(places / 4).unwrap_or(u32::MAX)
}

/// The hosts of a database.
fn of_hosts(memory: Memory, database: &Database) -> Limit<'_> {
    Limit { taken: &database.hosts, most: quarter(memory.hosts.len()).min(MOST_HOSTS) }
}

/// The tracked columns of a database.
fn of_columns(memory: Memory, database: &Database) -> Limit<'_> {
    Limit { taken: &database.columns, most: quarter(memory.columns.len()) }
}

/// The part of a name that is kept.
fn kept(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME)]
}

impl Host {
    fn name(&self) -> String {
        let bytes: Vec<u8> = self.name.iter().flat_map(|part| part.load(Relaxed).to_le_bytes()).collect();
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn set_name(&self, name: &str) {
        let mut bytes = [0; NAME];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        for (part, bytes) in self.name.iter().zip(bytes.chunks_exact(8)) {
            part.store(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)), Relaxed);
        }
    }
}

/// Counts requests of this process' database to a host.
pub fn count_requests(host: &str, class: StatusClass, counts: HostCounts) {
    let (Some(memory), Some(database)) = (memory::memory(), memory::own()) else { return };
    let (oid, host) = (database.oid.load(Relaxed), kept(host));
    let fill = |taken: &Host| taken.set_name(host);
    let found = entry(memory.hosts, key(oid, &host), oid, &of_hosts(memory, database), fill);
    found.map_or(&database.other_hosts, |host| &host.counters).add(class, counts);
}

/// The requests of this process' database, by host and status class.
pub fn hosts() -> BTreeMap<(String, StatusClass), HostCounts> {
    let mut found: BTreeMap<_, HostCounts> = BTreeMap::new();
    let (Some(memory), Some(database)) = (memory::memory(), memory::own()) else { return found };
    let oid = database.oid.load(Relaxed);
    let own = memory.hosts.iter().filter(|host| host.entry.is_of(oid));
    let named = own.map(|host| (host.name(), &host.counters));
    for (name, counters) in named.chain([(OTHER.to_owned(), &database.other_hosts)]) {
        for class in StatusClass::ALL {
            let counts = counters.get(class);
            if counts.requests > 0 {
                let sum = found.entry((name.clone(), class)).or_default();
                sum.requests += counts.requests;
                sum.retries += counts.retries;
                sum.bytes += counts.bytes;
                sum.time += counts.time;
            }
        }
    }
    found
}

/// Counts for a tracked column of this process' database.
pub fn count_of_column(id: i64, counter: Tracked, number: u64) {
    let (Some(memory), Some(database)) = (memory::memory(), memory::own()) else { return };
    let oid = database.oid.load(Relaxed);
    let fill = |taken: &Column| taken.id.store(id, Relaxed);
    if let Some(column) = entry(memory.columns, key(oid, &id), oid, &of_columns(memory, database), fill) {
        column.counters[counter as usize].fetch_add(number, Relaxed);
    }
}

/// The counters of a tracked column of this process' database, in the order of [`Tracked`]. Zeros if it has counted nothing;
/// `None` if there is no place for it.
pub fn tracked(id: i64) -> Option<[u64; 4]> {
    let (memory, database) = (memory::memory()?, memory::own()?);
    let oid = database.oid.load(Relaxed);
    let mut sum = [0; 4];
    let own = memory.columns.iter().filter(|column| column.entry.is_of(oid) && column.id.load(Relaxed) == id);
    let mut exists = false;
    for column in own {
        exists = true;
        for (sum, counter) in sum.iter_mut().zip(&column.counters) {
            *sum += counter.load(Relaxed);
        }
    }
    let is_full = || {
        of_columns(memory, database).is_reached()
            || memory.columns.iter().all(|column| column.entry.key.load(Relaxed) != 0)
    };
    (exists || !is_full()).then_some(sum)
}

/// Resets the counters of a database's hosts.
pub fn reset_hosts(memory: Memory, database: u32) {
    memory.hosts.iter().filter(|host| host.entry.is_of(database)).for_each(|host| host.counters.reset());
}

/// Resets the counters of a database's tracked columns.
pub fn reset_columns(memory: Memory, database: u32) {
    let own = memory.columns.iter().filter(|column| column.entry.is_of(database));
    own.flat_map(|column| &column.counters).for_each(|counter| counter.store(0, Relaxed));
}

/// Frees the entries of a database that does not exist any more.
pub fn forget(memory: Memory, database: u32) {
    reset_hosts(memory, database);
    reset_columns(memory, database);
    let hosts = memory.hosts.iter().map(Claimed::entry);
    let columns = memory.columns.iter().map(Claimed::entry);
    for entry in hosts.chain(columns).filter(|entry| entry.is_of(database)) {
        entry.free(entry.key.load(Relaxed));
    }
}

/// Frees the entry of a tracked column of this process' database that is no longer tracked.
pub fn forget_column(id: i64) {
    let (Some(memory), Some(database)) = (memory::memory(), memory::own()) else { return };
    let oid = database.oid.load(Relaxed);
    for column in memory.columns.iter().filter(|column| column.entry.is_of(oid) && column.id.load(Relaxed) == id) {
        column.counters.iter().for_each(|counter| counter.store(0, Relaxed));
        // Only one of two processes that forget it gives its place back.
        if column.entry.free(key(oid, &id)) {
            of_columns(memory, database).give_back();
        }
    }
}

/// Tracked columns of this process' database that have counted something. To be read before the list that
/// [`forget_other_columns`] gets: a column that is tracked later is not among them.
pub fn seen_columns() -> Vec<i64> {
    let (Some(memory), Some(database)) = (memory::memory(), memory::own()) else { return Vec::new() };
    let oid = database.oid.load(Relaxed);
    let own = memory.columns.iter().filter(|column| column.entry.is_of(oid));
    own.map(|column| column.id.load(Relaxed)).collect()
}

/// Frees the entries of those `seen` columns that are not tracked any more: a worker may have counted for a column after
/// [`forget_column`].
pub fn forget_other_columns(seen: &[i64], tracked: &[i64]) {
    seen.iter().filter(|id| !tracked.contains(id)).for_each(|id| forget_column(*id));
}

/// A host's counters, to be written to the file.
pub fn dump_hosts(memory: Memory) -> impl Iterator<Item = (u32, String, Vec<u64>)> {
    memory
        .hosts
        .iter()
        .filter(|host| host.entry.is_taken())
        .map(|host| (host.entry.database.load(Relaxed), host.name(), host.counters.dump()))
}

/// A tracked column's counters, to be written to the file.
pub fn dump_columns(memory: Memory) -> impl Iterator<Item = (u32, i64, Vec<u64>)> {
    memory.columns.iter().filter(|column| column.entry.is_taken()).map(|column| {
        let numbers = column.counters.iter().map(|counter| counter.load(Relaxed)).collect();
        (column.entry.database.load(Relaxed), column.id.load(Relaxed), numbers)
    })
}

/// The place of a database that was saved. Without one its entries would never be free again.
fn place(memory: Memory, database: u32) -> Option<&'static Database> {
    memory.databases.iter().find(|found| database != 0 && found.oid.load(Relaxed) == database)
}

/// The opposite of [`dump_hosts`].
pub fn load_host(memory: Memory, database: u32, name: &str, numbers: &[u64]) {
    let Some(place) = place(memory, database) else { return };
    let name = kept(name);
    let fill = |taken: &Host| taken.set_name(name);
    let found = entry(memory.hosts, key(database, &name), database, &of_hosts(memory, place), fill);
    if let Some(host) = found {
        host.counters.load(numbers);
    }
}

/// The opposite of [`dump_columns`].
pub fn load_column(memory: Memory, database: u32, id: i64, numbers: &[u64]) {
    let Some(place) = place(memory, database) else { return };
    let fill = |taken: &Column| taken.id.store(id, Relaxed);
    let found = entry(memory.columns, key(database, &id), database, &of_columns(memory, place), fill);
    for (counter, number) in found.iter().flat_map(|column| &column.counters).zip(numbers) {
        counter.fetch_add(*number, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    fn columns(number: usize) -> &'static [Column] {
        let free = || Column {
            entry: Entry { key: AtomicU64::new(0), ready: AtomicBool::new(false), database: AtomicU32::new(0) },
            id: AtomicI64::new(0),
            counters: [const { AtomicU64::new(0) }; 4],
        };
        (0..number).map(|_| free()).collect::<Vec<_>>().leak()
    }

    fn count_within(table: &'static [Column], database: u32, id: i64, limit: &Limit<'_>) -> bool {
        let fill = |taken: &Column| taken.id.store(id, Relaxed);
        let found = entry(table, key(database, &id), database, limit, fill);
        found.inspect(|column| _ = column.counters[0].fetch_add(1, Relaxed)).is_some()
    }

    fn count(table: &'static [Column], database: u32, id: i64) -> bool {
        count_within(table, database, id, &Limit { taken: &AtomicU32::new(0), most: u32::MAX })
    }

    #[test]
    fn threads_agree_on_one_entry_for_each_name_and_lose_no_count() {
        const THREADS: u64 = 8;
        const EACH: u64 = 50;
        let table = columns(128);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        (0..60).for_each(|id| assert!(count(table, 1 + id as u32 % 2, id)));
                    }
                });
            }
        });
        let taken: Vec<_> = table.iter().filter(|column| column.entry.ready.load(Acquire)).collect();
        let names: BTreeSet<_> = taken.iter().map(|column| column.id.load(Relaxed)).collect();
        assert_eq!((taken.len(), names.len()), (60, 60));
        for column in taken {
            assert_eq!(column.counters[0].load(Relaxed), THREADS * EACH);
            assert!(column.entry.is_of(1 + column.id.load(Relaxed) as u32 % 2));
        }
    }

    #[test]
    fn a_full_table_refuses_new_names_only() {
        let table = columns(4);
        assert!((0..4).all(|id| count(table, 1, id)));
        assert!(!count(table, 1, 4));
        assert!((0..4).all(|id| count(table, 1, id)));
    }

    #[test]
    fn a_database_takes_as_many_places_as_it_may() {
        const THREADS: usize = 8;
        const MOST: u32 = 8;
        let (table, taken) = (columns(64), AtomicU32::new(0));
        let limit = Limit { taken: &taken, most: MOST };
        let count_all = || (0..40).filter(|id| count_within(table, 1, *id, &limit)).count();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(count_all);
            }
        });
        // Places that two have wanted count once.
        let used = || table.iter().filter(|column| column.entry.is_taken()).count();
        assert_eq!(used(), taken.load(Relaxed) as usize);
        assert_eq!(count_all(), MOST as usize);
        assert_eq!((used(), taken.load(Relaxed)), (MOST as usize, MOST));
        // What is free again can be taken again.
        let last = table.iter().rfind(|column| column.entry.is_taken()).unwrap();
        let key = last.entry.key.load(Relaxed);
        assert_eq!([key, key].map(|key| last.entry.free(key)), [true, false]);
        limit.give_back();
        assert!(count_within(table, 1, 41, &limit) && !count_within(table, 1, 42, &limit));
        assert_eq!([1024, 64, 0].map(quarter), [256, 16, 0]);
    }

    #[test]
    fn an_entry_that_was_left_incomplete_is_completed() {
        let table = columns(4);
        let key = key(1, &7_i64);
        let entry = &table[(key % 4) as usize].entry;
        entry.key.store(key, Relaxed);
        assert!(!entry.is_of(1));
        assert!(count(table, 1, 7));
        assert!(entry.is_of(1));
        assert_eq!(table.iter().filter(|column| column.id.load(Relaxed) == 7).count(), 1);
    }

    #[test]
    fn every_status_has_a_class() {
        let names = [Some(200), Some(301), Some(404), Some(429), Some(503), Some(42), None]
            .map(|status| StatusClass::of(status).name());
        assert_eq!(names, ["2xx", "3xx", "4xx", "429", "5xx", "error", "error"]);
    }
}
