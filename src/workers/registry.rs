//! The kinds of worker, how each is registered, and which of them run.
//!
//! Without `shared_preload_libraries` there is no shared memory of ours, so what runs is read from the server's own
//! process table, which every process may do and no role can fake.
//!
//! A database's worker that finds nothing to do leaves, and nothing that is committed meanwhile may be forgotten. So it
//! first marks its entry in that table, then looks a last time; a commit first becomes visible, then looks for a worker
//! without the mark. Whichever comes second sees the other: either the worker stays, or the commit starts a new one.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

use crate::errors::{Failure, Kind};
use crate::settings;

/// A kind of worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// One in a cluster: starts a database worker wherever one is due.
    Launcher,
    /// One in a cluster, on standbys too: owns the embedder's socket and process.
    Supervisor,
    /// One in a database while there is work: imports and refreshes.
    Database(pg_sys::Oid),
}

/// Why a database's worker is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// By the launcher, to see whether anything is due.
    ToLook,
    /// By a call whose work may not be committed yet.
    ToWork,
}

impl Sent {
    /// Why this process was started.
    pub fn own() -> Self {
        // SAFETY: set in every background worker, copied from what `start` registered.
        if unsafe { (*pg_sys::MyBgworkerEntry).bgw_extra[0] } != 0 { Sent::ToLook } else { Sent::ToWork }
    }
}

/// A running worker.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// Microseconds since 2000-01-01 UTC, as Postgres counts.
    pub started: i64,
    /// Its process.
    pub pid: i32,
    /// Its database; `InvalidOid` where it has none.
    pub database: pg_sys::Oid,
    /// It takes on nothing any more.
    pub leaving: bool,
}

/// The application name of a worker that is leaving.
const LEAVING: &CStr = c"leaving";

impl Instance {
    /// A name that no later process has: process ids come again, with the start time they do not.
    pub fn identity(&self) -> String {
        format!("{}.{}", self.pid, self.started)
    }
}

impl Worker {
    /// `backend_type` in pg_stat_activity.
    pub fn type_name(self) -> &'static CStr {
        match self {
            Worker::Launcher => c"pg_pinterest launcher",
            Worker::Supervisor => c"pg_pinterest supervisor",
            Worker::Database(_) => c"pg_pinterest worker",
        }
    }

    fn registration(self) -> pg_sys::BackgroundWorker {
        let (entry, start, restart, argument) = match self {
            Worker::Launcher => {
                (c"pinterest_launcher_main", pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished, 5, 0)
            }
            // Text queries are to work on hot standbys.
            Worker::Supervisor => {
                (c"pinterest_supervisor_main", pg_sys::BgWorkerStartTime::BgWorkerStart_ConsistentState, 5, 0)
            }
            // Restarted by the launcher, with back-off: a database may have been dropped meanwhile.
            Worker::Database(database) => (
                c"pinterest_database_main",
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

    fn matches(self, name: &CStr, database: pg_sys::Oid) -> bool {
        name == self.type_name() && !matches!(self, Worker::Database(own) if own != database)
    }

    /// How many instances may run.
    fn wanted(self) -> usize {
        match self {
            Worker::Launcher | Worker::Supervisor => 1,
            Worker::Database(_) => settings::workers_per_database(),
        }
    }

    /// The running instances that are not about to leave, the oldest first.
    pub fn running(self) -> Vec<Instance> {
        let mut found = self.listed();
        found.retain(|instance| !instance.leaving);
        found
    }

    fn listed(self) -> Vec<Instance> {
        let mut found = all(|name, database| self.matches(name, database));
        found.sort_by_key(|instance| (instance.started, instance.pid));
        found
    }

    /// True where enough older instances than this process run: of several that were started at once, the younger leave.
    pub fn is_superfluous(self) -> bool {
        // SAFETY: a plain read of a process-wide variable.
        let own = unsafe { pg_sys::MyProcPid };
        let running = self.running();
        !running.is_empty() && running.iter().take(self.wanted()).all(|instance| instance.pid != own)
    }

    /// True where `starting` is an instance that has yet to look for work.
    fn is_coming(self, name: &CStr, starting: &Starting) -> bool {
        name == self.type_name()
            && match starting.pid() {
                Ok(None) => true,
                Ok(Some(pid)) => !self.listed().iter().any(|listed| listed.pid == pid && listed.leaving),
                Err(()) => false,
            }
    }

    /// Starts one more where fewer run than may. Each instance does so at its start, until there are enough.
    pub fn start_siblings(self, sent: Sent) {
        if self.running().len() < self.wanted() {
            // Without a free slot there is one fewer.
            let _ = self.start(sent, None);
        }
    }

    /// Starts an instance; its process id is not known yet. The process `notify` gets a signal when it starts and ends.
    pub fn start(self, sent: Sent, notify: Option<i32>) -> Result<Starting, Failure> {
        let mut worker = self.registration();
        worker.bgw_extra[0] = (sent == Sent::ToLook).into();
        worker.bgw_notify_pid = notify.unwrap_or(0);
        let mut handle = std::ptr::null_mut();
        // A transaction's context would be gone before a launcher looks at the handle again.
        // SAFETY: a fully initialised registration; the handle is allocated in TopMemoryContext.
        let registered = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
            pg_sys::MemoryContextSwitchTo(before);
            registered
        };
        if registered {
            Ok(Starting(handle))
        } else {
            Err(Failure::new(Kind::Busy, "no background worker slot is free")
                .with_hint("Raise max_worker_processes, which takes a restart."))
        }
    }

    /// Registers this kind to be started with the server. Only while preloading.
    pub fn register_static(self) {
        // SAFETY: a fully initialised registration, from _PG_init while preloading.
        unsafe { pg_sys::RegisterBackgroundWorker(&mut self.registration()) };
    }
}

/// A worker that was asked for.
pub struct Starting(*mut pg_sys::BackgroundWorkerHandle);

impl Starting {
    /// Its process, once it runs; `Err` once it has ended or could not be started.
    pub fn pid(&self) -> Result<Option<i32>, ()> {
        let mut pid = 0;
        // SAFETY: a handle that RegisterDynamicBackgroundWorker gave and nobody freed.
        match unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &raw mut pid) } {
            pg_sys::BgwHandleStatus::BGWH_STARTED => Ok(Some(pid)),
            pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED => Ok(None),
            _ => Err(()),
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        // SAFETY: allocated with palloc in TopMemoryContext; used nowhere else.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// The identities of all database workers: what a claim is compared with to tell a live owner from a dead one.
pub fn live_identities() -> Vec<String> {
    all(|name, _| name == Worker::Database(pg_sys::InvalidOid).type_name())
        .iter()
        .map(Instance::identity)
        .chain([own_identity()])
        .collect()
}

/// This process' identity.
pub fn own_identity() -> String {
    // SAFETY: plain reads of process-wide variables.
    let (pid, started) = unsafe { (pg_sys::MyProcPid, pg_sys::MyStartTimestamp) };
    Instance { started, pid, database: pg_sys::InvalidOid, leaving: false }.identity()
}

/// The launcher, the supervisor and the workers of this database.
pub fn listed() -> Vec<(Worker, Instance)> {
    [Worker::Launcher, Worker::Supervisor, Worker::Database(crate::platform::current_database())]
        .into_iter()
        .flat_map(|worker| worker.listed().into_iter().map(move |instance| (worker, instance)))
        .collect()
}

/// Databases that a worker serves.
pub fn served_databases() -> Vec<pg_sys::Oid> {
    all(|name, _| name == Worker::Database(pg_sys::InvalidOid).type_name())
        .into_iter()
        .filter(|instance| !instance.leaving)
        .map(|instance| instance.database)
        .collect()
}

fn all(wanted: impl Fn(&CStr, pg_sys::Oid) -> bool) -> Vec<Instance> {
    let mut found = Vec::new();
    // SAFETY: entries are read from the local copy that these functions make; names are NUL-terminated.
    unsafe {
        pg_sys::pgstat_clear_snapshot();
        for index in 1..=pg_sys::pgstat_fetch_stat_numbackends() {
            let local = local_entry(index);
            if local.is_null() || (*local).backendStatus.st_backendType != pg_sys::BackendType::B_BG_WORKER {
                continue;
            }
            let entry = &(*local).backendStatus;
            let name = pg_sys::GetBackgroundWorkerTypeByPid(entry.st_procpid);
            if !name.is_null() && wanted(CStr::from_ptr(name), entry.st_databaseid) {
                found.push(Instance {
                    started: entry.st_proc_start_timestamp,
                    pid: entry.st_procpid,
                    database: entry.st_databaseid,
                    leaving: !entry.st_appname.is_null() && CStr::from_ptr(entry.st_appname) == LEAVING,
                });
            }
        }
    }
    found
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn local_entry(index: i32) -> *mut pg_sys::LocalPgBackendStatus {
    // SAFETY: the caller keeps to 1..=numbackends.
    unsafe { pg_sys::pgstat_fetch_stat_local_beentry(index) }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn local_entry(index: i32) -> *mut pg_sys::LocalPgBackendStatus {
    // SAFETY: the caller keeps to 1..=numbackends.
    unsafe { pg_sys::pgstat_get_local_beentry_by_index(index) }
}

fn copy<const N: usize>(target: &mut [std::ffi::c_char; N], text: &CStr) {
    for (slot, byte) in target.iter_mut().zip(text.to_bytes_with_nul()) {
        *slot = *byte as std::ffi::c_char;
    }
}

/// Whether the current transaction wakes this database's workers when it commits.
static WAKE_AT_COMMIT: AtomicBool = AtomicBool::new(false);

/// Wakes this database's workers when the current transaction commits: not before, they would find nothing, and once,
/// however many calls the transaction makes.
pub fn wake_at_commit() -> Result<(), Failure> {
    ensure_worker()?;
    WAKE_AT_COMMIT.store(true, Ordering::Relaxed);
    Ok(())
}

/// [`wake_at_commit`] from inside a user's statement, which must not fail for want of a worker, and may call this for
/// every row. Who commits, or the launcher, tries again.
pub fn wake_at_commit_if_possible() {
    if !WAKE_AT_COMMIT.swap(true, Ordering::Relaxed) {
        let _ = ensure_worker();
    }
}

/// Makes sure that this database's worker and those it needs run or start; its process, once known. On a standby none
/// of them does anything.
pub fn ensure_worker() -> Result<Option<i32>, Failure> {
    if crate::platform::in_recovery() {
        return Ok(None);
    }
    if !is_running(Worker::Launcher) {
        start_once(Worker::Launcher)?;
    }
    ensure_supervisor()?;
    let own = Worker::Database(crate::platform::current_database());
    match own.running().first() {
        Some(instance) => Ok(Some(instance.pid)),
        None => start_once(own),
    }
}

/// Makes sure that the embedder's supervisor runs or starts.
pub fn ensure_supervisor() -> Result<(), Failure> {
    if !is_running(Worker::Supervisor) {
        start_once(Worker::Supervisor)?;
    }
    Ok(())
}

/// Does an instance run?
pub fn is_running(worker: Worker) -> bool {
    !worker.running().is_empty()
}

thread_local! {
    // What this session has asked for and may still be on its way: a burst of calls is to start one worker.
    static ASKED: std::cell::RefCell<Vec<(&'static CStr, Starting)>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn start_once(worker: Worker) -> Result<Option<i32>, Failure> {
    ASKED.with_borrow_mut(|asked| {
        asked.retain(|(_, starting)| starting.pid().is_ok());
        if let Some((_, starting)) = asked.iter().find(|(name, starting)| worker.is_coming(name, starting)) {
            return Ok(starting.pid().ok().flatten());
        }
        // The launcher learns when it has ended: terminated at its work, another goes on with it.
        let launcher = Worker::Launcher.running().first().map(|launcher| launcher.pid);
        let starting = worker.start(Sent::ToWork, launcher)?;
        let pid = starting.pid().ok().flatten();
        asked.push((worker.type_name(), starting));
        Ok(pid)
    })
}

/// Says that this worker takes on nothing any more, so that whoever commits work from now on starts another; or takes
/// that back.
pub fn mark_as_leaving(leaving: bool) {
    let name = if leaving { LEAVING } else { c"" };
    // SAFETY: a NUL-terminated string, copied by the callee into this process' own entry.
    unsafe { pg_sys::pgstat_report_appname(name.as_ptr()) };
}

/// Sets another server process' latch; a process that is gone is not missed.
pub fn wake(pid: i32) {
    // SAFETY: a look-up in the process array; the entry's latch lives in shared memory for good.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        if !process.is_null() {
            pg_sys::SetLatch(&raw mut (*process).procLatch);
        }
    }
}

/// Wakes the workers after a commit. A prepared transaction does not come here; a worker's slow poll finds its work.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT if WAKE_AT_COMMIT.swap(false, Ordering::Relaxed) => {
            let own = Worker::Database(crate::platform::current_database());
            let running = own.running();
            running.iter().for_each(|instance| wake(instance.pid));
            let is_coming =
                || ASKED.with_borrow(|asked| asked.iter().any(|(name, starting)| own.is_coming(name, starting)));
            if running.is_empty() && !is_coming() {
                // The one that was there has left since. A commit must not fail: without a slot the launcher sends one.
                let _ = own.start(Sent::ToWork, None);
            }
        }
        // Who commits a prepared transaction is another session, perhaps.
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            WAKE_AT_COMMIT.store(false, Ordering::Relaxed)
        }
        _ => {}
    }
}

/// Hooks the end of transactions. From `_PG_init`.
pub fn watch_commits() {
    // SAFETY: a callback that lives as long as the library.
    unsafe { pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut()) };
}
