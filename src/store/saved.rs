//! Statements that run so often that each session plans them once.

use std::cell::OnceCell;
use std::ffi::{CString, c_char};

use pgrx::datum::DatumWithOid;
use pgrx::spi::OwnedPreparedStatement;
use pgrx::{PgBuiltInOids, PgOid, Spi, pg_sys};

use super::{Row, pinned, refuse_if_read_only};
use crate::errors::{Failure, Kind};

/// A statement with its parameters' types, for a `thread_local`.
pub struct Saved {
    sql: &'static str,
    types: &'static [PgBuiltInOids],
    plan: OnceCell<&'static OwnedPreparedStatement>,
    of_now: OnceCell<pg_sys::SPIPlanPtr>,
}

/// Runs a plan in SPI with the latest snapshot.
fn run_of_now(plan: pg_sys::SPIPlanPtr, parameters: &[DatumWithOid<'_>], read_only: bool) -> Result<(), Failure> {
    let mut values: Vec<pg_sys::Datum> = parameters
        .iter()
        .map(|value| value.datum().map_or_else(pg_sys::Datum::null, |datum| datum.sans_lifetime()))
        .collect();
    let nulls: Vec<c_char> =
        parameters.iter().map(|value| if value.datum().is_some() { b' ' } else { b'n' } as c_char).collect();
    // SAFETY: connected to SPI; as many values as the plan has parameters. The server copies the snapshot and takes no
    // other one meanwhile.
    let code = unsafe {
        pg_sys::SPI_execute_snapshot(
            plan,
            values.as_mut_ptr(),
            nulls.as_ptr(),
            pg_sys::GetLatestSnapshot(),
            std::ptr::null_mut(),
            read_only,
            false,
            0,
        )
    };
    if code < 0 {
        return Err(Failure::new(Kind::Internal, format!("SPI returned {code}")));
    }
    Ok(())
}

/// Lets writes of this process continue with a row that another transaction has changed, until dropped. Taking the
/// transaction's snapshot meanwhile would replace it: no code does that while an active snapshot is given.
struct ReadCommitted(i32);

impl ReadCommitted {
    fn begin() -> Self {
        // SAFETY: main thread; a plain variable of the process, which the end of the transaction resets.
        unsafe {
            let before = ReadCommitted(pg_sys::XactIsoLevel);
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
            before
        }
    }
}

impl Drop for ReadCommitted {
    fn drop(&mut self) {
        // SAFETY: as above; also where an ERROR unwinds, before any handler of it runs.
        unsafe { pg_sys::XactIsoLevel = self.0 };
    }
}

impl Saved {
    /// The statement is planned when it is run first.
    pub const fn new(sql: &'static str, types: &'static [PgBuiltInOids]) -> Self {
        Saved { sql, types, plan: OnceCell::new(), of_now: OnceCell::new() }
    }

    /// Runs a statement that writes.
    pub fn execute(&self, parameters: &[DatumWithOid<'_>]) -> Result<(), Failure> {
        refuse_if_read_only("a write of pg_pinterest")?;
        let _pinned = pinned();
        Spi::connect_mut(|client| {
            let plan = match self.plan.get() {
                Some(plan) => plan,
                None => self.keep(client.prepare_mut(self.sql, &self.types())?.keep()),
            };
            client.update(plan, None, parameters)?;
            Ok(())
        })
    }

    /// Runs a statement that writes tables of the extension within a user's transaction, with the latest snapshot.
    ///
    /// A REPEATABLE READ or SERIALIZABLE transaction has one snapshot, and fails with SQLSTATE 40001 if it updates a
    /// row that has changed since. Workers change rows of the extension all the time, and nothing that the user's
    /// transaction has read depends on them. So this continues with the current row, as READ COMMITTED does; the server
    /// itself checks foreign keys with the latest snapshot (`ri_PerformCheck`, ri_triggers.c).
    ///
    /// Only for tables without triggers and foreign keys, whose functions would take the transaction's snapshot.
    pub fn execute_of_now(&self, parameters: &[DatumWithOid<'_>]) -> Result<(), Failure> {
        // SAFETY: a plain read of a process-wide variable.
        if unsafe { pg_sys::XactIsoLevel } < pg_sys::XACT_REPEATABLE_READ as i32 {
            return self.execute(parameters);
        }
        refuse_if_read_only("a write of pg_pinterest")?;
        let _pinned = pinned();
        Spi::connect_mut(|_| {
            let plan = self.plan_of_now()?;
            let _level = ReadCommitted::begin();
            run_of_now(plan, parameters, false)
        })
    }

    /// Runs a statement that only reads, with the latest snapshot, whatever the transaction's is; all its columns must
    /// be passed by value.
    pub fn read_of_now<T>(
        &self,
        parameters: &[DatumWithOid<'_>],
        mut map: impl FnMut(&[Option<pg_sys::Datum>]) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let _pinned = pinned();
        Spi::connect(|_| {
            let plan = self.plan_of_now()?;
            run_of_now(plan, parameters, true)?;
            // SAFETY: the statement's result, good until SPI is left; each value is read from its own row.
            unsafe {
                let table = pg_sys::SPI_tuptable;
                if table.is_null() {
                    return Err(Failure::new(Kind::Internal, "a statement returned no table"));
                }
                let (descriptor, count) = ((*table).tupdesc, pg_sys::SPI_processed as usize);
                (0..count)
                    .map(|place| {
                        let row = *(*table).vals.add(place);
                        let values: Vec<_> = (1..=(*descriptor).natts)
                            .map(|number| {
                                let mut null = false;
                                let value = pg_sys::SPI_getbinval(row, descriptor, number, &raw mut null);
                                (!null).then_some(value)
                            })
                            .collect();
                        map(&values)
                    })
                    .collect()
            }
        })
    }

    /// The plan for the latest snapshot, kept as the other one is.
    fn plan_of_now(&self) -> Result<pg_sys::SPIPlanPtr, Failure> {
        if let Some(&plan) = self.of_now.get() {
            return Ok(plan);
        }
        let sql = CString::new(self.sql).map_err(|_| Failure::new(Kind::Internal, "a statement contains a NUL"))?;
        let mut types: Vec<pg_sys::Oid> = self.types.iter().map(|&builtin| pg_sys::Oid::from(builtin)).collect();
        // SAFETY: connected to SPI; the plan is kept for the session.
        unsafe {
            let plan = pg_sys::SPI_prepare(sql.as_ptr(), types.len() as i32, types.as_mut_ptr());
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(Failure::new(Kind::Internal, "a statement was not planned"));
            }
            Ok(*self.of_now.get_or_init(|| plan))
        }
    }

    /// Runs a statement that only reads.
    pub fn read<T>(
        &self,
        parameters: &[DatumWithOid<'_>],
        mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let _pinned = pinned();
        Spi::connect(|client| {
            let plan = match self.plan.get() {
                Some(plan) => plan,
                None => self.keep(client.prepare(self.sql, &self.types())?.keep()),
            };
            client.select(plan, None, parameters)?.map(|row| map(Row(&row))).collect()
        })
    }

    fn types(&self) -> Vec<PgOid> {
        self.types.iter().map(|oid| oid.oid()).collect()
    }

    /// Never freed: the plan exists as long as the session, and the server must not be called at the end of the
    /// session.
    fn keep(&self, plan: OwnedPreparedStatement) -> &'static OwnedPreparedStatement {
        let plan: &'static _ = Box::leak(Box::new(plan));
        self.plan.get_or_init(|| plan)
    }
}
