//! Imported rows live as long as pinterest.retention says, and no longer.

use e2e::{Result, wait_for};
use postgres::Client;

use crate::grants::restart_worker;
use crate::support::{SOON, complete, import, quick_world, start, value};

/// More rows than go in one statement.
const PINS: u64 = 250;

fn count(client: &mut Client, table: &str) -> Result<i64> {
    value(client, &format!("SELECT count(*) FROM pinterest.{table}"))
}

#[test]
fn old_rows_go_fresh_ones_stay_and_a_reimport_brings_them_back() -> Result<()> {
    let world = quick_world("Beach", PINS)?;
    let mut client = world.connect()?;
    let first = import(&mut client, "Beach")?;
    assert_eq!(first.embedded, 250, "{first:?}");
    let kept: Vec<String> = client
        .query("SELECT pin_id FROM pinterest.pin ORDER BY pin_id LIMIT 10", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    // All but ten are as old as the retention allows, and older.
    client.execute(
        "UPDATE pinterest.pin SET imported_at = clock_timestamp() - interval '2 hours' WHERE pin_id <> ALL ($1)",
        &[&kept],
    )?;
    client.batch_execute("UPDATE pinterest.board SET imported_at = clock_timestamp() - interval '2 hours'")?;
    world.cluster.set("pinterest.retention", "1h")?;
    world.cluster.reload()?;
    restart_worker(&world, &mut client)?;
    wait_for("the old rows to go", SOON, || Ok((count(&mut client, "pin")? == 10).then_some(())))?;
    let left: Vec<String> =
        client.query("SELECT pin_id FROM pinterest.pin ORDER BY pin_id", &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, kept, "fresh rows stay");
    assert_eq!(count(&mut client, "pin_image")?, 10);
    assert_eq!(count(&mut client, "account")?, 1, "accounts are no imported rows");

    // The board is known to be incomplete, though Pinterest's marker has not moved.
    let asked = world.sandbox.requests().pictures();
    let again = start(&mut client, "Beach")?;
    let row = complete(&mut client, again)?;
    assert_eq!((row.total, row.pins_listed), (250, 250), "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() - asked, 240, "only what was gone is fetched");
    Ok(())
}

#[test]
fn for_ever_is_the_default() -> Result<()> {
    let world = quick_world("Beach", 3)?;
    let mut client = world.connect()?;
    assert_eq!(value::<String>(&mut client, "SHOW pinterest.retention")?, "0");
    import(&mut client, "Beach")?;
    client.batch_execute("UPDATE pinterest.pin SET imported_at = '2001-01-01'")?;
    import(&mut client, "Beach")?;
    assert_eq!(count(&mut client, "pin")?, 3);
    Ok(())
}
