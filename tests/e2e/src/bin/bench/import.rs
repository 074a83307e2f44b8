//! Imports, from the call to the last embedding.

use std::thread;
use std::time::Duration;

use anyhow::ensure;
use e2e::imports::queue_board;
use e2e::measure::{behind_queue, large_board as import_large_board};
use e2e::process::Process;
use e2e::{Result, World};
use postgres::Client;

use crate::{figure, milliseconds, texts};

/// The longest start of a worker.
const SOON: Duration = Duration::from_secs(10);
/// The longest import.
const LONG: &str = "30 minutes";

/// Imports the board, imports it again unchanged, and imports it from scratch during text queries.
pub fn measure(world: &World, board: &str) -> Result<()> {
    // After a text, passes of candle are short for a while.
    thread::sleep(Duration::from_secs(6));
    let mut client = world.connect()?;
    let workers = workers(world)?;
    let before = workers.iter().map(Process::processor_time).collect::<Result<Vec<_>>>()?;
    let embedded = import(&mut client, board, "import")?;
    for (process, before) in workers.iter().zip(before) {
        let taken = (process.processor_time()? - before) / embedded.max(1);
        figure(&format!("  processor time per image, {}", process.name), milliseconds(taken));
    }
    import(&mut client, board, "import again, unchanged")?;
    client.execute("SELECT pinterest_purge_board($1)", &[&board])?;
    texts::beside(world, || import(&mut client, board, "import beside text queries").map(drop))
}

/// The processes that import.
fn workers(world: &World) -> Result<Vec<Process>> {
    let worker = world.cluster.wait_for_backend("pg_pinterest worker", SOON)?;
    let worker = Process::get(worker.pid).map(|process| Process { name: worker.backend_type, ..process });
    Ok(worker.into_iter().chain(world.cluster.embedder()?).collect())
}

/// Imports the board, and returns how many images were embedded. The times are those that the import recorded: looking for
/// its end often would slow it down.
fn import(client: &mut Client, board: &str, what: &str) -> Result<u32> {
    let import = queue_board(client, board)?;
    client.execute("SELECT pinterest_wait_for_import($1, $2::text::interval)", &[&import, &LONG])?;
    let row = client.query_one(
        "SELECT state, pins_listed, images_embedded,
                extract(epoch FROM finished_at - created_at)::float8, extract(epoch FROM listed_at - created_at)::float8
           FROM pinterest.import WHERE import_id = $1",
        &[&import],
    )?;
    let (state, pins, embedded): (String, i32, i32) = (row.get(0), row.get(1), row.get(2));
    ensure!(state == "completed", "the {what} is {state}");
    let (all, listed): (f64, Option<f64>) = (row.get(3), row.get(4));
    let rate = match embedded {
        0 => String::new(),
        _ => format!(", {:.1} images/s", f64::from(embedded) / all),
    };
    figure(&format!("{what}: {pins} pins"), format!("{all:.2} s{rate}"));
    if let Some(listed) = listed.filter(|_| embedded > 0) {
        figure("  until all pins are listed", format!("{listed:.2} s"));
    }
    Ok(embedded.try_into()?)
}

/// Measures the time and the memory of the processes during the import of a large board, and its size on disk.
pub fn large_board(pins: i64) -> Result<()> {
    let (_world, mut client, measured) = import_large_board(pins.try_into()?)?;
    figure(&format!("import of {pins} pins"), format!("{:.1} s", measured.taken.as_secs_f64()));
    for (name, peak) in [("worker", measured.worker), ("embedder", measured.embedder)] {
        let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (first, rest) = (megabytes(peak.first_quarter), megabytes(peak.rest));
        figure(
            &format!("  private memory of the {name}"),
            format!("{rest:.1} MB, {first:.1} MB of them in the first quarter"),
        );
    }
    figure("  longest transaction of the worker", format!("{:.2} s", measured.longest_transaction));
    for table in ["pin", "pin_image"] {
        let sizes = client.query_one(
            &format!(
                "SELECT pg_table_size(t) / rows, pg_indexes_size(t) / rows
                   FROM (SELECT 'pinterest.{table}'::regclass AS t, count(*) AS rows FROM pinterest.{table}) AS counted"
            ),
            &[],
        )?;
        let (rows, indexes): (i64, i64) = (sizes.get(0), sizes.get(1));
        figure(&format!("  bytes per row of pinterest.{table}"), format!("{rows}, and {indexes} of its indexes"));
    }
    figure("  bytes of WAL per pin", (measured.wal / pins).to_string());
    Ok(())
}

/// Measures an import behind many of another owner, whose imports belong to one account or to one account each.
pub fn behind_queues(queued: i64) -> Result<()> {
    for (what, accounts, imports_each) in [("one account", 1, queued), ("as many accounts", queued, 1)] {
        let measured = behind_queue(accounts, imports_each)?;
        figure(
            &format!("behind {queued} imports of {what}"),
            format!(
                "claimed after {:.2?}, done after {:.2?}; alone {:.2?}",
                measured.claimed, measured.done, measured.alone
            ),
        );
    }
    Ok(())
}
