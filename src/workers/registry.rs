//! Registering, starting and waking workers. `presence` lists the running ones.
//!
//! A worker that finds no work ends, and work that is committed meanwhile must not be forgotten. So the worker first marks
//! its entry in `presence`, then checks for work a last time. A commit first becomes visible, then looks for a worker
//! without the mark. Whichever comes second sees the other: either the worker stays, or the commit finds none and requests
//! one from the launcher.
//!
//! A worker may also end without that, for example because the extension did not exist when it looked, or after an ERROR. So
//! a commit leaves a note with the worker that it wakes. The worker takes it before it looks for work, and is done with it once
//! it has looked without a failure. A worker that ends before requests another one from the launcher.
//!
//! Steps that may fail are done before the commit: if no worker runs, one is started then. After the commit an ERROR would
//! be a PANIC, so only atomics are read and latches set.

use std::ffi::CStr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering, fence};

use pgrx::pg_sys;

pub use super::kind::Worker;
use super::log::{self, About};
pub use super::presence::{Instance, last_refusal, mark_as_leaving, own_identity};
use super::{deaths, finding, pause, presence};
use crate::errors::{Failure, Kind};
use crate::postgres::majors;
use crate::settings;

/// Why a worker of a database is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// By the launcher, to check whether work is due.
    ToCheck,
    /// By a call whose work may not be committed yet, or by a worker for which there is too much.
    ToWork,
}

impl Sent {
    /// Why this process was started.
    pub fn own() -> Self {
        // SAFETY: set in every background worker, copied from what `start` registered.
        if unsafe { (*pg_sys::MyBgworkerEntry).bgw_extra[0] } != 0 { Sent::ToCheck } else { Sent::ToWork }
    }
}

impl Worker {
    fn registration(self) -> pg_sys::BackgroundWorker {
        let (entry, start, restart, argument) = match self {
            Worker::Launcher => {
                (c"pinterest_launcher_main", pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished, 5, 0)
            }
            // Text queries work on hot standbys.
            Worker::Supervisor => {
                (c"pinterest_supervisor_main", pg_sys::BgWorkerStartTime::BgWorkerStart_ConsistentState, 5, 0)
            }
            // The launcher starts it again, with back-off: the database may have been dropped meanwhile.
            Worker::Database(database) => (
                c"pinterest_database_main",
                pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
                pg_sys::BGW_NEVER_RESTART,
                database.to_u32(),
            ),
            // Database workers, other tracking workers and commits start it again.
            Worker::Tracking(database) => (
                c"pinterest_tracking_main",
                pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
                pg_sys::BGW_NEVER_RESTART,
                database.to_u32(),
            ),
        };
        let mut worker = pg_sys::BackgroundWorker {
            bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
            bgw_start_time: start,
            bgw_restart_time: restart,
            bgw_main_arg: pg_sys::Datum::from(argument as usize),
            ..Default::default()
        };
        copy(&mut worker.bgw_name, self.type_name());
        copy(&mut worker.bgw_type, self.type_name());
        copy(&mut worker.bgw_library_name, c"pg_pinterest");
        copy(&mut worker.bgw_function_name, entry);
        worker
    }

    /// How many instances may run.
    fn wanted(self) -> usize {
        match self {
            Worker::Launcher | Worker::Supervisor => 1,
            Worker::Database(_) | Worker::Tracking(_) => settings::workers_per_database(),
        }
    }

    /// The running instances that are not about to end, the oldest first.
    pub fn running(self) -> Vec<Instance> {
        let mut found = self.listed();
        found.retain(|instance| !instance.leaving);
        found
    }

    fn listed(self) -> Vec<Instance> {
        // Without the memory no worker can be running.
        let _ = attach();
        let mut found: Vec<_> = presence::instances().filter(|instance| instance.worker == self).collect();
        found.sort_by_key(|instance| (instance.started, instance.pid));
        found
    }

    /// True if enough instances older than this process run: of several that were started at once, the younger ones end.
    pub fn is_superfluous(self) -> bool {
        // SAFETY: a plain read of a process-wide variable.
        let own = unsafe { pg_sys::MyProcPid };
        let running = self.running();
        !running.is_empty() && running.iter().take(self.wanted()).all(|instance| instance.pid != own)
    }

    /// Starts one more if fewer run than may; how many ran or were about to.
    pub fn start_sibling(self) -> usize {
        let running = self.running().len() + presence::expected(self);
        if running < self.wanted() {
            // Without a free slot there is one fewer.
            let _ = self.start(Sent::ToWork);
        }
        running
    }

    /// Starts an instance. It is not an error if it may not start yet: the launcher starts it later.
    ///
    /// # Errors
    /// [`Kind::Busy`] if no slot is free.
    pub fn start(self, sent: Sent) -> Result<(), Failure> {
        // The server notifies the launcher when it starts and ends: if it is terminated, another continues its work.
        let launcher = Worker::Launcher.running().first().map(|launcher| launcher.pid);
        self.register(sent, launcher, None).map(drop)
    }

    /// Starts an instance for the launcher. It reports its finding under this number of a visit. `None`: it may not start yet.
    ///
    /// # Errors
    /// [`Kind::Busy`] if no slot is free.
    pub fn visit(self, number: usize) -> Result<Option<Starting>, Failure> {
        attach()?;
        presence::open_visit(number, self.database());
        // SAFETY: a plain read of a process-wide variable.
        self.register(Sent::ToCheck, Some(unsafe { pg_sys::MyProcPid }), Some(number))
    }

    fn register(self, sent: Sent, notify: Option<i32>, visit: Option<usize>) -> Result<Option<Starting>, Failure> {
        attach()?;
        if !presence::may_start(self) {
            return Ok(None);
        }
        let mut worker = self.registration();
        worker.bgw_extra[0] = (sent == Sent::ToCheck).into();
        worker.bgw_extra[1] = visit.map_or(0, |number| number as std::ffi::c_char + 1);
        worker.bgw_notify_pid = notify.unwrap_or(0);
        presence::expect(self)?;
        let mut handle = std::ptr::null_mut();
        // The launcher uses the handle after the transaction, whose memory context ends before.
        // SAFETY: a fully initialised registration; a handle that is requested is allocated in TopMemoryContext.
        let registered = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let target = if visit.is_some() { &raw mut handle } else { std::ptr::null_mut() };
            let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, target);
            pg_sys::MemoryContextSwitchTo(before);
            registered
        };
        if registered {
            return Ok((!handle.is_null()).then(|| Starting(handle)));
        }
        presence::do_not_expect(self);
        if self.running().is_empty() {
            presence::record_refusal();
        }
        Err(Failure::new(Kind::Busy, "no background worker slot is free")
            .with_hint("Raise max_worker_processes and restart the server."))
    }

    /// Registers this kind to be started with the server. Only while preloading.
    pub fn register_static(self) {
        // SAFETY: a fully initialised registration, from _PG_init while preloading.
        unsafe { pg_sys::RegisterBackgroundWorker(&mut self.registration()) };
    }
}

/// A worker that the launcher has started.
pub struct Starting(*mut pg_sys::BackgroundWorkerHandle);

impl Starting {
    /// Has it ended, or could it not be started?
    pub fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: a handle from RegisterDynamicBackgroundWorker that is not freed yet.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &raw mut pid) };
        !matches!(status, pg_sys::BgwHandleStatus::BGWH_STARTED | pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED)
    }

    /// Terminates it.
    pub fn terminate(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::TerminateBackgroundWorker(self.0) };
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        // SAFETY: allocated with palloc in TopMemoryContext; used nowhere else.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// Attaches this process to the shared memory of the workers.
pub(super) fn attach() -> Result<(), Failure> {
    presence::attach(|| {
        deaths::take_stock();
        pause::take_stock();
    })
}

/// Lists this process among the running workers. The first step of a worker, before it connects: so it does not connect to
/// a paused database. False if the worker may not start.
pub fn join(worker: Worker) -> Result<bool, Failure> {
    attach()?;
    presence::join(worker)?;
    // SAFETY: a callback of this library, called after all callbacks that may write to the database in this process' name.
    unsafe { pg_sys::on_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
    let database = worker.database();
    if database == pg_sys::InvalidOid {
        return Ok(true);
    }
    deaths::begin(worker);
    Ok(!presence::is_paused(database))
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(code: i32, _argument: pg_sys::Datum) {
    finding::at_exit(code);
    if let Some(worker) = presence::leave() {
        want(worker);
    }
    deaths::ended_in_order();
}

/// The identities of all database and tracking workers. A claim of another identity is one of a dead process.
pub fn live_identities() -> Vec<String> {
    let workers = presence::instances().filter(|instance| instance.worker.database() != pg_sys::InvalidOid);
    workers.map(|instance| instance.identity()).chain([own_identity()]).collect()
}

/// The same without this process.
pub fn other_identities() -> Vec<String> {
    let own = own_identity();
    let mut identities = live_identities();
    identities.retain(|identity| *identity != own);
    identities
}

/// The launcher, the supervisor and the workers of this database.
pub fn listed() -> Vec<(Worker, Instance)> {
    let own = crate::postgres::platform::current_database();
    [Worker::Launcher, Worker::Supervisor, Worker::Database(own), Worker::Tracking(own)]
        .into_iter()
        .flat_map(|worker| worker.listed().into_iter().map(move |instance| (worker, instance)))
        .collect()
}

/// Databases with a database worker.
pub fn served_databases() -> Vec<pg_sys::Oid> {
    with_a_worker(|worker| matches!(worker, Worker::Database(_)))
}

/// Databases with a tracking worker.
pub fn tracked_databases() -> Vec<pg_sys::Oid> {
    with_a_worker(|worker| matches!(worker, Worker::Tracking(_)))
}

fn with_a_worker(wanted: impl Fn(Worker) -> bool) -> Vec<pg_sys::Oid> {
    let serving = presence::instances().filter(|instance| !instance.leaving && wanted(instance.worker));
    serving.map(|instance| instance.worker.database()).collect()
}

/// How many background workers the server runs, of this and other extensions, and how many it can run. Reads the states of all
/// sessions as of the transaction's first read of `pg_stat_activity`, so the caller keeps its snapshot.
pub fn background_workers() -> (usize, usize) {
    // SAFETY: entries are read from the local copy that these functions make.
    unsafe {
        let is_worker = |index: &i32| {
            let local = majors::local_session(*index);
            !local.is_null() && (*local).backendStatus.st_backendType == pg_sys::BackendType::B_BG_WORKER
        };
        let used = (1..=pg_sys::pgstat_fetch_stat_numbackends()).filter(is_worker).count();
        (used, usize::try_from(pg_sys::max_worker_processes).unwrap_or_default())
    }
}

fn copy<const N: usize>(target: &mut [std::ffi::c_char; N], text: &CStr) {
    for (slot, byte) in target.iter_mut().zip(text.to_bytes_with_nul()) {
        *slot = *byte as std::ffi::c_char;
    }
}

/// The kinds of worker, as bits by their numbers, that the current transaction wakes when it commits.
static WAKE_AT_COMMIT: AtomicU32 = AtomicU32::new(0);

/// Wakes this database's workers when the current transaction commits: before it they would find nothing. Once per
/// transaction, however many calls it makes. If none runs, one is started just before the commit; if that fails, the
/// launcher tries again.
pub fn wake_at_commit() -> Result<(), Failure> {
    attach()?;
    wake_kind_at_commit(Worker::Database(crate::postgres::platform::current_database()));
    Ok(())
}

/// The same for tracking workers.
pub fn wake_tracking_at_commit() -> Result<(), Failure> {
    attach()?;
    wake_kind_at_commit(Worker::Tracking(crate::postgres::platform::current_database()));
    Ok(())
}

/// [`wake_tracking_at_commit`] inside a user's statement, which must not fail and may call this for every row.
pub fn wake_tracking_at_commit_if_possible() {
    let _ = wake_tracking_at_commit();
}

fn wake_kind_at_commit(worker: Worker) {
    WAKE_AT_COMMIT.fetch_or(1 << worker.code(), Ordering::Relaxed);
}

fn workers_of(bits: u32) -> impl Iterator<Item = Worker> {
    let database = crate::postgres::platform::current_database();
    (0..u32::BITS).filter(move |code| bits & (1 << code) != 0).filter_map(move |code| Worker::of(code, database))
}

/// Makes sure that a database worker runs or starts here, and the workers that it needs; its process, once known. Does
/// nothing on a standby.
pub fn ensure_worker() -> Result<Option<i32>, Failure> {
    ensure(Worker::Database(crate::postgres::platform::current_database()))
}

/// The same for a tracking worker.
pub fn ensure_tracking_worker() -> Result<Option<i32>, Failure> {
    ensure(Worker::Tracking(crate::postgres::platform::current_database()))
}

/// Fails if the worker does not run and no slot is free for it. Without the others it still does the work that needs no
/// embedding.
fn ensure(worker: Worker) -> Result<Option<i32>, Failure> {
    if crate::postgres::platform::in_recovery() {
        return Ok(None);
    }
    let found = start_unless_coming(worker, Sent::ToWork)?;
    let _ = start_unless_coming(Worker::Launcher, Sent::ToWork);
    let _ = ensure_supervisor();
    Ok(found)
}

/// Makes sure that the embedder's supervisor runs or starts.
pub fn ensure_supervisor() -> Result<(), Failure> {
    start_unless_coming(Worker::Supervisor, Sent::ToWork).map(drop)
}

/// Ends the launcher and the supervisor if they run another version of the library than this process, a worker that has just
/// started and so has loaded the library's file as it is now. The server starts them again, with that file. Without
/// preloading, an upgrade thus needs no restart of the server.
pub fn replace_outdated() {
    let of_cluster = |worker| matches!(worker, Worker::Launcher | Worker::Supervisor);
    for instance in presence::instances().filter(|one| of_cluster(one.worker) && one.has_other_library()) {
        let line = format_args!("process {} runs another version of the library; replacing it", instance.pid);
        log::line(About::Server, line);
        // SAFETY: a system call on plain integers, for a process that was just listed as running.
        unsafe { libc::kill(instance.pid, libc::SIGTERM) };
    }
}

/// Does an instance run?
pub fn is_running(worker: Worker) -> bool {
    !worker.running().is_empty()
}

/// The process of a worker, if one runs. Otherwise starts one, unless it was requested already.
pub fn start_unless_coming(worker: Worker, sent: Sent) -> Result<Option<i32>, Failure> {
    match worker.running().first() {
        Some(instance) => return Ok(Some(instance.pid)),
        None if presence::expected(worker) == 0 => worker.start(sent)?,
        None => {}
    }
    Ok(None)
}

/// Logs at most once per minute and session that queued work waits.
fn log_that_work_waits(failure: &Failure) {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = presence::now();
    if now - LAST.load(Ordering::Relaxed) > 60_000_000 {
        LAST.store(now, Ordering::Relaxed);
        log::line(About::Database, format_args!("{failure}; queued work waits for a worker"));
    }
}

/// A prepared transaction commits elsewhere; the worker that is started finds its work by polling.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    let wake = WAKE_AT_COMMIT.load(Ordering::Relaxed);
    if wake == 0 {
        return;
    }
    match event {
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT | pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => {
            for worker in workers_of(wake) {
                // The user's transaction must not fail because of that.
                if let Err(failure) = ensure(worker) {
                    log_that_work_waits(&failure);
                }
            }
        }
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            WAKE_AT_COMMIT.store(0, Ordering::Relaxed);
            workers_of(wake).for_each(wake_or_want);
        }
        // Another session may commit a prepared transaction.
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            WAKE_AT_COMMIT.store(0, Ordering::Relaxed)
        }
        _ => {}
    }
}

/// Wakes the instances of a worker.
pub fn wake_all(worker: Worker) {
    presence::instances().filter(|instance| instance.worker == worker).for_each(|instance| instance.wake());
}

/// Wakes the instances that accept work, or requests one from the launcher. Cannot fail.
fn wake_or_want(worker: Worker) {
    // The commit is visible from here on, before the list is read.
    fence(Ordering::SeqCst);
    let mut found = false;
    for instance in presence::instances().filter(|instance| instance.worker == worker && !instance.leaving) {
        found |= instance.wake_for_work();
    }
    if !found {
        want(worker);
    }
}

/// Requests a worker from the launcher. Cannot fail.
fn want(worker: Worker) {
    presence::want(worker);
    wake_launcher();
}

/// Wakes the launcher.
pub fn wake_launcher() {
    wake_all(Worker::Launcher);
}

/// Registers a callback for the end of transactions. From `_PG_init`.
pub fn watch_commits() {
    // SAFETY: a callback that exists as long as the library.
    unsafe { pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut()) };
}
