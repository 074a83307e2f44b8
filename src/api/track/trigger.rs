//! The functions of the triggers on tracked tables. They run inside users' statements, with the rights of whoever
//! changes the table: values are read with those, and only then is the queue written, as pinterest_worker.
//!
//! Raw functions, because the server calls them for every row of a bulk load: pgrx' `#[pg_trigger]` looks up the
//! relation and its arguments anew for each.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::num::NonZeroUsize;
use std::rc::Rc;

use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::errors::{Failure, Kind};
use crate::identity::as_worker;
use crate::once_per_query::once_per_query;
use crate::store::track::queue;
use crate::workers::registry;

/// What the server says about functions of the library: that they take the usual arguments.
static VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// For `LANGUAGE c`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_pinterest_track_change() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// For `LANGUAGE c`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_pinterest_track_stale() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// `pinterest.track_change(tracked_column_id, source, key…)`, after a row changed or the table was emptied: keeps the
/// queue.
///
/// # Safety
///
/// Called by the server's function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn pinterest_track_change(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server's own arguments, checked to be those of a trigger.
    let done = unsafe { Fired::new(call).and_then(|fired| fired.change(call)) };
    if let Err(failure) = done {
        pgrx::pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
    }
    pg_sys::Datum::null()
}

/// `pinterest.track_stale(source, embedding)`, before a row changes: where its source does, the embedding becomes NULL,
/// which is better than one of another source.
///
/// # Safety
///
/// Called by the server's function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn pinterest_track_stale(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server's own arguments, checked to be those of a trigger.
    match unsafe { Fired::new(call).and_then(|fired| fired.without_embedding(call)) } {
        Ok(tuple) => tuple.into(),
        Err(failure) => {
            pgrx::pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
            pg_sys::Datum::null()
        }
    }
}

/// What fired.
struct Fired<'a>(&'a pg_sys::TriggerData);

/// Columns of the table that fired, found out once in a statement.
struct Columns {
    source: Option<Value>,
    keys: Option<Vec<Value>>,
    /// Whose queue it is, once somebody asks.
    queue: OnceCell<Option<i64>>,
}

/// A column's values.
struct Value {
    number: NonZeroUsize,
    output: pg_sys::Oid,
    by_value: bool,
    length: i16,
    padded: bool,
}

impl Fired<'_> {
    /// # Safety
    ///
    /// `call` is what the server calls a function with.
    unsafe fn new(call: pg_sys::FunctionCallInfo) -> Result<Self, Failure> {
        // SAFETY: the context, where there is one, begins with a node's tag.
        unsafe {
            let context = (*call).context;
            if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
                return Err(Failure::new(Kind::NotReady, "this function is called by triggers only")
                    .with_hint("pinterest_track() makes them."));
            }
            Ok(Fired(&*context.cast::<pg_sys::TriggerData>()))
        }
    }

    fn arguments(&self) -> Vec<&CStr> {
        // SAFETY: as many NUL-terminated strings as the trigger says, which live as long as the relation is open.
        unsafe {
            let trigger = &*self.0.tg_trigger;
            (0..trigger.tgnargs as usize).map(|place| CStr::from_ptr(*trigger.tgargs.add(place))).collect()
        }
    }

    fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: the relation is open while its triggers run.
        unsafe { (*self.0.tg_relation).rd_att }
    }

    /// A column that is there.
    fn column(&self, name: &CStr) -> Option<Value> {
        // SAFETY: an open relation's descriptor and a NUL-terminated string; a column's number; catalog look-ups.
        unsafe {
            let number = pg_sys::SPI_fnumber(self.descriptor(), name.as_ptr());
            let place = usize::try_from(number).ok().and_then(NonZeroUsize::new)?;
            let type_oid = pg_sys::SPI_gettypeid(self.descriptor(), number);
            let mut value =
                Value { number: place, output: pg_sys::InvalidOid, by_value: false, length: 0, padded: false };
            let mut varlena = false;
            pg_sys::getTypeOutputInfo(type_oid, &raw mut value.output, &raw mut varlena);
            pg_sys::get_typlenbyval(type_oid, &raw mut value.length, &raw mut value.by_value);
            value.padded = pg_sys::getBaseType(type_oid) == pg_sys::BPCHAROID;
            Some(value)
        }
    }

    /// A value of a row of this table.
    fn datum(&self, row: pg_sys::HeapTuple, value: &Value) -> Option<pg_sys::Datum> {
        // SAFETY: a row of the relation that fired, and a column of it.
        unsafe { pgrx::htup::heap_getattr_raw(row, value.number, self.descriptor()) }
    }

    /// Is a value of the new row another than the old row's?
    fn changed(&self, value: &Value) -> bool {
        match (self.datum(self.0.tg_trigtuple, value), self.datum(self.0.tg_newtuple, value)) {
            (None, None) => false,
            (Some(old), Some(new)) => value.differ(old, new),
            _ => true,
        }
    }

    /// The key of a row as text, as a cast to text gives it.
    fn key(&self, row: pg_sys::HeapTuple, keys: &[Value]) -> Vec<String> {
        let text = |value: &Value| {
            let datum = self.datum(row, value)?;
            // SAFETY: a value of the type whose output function it is: one of the server's own.
            let text = unsafe { CStr::from_ptr(pg_sys::OidOutputFunctionCall(value.output, datum)) };
            let text = text.to_string_lossy();
            Some(if value.padded { text.trim_end_matches(' ').to_owned() } else { text.into_owned() })
        };
        keys.iter().map(|value| text(value).unwrap_or_default()).collect()
    }

    fn table(&self) -> String {
        // SAFETY: an open relation's name, NUL-terminated.
        unsafe { CStr::from_ptr((*(*self.0.tg_relation).rd_rel).relname.data.as_ptr()) }.to_string_lossy().into_owned()
    }

    fn is(&self, event: u32) -> bool {
        self.0.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == event
    }

    fn owner(&self) -> Result<Option<pg_sys::Oid>, Failure> {
        // SAFETY: an open relation's row of pg_class, and a trigger of it.
        unsafe {
            let row = &*(*self.0.tg_relation).rd_rel;
            if row.relispartition {
                return queue::owner_at_root((*self.0.tg_trigger).tgoid);
            }
            Ok(Some(row.relowner))
        }
    }

    /// The columns that the trigger's arguments name: the source at `place`, keys behind it.
    fn columns(&self, call: pg_sys::FunctionCallInfo, place: usize) -> Result<Rc<Columns>, Failure> {
        // SAFETY: the trigger's row in the relation's cache.
        let trigger = unsafe { (*self.0.tg_trigger).tgoid };
        once_per_query(call, trigger, || {
            let arguments = self.arguments();
            let source = arguments.get(place).and_then(|name| self.column(name));
            let keys = arguments.get(place + 1..).unwrap_or_default().iter().map(|name| self.column(name)).collect();
            Ok(Rc::new(Columns { source, keys, queue: OnceCell::new() }))
        })
    }

    /// The tracked column whose queue it is; `None`, with a warning once in a statement, where it is not this table's: a
    /// trigger by hand must not write into another's. A statement of a user never fails for that.
    fn queue(&self, columns: &Columns) -> Result<Option<i64>, Failure> {
        if let Some(queue) = columns.queue.get() {
            return Ok(*queue);
        }
        let id = self.arguments().first().and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
        let belongs = match (id, self.owner()?) {
            (Some(id), Some(owner)) => as_worker(|| queue::belongs_to(id, owner))?,
            _ => false,
        };
        if !belongs {
            self.warn("is tracked for a role that does not own it");
        }
        Ok(*columns.queue.get_or_init(|| id.filter(|_| belongs)))
    }

    fn warn(&self, what: &str) {
        pg_sys::panic::ErrorReport::new(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("table \"{}\" {what}: its embeddings do not follow", self.table()),
            "pg_pinterest",
        )
        .set_hint("Its owner calls pinterest_track() again, or pinterest_untrack().")
        .report(PgLogLevel::WARNING);
    }

    /// Once in a statement, for columns that are not there.
    fn warn_of_columns(&self, columns: &Columns) {
        columns.queue.get_or_init(|| {
            self.warn("is tracked by columns that are renamed or gone");
            None
        });
    }

    fn change(&self, call: pg_sys::FunctionCallInfo) -> Result<(), Failure> {
        let columns = self.columns(call, 1)?;
        let (Some(source), Some(keys)) = (&columns.source, &columns.keys) else {
            self.warn_of_columns(&columns);
            return Ok(());
        };
        let updated = self.is(pg_sys::TRIGGER_EVENT_UPDATE);
        if updated && !self.changed(source) && !keys.iter().any(|key| self.changed(key)) {
            return Ok(());
        }
        let Some(id) = self.queue(&columns)? else { return Ok(()) };
        if self.is(pg_sys::TRIGGER_EVENT_TRUNCATE) {
            return as_worker(|| queue::remove_all(id));
        }
        let row = self.0.tg_trigtuple;
        if self.is(pg_sys::TRIGGER_EVENT_DELETE) {
            let key = self.key(row, keys);
            return as_worker(|| queue::remove(id, key));
        }
        let before = updated.then(|| self.key(row, keys));
        let row = if updated { self.0.tg_newtuple } else { row };
        let key = self.key(row, keys);
        let has_source = self.datum(row, source).is_some();
        as_worker(|| {
            if let Some(before) = before
                && (!has_source || before != key)
            {
                queue::remove(id, before)?;
            }
            if has_source { queue::enqueue(id, key) } else { Ok(()) }
        })?;
        if has_source {
            registry::wake_at_commit_if_possible();
        }
        Ok(())
    }

    /// The new row, without its embedding where the source is another.
    fn without_embedding(&self, call: pg_sys::FunctionCallInfo) -> Result<pg_sys::HeapTuple, Failure> {
        let columns = self.columns(call, 0)?;
        let row = self.0.tg_newtuple;
        let (Some(source), Some([embedding])) = (&columns.source, columns.keys.as_deref()) else {
            // The other trigger warns.
            return Ok(row);
        };
        if row.is_null() || self.datum(row, embedding).is_none() || !self.changed(source) {
            return Ok(row);
        }
        let mut number = embedding.number.get() as i32;
        let (mut value, mut null) = (pg_sys::Datum::null(), true);
        // SAFETY: one column of an open relation, replaced by NULL in a copy of its row.
        Ok(unsafe {
            pg_sys::heap_modify_tuple_by_cols(row, self.descriptor(), 1, &raw mut number, &raw mut value, &raw mut null)
        })
    }
}

impl Value {
    /// Are they other bytes? Texts are compared as the model reads them, whatever their collation.
    fn differ(&self, old: pg_sys::Datum, new: pg_sys::Datum) -> bool {
        if self.by_value {
            return old.value() != new.value();
        }
        if let Ok(length) = usize::try_from(self.length) {
            // SAFETY: values of a type with this length, passed by reference.
            return unsafe { bytes(old.cast_mut_ptr(), length) != bytes(new.cast_mut_ptr(), length) };
        }
        let (old, new) = (old.cast_mut_ptr::<pg_sys::varlena>(), new.cast_mut_ptr::<pg_sys::varlena>());
        // SAFETY: values of variable length; unpacked, they live in the memory of this call.
        unsafe {
            if same_place(old, new) {
                return false;
            }
            let (old, new) = (pg_sys::pg_detoast_datum_packed(old), pg_sys::pg_detoast_datum_packed(new));
            pgrx::varlena::varlena_to_byte_slice(old) != pgrx::varlena::varlena_to_byte_slice(new)
        }
    }
}

/// # Safety
///
/// There are so many bytes, for as long as the result is used.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Do both point to one value outside of the row? Then it has not changed, and nobody has to fetch it to see that.
///
/// # Safety
///
/// Two values of variable length.
unsafe fn same_place(old: *const pg_sys::varlena, new: *const pg_sys::varlena) -> bool {
    // SAFETY: a pointer to an outside value is as long as its tag says.
    unsafe {
        if !pgrx::varlena::varatt_is_1b_e(old) || !pgrx::varlena::varatt_is_1b_e(new) {
            return false;
        }
        let (old_length, new_length) = (pgrx::varlena::varsize_external(old), pgrx::varlena::varsize_external(new));
        old_length == new_length && bytes(old.cast(), old_length) == bytes(new.cast(), new_length)
    }
}
