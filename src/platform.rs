//! What the server says about itself: its directories, its identity, its role.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pgrx::pg_sys;

/// The embedder's socket, relative to the data directory, which is every server process' working directory: short
/// enough for `sun_path` wherever the cluster lies. `pg_stat_tmp` is private to the server's user, left out of base
/// backups, and since Postgres 15 there for extensions' transient files.
pub const EMBEDDER_SOCKET: &str = "pg_stat_tmp/pinterest-embedder.sock";

fn path_from(text: &CStr) -> PathBuf {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes())).to_path_buf()
}

/// The directory of the running server's programs.
pub fn server_bindir() -> PathBuf {
    // SAFETY: set by the postmaster before it loads or forks anything, NUL-terminated.
    let program = path_from(unsafe { CStr::from_ptr((&raw const pg_sys::my_exec_path).cast()) });
    program.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The data directory.
pub fn data_directory() -> PathBuf {
    // SAFETY: set at server start, never freed.
    path_from(unsafe { CStr::from_ptr(pg_sys::DataDir) })
}

/// The identifier that initdb gave this cluster. A physical copy keeps it, a restored dump lives under another.
pub fn system_identifier() -> String {
    // SAFETY: reads shared memory that exists in every server process.
    unsafe { pg_sys::GetSystemIdentifier() }.to_string()
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

/// True where the library was loaded at server start.
pub fn is_preloaded() -> bool {
    // SAFETY: the setting's storage lives as long as the process.
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
