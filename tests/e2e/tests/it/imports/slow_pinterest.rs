//! An import waits and continues if Pinterest fails or refuses further requests.

use crate::support::prelude::*;

#[test]
fn an_import_survives_server_errors() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::Board, Fault::Html502).once());
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ServerError { status: 503 }).once());
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::ServerError { status: 500 }).times(2));
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::ResetAfterHeaders).skip(2).once());
    client.query_one("SELECT count(*) FROM pinterest_list_boards()", &[])?;
    let id = queue_board(&mut client, "Beach")?;
    let row = until_state(&mut client, id, "queued")?;
    if !row.reason.is_empty() {
        assert_eq!(row.error_code, "08006", "{row:?}");
    }
    let row = complete(&mut client, id)?;
    assert_eq!((row.embedded, row.failed), (4, 0), "{row:?}");
    assert!(row.reason.is_empty(), "the reason is cleared: {row:?}");
    Ok(())
}

#[test]
fn an_import_waits_for_a_spent_quota() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    let limited = Fault::RateLimited { retry_after: Some("3".into()), reset: Some(3) };
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, limited).once());
    let id = queue_board(&mut client, "Beach")?;
    let row = until_state(&mut client, id, "waiting_quota")?;
    assert_eq!(row.error_code, "53400", "{row:?}");
    let wait: f64 = client.value_with(
        "SELECT extract(epoch FROM wake_at - clock_timestamp())::float8 FROM pinterest.imports WHERE import_id = $1",
        &[&id],
    )?;
    assert!((1.0..3.5).contains(&wait), "it waits for {wait} s");
    complete(&mut client, id)?;
    // The refusal and the page, without a request in between.
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), 2);
    let quota: i64 = client.value("SELECT count(*) FROM pinterest.quota WHERE remaining > 0")?;
    assert!(quota > 0);
    Ok(())
}
