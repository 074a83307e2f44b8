//! A value computed once in a query, at each place where the query calls a function. A STABLE function is called once
//! for an index scan, but for every row of a sequential one; its answer is the same each time.
//!
//! The place may outlive the query: PL/pgSQL keeps a simple expression, with what is remembered there, until the end of
//! the transaction. The role may be another by then, and the tables' contents.

use pgrx::{PgMemoryContexts, pg_sys};

use crate::errors::Failure;

/// For whom a query runs, and what it sees.
#[derive(Clone, Copy, PartialEq)]
struct Moment {
    user: pg_sys::Oid,
    command: pg_sys::CommandId,
    /// Each commit of others raises the first, or takes from the second: no transaction begins below it.
    next_transaction: pg_sys::TransactionId,
    running: u32,
}

impl Moment {
    fn now() -> Option<Self> {
        // SAFETY: main thread, inside a transaction; the snapshot is read while it is the active one.
        unsafe {
            pg_sys::ActiveSnapshotSet().then(|| {
                let snapshot = *pg_sys::GetActiveSnapshot();
                Moment {
                    user: pg_sys::GetUserId(),
                    command: snapshot.curcid,
                    next_transaction: snapshot.xmax,
                    running: snapshot.xcnt,
                }
            })
        }
    }
}

/// The value that `compute` gives for `key`, remembered until the query ends or another key comes.
///
/// A function uses it with one pair of types only.
pub fn once_per_query<K: PartialEq + 'static, V: Clone + 'static>(
    call: pg_sys::FunctionCallInfo,
    key: K,
    compute: impl FnOnce() -> Result<V, Failure>,
) -> Result<V, Failure> {
    let Some(moment) = Moment::now() else { return compute() };
    let key = (moment, key);
    // SAFETY: fn_extra belongs to the called function for as long as fn_mcxt lives, and this is all it is used for; the
    // remembered pair is dropped with that context.
    unsafe {
        let place = (*call).flinfo;
        if place.is_null() {
            return compute();
        }
        let remembered = (*place).fn_extra.cast::<((Moment, K), V)>();
        if !remembered.is_null() && (*remembered).0 == key {
            return Ok((*remembered).1.clone());
        }
        let value = compute()?;
        if remembered.is_null() {
            let pair = PgMemoryContexts::For((*place).fn_mcxt).leak_and_drop_on_delete((key, value.clone()));
            (*place).fn_extra = pair.cast();
        } else {
            *remembered = (key, value.clone());
        }
        Ok(value)
    }
}
