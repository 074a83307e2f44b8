//! Imported rows are deleted after the time that pinterest.retention sets.

use crate::support::oauth::restart_worker;
use crate::support::prelude::*;

/// More rows than one statement deletes.
const PINS: u64 = 250;

fn count(client: &mut Client, table: &str) -> Result<i64> {
    client.value(&format!("SELECT count(*) FROM pinterest.{table}"))
}

#[test]
fn old_rows_are_deleted_and_an_import_restores_them() -> Result<()> {
    let (world, mut client) = quick_world("Beach", PINS)?.with_session()?;
    let first = import(&mut client, "Beach")?;
    assert_eq!(first.embedded, 250, "{first:?}");
    let kept: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin ORDER BY pin_id LIMIT 10")?;
    // All but ten pins are older than the retention.
    client.execute(
        "UPDATE pinterest.pin SET imported_at = clock_timestamp() - interval '2 hours' WHERE pin_id <> ALL ($1)",
        &[&kept],
    )?;
    client.batch_execute("UPDATE pinterest.board SET confirmed_at = clock_timestamp() - interval '2 hours'")?;
    world.cluster.change("pinterest.retention", "1h")?;
    restart_worker(&world, &mut client)?;
    until("the old rows to be deleted", || Ok(count(&mut client, "pin")? == 10))?;
    let left: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin ORDER BY pin_id")?;
    assert_eq!(left, kept, "fresh rows stay");
    assert_eq!(count(&mut client, "pin_image")?, 10);
    assert_eq!(count(&mut client, "account")?, 1, "accounts are not imported rows");

    // The board is known to be incomplete, although it has not changed at Pinterest.
    let asked = world.sandbox.requests().pictures();
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.total, row.pins_listed), (250, 250), "{row:?}");
    assert_eq!(world.sandbox.requests().pictures() - asked, 240, "only deleted images are downloaded");
    Ok(())
}

#[test]
fn everything_is_kept_by_default() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 3)?.with_session()?;
    assert_eq!(client.value::<String>("SHOW pinterest.retention")?, "0");
    import(&mut client, "Beach")?;
    client.batch_execute("UPDATE pinterest.pin SET imported_at = '2001-01-01'")?;
    import(&mut client, "Beach")?;
    assert_eq!(count(&mut client, "pin")?, 3);
    Ok(())
}

/// Runs one round of a worker's retention.
fn a_round(world: &World, client: &mut Client) -> Result<()> {
    restart_worker(world, client)?;
    let seen = "SELECT clock_seen_at > now() - interval '1 second' FROM pinterest.installation";
    client.until(seen, true)?;
    // The next worker starts after the end of this one.
    restart_worker(world, client)
}

#[test]
fn only_rows_unconfirmed_for_the_retention_are_deleted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    imported(&mut client, "'Beach', sync_every => '1 day'")?;
    client.batch_execute(
        "UPDATE pinterest.pin SET imported_at = imported_at - interval '3 hours';
         UPDATE pinterest.board SET confirmed_at = confirmed_at - interval '3 hours', seen_at = seen_at - interval '3 hours',
             imported_at = imported_at - interval '3 hours'",
    )?;
    // This import confirms the rows.
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.coverage, "unchanged");
    client.batch_execute(
        "UPDATE pinterest.pin SET removed_at = clock_timestamp() - interval '3 hours'
          WHERE pin_id = (SELECT min(pin_id) FROM pinterest.pin)",
    )?;
    world.cluster.change("pinterest.retention", "1h")?;
    a_round(&world, &mut client)?;
    until("the removed pin to be deleted", || Ok(count(&mut client, "pin")? == 5))?;

    // After a pause longer than the retention, the pins are deleted; the board and its settings stay.
    let account = world.account();
    client.execute("SELECT pinterest_pause_account($1)", &[&account])?;
    client.batch_execute(
        "UPDATE pinterest.board SET confirmed_at = confirmed_at - interval '3 hours', seen_at = seen_at - interval '3 hours'",
    )?;
    a_round(&world, &mut client)?;
    until("the pins to be deleted", || Ok(count(&mut client, "pin")? == 0))?;
    let sync = "SELECT sync_every::text FROM pinterest.board WHERE next_sync_at IS NOT NULL";
    assert_eq!(client.value::<String>(sync)?, "1 day");
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    client.batch_execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp()")?;
    restart_worker(&world, &mut client)?;
    until("the board to be imported again", || Ok(count(&mut client, "pin")? == 6))?;
    Ok(())
}

#[test]
fn a_jump_of_the_clock_deletes_nothing() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    import(&mut client, "Beach")?;
    world.cluster.change("pinterest.retention", "30d")?;
    a_round(&world, &mut client)?;
    // As if the clock had just jumped ten years ahead: rows stored before look ten years old.
    client.batch_execute(
        "UPDATE pinterest.installation SET clock_seen_at = clock_seen_at - interval '10 years';
         UPDATE pinterest.pin SET imported_at = imported_at - interval '10 years';
         UPDATE pinterest.import SET finished_at = finished_at - interval '10 years';
         UPDATE pinterest.board SET confirmed_at = confirmed_at - interval '10 years'",
    )?;
    a_round(&world, &mut client)?;
    let gaps: i32 = client.value("SELECT cardinality(clock_gaps) FROM pinterest.installation")?;
    assert_eq!((gaps, count(&mut client, "pin")?, count(&mut client, "import")?), (1, 6, 1));
    // Time without a jump still counts.
    client.batch_execute(
        "UPDATE pinterest.pin SET imported_at = imported_at - interval '31 days';
         UPDATE pinterest.board SET confirmed_at = confirmed_at - interval '31 days'",
    )?;
    a_round(&world, &mut client)?;
    until("old pins to be deleted", || Ok(count(&mut client, "pin")? == 0))?;

    // As if the clock had jumped back: no row keeps a time that is years ahead.
    import(&mut client, "Beach")?;
    client.batch_execute(
        "UPDATE pinterest.installation SET clock_seen_at = clock_seen_at + interval '10 years';
         UPDATE pinterest.pin SET imported_at = imported_at + interval '10 years';
         UPDATE pinterest.board SET confirmed_at = confirmed_at + interval '10 years'",
    )?;
    a_round(&world, &mut client)?;
    let ahead = "SELECT count(*) FROM pinterest.pin p JOIN pinterest.board b USING (account_id, board_id)
                  WHERE GREATEST(p.imported_at, b.confirmed_at) > now() + interval '1 hour'";
    client.until(ahead, 0_i64)?;
    assert_eq!(count(&mut client, "pin")?, 6);
    Ok(())
}
