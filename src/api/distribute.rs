//! Boards and pins over the nodes of a Citus cluster, and back.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use super::Answer;
use crate::errors::{Failure, Kind};
use crate::store::distribution::{self, TABLES};
use crate::store::{refuse_if_read_only, with_latest_snapshot};
use crate::workers::registry;

/// More shards than Citus allows.
const MOST_SHARDS: i32 = 64_000;

/// Distributes the tables of boards and pins by account, with their rows.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_distribute(shards: default!(Option<i32>, "NULL")) -> Answer<()> {
    refuse_if_read_only("pinterest_distribute()")?;
    distribution::requirements("pinterest_distribute()")?;
    if let Some(shards) = shards {
        super::up_to(MOST_SHARDS, shards, "shards")?;
    }
    refuse_if_distributed()?;
    distribution::check_nodes()?;
    distribution::give_levels_to(&distribution::levels()?)?;
    {
        let _settings = distribution::settings();
        distribution::lock()?;
        // Another session may have done it meanwhile.
        with_latest_snapshot(refuse_if_distributed)?;
        distribution::drop_keys()?;
    }
    for table in TABLES {
        progress(format!("distributing pinterest.{table}"));
        let _settings = distribution::settings();
        distribution::distribute(table, shards)?;
    }
    {
        let _settings = distribution::settings();
        distribution::delete_local_rows()?;
    }
    let (shards, nodes) = distribution::shards()?;
    progress(format!("boards and pins are in {shards} shards on {nodes} nodes"));
    registry::wake_at_commit()?;
    Ok(())
}

/// Makes the tables of boards and pins local to the coordinator again, with their rows.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_undistribute() -> Answer<()> {
    refuse_if_read_only("pinterest_undistribute()")?;
    distribution::requirements("pinterest_undistribute()")?;
    refuse_if_local()?;
    {
        let _settings = distribution::settings();
        distribution::lock()?;
        with_latest_snapshot(refuse_if_local)?;
        let orphans = distribution::delete_orphans()?;
        if orphans > 0 {
            progress(format!("deleted {orphans} boards of accounts that do not exist"));
        }
    }
    for table in TABLES {
        progress(format!("fetching the rows of pinterest.{table}"));
        let _settings = distribution::settings();
        distribution::fetch(table)?;
    }
    {
        let _settings = distribution::settings();
        TABLES.iter().rev().try_for_each(|table| distribution::forget(table))?;
    }
    for table in TABLES {
        progress(format!("storing the rows of pinterest.{table}"));
        let _settings = distribution::settings();
        distribution::put_back(table)?;
        distribution::correct_owners(table)?;
    }
    distribution::make_keys()?;
    progress("boards and pins are local to the coordinator".to_owned());
    registry::wake_at_commit()?;
    Ok(())
}

fn refuse_if_distributed() -> Result<(), Failure> {
    if distribution::distributed_tables()? == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::NotReady, "boards and pins are distributed already")
        .with_hint("SELECT rebalance_table_shards() of Citus moves shards to nodes that were added."))
}

fn refuse_if_local() -> Result<(), Failure> {
    if distribution::distributed_tables()? == TABLES.len() as i64 {
        return Ok(());
    }
    Err(Failure::new(Kind::NotReady, "boards and pins are not distributed")
        .with_hint("pinterest_distribute() distributes them: see docs/citus.md."))
}

/// Raises a NOTICE.
fn progress(message: String) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "pg_pinterest").report(PgLogLevel::NOTICE);
}
