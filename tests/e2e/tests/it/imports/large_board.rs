//! A board of thousands of pins: all of it is imported, with the memory of a small one. `make bench-board` prints the figures.

use e2e::measure::large_board;

use crate::support::prelude::*;

/// A debug build on two cores does some two hundred per second.
const PINS: u64 = 5_000;
/// How much more memory a process may use at the end than in the first quarter. Of the other three the JSON is 10 MiB, the
/// vectors are 7 MiB and the images more than 100 MiB: a process that keeps one of these is found out.
const GROWTH: u64 = 6 << 20;

#[test]
fn comes_in_whole_with_flat_memory() -> Result<()> {
    let (world, mut client, measured) = large_board(PINS)?;
    let row = complete(&mut client, measured.import)?;
    let all = i32::try_from(PINS)?;
    assert_eq!((row.pins_listed, row.total, row.embedded, row.failed), (all, all, all, 0), "{row:?}");
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), PINS.div_ceil(250));
    assert_eq!(world.sandbox.requests().pictures(), PINS, "each picture once");
    for (name, peak) in [("worker", measured.worker), ("embedder", measured.embedder)] {
        assert!(peak.rest <= peak.first_quarter + GROWTH, "the {name}'s memory grows: {peak:?}");
    }
    let longest = measured.longest_transaction;
    assert!(longest < 1.0, "a transaction of the worker was open for {longest} s: over the network, or an inference");

    // The whole board again is one request.
    world.sandbox.requests().reset();
    let row = import(&mut client, measured.board)?;
    assert_eq!(row.reused, all, "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() + world.sandbox.requests().count(Kind::BoardPins), 0);
    Ok(())
}
