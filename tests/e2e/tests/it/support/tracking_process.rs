//! Helpers of the tests of the process that runs code of a table's owner.

use crate::support::prelude::*;

/// `backend_type` of the process.
pub const TRACKING_WORKER: &str = "pg_pinterest tracking worker";

/// Creates a trigger on `venues` that never returns for rows that fulfil the condition, even if its statements are
/// cancelled.
pub fn trap(owner: &mut Client, condition: &str) -> Result<()> {
    owner.batch_execute(&format!(
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             LOOP
                 BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END;
             END LOOP;
         END $$;
         CREATE TRIGGER stay BEFORE UPDATE OF embedding ON venues FOR EACH ROW
             WHEN ({condition}) EXECUTE FUNCTION stay()"
    ))?;
    Ok(())
}

/// Waits until a tracking worker sleeps in the code of a table's owner, and returns its process id.
pub fn on_trial(client: &mut Client) -> Result<i32> {
    wait_for("code of a table's owner to sleep", SOON, || {
        let row = client.query_opt(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = $1 AND wait_event = 'PgSleep' LIMIT 1",
            &[&TRACKING_WORKER],
        )?;
        Ok(row.map(|row| row.get(0)))
    })
}

/// Waits for a problem of a tracked column; returns it with its SQLSTATE.
pub fn problem(client: &mut Client) -> Result<(String, String)> {
    wait_for("a problem", SOON, || {
        let row = client
            .query_opt("SELECT problem, problem_code FROM pinterest.tracked WHERE problem IS NOT NULL LIMIT 1", &[])?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    })
}
