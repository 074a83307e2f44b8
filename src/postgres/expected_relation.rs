//! Makes a statement run on the relation that its caller has locked and checked, or fail. Statements name tables, and a name
//! can refer to another relation at any moment: `ALTER SCHEMA … RENAME` waits for no lock on a table.
//!
//! The server calls `post_parse_analyze_hook` after it has resolved a statement's names and locked the relations, and before it
//! applies rules and plans, so before any function in the statement, a view, a policy or an index is called. SPI analyses and
//! plans a statement given as text exactly once (`RevalidateCachedQuery`, plancache.c: a one-shot plan is not revalidated), so
//! the statement that the hook has checked is the one that runs.

use std::cell::Cell;
use std::sync::OnceLock;

use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::errors::{Failure, Kind};

/// The state of the expected statement.
#[derive(Clone, Copy)]
enum Expecting {
    Nothing,
    /// The next statement must name this relation and no other.
    Relation(pg_sys::Oid),
    /// It did.
    Met,
    /// It did not, and an ERROR has ended it.
    Missed,
}

thread_local! {
    static EXPECTING: Cell<Expecting> = const { Cell::new(Expecting::Nothing) };
}

/// The hook before this one, once it is installed. It is installed only in sessions that need it.
static BEFORE: OnceLock<pg_sys::post_parse_analyze_hook_type> = OnceLock::new();

/// Runs `work`, whose first statement, given as text, must name `relation` and no other. Statements of triggers and functions
/// that it fires are not checked.
///
/// # Errors
/// [`Kind::TableMoved`]: the name refers to another relation now, or to none. If `work` does not catch the server's ERRORs,
/// one of them with the same SQLSTATE is raised instead.
pub fn on_relation<T>(relation: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    /// Runs also when an ERROR unwinds.
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
        // It failed during its analysis.
        (Expecting::Relation(_), Err(failure)) if failure.raised().is_some_and(is_of_names) => Err(moved()),
        (Expecting::Relation(_), Ok(_)) => {
            Err(Failure::new(Kind::Internal, "a statement on a user's table was not checked"))
        }
        (_, result) => result,
    }
}

fn moved() -> Failure {
    Failure::new(Kind::TableMoved, "the table was renamed or replaced meanwhile").with_hint("Try again.")
}

/// The errors for a name that no longer exists, or refers to a relation with other columns.
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
        // SAFETY: the hook of another library, with the arguments that the server gave this one.
        unsafe { before(state, query, jumble) }
    }
}

/// Whether a query names this relation alone, and it is an ordinary or a partitioned table.
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
