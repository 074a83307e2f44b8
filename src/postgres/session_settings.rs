//! Settings that a function changes and that the server restores. All of them exist, and every role may change them.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

/// A nest level of settings. The changes made on it are undone when it is dropped, or when the transaction aborts.
pub struct GucLevel(c_int);

impl GucLevel {
    /// Opens a level inside the current one.
    pub fn open() -> Self {
        // SAFETY: main thread; closed by `drop`, or by the abort.
        GucLevel(unsafe { pg_sys::NewGUCNestLevel() })
    }

    /// Changes a setting until the level is closed.
    pub fn set(&self, name: &CStr, value: &CStr) {
        set(name, value, pg_sys::GucAction::GUC_ACTION_SAVE);
    }

    /// Leaves the level to the abort of the transaction, for callers that have caught an ERROR.
    pub fn leave_to_abort(self) {
        std::mem::forget(self);
    }
}

impl Drop for GucLevel {
    fn drop(&mut self) {
        // After an ERROR the abort closes it.
        if !std::thread::panicking() {
            // SAFETY: closes the level opened in `open`.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}

/// The value of a setting, if it exists.
pub fn current(name: &CStr) -> Option<String> {
    // SAFETY: reads a setting; a missing one gives NULL, the text is the setting's own.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Changes a setting until the transaction ends, as SET LOCAL does.
pub fn set_local(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

/// Runs a SET LOCAL, which other extensions see as a statement.
pub fn run_set_local(statement: &CStr) {
    // SAFETY: main thread, inside a transaction; an ERROR unwinds, and the abort closes the connection to SPI. The
    // statement is not one that reads, whatever the function that this is called in.
    unsafe {
        pg_sys::SPI_connect();
        pg_sys::SPI_execute(statement.as_ptr(), false, 0);
        pg_sys::SPI_finish();
    }
}

fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    // SAFETY: main thread, inside a transaction; NUL-terminated strings, copied by the callee.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}
