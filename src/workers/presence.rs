//! Which of our processes run, in shared memory that no SQL reaches: a fixed table of slots, read in time that does not
//! depend on the number of sessions.
//!
//! The memory is the server's own, where the library is preloaded as where it is not: asked for at server start in the one
//! case, taken from what the server keeps in reserve for small structures in the other, as contrib's autoprewarm does. A
//! crash of any process has the server make it anew, so an entry never outlives its process: one that ends in order
//! gives its slot back, any other ends this memory with it. All access is by atomics; nothing here waits.
//!
//! Beside the slots lie what a commit asks of the launcher, what a worker tells it, and which workers may not start now.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

use pgrx::{PgTryBuilder, pg_sys};

use super::outcome::Outcome;
use super::registry::Worker;
use super::{deaths, pause};
use crate::errors::{Failure, Kind};

/// Names the layout of this memory: libraries of different versions in one server do not share it.
const NAME: &CStr = c"pg_pinterest workers, layout 1";
/// Processes at one time. Beyond them no worker starts.
const SLOTS: usize = 256;
/// Databases and kinds whose commits found no worker, until the launcher has read them.
const WANTED: usize = 64;
/// Databases at rest, and kinds of worker that crashed.
const RESTS: usize = 256;
/// Databases that the launcher may have looked at, at one time.
pub const VISITS: usize = 2;
/// A worker that was asked for and has not come by now does not come.
const COMING: i64 = 10 * SECOND;
/// Postgres counts in microseconds.
const SECOND: i64 = 1_000_000;

/// `Slot::pid` of a slot that somebody fills in at this moment.
const IN_HAND: i32 = -1;
/// `Slot::pid` of a slot kept for a worker that was asked for.
const EXPECTED: i32 = -2;

/// One process, or one that is on its way.
#[repr(C, align(64))]
struct Slot {
    /// 0: free.
    pid: AtomicI32,
    kind: AtomicU32,
    database: AtomicU32,
    /// Its place among the server's processes, by which its latch is found.
    process: AtomicU32,
    /// When it started, or was asked for.
    started: AtomicI64,
    heartbeat: AtomicI64,
    leaving: AtomicBool,
}

/// A database that the launcher has looked at, and what came of it.
#[repr(C)]
struct Visit {
    database: AtomicU32,
    outcome: AtomicU32,
}

/// What may not start before a time. Kind and database in one number, 0: free.
#[repr(C)]
struct Rest {
    what: AtomicU64,
    until: AtomicI64,
}

#[repr(C)]
struct Table {
    /// Slots that were ever used: no other has to be looked at.
    used: AtomicU32,
    /// Not all that commits asked for found a place in `wanted`.
    wanted_overflow: AtomicBool,
    /// When a worker was last refused for want of a background worker slot.
    refused: AtomicI64,
    wanted: [AtomicU64; WANTED],
    visits: [Visit; VISITS],
    rests: [Rest; RESTS],
    slots: [Slot; SLOTS],
}

/// A running worker.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// Microseconds since 2000-01-01 UTC, as Postgres counts.
    pub started: i64,
    /// Its process.
    pub pid: i32,
    /// What it is.
    pub worker: Worker,
    /// It takes on nothing any more.
    pub leaving: bool,
    /// When its main loop last went round; 0 for kinds that do not tell.
    pub heartbeat: i64,
    process: u32,
}

impl Instance {
    /// A name that no later process has: process ids come again, with the start time they do not.
    pub fn identity(&self) -> String {
        identity(self.pid, self.started)
    }

    /// Seconds since its main loop last went round; `None` for kinds that do not tell.
    pub fn silent_for(&self) -> Option<f64> {
        (self.heartbeat != 0).then(|| (now() - self.heartbeat).max(0) as f64 / SECOND as f64)
    }

    /// Sets its latch. Cannot fail.
    pub fn wake(&self) {
        // SAFETY: the server's array of processes lives as long as its shared memory, and so do the latches in it. A
        // process that took the place meanwhile looks round in vain.
        unsafe {
            if let Some(process) = process(self.process)
                && (*process).pid == self.pid
            {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
    }
}

fn identity(pid: i32, started: i64) -> String {
    format!("{pid}.{started}")
}

/// This process' identity.
pub fn own_identity() -> String {
    // SAFETY: plain reads of process-wide variables.
    unsafe { identity(pg_sys::MyProcPid, pg_sys::MyStartTimestamp) }
}

/// Microseconds since 2000-01-01 UTC.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

fn process(number: u32) -> Option<*mut pg_sys::PGPROC> {
    // SAFETY: shared memory that every server process has, read within the bounds it states.
    unsafe {
        let all = pg_sys::ProcGlobal;
        (!all.is_null() && number < (*all).allProcCount).then(|| (*all).allProcs.add(number as usize))
    }
}

fn key(kind: u32, database: pg_sys::Oid) -> u64 {
    u64::from(kind) << 32 | u64::from(database.to_u32())
}

static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());
/// This process' slot, plus 1; 0: none.
static OWN: AtomicU32 = AtomicU32::new(0);

/// Has the server set the memory aside. From `_PG_init` while preloading.
pub fn reserve() {
    #[cfg(feature = "pg14")]
    // SAFETY: while preloading.
    unsafe {
        pg_sys::RequestAddinShmemSpace(size_of::<Table>());
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: a hook that lives as long as the library; the one before is called by ours.
    unsafe {
        BEFORE = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(request);
    }
}

#[cfg(not(feature = "pg14"))]
static mut BEFORE: pg_sys::shmem_request_hook_type = None;

#[cfg(not(feature = "pg14"))]
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: written once, before the server calls hooks; called at the time for requests.
    unsafe {
        if let Some(before) = BEFORE {
            before();
        }
        pg_sys::RequestAddinShmemSpace(size_of::<Table>());
    }
}

/// The memory, as far as this process has found it: for places where nothing may fail.
fn attached() -> Option<&'static Table> {
    // SAFETY: null, or memory of this layout that lives as long as the process.
    unsafe { TABLE.load(Relaxed).as_ref() }
}

/// The memory; whoever comes first in a server's life makes it.
pub fn attach() -> Result<(), Failure> {
    table().map(drop)
}

fn table() -> Result<&'static Table, Failure> {
    if let Some(table) = attached() {
        return Ok(table);
    }
    // SAFETY: AddinShmemInitLock, number 21 in Postgres 14 to 18 (lwlocknames.txt, lwlocklist.h).
    let lock = unsafe { &raw mut (*pg_sys::MainLWLockArray.add(21)).lock };
    let found = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the way for memory of an extension; zeros are an empty table, and nobody else sees it before the lock is
        // released.
        unsafe {
            pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
            let mut found = false;
            let place = pg_sys::ShmemInitStruct(NAME.as_ptr(), size_of::<Table>(), &raw mut found).cast::<Table>();
            if !found {
                place.write_bytes(0, 1);
                TABLE.store(place, Relaxed);
                deaths::take_stock();
                pause::take_stock();
            }
            pg_sys::LWLockRelease(lock);
            Ok(place)
        }
    }))
    .catch_others(|error| {
        // SAFETY: what LWLockReleaseAll does for one lock: an ERROR has set the count of held interrupts to zero.
        unsafe {
            if pg_sys::LWLockHeldByMe(lock) {
                pg_sys::InterruptHoldoffCount += 1;
                pg_sys::LWLockRelease(lock);
            }
        }
        Err(Failure::of_error(Kind::Busy, error))
    })
    .execute()?;
    TABLE.store(found, Relaxed);
    // SAFETY: as in `attached`.
    Ok(unsafe { &*found })
}

impl Table {
    fn used(&self) -> &[Slot] {
        &self.slots[..(self.used.load(SeqCst) as usize).min(SLOTS)]
    }

    /// Takes a slot that is free; its number.
    fn take(&self) -> Option<usize> {
        let index = self.slots.iter().position(|slot| slot.pid.compare_exchange(0, IN_HAND, SeqCst, SeqCst).is_ok())?;
        self.used.fetch_max(index as u32 + 1, SeqCst);
        Some(index)
    }
}

impl Slot {
    /// The process in it.
    fn instance(&self) -> Option<Instance> {
        let pid = self.pid.load(SeqCst);
        if pid <= 0 {
            return None;
        }
        let found = Instance {
            started: self.started.load(Relaxed),
            pid,
            worker: self.worker()?,
            leaving: self.leaving.load(SeqCst),
            heartbeat: self.heartbeat.load(Relaxed),
            process: self.process.load(Relaxed),
        };
        // SAFETY: a plain read of shared memory.
        let lives = process(found.process).is_some_and(|process| unsafe { (*process).pid } == pid);
        (lives && self.pid.load(SeqCst) == pid).then_some(found)
    }

    fn worker(&self) -> Option<Worker> {
        Worker::of(self.kind.load(Relaxed), pg_sys::Oid::from(self.database.load(Relaxed)))
    }

    fn is_for(&self, worker: Worker) -> bool {
        self.worker() == Some(worker)
    }

    fn fill(&self, worker: Worker, started: i64) {
        self.kind.store(worker.code(), Relaxed);
        self.database.store(worker.database().to_u32(), Relaxed);
        self.started.store(started, Relaxed);
        self.heartbeat.store(0, Relaxed);
        self.leaving.store(false, Relaxed);
    }

    /// Is it kept for a worker that may still come? One that does not come any more loses it.
    fn is_expected(&self) -> bool {
        if self.pid.load(SeqCst) != EXPECTED {
            return false;
        }
        if (now() - self.started.load(Relaxed)).abs() < COMING {
            return true;
        }
        let _ = self.pid.compare_exchange(EXPECTED, 0, SeqCst, SeqCst);
        false
    }
}

/// The running processes, in no order. Nobody where this process has not found the memory.
pub fn instances() -> impl Iterator<Item = Instance> {
    attached().into_iter().flat_map(Table::used).filter_map(Slot::instance)
}

/// How many instances of a worker were asked for and have not come yet.
pub fn expected(worker: Worker) -> usize {
    let slots = attached().into_iter().flat_map(Table::used);
    slots.filter(|slot| slot.is_expected() && slot.is_for(worker)).count()
}

/// Keeps a slot for a worker that is about to be asked for, so that others do not ask for the same.
pub fn expect(worker: Worker) -> Result<(), Failure> {
    let table = table()?;
    // Makes free what is kept in vain.
    let _ = table.used().iter().filter(|slot| slot.is_expected()).count();
    let slot = table.take().map(|index| &table.slots[index]).ok_or_else(full)?;
    slot.fill(worker, now());
    slot.pid.store(EXPECTED, SeqCst);
    Ok(())
}

/// Takes that back: the worker cannot be started.
pub fn do_not_expect(worker: Worker) {
    let mut slots = attached().into_iter().flat_map(Table::used);
    let _ = slots.find(|slot| {
        slot.is_for(worker) && slot.is_expected() && slot.pid.compare_exchange(EXPECTED, 0, SeqCst, SeqCst).is_ok()
    });
}

fn full() -> Failure {
    Failure::new(Kind::Busy, format!("{SLOTS} background workers of pg_pinterest run already"))
}

/// Enters this process, until it ends.
pub fn join(worker: Worker) -> Result<(), Failure> {
    let table = table()?;
    let kept = |slot: &Slot| {
        slot.pid.compare_exchange(EXPECTED, IN_HAND, SeqCst, SeqCst).is_ok() && {
            let own = slot.is_for(worker);
            if !own {
                slot.pid.store(EXPECTED, SeqCst);
            }
            own
        }
    };
    let index = table.used().iter().position(kept).or_else(|| table.take()).ok_or_else(full)?;
    let slot = &table.slots[index];
    // SAFETY: plain reads of process-wide variables; this process' entry lies in the array.
    unsafe {
        slot.fill(worker, pg_sys::MyStartTimestamp);
        let number = pg_sys::MyProc.offset_from((*pg_sys::ProcGlobal).allProcs);
        slot.process.store(u32::try_from(number).unwrap_or(u32::MAX), Relaxed);
        slot.pid.store(pg_sys::MyProcPid, SeqCst);
        OWN.store(index as u32 + 1, Relaxed);
        // After all callbacks that may still write to the database in this process' name.
        pg_sys::on_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize));
    }
    Ok(())
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(code: i32, _argument: pg_sys::Datum) {
    super::outcome::at_exit(code);
    if let Some(slot) = own() {
        slot.pid.store(0, SeqCst);
    }
    deaths::ended_in_order();
}

fn own() -> Option<&'static Slot> {
    attached()?.slots.get((OWN.load(Relaxed) as usize).checked_sub(1)?)
}

/// Says that this worker takes on nothing any more, so that whoever commits work from now on starts another; or takes
/// that back.
pub fn mark_as_leaving(leaving: bool) {
    if let Some(slot) = own() {
        slot.leaving.store(leaving, SeqCst);
    }
}

/// Says that this process' main loop goes round.
pub fn beat() {
    if let Some(slot) = own() {
        slot.heartbeat.store(now(), Relaxed);
    }
}

/// Leaves word for the launcher that a commit has found no worker. Cannot fail.
pub fn want(worker: Worker) {
    let Some(table) = attached() else { return };
    let key = key(worker.code(), worker.database());
    if table.wanted.iter().any(|place| place.load(SeqCst) == key) {
        return;
    }
    if !table.wanted.iter().any(|place| place.compare_exchange(0, key, SeqCst, SeqCst).is_ok()) {
        table.wanted_overflow.store(true, SeqCst);
    }
}

/// What commits asked for since the last call, and whether that is not all.
pub fn take_wanted() -> (Vec<Worker>, bool) {
    let Some(table) = attached() else { return (Vec::new(), true) };
    let overflow = table.wanted_overflow.swap(false, SeqCst);
    let wanted = table.wanted.iter().map(|place| place.swap(0, SeqCst)).filter(|&key| key != 0);
    (wanted.filter_map(|key| Worker::of((key >> 32) as u32, pg_sys::Oid::from(key as u32))).collect(), overflow)
}

/// Opens a visit of the launcher: the worker that it starts tells here what it found.
pub fn open_visit(place: usize, database: pg_sys::Oid) {
    if let Some(visit) = attached().and_then(|table| table.visits.get(place)) {
        visit.outcome.store(Outcome::Looking as u32, SeqCst);
        visit.database.store(database.to_u32(), SeqCst);
    }
}

/// What came of a visit.
pub fn visited(place: usize) -> Outcome {
    let visit = attached().and_then(|table| table.visits.get(place));
    visit.map_or(Outcome::Looking, |visit| Outcome::of(visit.outcome.load(SeqCst)))
}

/// Tells the launcher what came of a visit, unless it has gone on to another database.
pub fn tell(place: usize, database: pg_sys::Oid, outcome: Outcome) {
    if let Some(visit) = attached().and_then(|table| table.visits.get(place))
        && visit.database.load(SeqCst) == database.to_u32()
    {
        visit.outcome.store(outcome as u32, SeqCst);
    }
}

/// Kind of a rest that is for all workers of a database.
const ALL_KINDS: u32 = 0;

/// Keeps one kind of worker, or with `None` all, out of a database until a time. False where there is no room to note it.
pub fn rest(worker: Option<u32>, database: pg_sys::Oid, until: i64) -> bool {
    let Some(table) = attached() else { return false };
    let key = key(worker.unwrap_or(ALL_KINDS), database);
    let own = table.rests.iter().find(|rest| rest.what.load(SeqCst) == key);
    let place = own.or_else(|| {
        // One that is over does for a new one.
        let past = |rest: &&Rest| {
            let what = rest.what.load(SeqCst);
            (what == 0 || rest.until.load(SeqCst) <= now())
                && rest.what.compare_exchange(what, key, SeqCst, SeqCst).is_ok()
        };
        table.rests.iter().find(past)
    });
    place.inspect(|rest| rest.until.store(until, SeqCst)).is_some()
}

/// Lets the workers of a database start again.
pub fn end_rest(database: pg_sys::Oid) {
    let key = key(ALL_KINDS, database);
    for rest in attached().into_iter().flat_map(|table| &table.rests) {
        if rest.what.load(SeqCst) == key {
            rest.until.store(0, SeqCst);
        }
    }
}

fn rests_until(key: u64) -> i64 {
    let rests = attached().into_iter().flat_map(|table| &table.rests);
    rests.filter(|rest| rest.what.load(SeqCst) == key).map(|rest| rest.until.load(SeqCst)).max().unwrap_or(0)
}

/// Are all workers kept out of this database?
pub fn is_paused(database: pg_sys::Oid) -> bool {
    rests_until(key(ALL_KINDS, database)) > now()
}

/// May this worker start now?
pub fn may_start(worker: Worker) -> bool {
    let now = now();
    rests_until(key(worker.code(), worker.database())) <= now
        && (worker.database() == pg_sys::InvalidOid || !is_paused(worker.database()))
}

/// Notes that a worker was refused for want of a background worker slot.
pub fn note_refusal() {
    if let Some(table) = attached() {
        table.refused.store(now(), Relaxed);
    }
}

/// Seconds since a worker was last refused for want of a background worker slot.
pub fn last_refusal() -> Option<f64> {
    let refused = attached()?.refused.load(Relaxed);
    (refused != 0).then(|| (now() - refused).max(0) as f64 / SECOND as f64)
}
