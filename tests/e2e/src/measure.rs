//! Measured imports: tests compare the figures with limits, the benchmark prints them.

use std::time::{Duration, Instant};

use anyhow::ensure;
use postgres::Client;
use sandbox::Family;
use sandbox::config::{Config, ImageRules};

use crate::process::Process;
use crate::{Result, World, imports, wait_for};

const SOON: Duration = Duration::from_secs(60);
/// Time limit per thousand pins on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const BOARD: &str = "Everything";

fn world(pins: u64) -> Result<(World, Client)> {
    let config = Config::with_board(BOARD, &[Family::Beach], pins);
    World::of(Config { images: ImageRules { pool: Some(1), ..config.images.clone() }, ..config })?.with_session()
}

/// The peak private memory of a process during an import, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// During the first quarter of the images.
    pub first_quarter: u64,
    /// During the rest.
    pub rest: u64,
}

impl Peak {
    fn see(&mut self, process: &Process, in_first_quarter: bool) -> Result<()> {
        let part = if in_first_quarter { &mut self.first_quarter } else { &mut self.rest };
        *part = process.private_memory()?.max(*part);
        Ok(())
    }
}

/// A completed import of a board of many pins.
#[derive(Debug)]
pub struct LargeBoard {
    /// The board's name.
    pub board: &'static str,
    /// Id of the import.
    pub import: i64,
    /// From the call to the end of the import.
    pub taken: Duration,
    /// Memory of the worker.
    pub worker: Peak,
    /// Memory of the embedder.
    pub embedder: Peak,
    /// The longest time that a transaction of the worker was open, in seconds.
    pub longest_transaction: f64,
    /// Bytes of WAL that the server has written meanwhile.
    pub wal: i64,
}

/// Imports a board of many pins and observes the worker and the embedder.
pub fn large_board(pins: u64) -> Result<(World, Client, LargeBoard)> {
    let (world, mut client) = world(pins)?;
    let wal = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8";
    let wal_before: i64 = client.query_one(wal, &[])?.get(0);
    let began = Instant::now();
    let import = imports::queue_board(&mut client, BOARD)?;
    let worker = world.cluster.wait_for_backend("pg_pinterest worker", SOON)?.pid;
    let worker = wait_for("the worker", SOON, || Ok(Process::get(worker)))?;
    let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    let (mut of_worker, mut of_embedder, mut longest_transaction) = (Peak::default(), Peak::default(), 0.0_f64);
    wait_for("the end of the import", PATIENCE * u32::try_from(pins.div_ceil(1000))?, || {
        let row = client.query_one(
            "SELECT images_embedded + images_reused + images_skipped + images_failed, phase = 'finished',
                    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
                       FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker')
               FROM pinterest.imports WHERE import_id = $1",
            &[&import],
        )?;
        let in_first_quarter = u64::try_from(row.get::<_, i32>(0))? < pins / 4;
        of_worker.see(&worker, in_first_quarter)?;
        of_embedder.see(&embedder, in_first_quarter)?;
        longest_transaction = longest_transaction.max(row.get(2));
        Ok(row.get::<_, bool>(1).then_some(()))
    })?;
    let taken = began.elapsed();
    let wal = client.query_one(wal, &[])?.get::<_, i64>(0) - wal_before;
    let (worker, embedder) = (of_worker, of_embedder);
    let measured = LargeBoard { board: BOARD, import, taken, worker, embedder, longest_transaction, wal };
    Ok((world, client, measured))
}

/// Times of an import behind a queue of another owner's imports.
#[derive(Debug)]
pub struct BehindQueue {
    /// From the call to the end of an import without a queue.
    pub alone: Duration,
    /// From the call to the claim of the import behind the queue.
    pub claimed: Duration,
    /// From the call to the end of that import.
    pub done: Duration,
    /// Imports of the queue that were still waiting then.
    pub left: i64,
}

/// Queues an import behind those of another owner's accounts, which have no tokens: their imports fail when claimed.
pub fn behind_queue(accounts: i64, imports_each: i64) -> Result<BehindQueue> {
    let (world, mut client) = world(3)?;
    let complete = |client: &mut Client, begun: Instant, import: i64| -> Result<Duration> {
        let state = imports::wait(client, import)?;
        ensure!(state == "completed", "the import is {state}");
        Ok(begun.elapsed())
    };
    let begun = Instant::now();
    let first = imports::queue_board(&mut client, BOARD)?;
    let alone = complete(&mut client, begun, first)?;
    client.batch_execute("CREATE ROLE crowd")?;
    client.batch_execute(&format!(
        "WITH more AS (INSERT INTO pinterest.account (owner, pinterest_user_id)
             SELECT 'crowd', 'crowd ' || n FROM generate_series(1, {accounts}) AS n RETURNING account_id)
         INSERT INTO pinterest.import (account_id, board_reference) SELECT account_id, 'Nowhere ' || n
         FROM more, generate_series(1, {imports_each}) AS n"
    ))?;
    client.batch_execute("ANALYZE pinterest.import; ANALYZE pinterest.account")?;
    let begun = Instant::now();
    let import = imports::queue(&mut client, &format!("'{BOARD}', {}", world.account()))?;
    wait_for("the claim", SOON * 2, || {
        let sql = "SELECT state <> 'queued' FROM pinterest.imports WHERE import_id = $1";
        Ok(client.query_one(sql, &[&import])?.get::<_, bool>(0).then_some(()))
    })?;
    let claimed = begun.elapsed();
    let done = complete(&mut client, begun, import)?;
    let left = "SELECT count(*) FROM pinterest.import WHERE state IN ('queued', 'waiting_quota', 'waiting_access')";
    let left = client.query_one(left, &[])?.get(0);
    Ok(BehindQueue { alone, claimed, done, left })
}
