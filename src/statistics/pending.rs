//! Counts of the current transaction, which become visible if it commits. Those of a subtransaction that is rolled back are
//! dropped. A prepared transaction counts when it is prepared.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Once;

use pgrx::pg_sys;

use super::counter::{Counter, Tracked, View};
use super::{memory, named};

#[derive(Clone, Copy)]
enum What {
    Counter(Counter),
    Column(i64, Tracked),
    /// The column is no longer tracked.
    Forget(i64),
    /// The extension was created: its counters begin at 0.
    Reset(View),
}

struct Pending {
    /// The nesting level of the subtransaction that made it.
    level: i32,
    what: What,
    number: u64,
}

thread_local! {
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
}

/// Counts something that the current transaction has done. On the main thread.
pub fn note(counter: Counter, number: usize) {
    push(What::Counter(counter), number);
}

/// [`note`] for a tracked column.
pub fn note_of_column(tracked_column_id: i64, counter: Tracked, number: usize) {
    push(What::Column(tracked_column_id, counter), number);
}

/// Forgets the counters of a column that the current transaction has stopped to track.
pub fn note_untracked(tracked_column_id: i64) {
    push(What::Forget(tracked_column_id), 1);
}

/// Resets the counters of a view of this database.
pub fn note_reset(view: View) {
    push(What::Reset(view), 1);
}

fn push(what: What, number: usize) {
    // Workers are attached, and sessions try once: without memory for the counters nothing is counted.
    static TRIED: Once = Once::new();
    TRIED.call_once(|| drop(memory::attach()));
    if number == 0 || memory::own().is_none() {
        return;
    }
    static WATCHED: Once = Once::new();
    // SAFETY: main thread; callbacks that exist as long as the library.
    WATCHED.call_once(|| unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_ends), std::ptr::null_mut());
    });
    // SAFETY: a plain read of the transaction's state.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    PENDING.with_borrow_mut(|pending| pending.push(Pending { level, what, number: number as u64 }));
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            PENDING.with_borrow_mut(|pending| pending.drain(..).for_each(count));
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT => PENDING.with_borrow_mut(Vec::clear),
        _ => {}
    }
}

fn count(Pending { what, number, .. }: Pending) {
    match what {
        What::Counter(counter) => super::add(counter, number),
        What::Column(id, counter) => named::count_of_column(id, counter, number),
        What::Forget(id) => named::forget_column(id),
        What::Reset(view) => memory::reset(view),
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn subtransaction_ends(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    // SAFETY: a plain read of the transaction's state; the subtransaction is still the current one.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    PENDING.with_borrow_mut(|pending| match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => pending.retain(|one| one.level < level),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
            pending.iter_mut().filter(|one| one.level >= level).for_each(|one| one.level = level - 1);
        }
        _ => {}
    });
}
