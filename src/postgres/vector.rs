//! pgvector's `vector` as a Rust type: 512 f32 in, 512 f32 out.
//!
//! Layout (pgvector, `src/vector.h`): varlena header, `int16 dim`, `int16 unused`, then `dim` × `float4`.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, DatumWithOid};
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::errors::{Failure, Kind};

/// Numbers in an embedding of CLIP ViT-B/32.
pub const DIMENSION: usize = 512;
const HEADER: usize = pg_sys::VARHDRSZ + 4;

/// A `vector(512)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector(Box<[f32; DIMENSION]>);

impl Vector {
    /// Makes a vector of an embedding.
    ///
    /// # Errors
    /// [`Kind::Internal`] if a number is not finite.
    pub fn new(values: Box<[f32; DIMENSION]>) -> Result<Self, Failure> {
        if values.iter().all(|value| value.is_finite()) {
            Ok(Vector(values))
        } else {
            Err(Failure::new(Kind::Internal, "an embedding contains a number that is not finite"))
        }
    }

    /// Makes a vector of a direction that was computed from embeddings.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it does not have [`DIMENSION`] finite numbers.
    pub fn from_slice(values: &[f32]) -> Result<Self, Failure> {
        let found = values.len();
        let values: Box<[f32]> = values.into();
        let wrong = |_| Failure::new(Kind::Internal, format!("a direction has {found} dimensions, not {DIMENSION}"));
        Self::new(values.try_into().map_err(wrong)?)
    }

    /// The numbers.
    pub fn values(&self) -> &[f32; DIMENSION] {
        &self.0
    }

    /// This vector with length 1, or `None` if its length is 0.
    pub fn normalized(self) -> Option<Self> {
        let norm = self.0.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        (norm > 0.0).then(|| Vector(Box::new(self.0.map(|value| (f64::from(value) / norm) as f32))))
    }

    /// As a parameter of a statement.
    pub fn parameter(self) -> DatumWithOid<'static> {
        let oid = vector_type();
        // SAFETY: a datum made by this type, with this type's oid.
        unsafe { DatumWithOid::new(self, oid) }
    }
}

/// The oid of `vector`, taken from the extension's own column: pgvector may be in any schema.
pub fn vector_type() -> pg_sys::Oid {
    // SAFETY: catalog look-ups inside a transaction; a missing object gives InvalidOid, which SPI refuses.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"pinterest".as_ptr(), true);
        let table = pg_sys::get_relname_relid(c"pin_image".as_ptr(), schema);
        let column = pg_sys::get_attnum(table, c"embedding".as_ptr());
        pg_sys::get_atttype(table, column)
    }
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let size = HEADER + DIMENSION * size_of::<f32>();
        // SAFETY: `size` bytes are allocated and every one of them is written: header, dimension, unused, values.
        unsafe {
            let start = pg_sys::palloc(size).cast::<u8>();
            pgrx::set_varsize_4b(start.cast(), size as i32);
            let dimension = start.add(pg_sys::VARHDRSZ).cast::<u16>();
            dimension.write(DIMENSION as u16);
            dimension.add(1).write(0);
            start.add(HEADER).cast::<f32>().copy_from_nonoverlapping(self.0.as_ptr(), DIMENSION);
            Some(pg_sys::Datum::from(start))
        }
    }

    fn type_oid() -> pg_sys::Oid {
        vector_type()
    }
}

impl FromDatum for Vector {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller promises a datum of type vector; detoasting gives a 4-byte header, the lengths are checked.
        unsafe {
            let start = pg_sys::pg_detoast_datum(datum.cast_mut_ptr::<pg_sys::varlena>()).cast::<u8>();
            let dimension = start.add(pg_sys::VARHDRSZ).cast::<u16>().read();
            if usize::from(dimension) != DIMENSION {
                let failure =
                    Failure::new(Kind::BadArgument, format!("expected {DIMENSION} dimensions, not {dimension}"));
                std::panic::panic_any(pgrx::pg_sys::panic::ErrorReport::from(failure));
            }
            let mut values = Box::new([0f32; DIMENSION]);
            values.as_mut_ptr().copy_from_nonoverlapping(start.add(HEADER).cast::<f32>(), DIMENSION);
            Some(Vector(values))
        }
    }
}

// SAFETY: the SQL type below is the one whose datum from_polymorphic_datum reads.
unsafe impl<'fcx> ArgAbi<'fcx> for Vector {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as the caller promises; never called with a NULL.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(vector) => vector,
            None => panic!("a vector that is not NULL became NULL"),
        }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as the caller promises.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: into_datum makes exactly the datum that the SQL type below promises.
unsafe impl SqlTranslatable for Vector {
    const TYPE_IDENT: &'static str = "vector";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("vector"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("vector")));
}

// SAFETY: a palloc'ed varlena datum, as for every by-reference type.
unsafe impl BoxRet for Vector {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: the datum is of the declared return type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}
