//! Statements that run so often that they are planned once in a session.

use std::cell::OnceCell;

use pgrx::datum::DatumWithOid;
use pgrx::spi::OwnedPreparedStatement;
use pgrx::{PgBuiltInOids, PgOid, Spi};

use super::{Pinned, Row, refuse_if_read_only};
use crate::errors::Failure;

/// A statement with its parameters' types, for a `thread_local`.
pub struct Saved {
    sql: &'static str,
    types: &'static [PgBuiltInOids],
    plan: OnceCell<&'static OwnedPreparedStatement>,
}

impl Saved {
    /// Not planned before it is run.
    pub const fn new(sql: &'static str, types: &'static [PgBuiltInOids]) -> Self {
        Saved { sql, types, plan: OnceCell::new() }
    }

    /// Runs a statement that writes.
    pub fn execute(&self, parameters: &[DatumWithOid<'_>]) -> Result<(), Failure> {
        refuse_if_read_only(c"a write of pg_pinterest");
        let _pinned = Pinned::new();
        Spi::connect_mut(|client| {
            let plan = match self.plan.get() {
                Some(plan) => plan,
                None => self.keep(client.prepare_mut(self.sql, &self.types())?.keep()),
            };
            client.update(plan, None, parameters)?;
            Ok(())
        })
    }

    /// Runs a statement that only reads.
    pub fn read<T>(
        &self,
        parameters: &[DatumWithOid<'_>],
        mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let _pinned = Pinned::new();
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

    /// Never freed: the plan lives as long as the session, and its end is no time to call the server.
    fn keep(&self, plan: OwnedPreparedStatement) -> &'static OwnedPreparedStatement {
        let plan: &'static _ = Box::leak(Box::new(plan));
        self.plan.get_or_init(|| plan)
    }
}
