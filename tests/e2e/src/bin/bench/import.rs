//! Imports, from the call to the last embedding.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::imports::queue_board;
use e2e::measure::{behind_queue, large_board as import_large_board};
use e2e::{Result, World, wait_for};
use postgres::Client;

use crate::{figure, texts};

const LONG: Duration = Duration::from_secs(1800);

/// Imports the board, imports it again unchanged, and imports it from scratch during text queries.
pub fn measure(world: &World, board: &str) -> Result<()> {
    let mut client = world.connect()?;
    import(&mut client, board, "import")?;
    import(&mut client, board, "import again, unchanged")?;
    client.execute("SELECT pinterest_purge_board($1)", &[&board])?;
    texts::beside(world, || import(&mut client, board, "import beside text queries"))
}

fn import(client: &mut Client, board: &str, what: &str) -> Result<()> {
    let began = Instant::now();
    let import = queue_board(client, board)?;
    let mut listed = None;
    let (state, pins, embedded) = wait_for("the import", LONG, || {
        let row = client.query_one(
            "SELECT state, phase, pins_listed, images_embedded, reason FROM pinterest.imports WHERE import_id = $1",
            &[&import],
        )?;
        let (state, phase): (String, String) = (row.get(0), row.get(1));
        if matches!(phase.as_str(), "images" | "finished") {
            listed.get_or_insert_with(|| began.elapsed());
        }
        let ended = matches!(state.as_str(), "completed" | "failed" | "cancelled" | "needs_reauth");
        Ok(ended.then(|| (state, row.get::<_, i32>(2), row.get::<_, i32>(3))))
    })?;
    ensure!(state == "completed", "the {what} is {state}");
    let all = began.elapsed();
    let listed = listed.unwrap_or(all);
    figure(&format!("{what}: {pins} pins"), format!("{:.2} s", all.as_secs_f64()));
    if embedded > 0 {
        let images = all - listed;
        figure("  until all pins are listed", format!("{:.2} s", listed.as_secs_f64()));
        figure(
            "  from there to the last embedding",
            format!("{:.2} s, {:.1} images/s", images.as_secs_f64(), f64::from(embedded) / images.as_secs_f64()),
        );
    }
    Ok(())
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
