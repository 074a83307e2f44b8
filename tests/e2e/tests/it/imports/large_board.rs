//! A board of thousands of pins: all of it comes in, at the memory of a small one.

use std::time::{Duration, Instant};

use e2e::process::Process;
use e2e::{Result, World, wait_for};
use sandbox::Kind;

use crate::support::{Row, SOON, Sql, complete, quick_board, start};

/// A debug build on two cores does some two hundred a second; `LARGE_BOARD=20000` plays the size it is made for.
const PINS: u64 = 5_000;
/// What a process may take more at the end than in the first quarter. Of the other three the JSON is 10 MiB, the vectors
/// are 7 MiB and the pictures more than 100 MiB: whoever held on to one of these is found out.
const GROWTH: u64 = 6 << 20;
/// For a thousand pins, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(40);

/// The most that a process has taken of its own while a part of the board was worked on.
#[derive(Debug, Default)]
struct Peak {
    first_quarter: u64,
    rest: u64,
}

impl Peak {
    fn see(&mut self, process: &Process, in_first_quarter: bool) -> Result<()> {
        let part = if in_first_quarter { &mut self.first_quarter } else { &mut self.rest };
        *part = process.private_memory()?.max(*part);
        Ok(())
    }
}

#[test]
fn comes_in_whole_with_flat_memory() -> Result<()> {
    let pins = std::env::var("LARGE_BOARD").map_or(Ok(PINS), |number| number.parse())?;
    let (world, mut client) = World::builder().sandbox(quick_board("Everything", pins)).start()?.with_session()?;
    let began = Instant::now();
    let import = start(&mut client, "Everything")?;
    let worker = world.cluster.wait_for_backend("pg_pinterest worker", SOON)?.pid;
    let worker = wait_for("the worker", SOON, || Ok(Process::get(worker)))?;
    let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;

    let (mut of_worker, mut of_embedder, mut oldest) = (Peak::default(), Peak::default(), 0.0_f64);
    let row = wait_for("the import's end", PATIENCE * u32::try_from(pins.div_ceil(1000))?, || {
        let row = Row::of(&mut client, import)?;
        let in_first_quarter = u64::try_from(row.done())? < pins / 4;
        of_worker.see(&worker, in_first_quarter)?;
        of_embedder.see(&embedder, in_first_quarter)?;
        let age = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
                     FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker'";
        oldest = oldest.max(client.value(age)?);
        Ok((row.phase == "finished").then_some(row))
    })?;
    println!("{pins} pins in {:?}; worker {of_worker:?}, embedder {of_embedder:?}, oldest {oldest} s", began.elapsed());
    complete(&mut client, import)?;
    let all = i32::try_from(pins)?;
    assert_eq!((row.pins_listed, row.total, row.embedded, row.failed), (all, all, all, 0), "{row:?}");
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), pins.div_ceil(250));
    assert_eq!(world.sandbox.requests().pictures(), pins, "each picture once");
    for (name, peak) in [("worker", of_worker), ("embedder", of_embedder)] {
        assert!(peak.rest <= peak.first_quarter + GROWTH, "the {name}'s memory grows: {peak:?}");
    }
    assert!(oldest < 1.0, "a transaction of the worker was open for {oldest} s: over the network, or an inference");

    // The whole board again is one request.
    world.sandbox.requests().reset();
    let again = start(&mut client, "Everything")?;
    let row = complete(&mut client, again)?;
    assert_eq!(row.reused, all, "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() + world.sandbox.requests().count(Kind::BoardPins), 0);
    Ok(())
}
