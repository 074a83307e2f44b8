//! A board of thousands of pins is imported with the memory of a small one. `make bench-board` prints the figures.

use e2e::measure::large_board;

use crate::support::prelude::*;

/// A debug build on two cores imports about two hundred per second.
const PINS: u64 = 5_000;
/// How many bytes more the worker may use at the end than in the first quarter. In the other three quarters, the JSON takes
/// 10 MiB and the vectors 7 MiB: a worker that keeps one of these is detected.
const GROWTH_OF_WORKER: u64 = 6 << 20;
/// The same for the embedder. The images take more than 100 MiB; how many are decoded at the same time depends on the load.
const GROWTH_OF_EMBEDDER: u64 = 16 << 20;

#[test]
fn a_large_board_is_imported_whole_in_constant_memory() -> Result<()> {
    let (world, mut client, measured) = large_board(PINS)?;
    let row = complete(&mut client, measured.import)?;
    let all = i32::try_from(PINS)?;
    assert_eq!((row.pins_listed, row.total, row.embedded, row.failed), (all, all, all, 0), "{row:?}");
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), PINS.div_ceil(250));
    assert_eq!(world.sandbox.requests().pictures(), PINS, "each image is downloaded once");
    for (name, peak, growth) in
        [("worker", measured.worker, GROWTH_OF_WORKER), ("embedder", measured.embedder, GROWTH_OF_EMBEDDER)]
    {
        assert!(peak.rest <= peak.first_quarter + growth, "the {name}'s memory grows: {peak:?}");
    }
    let longest = measured.longest_transaction;
    assert!(longest < 3.0, "a transaction of the worker was open for {longest} s, as during I/O or inference");

    // Another import of the board neither lists pins nor downloads images.
    world.sandbox.requests().reset();
    let row = import(&mut client, measured.board)?;
    assert_eq!(row.reused, all, "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() + world.sandbox.requests().count(Kind::BoardPins), 0);
    Ok(())
}
