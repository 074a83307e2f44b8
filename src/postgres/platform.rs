//! Properties of the server and its host: directories, identities, clocks, settings, state.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pgrx::pg_sys;
use pinterest::observed_time::Observation;
use sha2::{Digest, Sha256};

/// The embedder's socket, relative to the data directory, which is every server process' working directory: short
/// enough for `sun_path` in every cluster. `pg_stat_tmp` is private to the server's user, excluded from base
/// backups, and since Postgres 15 meant for extensions' transient files.
pub const EMBEDDER_SOCKET: &str = "pg_stat_tmp/pinterest-embedder.sock";

/// A database worker's socket, to which backends send requests that cannot wait for their commit.
pub fn worker_socket(pid: i32) -> PathBuf {
    PathBuf::from(format!("pg_stat_tmp/pinterest-worker.{pid}.sock"))
}

fn path_from(text: &CStr) -> PathBuf {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes())).to_path_buf()
}

/// The directory of the running server's programs.
pub fn server_bindir() -> PathBuf {
    // SAFETY: set by the postmaster before it loads or forks anything, NUL-terminated.
    let program = path_from(unsafe { CStr::from_ptr((&raw const pg_sys::my_exec_path).cast()) });
    program.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The file that this library was loaded from.
fn library() -> Option<PathBuf> {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let function: fn() -> Option<PathBuf> = library;
    // SAFETY: the address of a function of this library; dladdr writes into the structure. The name that it sets belongs to the
    // dynamic linker and is valid while the library is loaded, which is until the process ends.
    unsafe {
        let found = match libc::dladdr(function as *const libc::c_void, found.as_mut_ptr()) {
            0 => return None,
            _ => found.assume_init(),
        };
        (!found.dli_fname.is_null()).then(|| path_from(CStr::from_ptr(found.dli_fname)))
    }
}

/// A program that is installed with the library: in the directory `bin` beside that of the library, as in an extension image and
/// in Debian's packages, or else among the server's programs.
pub fn installed_program(name: &str) -> PathBuf {
    library().and_then(|library| program_beside(&library, name)).unwrap_or_else(|| server_bindir().join(name))
}

fn program_beside(library: &Path, name: &str) -> Option<PathBuf> {
    let program = library.parent()?.parent()?.join("bin").join(name);
    (program.is_absolute() && program.is_file()).then_some(program)
}

/// Reads the clocks: the system time, which can be set, and the time since boot, which cannot. On systems without a clock since
/// boot, or without a boot id, only the first is used.
pub fn observe_clocks() -> Observation {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let clock = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    #[cfg(target_os = "linux")]
    {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes into the structure given.
        if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } == 0 {
            let uptime = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000);
            return Observation { clock, uptime, boot: boot.trim().to_owned() };
        }
    }
    Observation { clock, uptime: 0, boot: String::new() }
}

/// The data directory.
pub fn data_directory() -> PathBuf {
    // SAFETY: set at server start, never freed.
    path_from(unsafe { CStr::from_ptr(pg_sys::DataDir) })
}

/// The identifier that initdb gave this cluster, and this database's oid in it. A physical copy keeps both; a restored
/// dump and a copy by CREATE DATABASE … TEMPLATE have others; pg_upgrade keeps only the oid.
pub fn database_identity() -> String {
    // SAFETY: reads shared memory that exists in every server process.
    let system = unsafe { pg_sys::GetSystemIdentifier() };
    format!("{system}/{}", current_database().to_u32())
}

/// Identifies this host and data directory: SHA-256 over the host's name, its machine id, if it has one, and the data directory's
/// real path. A cloned host with the same three has the same digest.
pub fn host_digest() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: writes at most the length given, less than the array's, so that it stays NUL-terminated.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let directory = data_directory();
    let directory = directory.canonicalize().unwrap_or(directory);
    let mut digest = Sha256::new();
    for part in [name.as_slice(), machine.as_slice(), directory.as_os_str().as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prevents a core dump of this process while it holds a key or a token, and tracing by other processes of its user. Does nothing
/// on systems without such a switch.
pub struct NoCoreDump {
    before: bool,
}

impl NoCoreDump {
    /// From now on, until dropped.
    pub fn new() -> Self {
        #[cfg(target_os = "linux")]
        // SAFETY: two system calls on plain integers.
        let before = unsafe {
            let before = libc::prctl(libc::PR_GET_DUMPABLE) == 1;
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            before
        };
        #[cfg(not(target_os = "linux"))]
        let before = false;
        NoCoreDump { before }
    }
}

impl Drop for NoCoreDump {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if self.before {
            // SAFETY: a system call on plain integers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
        }
    }
}

/// The server's `search_path`, as [`remember_search_path`] found it.
static SEARCH_PATH: OnceLock<CString> = OnceLock::new();

/// Remembers the server's `search_path`: after a process has connected, the settings of its role and database hide it.
pub fn remember_search_path() {
    SEARCH_PATH.get_or_init(present_search_path);
}

/// The `search_path` of the server's configuration, as it was before this process connected.
pub fn remembered_search_path() -> Option<&'static CStr> {
    SEARCH_PATH.get().map(CString::as_c_str)
}

/// The `search_path` with which a session of this process' role starts in this database.
pub fn present_search_path() -> CString {
    // SAFETY: a setting that every server has; its text is copied at once.
    unsafe {
        let value = pg_sys::GetConfigOptionResetString(c"search_path".as_ptr());
        if value.is_null() { CString::default() } else { CStr::from_ptr(value).to_owned() }
    }
}

/// True on a standby.
pub fn in_recovery() -> bool {
    // SAFETY: reads shared memory that exists in every server process.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// The database of this process.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: a plain read of a process-wide variable.
    unsafe { pg_sys::MyDatabaseId }
}

/// True while `shared_preload_libraries` are loaded.
pub fn is_preloading() -> bool {
    // SAFETY: a plain read of a process-wide variable.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// True if the library was loaded at server start.
pub fn is_preloaded() -> bool {
    // SAFETY: the setting's storage exists until the process ends.
    let list = unsafe {
        let setting = pg_sys::shared_preload_libraries_string;
        if setting.is_null() { c"" } else { CStr::from_ptr(setting) }
    };
    list.to_string_lossy().split(',').any(|name| name.trim().trim_matches('"').ends_with("pg_pinterest"))
}

/// True inside pg_upgrade.
pub fn is_binary_upgrade() -> bool {
    // SAFETY: a plain read of a process-wide variable.
    unsafe { pg_sys::IsBinaryUpgrade }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_bin_beside_the_directory_of_the_library() -> std::io::Result<()> {
        let image = std::env::temp_dir().join(format!("pg_pinterest-image-{}", std::process::id()));
        let library = image.join("lib/pg_pinterest.so");
        std::fs::create_dir_all(image.join("bin/directory"))?;
        std::fs::write(image.join("bin/program"), "")?;
        let found = |library: &Path, name| program_beside(library, name);
        assert_eq!(found(&library, "program"), Some(image.join("bin/program")));
        assert_eq!(found(&library, "absent"), None);
        assert_eq!(found(&library, "directory"), None);
        assert_eq!(found(&image.join("lib/postgresql/pg_pinterest.so"), "program"), None);
        assert_eq!(found(Path::new("lib/pg_pinterest.so"), "program"), None);
        std::fs::remove_dir_all(image)
    }
}
