//! Settings that a session changes for itself and that the server puts back.

use std::ffi::CStr;

use pgrx::pg_sys;

/// When a changed setting is put back. The abort of the transaction does it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When the present nest level is closed.
    NestLevelCloses,
    /// When the transaction ends, as after SET LOCAL.
    TransactionEnds,
}

/// Changes a setting that exists and that every role may change.
pub fn set(name: &CStr, value: &CStr, until: Until) {
    let action = match until {
        Until::NestLevelCloses => pg_sys::GucAction::GUC_ACTION_SAVE,
        Until::TransactionEnds => pg_sys::GucAction::GUC_ACTION_LOCAL,
    };
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
