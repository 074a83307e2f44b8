//! The functions of the triggers on tracked tables. They run inside users' statements. Values are read with the rights of
//! the role that changes the table; then the queue is written as pinterest_worker.
//!
//! They are raw functions, because the server calls them for every row of a bulk load, and pgrx' `#[pg_trigger]` looks up
//! the relation and the arguments each time.
//!
//! A role that may execute them can create triggers with them on its own tables, with any timing, level, event and
//! arguments. [`Fired::new`] checks all of that before any pointer is followed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::CStr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::api::warn;
use crate::errors::{Failure, Kind};
use crate::input_limits::is_blank;
use crate::postgres::identity::as_worker;
use crate::postgres::query_cache::once_per_query;
use crate::store::track::declaration::{self, FiredTrigger};
use crate::store::track::{queue, trigger};
use crate::store::user_table::is_text;
use crate::workers::registry;

/// The calling convention of the functions, as the server reads it.
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

/// `pinterest.track_change(tie, source, key…)`, after a row changed or the table was truncated: updates the queue.
///
/// # Safety
///
/// Called by the server's function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn pinterest_track_change(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server's arguments, which are checked to be those of a trigger.
    let done = unsafe { Fired::new(call, &CHANGE).and_then(|fired| fired.change(call)) };
    if let Err(failure) = done {
        pgrx::pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
    }
    pg_sys::Datum::null()
}

/// `pinterest.track_stale(source, embedding)`, before a row changes: if its source changes, the embedding becomes NULL,
/// because it is of the old source.
///
/// # Safety
///
/// Called by the server's function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn pinterest_track_stale(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server's arguments, which are checked to be those of a trigger.
    match unsafe { Fired::new(call, &STALE).and_then(|fired| fired.without_embedding(call)) } {
        Ok(tuple) => tuple.into(),
        Err(failure) => {
            pgrx::pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
            pg_sys::Datum::null()
        }
    }
}

/// The triggers for which a function is made.
struct Shape {
    name: &'static str,
    /// The end of a sentence that begins with "must be fired".
    when: &'static str,
    /// Whether an event, its timing and its level are those of such a trigger.
    fits: fn(event: u32, timing: u32, each_row: bool) -> bool,
    arguments: RangeInclusive<usize>,
}

static CHANGE: Shape = Shape {
    name: "pinterest.track_change()",
    when: "AFTER INSERT, UPDATE or DELETE for each row, or AFTER TRUNCATE",
    fits: |event, timing, each_row| {
        timing == pg_sys::TRIGGER_EVENT_AFTER && each_row == (event != pg_sys::TRIGGER_EVENT_TRUNCATE)
    },
    // The tie, the source, and a key of more columns than an index can have.
    arguments: 3..=1_000,
};

static STALE: Shape = Shape {
    name: "pinterest.track_stale()",
    when: "BEFORE UPDATE for each row",
    fits: |event, timing, each_row| {
        timing == pg_sys::TRIGGER_EVENT_BEFORE && each_row && event == pg_sys::TRIGGER_EVENT_UPDATE
    },
    arguments: 2..=2,
};

/// A fired trigger of the function's shape on a table, with its rows.
struct Fired<'a>(&'a pg_sys::TriggerData);

/// Columns of the table, looked up once per statement.
struct Columns {
    source: Option<Value>,
    keys: Option<Vec<Value>>,
    /// The tracked column of the queue, looked up at the first use.
    queue: OnceCell<Option<i64>>,
    warned_of_key: Cell<bool>,
}

/// The type of a column's values.
struct Value {
    number: NonZeroUsize,
    output: pg_sys::Oid,
    by_value: bool,
    length: i16,
    padded: bool,
    text: bool,
}

impl Fired<'_> {
    /// # Errors
    ///
    /// [`Kind::TriggerProtocol`] if it is not called by a trigger, or by one of another shape.
    ///
    /// # Safety
    ///
    /// `call` is the server's.
    unsafe fn new(call: pg_sys::FunctionCallInfo, shape: &Shape) -> Result<Self, Failure> {
        let refuse = |what: String| Err(Failure::new(Kind::TriggerProtocol, format!("{} {what}", shape.name)));
        // SAFETY: the context, if there is one, begins with a node's tag. The trigger's data is the server's; a pointer in
        // it is followed only if it is not NULL.
        unsafe {
            let context = (*call).context;
            if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
                return refuse("can only be called by a trigger".to_owned());
            }
            let data = &*context.cast::<pg_sys::TriggerData>();
            let event = data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK;
            let each_row = data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0;
            if !(shape.fits)(event, data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK, each_row) {
                return refuse(format!("must be fired {}", shape.when));
            }
            let missing_row = each_row && data.tg_trigtuple.is_null();
            let missing_new_row = event == pg_sys::TRIGGER_EVENT_UPDATE && data.tg_newtuple.is_null();
            if missing_row || missing_new_row || data.tg_trigger.is_null() || data.tg_relation.is_null() {
                return refuse("was called with incomplete data of a trigger".to_owned());
            }
            let relation = &*data.tg_relation;
            if relation.rd_rel.is_null() || relation.rd_att.is_null() {
                return refuse("was called with incomplete data of a trigger".to_owned());
            }
            // A foreign table can be a partition of a tracked table.
            let row = &*relation.rd_rel;
            match row.relkind as u8 {
                pg_sys::RELKIND_RELATION | pg_sys::RELKIND_PARTITIONED_TABLE => {}
                pg_sys::RELKIND_FOREIGN_TABLE if row.relispartition => {}
                _ => return refuse("must be fired by a table".to_owned()),
            }
            let trigger = &*data.tg_trigger;
            let count = usize::try_from(trigger.tgnargs).unwrap_or(0);
            let complete = count == 0
                || !trigger.tgargs.is_null() && (0..count).all(|place| !(*trigger.tgargs.add(place)).is_null());
            if !shape.arguments.contains(&count) || !complete {
                return refuse(format!("cannot take {count} arguments"));
            }
            Ok(Fired(data))
        }
    }

    fn arguments(&self) -> Vec<&CStr> {
        // SAFETY: `tgnargs` NUL-terminated strings, none of them NULL, as `new` has checked; they are valid while the
        // relation is open.
        unsafe {
            let trigger = &*self.0.tg_trigger;
            (0..trigger.tgnargs as usize).map(|place| CStr::from_ptr(*trigger.tgargs.add(place))).collect()
        }
    }

    fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: the relation is open while its triggers run.
        unsafe { (*self.0.tg_relation).rd_att }
    }

    /// The column of this name, if it exists.
    fn column(&self, name: &CStr) -> Option<Value> {
        // SAFETY: an open relation's descriptor and a NUL-terminated string; a column's number; catalog look-ups.
        unsafe {
            let number = pg_sys::SPI_fnumber(self.descriptor(), name.as_ptr());
            let place = usize::try_from(number).ok().and_then(NonZeroUsize::new)?;
            let type_oid = pg_sys::SPI_gettypeid(self.descriptor(), number);
            let mut value = Value {
                number: place,
                output: pg_sys::InvalidOid,
                by_value: false,
                length: 0,
                padded: false,
                text: false,
            };
            let mut varlena = false;
            pg_sys::getTypeOutputInfo(type_oid, &raw mut value.output, &raw mut varlena);
            pg_sys::get_typlenbyval(type_oid, &raw mut value.length, &raw mut value.by_value);
            let base_type = pg_sys::getBaseType(type_oid);
            value.padded = base_type == pg_sys::BPCHAROID;
            value.text = is_text(base_type);
            Some(value)
        }
    }

    /// A value of a row of this table.
    fn datum(&self, row: pg_sys::HeapTuple, value: &Value) -> Option<pg_sys::Datum> {
        // SAFETY: a row of the relation that fired, and a column of it.
        unsafe { pgrx::htup::heap_getattr_raw(row, value.number, self.descriptor()) }
    }

    /// Whether the new row has another value than the old one.
    fn changed(&self, value: &Value) -> bool {
        match (self.datum(self.0.tg_trigtuple, value), self.datum(self.0.tg_newtuple, value)) {
            (None, None) => false,
            (Some(old), Some(new)) => value.differ(old, new),
            _ => true,
        }
    }

    /// The key of a row as a cast to text gives it; `None` if it is longer than any key that is queued, which is possible
    /// after the primary key was dropped.
    fn key(&self, row: pg_sys::HeapTuple, keys: &[Value]) -> Option<Vec<String>> {
        let text = |value: &Value| {
            let Some(datum) = self.datum(row, value) else { return Some(String::new()) };
            // SAFETY: a value and the output function of its type, which is one of the server's.
            let text = unsafe { CStr::from_ptr(pg_sys::OidOutputFunctionCall(value.output, datum)) };
            if text.count_bytes() > LONGEST_KEY {
                return None;
            }
            let text = text.to_string_lossy();
            Some(if value.padded { text.trim_end_matches(' ').to_owned() } else { text.into_owned() })
        };
        keys.iter().map(text).collect()
    }

    fn table(&self) -> String {
        // SAFETY: an open relation's name, NUL-terminated.
        unsafe { CStr::from_ptr((*(*self.0.tg_relation).rd_rel).relname.data.as_ptr()) }.to_string_lossy().into_owned()
    }

    fn is(&self, event: u32) -> bool {
        self.0.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == event
    }

    /// The table on which the trigger was made, and its owner.
    fn root(&self) -> Result<Option<(pg_sys::Oid, pg_sys::Oid)>, Failure> {
        // SAFETY: an open relation's row of pg_class, and a trigger of it.
        unsafe {
            let row = &*(*self.0.tg_relation).rd_rel;
            if row.relispartition {
                return trigger::root((*self.0.tg_trigger).tgoid);
            }
            Ok(Some(((*self.0.tg_relation).rd_id, row.relowner)))
        }
    }

    /// The columns that the trigger's arguments name: the source at index `place`, then the key.
    fn columns(&self, call: pg_sys::FunctionCallInfo, place: usize) -> Result<Rc<Columns>, Failure> {
        // SAFETY: the trigger's row in the relation's cache.
        let trigger = unsafe { (*self.0.tg_trigger).tgoid };
        once_per_query(call, trigger, || {
            let arguments = self.arguments();
            let source = arguments.get(place).and_then(|name| self.column(name));
            let keys = arguments.get(place + 1..).unwrap_or_default().iter().map(|name| self.column(name)).collect();
            Ok(Rc::new(Columns { source, keys, queue: OnceCell::new(), warned_of_key: Cell::new(false) }))
        })
    }

    /// The tracked column of the queue; `None`, with a warning, if it is not of this table: a trigger created by hand must not
    /// write into another table's queue. The user's statement does not fail for that.
    fn queue(&self, columns: &Columns) -> Result<Option<i64>, Failure> {
        if let Some(queue) = columns.queue.get() {
            return Ok(*queue);
        }
        let arguments: Option<Vec<&str>> = self.arguments().into_iter().map(|name| name.to_str().ok()).collect();
        let id = match (arguments.as_deref(), self.root()?) {
            (Some([tie, source, keys @ ..]), Some((table, owner))) => {
                as_worker(|| declaration::of_trigger(&FiredTrigger { tie, source, keys, table, owner }))?
            }
            _ => None,
        };
        if id.is_none() {
            self.warn("has a trigger of pinterest_track() and is not tracked by it for its owner");
        }
        Ok(*columns.queue.get_or_init(|| id))
    }

    /// Warns once per session, because an application may change such a table a thousand times a second.
    fn warn(&self, what: &str) {
        // SAFETY: an open relation.
        let relation = unsafe { (*self.0.tg_relation).rd_id };
        let is_new =
            WARNED.with_borrow_mut(|warned| warned.len() < MOST_WARNED && warned.insert((relation, what.to_owned())));
        if !is_new {
            return;
        }
        warn(
            format!("table \"{}\" {what}: its embeddings are not kept in step", self.table()),
            Some("The table's owner must call pinterest_track() again, or pinterest_untrack()."),
        );
    }

    /// Warns once per statement of columns that do not exist.
    fn warn_of_columns(&self, columns: &Columns) {
        columns.queue.get_or_init(|| {
            self.warn("is tracked by columns that were renamed or dropped");
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
            let Some(key) = self.key(row, keys) else { return Ok(()) };
            return as_worker(|| queue::remove(id, key));
        }
        let before = if updated { self.key(row, keys) } else { None };
        let row = if updated { self.0.tg_newtuple } else { row };
        let has_source = self.datum(row, source).is_some_and(|datum| !source.is_blank(datum));
        let key = self.key(row, keys);
        if has_source && key.is_none() && !columns.warned_of_key.replace(true) {
            self.warn(&format!("has a key of more than {LONGEST_KEY} bytes"));
        }
        as_worker(|| {
            if let Some(before) = before
                && (!has_source || key.as_ref() != Some(&before))
            {
                queue::remove(id, before)?;
            }
            match key {
                Some(key) if has_source => queue::enqueue(id, key),
                _ => Ok(()),
            }
        })?;
        if has_source {
            registry::wake_tracking_at_commit_if_possible();
        }
        Ok(())
    }

    /// The new row, with NULL as its embedding if the source has changed.
    fn without_embedding(&self, call: pg_sys::FunctionCallInfo) -> Result<pg_sys::HeapTuple, Failure> {
        let columns = self.columns(call, 0)?;
        let row = self.0.tg_newtuple;
        let (Some(source), Some([embedding])) = (&columns.source, columns.keys.as_deref()) else {
            // The other trigger warns.
            return Ok(row);
        };
        if self.datum(row, embedding).is_none() || !self.changed(source) {
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

thread_local! {
    /// The tables and warnings of this session.
    static WARNED: RefCell<HashSet<(pg_sys::Oid, String)>> = RefCell::default();
}

/// The greatest number of warnings per session.
const MOST_WARNED: usize = 1_000;

/// Bytes of the longest value of a key that is queued; longer ones do not fit into an index.
const LONGEST_KEY: usize = 8192;

/// Bytes of the longest value that is checked for being blank; workers check longer ones.
const SHORT: usize = 1024;

/// `typlen` of types with a length word before their values.
const VARIABLE: i16 = -1;

impl Value {
    /// Whether it is certainly not a source, like NULL: no bytes, or a short text without a visible character.
    fn is_blank(&self, datum: pg_sys::Datum) -> bool {
        if self.length != VARIABLE {
            return false;
        }
        // SAFETY: a value of variable length; unpacked, it is in the memory of this call.
        unsafe {
            match pg_sys::toast_raw_datum_size(datum).saturating_sub(pg_sys::VARHDRSZ) {
                0 => true,
                1..=SHORT if self.text => {
                    let value = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                    str::from_utf8(pgrx::varlena::varlena_to_byte_slice(value)).is_ok_and(is_blank)
                }
                _ => false,
            }
        }
    }

    /// Whether the bytes differ. Texts are compared as the model reads them, whatever their collation.
    fn differ(&self, old: pg_sys::Datum, new: pg_sys::Datum) -> bool {
        if self.by_value {
            return old.value() != new.value();
        }
        if let Ok(length) = usize::try_from(self.length) {
            // SAFETY: values of a type with this length, passed by reference.
            return unsafe { bytes(old.cast_mut_ptr(), length) != bytes(new.cast_mut_ptr(), length) };
        }
        if self.length != VARIABLE {
            // SAFETY: values of the remaining types are NUL-terminated.
            return unsafe { CStr::from_ptr(old.cast_mut_ptr()) != CStr::from_ptr(new.cast_mut_ptr()) };
        }
        let (old, new) = (old.cast_mut_ptr::<pg_sys::varlena>(), new.cast_mut_ptr::<pg_sys::varlena>());
        // SAFETY: values of variable length; unpacked, they are in the memory of this call.
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
/// `start` points to `length` bytes that are valid while the result is used.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Whether both are pointers to the same value outside of the row, which then has not changed and need not be fetched.
///
/// # Safety
///
/// Two values of variable length.
unsafe fn same_place(old: *const pg_sys::varlena, new: *const pg_sys::varlena) -> bool {
    // SAFETY: the tag of a pointer to an outside value determines its length.
    unsafe {
        if !pgrx::varlena::varatt_is_1b_e(old) || !pgrx::varlena::varatt_is_1b_e(new) {
            return false;
        }
        let (old_length, new_length) = (pgrx::varlena::varsize_external(old), pgrx::varlena::varsize_external(new));
        old_length == new_length && bytes(old.cast(), old_length) == bytes(new.cast(), new_length)
    }
}
