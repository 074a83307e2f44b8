//! Short forms of queries: one value, one column, an error, a value to wait for.

use std::fmt::Debug;

use postgres::GenericClient;
use postgres::types::{FromSqlOwned, ToSql};

use crate::support::prelude::*;

/// The error of a refused statement.
#[derive(Debug)]
pub struct Refusal {
    /// SQLSTATE.
    pub code: String,
    /// Message.
    pub message: String,
    /// Hint, empty if there is none.
    pub hint: String,
}

impl Refusal {
    /// Requires that the message contains `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.message.contains(words), "{words:?}: {self:?}");
        self
    }

    /// Requires that the hint contains `words`.
    #[track_caller]
    pub fn hints(self, words: &str) -> Self {
        assert!(self.hint.contains(words), "{words:?}: {self:?}");
        self
    }
}

/// The error of a statement that must fail.
#[track_caller]
pub fn refusal<T>(result: Result<T, postgres::Error>) -> Refusal {
    let Err(error) = result else { panic!("the statement should have been refused") };
    let Some(error) = error.as_db_error() else { panic!("the connection broke instead of a refusal: {error}") };
    Refusal {
        code: error.code().code().into(),
        message: error.message().into(),
        hint: error.hint().unwrap_or_default().into(),
    }
}

/// The error of a statement that must fail with this SQLSTATE.
#[track_caller]
pub fn expect_refusal<T>(result: Result<T, postgres::Error>, code: &str) -> Refusal {
    let refusal = refusal(result);
    assert_eq!(refusal.code, code, "{refusal:?}");
    refusal
}

/// Queries in a session or a transaction.
pub trait Sql {
    /// The one value of the one row of a query.
    fn value<T: FromSqlOwned>(&mut self, sql: &str) -> Result<T> {
        self.value_with(sql, &[])
    }

    /// The same with parameters.
    fn value_with<T: FromSqlOwned>(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T>;

    /// Both values of the one row of a query.
    fn pair<A: FromSqlOwned, B: FromSqlOwned>(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(A, B)>;

    /// The first column of a query's rows.
    fn column<T: FromSqlOwned>(&mut self, sql: &str) -> Result<Vec<T>> {
        self.column_with(sql, &[])
    }

    /// The same with parameters.
    fn column_with<T: FromSqlOwned>(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<T>>;

    /// Waits until a query returns this value.
    fn until<T: FromSqlOwned + PartialEq + Debug>(&mut self, sql: &str, wanted: T) -> Result<()> {
        let mut last = None;
        let found = wait_for(sql, SOON, || {
            let found = self.value::<T>(sql)?;
            let reached = found == wanted;
            last = Some(found);
            Ok(reached.then_some(()))
        });
        found.map_err(|error| error.context(format!("{last:?} is not {wanted:?}")))
    }

    /// The error of a statement that must fail with this SQLSTATE.
    fn refused(&mut self, sql: &str, code: &str) -> Refusal;
}

impl<C: GenericClient> Sql for C {
    fn value_with<T: FromSqlOwned>(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T> {
        Ok(self.query_one(sql, parameters)?.get(0))
    }

    fn pair<A: FromSqlOwned, B: FromSqlOwned>(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(A, B)> {
        let row = self.query_one(sql, parameters)?;
        Ok((row.get(0), row.get(1)))
    }

    fn column_with<T: FromSqlOwned>(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<T>> {
        Ok(self.query(sql, parameters)?.iter().map(|row| row.get(0)).collect())
    }

    #[track_caller]
    fn refused(&mut self, sql: &str, code: &str) -> Refusal {
        let refusal = refusal(self.batch_execute(sql));
        assert_eq!(refusal.code, code, "{sql}: {refusal:?}");
        refusal
    }
}
