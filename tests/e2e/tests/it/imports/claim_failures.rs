//! Claims of imports that fail.

use crate::support::prelude::*;

#[test]
fn a_failed_claim_is_logged_once_and_the_import_runs_later() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    client.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON pinterest.import FOR EACH ROW WHEN (NEW.state = 'running')
             EXECUTE FUNCTION refuse()",
    )?;
    let lines = || Ok::<_, anyhow::Error>(world.cluster.log()?.matches("no import could be claimed: not now").count());
    let first = queue_board(&mut client, "Beach")?;
    until("the failure to be logged", || Ok(lines()? > 0))?;
    let about = format!("no import could be claimed: not now [account={}]", world.account());
    assert!(world.cluster.log()?.contains(&about));
    client.batch_execute("DROP TRIGGER refuse ON pinterest.import")?;
    complete(&mut client, first)?;
    assert_eq!(lines()?, 1, "a failure that repeats is not logged again");
    Ok(())
}
