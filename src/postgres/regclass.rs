//! `regclass` as an argument. pgrx' `PgRelation` opens the relation, and raises an internal error if it does not exist.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

/// The oid of a relation, which may not exist.
#[derive(Clone, Copy, Debug)]
pub struct Regclass(pub pg_sys::Oid);

// SAFETY: a value of the SQL type named here is an oid.
unsafe impl SqlTranslatable for Regclass {
    const TYPE_IDENT: &'static str = "regclass";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("regclass"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("regclass")));
}

// SAFETY: as above.
unsafe impl<'fcx> ArgAbi<'fcx> for Regclass {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises an argument of that type.
        let oid: Option<pg_sys::Oid> = unsafe { arg.unbox_arg_using_from_datum() };
        Regclass(oid.unwrap_or(pg_sys::InvalidOid))
    }
}
