//! Caches a value for each call site of a function in a query. A STABLE function is called once for an index scan, but for every
//! row of a sequential scan, with the same result.
//!
//! The call site may outlive the query: PL/pgSQL keeps a simple expression, with its cache, until the end of the transaction. The
//! current role and the tables' contents may have changed by then.

use pgrx::{PgMemoryContexts, pg_sys};

use crate::errors::Failure;

/// The role of a query, and its snapshot.
#[derive(Clone, Copy, PartialEq)]
struct Moment {
    user: pg_sys::Oid,
    command: pg_sys::CommandId,
    /// Each commit of another session raises `next_transaction` or lowers `running`: no transaction starts below the first.
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

/// The value that `compute` returns for `key`, cached until the query ends or the key changes.
///
/// A function must use it with one pair of types only.
pub fn once_per_query<K: PartialEq + 'static, V: Clone + 'static>(
    call: pg_sys::FunctionCallInfo,
    key: K,
    compute: impl FnOnce() -> Result<V, Failure>,
) -> Result<V, Failure> {
    let Some(moment) = Moment::now() else { return compute() };
    let key = (moment, key);
    // SAFETY: fn_extra belongs to the called function while fn_mcxt exists, and is used for this only; the cached pair is dropped
    // with that context.
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
