//! The state of a transaction that several statements of one query string have.

use pgrx::pg_sys;

/// An implicit transaction block, as around the statements of a query string with several. Extensions that ask whether
/// more statements follow in this transaction are told so.
pub struct ImplicitBlock {
    opened: bool,
}

impl ImplicitBlock {
    /// Opens one until it is dropped, unless the transaction is in a block of any kind.
    pub fn open() -> Self {
        // SAFETY: main thread, inside a transaction. It changes the state of a transaction that was started for a single
        // statement, and nothing else; an ERROR ends either state in the same way.
        unsafe {
            let opened = !pg_sys::IsTransactionBlock();
            if opened {
                pg_sys::BeginImplicitTransactionBlock();
            }
            ImplicitBlock { opened }
        }
    }
}

impl Drop for ImplicitBlock {
    fn drop(&mut self) {
        // After an ERROR the abort ends it.
        if self.opened && !std::thread::panicking() {
            // SAFETY: the state that `open` has changed.
            unsafe { pg_sys::EndImplicitTransactionBlock() };
        }
    }
}
