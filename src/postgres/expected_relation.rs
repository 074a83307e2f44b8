//! Statements name tables, and a name may come to mean another relation at any moment: an `ALTER SCHEMA … RENAME` waits for
//! no lock on a table. This makes a statement run on the relation that its caller has locked and looked at, or not at all.
//!
//! The server calls `post_parse_analyze_hook` once a statement's names are resolved and the relations locked, before rules
//! are applied and before anything is planned, so before a function is called that stands in the statement, in a view, in
//! a policy or in an index. SPI analyses and plans a statement given as text once, at once, and never again
//! (`RevalidateCachedQuery`, plancache.c: a one-shot plan is not looked at anew), so what the hook has seen is what runs.

use std::cell::Cell;
use std::sync::OnceLock;

use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::errors::{Failure, Kind};

/// How far the one statement is.
#[derive(Clone, Copy)]
enum Expecting {
    Nothing,
    /// The statement that is analysed next is about this relation and no other.
    Relation(pg_sys::Oid),
    /// It was.
    Met,
    /// It was not, and an ERROR has ended it.
    Missed,
}

thread_local! {
    static EXPECTING: Cell<Expecting> = const { Cell::new(Expecting::Nothing) };
}

/// The hook that was there before ours, once ours is in place. Only sessions that need it have it.
static BEFORE: OnceLock<pg_sys::post_parse_analyze_hook_type> = OnceLock::new();

/// Runs `work`, whose first statement, given as text, names one relation and nothing else: `relation`. Statements of
/// triggers and functions that it sets off are theirs.
///
/// # Errors
/// [`Kind::TableMoved`]: the name means another relation now, or none. Where `work` lets the server's ERRORs pass, one of
/// them says so instead, under the same SQLSTATE.
pub fn on_relation<T>(relation: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    /// Also where an ERROR unwinds.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            EXPECTING.set(Expecting::Nothing);
        }
    }
    install();
    EXPECTING.set(Expecting::Relation(relation));
    let _forget = Forget;
    let result = work();
    match (EXPECTING.get(), result) {
        (Expecting::Missed, _) => Err(moved()),
        // It failed before it was analysed to the end.
        (Expecting::Relation(_), Err(failure)) if failure.raised().is_some_and(is_of_names) => Err(moved()),
        (Expecting::Relation(_), Ok(_)) => {
            Err(Failure::new(Kind::Internal, "a statement on a user's table was not looked at"))
        }
        (_, result) => result,
    }
}

fn moved() -> Failure {
    Failure::new(Kind::TableMoved, "the table was renamed or replaced meanwhile").with_hint("Try again.")
}

/// What the server says of a name that means nothing any more, or a relation without such columns.
fn is_of_names(code: PgSqlErrorCode) -> bool {
    use PgSqlErrorCode as Code;
    matches!(
        code,
        Code::ERRCODE_UNDEFINED_TABLE
            | Code::ERRCODE_INVALID_SCHEMA_NAME
            | Code::ERRCODE_UNDEFINED_COLUMN
            | Code::ERRCODE_UNDEFINED_FUNCTION
            | Code::ERRCODE_AMBIGUOUS_FUNCTION
            | Code::ERRCODE_DATATYPE_MISMATCH
            | Code::ERRCODE_CANNOT_COERCE
            | Code::ERRCODE_WRONG_OBJECT_TYPE
            | Code::ERRCODE_FEATURE_NOT_SUPPORTED
    )
}

fn install() {
    BEFORE.get_or_init(|| {
        // SAFETY: the main thread; hooks are plain pointers of this process.
        unsafe {
            let before = pg_sys::post_parse_analyze_hook;
            pg_sys::post_parse_analyze_hook = Some(analysed);
            before
        }
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn analysed(
    state: *mut pg_sys::ParseState,
    query: *mut pg_sys::Query,
    jumble: *mut pg_sys::JumbleState,
) {
    if let Expecting::Relation(relation) = EXPECTING.get() {
        // SAFETY: a query that the server has just analysed.
        if unsafe { is_about(query, relation) } {
            EXPECTING.set(Expecting::Met);
        } else {
            EXPECTING.set(Expecting::Missed);
            pgrx::pg_sys::panic::ErrorReport::from(moved()).report(PgLogLevel::ERROR);
        }
    }
    if let Some(Some(before)) = BEFORE.get() {
        // SAFETY: the hook of another library, with what the server gave this one.
        unsafe { before(state, query, jumble) }
    }
}

/// Is it about one relation alone, an ordinary or a partitioned table, and this one?
///
/// # Safety
///
/// An analysed query, or NULL.
unsafe fn is_about(query: *const pg_sys::Query, relation: pg_sys::Oid) -> bool {
    // SAFETY: the server's own tree, whose list of relations holds range table entries.
    unsafe {
        if query.is_null() || !(*query).utilityStmt.is_null() || !(*query).cteList.is_null() {
            return false;
        }
        let relations = (*query).rtable;
        if relations.is_null() || (*relations).length != 1 {
            return false;
        }
        let entry = (*(*relations).elements).ptr_value.cast::<pg_sys::RangeTblEntry>();
        if entry.is_null() {
            return false;
        }
        let kind = (*entry).relkind as u8;
        (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && (*entry).relid == relation
            && (kind == pg_sys::RELKIND_RELATION || kind == pg_sys::RELKIND_PARTITIONED_TABLE)
    }
}
