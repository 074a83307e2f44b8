//! The functions of SQL's type `pinterest.role_owner`: input, output, comparison, and tests of the owner.
//!
//! They are declared by hand, because the type needs them before the functions that pgrx declares are created.

use std::ffi::{CStr, c_int, c_uchar};

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::Owner;
use crate::errors::{Failure, Kind};

// Not among the bindings.
unsafe extern "C-unwind" {
    fn hash_bytes(bytes: *const c_uchar, length: c_int) -> u32;
}

/// The record that the server requires for each function: calling convention 1.
static VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// Functions for `LANGUAGE c`, each with its record.
macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident $record:ident $body:expr;)+) => {$(
        /// For `LANGUAGE c`.
        #[unsafe(no_mangle)]
        pub extern "C" fn $record() -> &'static pg_sys::Pg_finfo_record {
            &VERSION_1
        }

        $(#[doc = $doc])+
        ///
        /// # Safety
        ///
        /// Called by the server's function manager.
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub unsafe extern "C-unwind" fn $name(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            answer(call, $body)
        }
    )+};
}

/// Returns the result of the body, or raises its failure.
fn answer(
    call: pg_sys::FunctionCallInfo,
    body: impl FnOnce(pg_sys::FunctionCallInfo) -> Result<pg_sys::Datum, Failure>,
) -> pg_sys::Datum {
    body(call).unwrap_or_else(|failure| {
        pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
        pg_sys::Datum::null()
    })
}

/// An argument that exists and is not NULL; the declaration in SQL is not relied on.
fn argument(call: pg_sys::FunctionCallInfo, index: usize) -> Result<pg_sys::Datum, Failure> {
    // SAFETY: the server's own arguments, `nargs` of them.
    let given = unsafe {
        let call = &*call;
        call.args.as_slice(usize::try_from(call.nargs).unwrap_or(0)).get(index).copied()
    };
    match given {
        Some(given) if !given.isnull => Ok(given.value),
        _ => Err(Failure::new(Kind::BadArgument, "a function of role_owner lacks an argument")),
    }
}

fn owner(call: pg_sys::FunctionCallInfo, index: usize) -> Result<Owner, Failure> {
    let datum = argument(call, index)?;
    // SAFETY: declared to be of this type.
    let owner = unsafe { Owner::from_datum(datum, false) };
    owner.ok_or_else(|| Failure::new(Kind::BadArgument, "a function of role_owner lacks an argument"))
}

fn both(call: pg_sys::FunctionCallInfo) -> Result<(Owner, Owner), Failure> {
    Ok((owner(call, 0)?, owner(call, 1)?))
}

fn datum(value: impl IntoDatum) -> Result<pg_sys::Datum, Failure> {
    value.into_datum().ok_or_else(|| Failure::new(Kind::Internal, "a value became NULL"))
}

/// A palloc'ed, NUL-terminated copy.
fn c_string(text: &[u8]) -> *mut std::ffi::c_char {
    // SAFETY: one byte more than the text is allocated, and all of it is written.
    unsafe {
        let copy = pg_sys::palloc(text.len() + 1).cast::<u8>();
        copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
        copy.add(text.len()).write(0);
        copy.cast()
    }
}

functions! {
    /// `pinterest.role_owner_in(cstring)`.
    pinterest_role_owner_in pg_finfo_pinterest_role_owner_in |call| {
        let text = argument(call, 0)?.cast_mut_ptr::<std::ffi::c_char>();
        if text.is_null() {
            return Err(Failure::new(Kind::BadArgument, "a function of role_owner lacks an argument"));
        }
        // SAFETY: declared as cstring, so NUL-terminated.
        datum(Owner::parse(unsafe { CStr::from_ptr(text) }.to_bytes())?)
    };

    /// `pinterest.role_owner_out(pinterest.role_owner)`.
    pinterest_role_owner_out pg_finfo_pinterest_role_owner_out |call| {
        Ok(pg_sys::Datum::from(c_string(&owner(call, 0)?.print())))
    };

    /// `pinterest.role_owner_recv(internal)`: the text, in the client's encoding.
    pinterest_role_owner_recv pg_finfo_pinterest_role_owner_recv |call| {
        let message = argument(call, 0)?.cast_mut_ptr::<pg_sys::StringInfoData>();
        if message.is_null() {
            return Err(Failure::new(Kind::BadArgument, "a function of role_owner lacks an argument"));
        }
        let mut length = 0;
        // SAFETY: declared as internal, which only the server can pass: a message. The rest of it is converted and
        // copied.
        let text = unsafe {
            let rest = (*message).len - (*message).cursor;
            let text = pg_sys::pq_getmsgtext(message, rest, &raw mut length);
            std::slice::from_raw_parts(text.cast::<u8>(), usize::try_from(length).unwrap_or(0))
        };
        datum(Owner::parse(text)?)
    };

    /// `pinterest.role_owner_send(pinterest.role_owner)`.
    pinterest_role_owner_send pg_finfo_pinterest_role_owner_send |call| {
        let text = owner(call, 0)?.print();
        let length = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        let mut message = pg_sys::StringInfoData::default();
        // SAFETY: a local message, begun, filled with `length` bytes and ended.
        unsafe {
            pg_sys::pq_begintypsend(&raw mut message);
            pg_sys::pq_sendtext(&raw mut message, c_string(&text), length);
            Ok(pg_sys::Datum::from(pg_sys::pq_endtypsend(&raw mut message)))
        }
    };

    /// `=`.
    pinterest_role_owner_eq pg_finfo_pinterest_role_owner_eq |call| {
        let (left, right) = both(call)?;
        datum(left == right)
    };

    /// `<>`.
    pinterest_role_owner_ne pg_finfo_pinterest_role_owner_ne |call| {
        let (left, right) = both(call)?;
        datum(left != right)
    };

    /// `<`.
    pinterest_role_owner_lt pg_finfo_pinterest_role_owner_lt |call| {
        let (left, right) = both(call)?;
        datum(left < right)
    };

    /// `<=`.
    pinterest_role_owner_le pg_finfo_pinterest_role_owner_le |call| {
        let (left, right) = both(call)?;
        datum(left <= right)
    };

    /// `>`.
    pinterest_role_owner_gt pg_finfo_pinterest_role_owner_gt |call| {
        let (left, right) = both(call)?;
        datum(left > right)
    };

    /// `>=`.
    pinterest_role_owner_ge pg_finfo_pinterest_role_owner_ge |call| {
        let (left, right) = both(call)?;
        datum(left >= right)
    };

    /// The order of B-trees.
    pinterest_role_owner_cmp pg_finfo_pinterest_role_owner_cmp |call| {
        let (left, right) = both(call)?;
        datum(left.cmp(&right) as i32)
    };

    /// The hash of hash joins and of grouping.
    pinterest_role_owner_hash pg_finfo_pinterest_role_owner_hash |call| {
        let owner = owner(call, 0)?;
        let (state, role, name) = owner.key();
        let bytes: Vec<u8> = [&state.to_ne_bytes()[..], &role.to_ne_bytes(), name].concat();
        // SAFETY: the pointer and length of one slice.
        let hash = unsafe { hash_bytes(bytes.as_ptr(), c_int::try_from(bytes.len()).unwrap_or(0)) };
        datum(hash.cast_signed())
    };

    /// `pinterest.owner_oid(pinterest.role_owner)`.
    pinterest_owner_oid pg_finfo_pinterest_owner_oid |call| {
        // Not through pgrx, which would turn oid 0 into NULL.
        Ok(pg_sys::Datum::from(owner(call, 0)?.role()))
    };

    /// `pinterest.is_owner(pinterest.role_owner)`.
    pinterest_is_owner pg_finfo_pinterest_is_owner |call| {
        let role = owner(call, 0)?.role();
        // SAFETY: a plain read of a process-wide variable.
        datum(role != pg_sys::InvalidOid && role == unsafe { pg_sys::GetUserId() })
    };

    /// `pinterest.has_rights_of(pinterest.role_owner)`.
    pinterest_has_rights_of pg_finfo_pinterest_has_rights_of |call| {
        // SAFETY: a plain read of a process-wide variable.
        datum(owner(call, 0)?.gives_rights_to(unsafe { pg_sys::GetUserId() }))
    };

    /// `pinterest.owner_is_gone(pinterest.role_owner)`.
    pinterest_owner_is_gone pg_finfo_pinterest_owner_is_gone |call| {
        datum(!owner(call, 0)?.is_role())
    };
}
