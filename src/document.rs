//! A `json` that passes through untouched: pgrx's own type would parse it and write it again.

use pgrx::IntoDatum;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, JsonString};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

use crate::errors::{Failure, Kind};

/// The text of a JSON document.
pub struct Document(pub JsonString);

// SAFETY: what is returned below is a datum of the SQL type named here.
unsafe impl SqlTranslatable for Document {
    const TYPE_IDENT: &'static str = "json";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

// SAFETY: a datum of the SQL type named above is a varlena whose bytes are text.
unsafe impl<'fcx> ArgAbi<'fcx> for Document {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises an argument of that type, which is not NULL.
        let bytes: Option<Vec<u8>> = unsafe { arg.unbox_arg_using_from_datum() };
        // The server's encoding need not be UTF-8, which pgrx's own type takes for granted.
        match String::from_utf8(bytes.unwrap_or_default()) {
            Ok(text) => Document(JsonString(text)),
            Err(_) => {
                let failure = Failure::new(Kind::BadArgument, "the JSON is not encoded in UTF-8");
                std::panic::panic_any(pgrx::pg_sys::panic::ErrorReport::from(failure));
            }
        }
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
