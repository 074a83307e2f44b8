//! `json` and `jsonb` as unparsed text: pgrx's types would parse a document of any size, into many times its memory, before its
//! size could be checked.

use std::ffi::CStr;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, JsonString};
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{FromDatum, IntoDatum, direct_function_call, pg_sys};

use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;

/// The text of a JSON document, to be returned.
pub struct Document(pub JsonString);

// SAFETY: a datum of the SQL type named here is returned below.
unsafe impl SqlTranslatable for Document {
    const TYPE_IDENT: &'static str = "json";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

/// The result of a statement. Memory for the two further copies of it is checked first.
impl FromDatum for Document {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, of: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller promises a datum of type json, a varlena.
        unsafe {
            if let Err(failure) = room_for(pg_sys::toast_raw_datum_size(datum)) {
                std::panic::panic_any(ErrorReport::from(failure));
            }
            JsonString::from_polymorphic_datum(datum, is_null, of).map(Document)
        }
    }
}

impl IntoDatum for Document {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONOID
    }
}

// SAFETY: a palloc'ed varlena datum, as for every by-reference type.
unsafe impl BoxRet for Document {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.0.into_datum() {
            // SAFETY: the datum is of the declared return type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

/// An argument of type `json`: its text, not copied.
pub struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// The text.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above `most` bytes, [`Kind::BadArgument`] if it is not UTF-8.
    pub fn text(&self, most: usize, argument: &str) -> Result<&'a str, Failure> {
        check_length(self.0.len(), most, argument)?;
        // The server's encoding need not be UTF-8.
        std::str::from_utf8(self.0).map_err(|_| Failure::new(Kind::BadArgument, "the JSON is not encoded in UTF-8"))
    }
}

/// An argument of type `jsonb`.
pub struct Jsonb(pg_sys::Datum);

impl Jsonb {
    /// The parsed value.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above `most` bytes, [`Kind::BadArgument`] if it cannot be parsed.
    pub fn parse(&self, most: usize, argument: &str) -> Result<serde_json::Value, Failure> {
        // SAFETY: a datum of type jsonb, as `unbox_arg_unchecked` requires; the size is read without the value.
        let bytes = unsafe { pg_sys::toast_raw_datum_size(self.0) };
        check_length(bytes, most, argument)?;
        // SAFETY: the type's own output function, which returns a C string in the call's memory.
        let text: Option<&CStr> = unsafe { direct_function_call(pg_sys::jsonb_out, &[Some(self.0)]) };
        let text = text.unwrap_or_default().to_str().unwrap_or_default();
        serde_json::from_str(text).map_err(|error| Failure::new(Kind::BadArgument, format!("{argument}: {error}")))
    }
}

fn check_length(bytes: usize, most: usize, argument: &str) -> Result<(), Failure> {
    if bytes > most {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {bytes} bytes, more than the limit of {most}"),
        ));
    }
    Ok(())
}

// SAFETY: a datum of the SQL type named here is read below.
unsafe impl SqlTranslatable for Json<'_> {
    const TYPE_IDENT: &'static str = "json";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

// SAFETY: a datum of the SQL type named above is a varlena whose bytes are text.
unsafe impl<'fcx> ArgAbi<'fcx> for Json<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises an argument of that type, which is not NULL.
        let bytes: Option<&'fcx [u8]> = unsafe { arg.unbox_arg_using_from_datum() };
        Json(bytes.unwrap_or_default())
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as the caller promises.
        let bytes: Option<&'fcx [u8]> = unsafe { arg.unbox_arg_using_from_datum() };
        bytes.map(Json).into()
    }
}

// SAFETY: a datum of the SQL type named here is read below.
unsafe impl SqlTranslatable for Jsonb {
    const TYPE_IDENT: &'static str = "jsonb";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Jsonb(datum))
    }
}

// SAFETY: the datum is stored unchanged.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises an argument of that type, which is not NULL.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(jsonb) => jsonb,
            None => panic!("a jsonb that is not NULL became NULL"),
        }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as the caller promises.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}
