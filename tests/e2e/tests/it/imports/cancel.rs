//! Cancelling an import.

use crate::support::prelude::*;

const SOON_ENOUGH: Duration = Duration::from_secs(1);

fn cancel(client: &mut Client, import: i64) -> Result<bool> {
    client.value_with("SELECT pinterest_cancel_import($1)", &[&import])
}

#[test]
fn imported_images_survive_a_cancellation() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 30)?.with_session()?;
    hold_pictures_after(&world, 6);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "six embedded images", |row| row.embedded == 6)?;

    let asked = Instant::now();
    assert!(cancel(&mut client, import)?);
    let row = until_state(&mut client, import, "cancelled")?;
    assert!(asked.elapsed() < SOON_ENOUGH, "it took {:?}", asked.elapsed());
    assert_eq!((row.phase.as_str(), row.embedded), ("finished", 6), "{row:?}");
    assert!(!cancel(&mut client, import)?, "the import has already ended");
    let state: String = client.value_with("SELECT pinterest_wait_for_import($1)", &[&import])?;
    assert_eq!(state, "cancelled");

    // No work continues after the cancellation; the next import reuses the imported images.
    let pictures = world.sandbox.requests().pictures();
    world.sandbox.faults().release(GATE);
    let again = queue_board(&mut client, "Beach")?;
    let row = complete(&mut client, again)?;
    assert_eq!((row.total, row.embedded, row.reused), (30, 24, 6), "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() - pictures, 24);
    assert_eq!(Row::of(&mut client, import)?.state, "cancelled");
    Ok(())
}

#[test]
fn listing_and_queued_imports_can_be_cancelled() -> Result<()> {
    let names = ["One", "Two", "Three", "Four", "Five"];
    let board = |name: &&str| beach_board(*name, 3);
    let mut account = AccountSpec::new("example_user");
    account.boards = names.iter().map(board).collect();
    let config = Config { accounts: vec![account], ..quick_board("Beach", 0) };
    let (world, mut client) = World::of(config)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }));
    let imports = names.iter().map(|name| queue_board(&mut client, name)).collect::<Result<Vec<_>>>()?;
    assert!(world.sandbox.requests().wait_for(Kind::BoardPins, 4, SOON), "four boards are listed at once");
    let (listing, queued) = (imports[0], imports[4]);
    assert_eq!(Row::of(&mut client, queued)?.state, "queued");

    assert!(cancel(&mut client, queued)?);
    assert_eq!(Row::of(&mut client, queued)?.state, "cancelled", "an unclaimed import is cancelled at once");
    let asked = Instant::now();
    assert!(cancel(&mut client, listing)?);
    until_state(&mut client, listing, "cancelled")?;
    assert!(asked.elapsed() < SOON_ENOUGH, "it took {:?}", asked.elapsed());

    world.sandbox.faults().release(GATE);
    for import in &imports[1..4] {
        complete(&mut client, *import)?;
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 9);
    client.refused("SELECT pinterest_cancel_import(987654)", "42704");
    Ok(())
}
