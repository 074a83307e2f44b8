//! A value computed once in a query, at each place where the query calls a function. A STABLE function is called once
//! for an index scan, but for every row of a sequential one; its answer is the same each time.

use pgrx::{PgMemoryContexts, pg_sys};

use crate::errors::Failure;

/// The value that `compute` gives for `key`, remembered until the query ends or another key comes.
///
/// A function uses it with one pair of types only.
pub fn once_per_query<K: PartialEq + 'static, V: Clone + 'static>(
    call: pg_sys::FunctionCallInfo,
    key: K,
    compute: impl FnOnce() -> Result<V, Failure>,
) -> Result<V, Failure> {
    // SAFETY: fn_extra belongs to the called function for as long as fn_mcxt lives, and this is all it is used for; the
    // remembered pair is dropped with that context.
    unsafe {
        let place = (*call).flinfo;
        if place.is_null() {
            return compute();
        }
        let remembered = (*place).fn_extra.cast::<(K, V)>();
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
