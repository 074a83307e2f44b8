//! The running workers, in shared memory that no SQL reaches: a fixed table of slots, so the time to read it does not
//! depend on the number of sessions.
//!
//! The server recreates shared memory after a crash of any process, so an entry never outlives its process: a process that
//! ends in order frees its slot, a crash ends this memory. All access is by atomics; nothing here waits.
//!
//! The same memory contains the requests of commits to the launcher, the reports of workers to it, and the workers that may
//! not start yet.

use std::ffi::CStr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

use pgrx::pg_sys;

use super::kind::Worker;
use crate::errors::{Failure, Kind};
use crate::postgres::shared_memory;

/// Names the layout of this memory: libraries of different versions in one server do not share it.
const NAME: &CStr = c"pg_pinterest workers, layout 1";
/// Processes at one time. Beyond them no worker starts.
const SLOTS: usize = 256;
/// Workers that commits have requested and the launcher has not started yet.
const WANTED: usize = 64;
/// Paused databases, and kinds of worker that crashed.
const RESTS: usize = 256;
/// The launcher's visits to databases at the same time.
pub const VISITS: usize = 2;
/// A worker that was requested and has not started by now is not waited for.
const START_PATIENCE: i64 = 10 * SECOND;
/// Postgres counts in microseconds.
const SECOND: i64 = 1_000_000;

/// Distinguishes the versions of the library that processes of one server run: FNV-1a of this library's version.
fn library() -> u32 {
    let bytes = env!("CARGO_PKG_VERSION").bytes();
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `Slot::pid` of a slot that a process is filling in.
const BEING_FILLED: i32 = -1;
/// `Slot::pid` of a slot reserved for a worker that was requested.
const EXPECTED: i32 = -2;

/// One process, or one that was requested.
#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    /// 0: free.
    pid: AtomicI32,
    kind: AtomicU32,
    database: AtomicU32,
    /// Its index among the server's processes, by which its latch is found.
    process: AtomicU32,
    /// When it started, or was requested.
    started: AtomicI64,
    heartbeat: AtomicI64,
    leaving: AtomicBool,
    /// A commit has woken it for work, and it has not begun to look for work since.
    unseen_work: AtomicBool,
    /// Which version of the library it runs, see [`library`].
    library: AtomicU32,
}

/// A database that the launcher visits, and the report of the worker that it started there.
#[repr(C)]
struct Visit {
    database: AtomicU32,
    finding: AtomicU32,
}

/// A worker that may not start before a time.
#[repr(C)]
struct Rest {
    /// Kind and database in one number, 0: free.
    worker: AtomicU64,
    until: AtomicI64,
}

/// A database worker's report to the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Finding {
    /// None yet.
    Unknown = 0,
    /// There was work, and there may be more.
    Work = 1,
    /// The extension does not exist here, or this is an inactive copy.
    NoExtension = 2,
    /// The extension exists, and no work is due.
    Idle = 3,
    /// An ERROR, or a problem that has to be solved first.
    Failed = 4,
    /// The worker was terminated, or its database is paused.
    Terminated = 5,
}

impl Finding {
    fn of(number: u32) -> Self {
        match number {
            1 => Finding::Work,
            2 => Finding::NoExtension,
            3 => Finding::Idle,
            4 => Finding::Failed,
            5 => Finding::Terminated,
            _ => Finding::Unknown,
        }
    }
}

#[repr(C)]
struct Table {
    /// Slots that were ever used: the others need no check.
    used: AtomicU32,
    /// `wanted` was too small for the requests of commits.
    wanted_overflow: AtomicBool,
    /// When a worker could last not start because no background worker slot was free.
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
    /// Its kind.
    pub worker: Worker,
    /// It accepts no more work.
    pub leaving: bool,
    /// When its main loop last ran; 0 for kinds that do not report it.
    pub heartbeat: i64,
    process: u32,
    library: u32,
    slot: &'static Slot,
}

impl Instance {
    /// A name that no later process has: process ids are reused, but not with the same start time.
    pub fn identity(&self) -> String {
        identity(self.pid, self.started)
    }

    /// Does it run another version of the library than this process? Possible only if the library is not preloaded.
    pub fn has_other_library(&self) -> bool {
        self.library != library()
    }

    /// Seconds since its main loop last ran; `None` for kinds that do not report it.
    pub fn silent_for(&self) -> Option<f64> {
        (self.heartbeat != 0).then(|| (now() - self.heartbeat).max(0) as f64 / SECOND as f64)
    }

    /// Wakes it for work that is committed. True if it still runs: then it looks for the work, or another worker is requested
    /// when it ends, see [`leave`]. Cannot fail.
    pub fn wake_for_work(&self) -> bool {
        self.slot.unseen_work.store(true, SeqCst);
        self.wake();
        self.slot.pid.load(SeqCst) == self.pid
    }

    /// Sets its latch. Cannot fail.
    pub fn wake(&self) {
        // SAFETY: the server's array of processes exists as long as its shared memory, and so do the latches in it. Another
        // process that has this index by now wakes up without a reason.
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
    // SAFETY: shared memory that every server process has, read within its bounds.
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
/// This process was woken for work, and has not completed a check for it yet, or leaves it to another one.
static LOOKING: AtomicBool = AtomicBool::new(false);

/// Requests the memory from the server. From `_PG_init` while preloading.
pub fn reserve() {
    shared_memory::reserve(size_of::<Table>());
}

/// The memory, if this process has attached it: for places where nothing may fail.
fn attached() -> Option<&'static Table> {
    // SAFETY: null, or memory of this layout that exists as long as the process.
    unsafe { TABLE.load(Relaxed).as_ref() }
}

/// Attaches this process to the memory. The first process after a start of the server creates it and calls `fill`, before
/// another process sees it.
///
/// # Errors
/// [`Kind::Busy`] if the server has no memory for it.
pub fn attach(fill: fn()) -> Result<(), Failure> {
    if attached().is_some() {
        return Ok(());
    }
    let found = shared_memory::attach(NAME, size_of::<Table>(), |table| {
        // Zeros are an empty table.
        TABLE.store(table, Relaxed);
        fill();
    })?;
    TABLE.store(found, Relaxed);
    Ok(())
}

fn table() -> Result<&'static Table, Failure> {
    attached().ok_or_else(|| Failure::new(Kind::Internal, "the shared memory of the workers is not attached"))
}

impl Table {
    fn used(&self) -> &[Slot] {
        &self.slots[..(self.used.load(SeqCst) as usize).min(SLOTS)]
    }

    /// Takes a free slot; its index.
    fn take(&self) -> Option<usize> {
        let index =
            self.slots.iter().position(|slot| slot.pid.compare_exchange(0, BEING_FILLED, SeqCst, SeqCst).is_ok())?;
        self.used.fetch_max(index as u32 + 1, SeqCst);
        Some(index)
    }
}

impl Slot {
    /// The process in it.
    fn instance(&'static self) -> Option<Instance> {
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
            library: self.library.load(Relaxed),
            slot: self,
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
        self.unseen_work.store(false, Relaxed);
        self.library.store(library(), Relaxed);
    }

    /// Is it reserved for a worker that may still start? The reservation ends after a while.
    fn is_expected(&self) -> bool {
        if self.pid.load(SeqCst) != EXPECTED {
            return false;
        }
        if (now() - self.started.load(Relaxed)).abs() < START_PATIENCE {
            return true;
        }
        let _ = self.pid.compare_exchange(EXPECTED, 0, SeqCst, SeqCst);
        false
    }
}

/// The running workers, in no order. None if this process has not attached the memory.
pub fn instances() -> impl Iterator<Item = Instance> {
    attached().into_iter().flat_map(Table::used).filter_map(Slot::instance)
}

/// How many instances of a worker were requested and have not started yet.
pub fn expected(worker: Worker) -> usize {
    let slots = attached().into_iter().flat_map(Table::used);
    slots.filter(|slot| slot.is_expected() && slot.is_for(worker)).count()
}

/// Reserves a slot for a worker that is about to be requested, so that other processes do not request it too.
///
/// # Errors
/// [`Kind::Busy`] if no slot is free.
pub fn expect(worker: Worker) -> Result<(), Failure> {
    let table = table()?;
    // Frees reservations that have ended.
    let _ = table.used().iter().filter(|slot| slot.is_expected()).count();
    let slot = table.take().map(|index| &table.slots[index]).ok_or_else(full)?;
    slot.fill(worker, now());
    slot.pid.store(EXPECTED, SeqCst);
    Ok(())
}

/// Withdraws a reservation: the worker cannot be started.
pub fn do_not_expect(worker: Worker) {
    let mut slots = attached().into_iter().flat_map(Table::used);
    let _ = slots.find(|slot| {
        slot.is_for(worker) && slot.is_expected() && slot.pid.compare_exchange(EXPECTED, 0, SeqCst, SeqCst).is_ok()
    });
}

fn full() -> Failure {
    Failure::new(Kind::Busy, format!("{SLOTS} background workers of pg_pinterest are already running"))
}

/// Lists this process, until [`leave`].
///
/// # Errors
/// [`Kind::Busy`] if no slot is free.
pub fn join(worker: Worker) -> Result<(), Failure> {
    let table = table()?;
    let reserved = |slot: &Slot| {
        slot.pid.compare_exchange(EXPECTED, BEING_FILLED, SeqCst, SeqCst).is_ok() && {
            let own = slot.is_for(worker);
            if !own {
                slot.pid.store(EXPECTED, SeqCst);
            }
            own
        }
    };
    let index = table.used().iter().position(reserved).or_else(|| table.take()).ok_or_else(full)?;
    let slot = &table.slots[index];
    // SAFETY: plain reads of process-wide variables; this process' entry is in the array.
    unsafe {
        slot.fill(worker, pg_sys::MyStartTimestamp);
        let number = pg_sys::MyProc.offset_from((*pg_sys::ProcGlobal).allProcs);
        slot.process.store(u32::try_from(number).unwrap_or(u32::MAX), Relaxed);
        slot.pid.store(pg_sys::MyProcPid, SeqCst);
        OWN.store(index as u32 + 1, Relaxed);
    }
    Ok(())
}

/// Frees this process' slot. The result is its kind of worker if a commit has woken it for work that it has not looked for.
pub fn leave() -> Option<Worker> {
    let slot = own()?;
    // A commit that does not see this also finds no worker; one whose work is recorded before is seen here.
    slot.pid.store(BEING_FILLED, SeqCst);
    let is_undone = slot.unseen_work.load(SeqCst) || LOOKING.load(SeqCst);
    let left_undone = if is_undone { slot.worker() } else { None };
    slot.pid.store(0, SeqCst);
    left_undone
}

/// This worker is about to look for all work that is committed by now.
pub fn look_for_work() {
    if own().is_some_and(|slot| slot.unseen_work.swap(false, SeqCst)) {
        LOOKING.store(true, SeqCst);
    }
}

/// Another worker of this kind is requested when this one ends.
pub fn leave_to_another() {
    LOOKING.store(true, SeqCst);
}

/// This worker has looked for all work that was committed before [`look_for_work`].
pub fn has_looked() {
    LOOKING.store(false, SeqCst);
}

fn own() -> Option<&'static Slot> {
    attached()?.slots.get((OWN.load(Relaxed) as usize).checked_sub(1)?)
}

/// Marks this worker as one that accepts no more work, so that later commits start another; or removes the mark.
pub fn mark_as_leaving(leaving: bool) {
    if let Some(slot) = own() {
        slot.leaving.store(leaving, SeqCst);
    }
}

/// Records that this process' main loop runs.
pub fn beat() {
    if let Some(slot) = own() {
        slot.heartbeat.store(now(), Relaxed);
    }
}

/// Requests a worker from the launcher, for a commit that has found none. Cannot fail.
pub fn want(worker: Worker) {
    let Some(table) = attached() else { return };
    let key = key(worker.code(), worker.database());
    if table.wanted.iter().any(|entry| entry.load(SeqCst) == key) {
        return;
    }
    if !table.wanted.iter().any(|entry| entry.compare_exchange(0, key, SeqCst, SeqCst).is_ok()) {
        table.wanted_overflow.store(true, SeqCst);
    }
}

/// The workers that commits have requested since the last call, and whether the list is incomplete.
pub fn take_wanted() -> (Vec<Worker>, bool) {
    let Some(table) = attached() else { return (Vec::new(), true) };
    let overflow = table.wanted_overflow.swap(false, SeqCst);
    let wanted = table.wanted.iter().map(|entry| entry.swap(0, SeqCst)).filter(|&key| key != 0);
    (wanted.filter_map(|key| Worker::of((key >> 32) as u32, pg_sys::Oid::from(key as u32))).collect(), overflow)
}

/// Begins a visit of the launcher: the worker that it starts reports here.
pub fn open_visit(number: usize, database: pg_sys::Oid) {
    if let Some(visit) = attached().and_then(|table| table.visits.get(number)) {
        visit.finding.store(Finding::Unknown as u32, SeqCst);
        visit.database.store(database.to_u32(), SeqCst);
    }
}

/// The report of a visit.
pub fn visited(number: usize) -> Finding {
    let visit = attached().and_then(|table| table.visits.get(number));
    visit.map_or(Finding::Unknown, |visit| Finding::of(visit.finding.load(SeqCst)))
}

/// Reports the finding of a visit, unless the launcher visits another database by now.
pub fn report(number: usize, database: pg_sys::Oid, finding: Finding) {
    if let Some(visit) = attached().and_then(|table| table.visits.get(number))
        && visit.database.load(SeqCst) == database.to_u32()
    {
        visit.finding.store(finding as u32, SeqCst);
    }
}

/// The kind of a rest of all workers of a database.
const ALL_KINDS: u32 = 0;

/// Keeps one kind of worker, or all if `None`, out of a database until a time. False if the table is full.
pub fn rest(worker: Option<u32>, database: pg_sys::Oid, until: i64) -> bool {
    let Some(table) = attached() else { return false };
    let key = key(worker.unwrap_or(ALL_KINDS), database);
    let own = table.rests.iter().find(|rest| rest.worker.load(SeqCst) == key);
    let rest = own.or_else(|| {
        // An entry that has ended is used again.
        let past = |rest: &&Rest| {
            let worker = rest.worker.load(SeqCst);
            (worker == 0 || rest.until.load(SeqCst) <= now())
                && rest.worker.compare_exchange(worker, key, SeqCst, SeqCst).is_ok()
        };
        table.rests.iter().find(past)
    });
    rest.inspect(|rest| rest.until.store(until, SeqCst)).is_some()
}

/// Lets the workers of a database start again.
pub fn end_rest(database: pg_sys::Oid) {
    let key = key(ALL_KINDS, database);
    for rest in attached().into_iter().flat_map(|table| &table.rests) {
        if rest.worker.load(SeqCst) == key {
            rest.until.store(0, SeqCst);
        }
    }
}

fn rests_until(key: u64) -> i64 {
    let rests = attached().into_iter().flat_map(|table| &table.rests);
    rests.filter(|rest| rest.worker.load(SeqCst) == key).map(|rest| rest.until.load(SeqCst)).max().unwrap_or(0)
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

/// Records that a worker could not start because no background worker slot was free.
pub fn record_refusal() {
    if let Some(table) = attached() {
        table.refused.store(now(), Relaxed);
    }
}

/// Seconds since a worker could last not start because no background worker slot was free.
pub fn last_refusal() -> Option<f64> {
    let refused = attached()?.refused.load(Relaxed);
    (refused != 0).then(|| (now() - refused).max(0) as f64 / SECOND as f64)
}
