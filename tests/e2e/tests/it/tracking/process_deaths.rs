//! Deaths of the process that runs code of a table's owner count against the row it worked on, and no other row.

use crate::support::oauth::crash;
use crate::support::prelude::*;
use crate::support::tracking_process::{TRACKING_WORKER, on_trial, problem, trap};
use crate::support::tracking_work::{small_world, state, texts, until_state, wrong_texts};

/// A world with tracked venues and a row timeout of one minute.
fn patient_world() -> Result<(World, Client)> {
    let world = small_world()?;
    world.cluster.change("pinterest.tracked_row_timeout", "1min")?;
    let mut client = world.connect()?;
    texts(&mut client, "venues")?;
    Ok((world, client))
}

#[test]
fn a_row_fails_after_killing_its_process_three_times() -> Result<()> {
    let (world, mut client) = patient_world()?;
    trap(&mut client, "NEW.id = 3")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 6) n")?;
    let mut killed: Option<Instant> = None;
    for (deaths, pause) in [(1, 0), (2, 4), (3, 9)] {
        let pid = on_trial(&mut client)?;
        if let Some(killed) = killed {
            // The pause is stored in a table and survives the restart, whose time is included.
            assert!(killed.elapsed() > Duration::from_secs(pause), "{deaths}: {:?}", killed.elapsed());
        }
        client = crash(&world, pid)?;
        killed = Some(Instant::now());
        client.until("SELECT deaths FROM pinterest.tracked_row WHERE key = ARRAY['3']", deaths)?;
        let (message, code) = problem(&mut client)?;
        assert!(message.contains("ended the process") && code == "57P02", "{message} {code}");
    }
    let (reason, code) = until_state(&mut client, "3", "failed")?;
    assert_eq!(reason, "the table's triggers or policies ended the process that worked on the row 3 times");
    assert_eq!(code, "57P02");
    for id in [1, 2, 4, 5, 6] {
        until_state(&mut client, &id.to_string(), "embedded")?;
    }
    let innocent =
        "SELECT count(*) FROM pinterest.tracked_row WHERE key <> ARRAY['3'] AND deaths = 0 AND reason IS NULL";
    assert_eq!(client.value::<i64>(innocent)?, 5);
    assert_eq!(wrong_texts(&mut client, "(SELECT * FROM venues WHERE id <> 3) v")?, 0);
    assert_eq!(world.cluster.log()?.matches("was terminated by signal 9").count(), 3);
    // A retry without the trigger succeeds.
    client.batch_execute("DROP TRIGGER stay ON venues; SELECT pinterest_retry_tracked('venues')")?;
    until_state(&mut client, "3", "embedded")?;
    Ok(())
}

#[test]
fn a_crash_of_another_process_blames_no_row() -> Result<()> {
    let (world, mut client) = patient_world()?;
    trap(&mut client, "NEW.id = 1")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    for _ in 0..2 {
        on_trial(&mut client)?;
        // The server ends all processes when one crashes.
        let other: i32 = client.value("SELECT pg_backend_pid()")?;
        client = crash(&world, other)?;
    }
    on_trial(&mut client)?;
    assert_eq!(client.value::<i32>("SELECT deaths FROM pinterest.tracked_row")?, 0);
    assert_eq!(client.value::<i32>("SELECT attempts FROM pinterest.tracked_row")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(problem) FROM pinterest.tracked_column")?, 0);
    Ok(())
}

/// Code that never checks for interrupts can only be ended by the signal handler.
#[test]
fn a_loop_without_interrupt_checks_ends_at_the_time_limit() -> Result<()> {
    if let Some(reason) = lacking(&["plperl"])? {
        return skip(&reason);
    }
    let (world, mut client) = small_world()?.with_session()?;
    client.batch_execute("CREATE EXTENSION plperl")?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "CREATE FUNCTION deaf() RETURNS trigger LANGUAGE plperl AS 'my $n = 0; $n++ while 1; return;';
         CREATE TRIGGER deaf BEFORE UPDATE OF embedding ON venues FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION deaf();
         INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')",
    )?;
    let (message, _) = problem(&mut client)?;
    assert!(message.contains("took longer than 1 second"), "{message}");
    until_state(&mut client, "1", "failed")?;
    until_state(&mut client, "2", "embedded")?;
    assert_eq!(state(&mut client, "1")?.2, "57014");
    // The first session still works: the server has not crashed.
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    until("no process in the loop", || {
        let busy: i64 = client.value_with("SELECT count(*) FROM pg_stat_activity WHERE backend_type = $1 AND xact_start < now() - interval '6 seconds'", &[&TRACKING_WORKER])?;
        Ok(busy == 0)
    })
}

/// The process also ends before the time limit if it is terminated.
#[test]
fn a_loop_without_interrupt_checks_ends_on_sigterm() -> Result<()> {
    if let Some(reason) = lacking(&["plperl"])? {
        return skip(&reason);
    }
    let world = small_world()?;
    world.cluster.change("pinterest.tracked_row_timeout", "1min")?;
    let mut client = world.connect()?;
    client.batch_execute("CREATE EXTENSION plperl")?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "CREATE SEQUENCE entered;
         CREATE FUNCTION deaf() RETURNS trigger LANGUAGE plperl AS
             $$ spi_exec_query(q{SELECT nextval('entered')}); my $n = 0; $n++ while 1; return; $$;
         CREATE TRIGGER deaf BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION deaf();
         INSERT INTO venues VALUES (1, 'barn')",
    )?;
    for round in 1_i64..=2 {
        until("a process in the loop", || {
            Ok(client.value::<i64>("SELECT last_value FROM entered WHERE is_called UNION ALL SELECT 0 LIMIT 1")?
                >= round)
        })?;
        let pid = world.cluster.wait_for_backend(TRACKING_WORKER, SOON)?.pid;
        let begun = Instant::now();
        client.query_one("SELECT pg_terminate_backend($1)", &[&pid])?;
        if round == 2 {
            client.query_one("SELECT pg_terminate_backend($1)", &[&pid])?;
        }
        until("the process to end", || Ok(e2e::process::Process::get(pid).is_none()))?;
        assert!(begun.elapsed() < Duration::from_secs(5), "round {round} took {:?}", begun.elapsed());
    }
    // No row is blamed, and no other session was ended.
    assert_eq!(client.value::<i32>("SELECT deaths FROM pinterest.tracked_row")?, 0);
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    Ok(())
}
