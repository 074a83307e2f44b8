//! A worker's session begins as the bootstrap superuser. Code in its transactions cannot become that role again.

use crate::support::prelude::*;
use crate::support::tracking_work::settled;
use crate::support::tracking_work::table_of;

/// Tries every way to become the bootstrap superuser and logs the results.
const INTRUDER: &str = r#"
    CREATE FUNCTION public.regain(place text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
    DECLARE attempt text; before text := session_user || ' ' || current_user;
    BEGIN
        IF (SELECT backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()) = 'client backend' THEN
            RETURN true;
        END IF;
        FOREACH attempt IN ARRAY ARRAY[
            'SET SESSION AUTHORIZATION postgres', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION',
            'SET LOCAL SESSION AUTHORIZATION postgres', 'SET ROLE postgres', 'SET ROLE NONE', 'RESET ROLE',
            'SELECT set_config(''session_authorization'', ''postgres'', false)',
            'SELECT set_config(''session_authorization'', ''postgres'', true)',
            'SELECT set_config(''role'', ''postgres'', false)', 'SELECT set_config(''is_superuser'', ''on'', false)',
            'SELECT public.as_superuser()', 'CREATE TEMP TABLE mine ()', 'LISTEN anything', 'DISCARD ALL',
            'ALTER ROLE pinterest_worker SUPERUSER'] LOOP
            BEGIN
                EXECUTE attempt;
                RAISE LOG 'regain at %: DONE %', place, attempt;
            EXCEPTION WHEN OTHERS THEN
                RAISE LOG 'regain at %: refused % (%)', place, attempt, SQLERRM;
            END;
        END LOOP;
        IF before <> session_user || ' ' || current_user
            OR (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
            OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            RAISE LOG 'regain at %: DONE, as % %', place, session_user, current_user;
        END IF;
        RETURN true;
    END $$;
    CREATE FUNCTION public.as_superuser() RETURNS text LANGUAGE sql SET session_authorization = 'postgres' AS 'SELECT session_user::text';
    CREATE FUNCTION public.regain_at(place text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.regain(place); RETURN 1; END $$;
    CREATE FUNCTION public.regain_trigger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.regain(TG_ARGV[0]); RETURN COALESCE(NEW, OLD); END $$;
"#;

/// Waits until the intruder has run at a place and requires that all its attempts were refused.
fn refused_at(world: &World, place: &str) -> Result<()> {
    // Sessions of clients do not matter.
    let marker = format!("worker: LOG:  regain at {place}: ");
    until(place, || Ok(world.cluster.log()?.contains(&marker)))?;
    let log = world.cluster.log()?;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&marker)).collect();
    let done: Vec<&&str> = lines.iter().filter(|line| line.contains("DONE")).collect();
    assert!(done.is_empty(), "{done:#?}");
    assert!(lines.len() >= 16, "{place}: {} attempts", lines.len());
    Ok(())
}

/// Executes statements one by one: a transaction that changes several tables can end in a deadlock with a worker.
fn plant<const COUNT: usize>(client: &mut Client, statements: [&str; COUNT]) -> Result<()> {
    for statement in statements {
        client.batch_execute(statement)?;
    }
    Ok(())
}

#[test]
fn planted_code_regains_nothing_in_the_tracking_worker() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    client.batch_execute(INTRUDER)?;
    let (_, mut owner) = table_of(&world, "ann")?;
    plant(
        &mut owner,
        [
            "CREATE TRIGGER mine BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION regain_trigger('trigger of the table')",
            "CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON venues DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION regain_trigger('deferred trigger of the table')",
            "CREATE INDEX ON venues (regain_at('index of the table'), embedding) WHERE embedding IS NOT NULL",
            "ALTER TABLE venues ADD CHECK (regain('check of the table'))",
        ],
    )?;
    plant(
        &mut client,
        [
            "ALTER TABLE pinterest.tracked_row ADD CHECK (regain('check of the queue')) NOT VALID",
            "CREATE TRIGGER mine AFTER UPDATE ON pinterest.tracked_row FOR EACH ROW
                 EXECUTE FUNCTION regain_trigger('trigger of the queue')",
            "CREATE POLICY mine ON pinterest.tracked_column AS RESTRICTIVE TO pinterest_worker
                 USING (regain('policy of the columns'))",
            "INSERT INTO ann.venues VALUES (1, 'barn')",
        ],
    )?;
    settled(&mut client)?;
    for place in [
        "trigger of the table",
        "deferred trigger of the table",
        "check of the table",
        "check of the queue",
        "trigger of the queue",
        "policy of the columns",
    ] {
        refused_at(&world, place)?;
    }
    Ok(())
}

#[test]
fn planted_code_regains_nothing_in_the_worker_of_imports() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 2))?.with_session()?;
    client.batch_execute(INTRUDER)?;
    plant(
        &mut client,
        [
            "ALTER TABLE pinterest.pin ADD CHECK (regain('check of the pins')) NOT VALID",
            "CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON pinterest.pin_image FOR EACH ROW
                 EXECUTE FUNCTION regain_trigger('trigger of the images')",
            "CREATE POLICY mine ON pinterest.import AS RESTRICTIVE TO pinterest_worker USING (regain('policy of the imports'))",
            "CREATE INDEX ON pinterest.board (regain_at('index of the boards'), name)",
        ],
    )?;
    import(&mut client, "Beach")?;
    for place in ["check of the pins", "trigger of the images", "policy of the imports"] {
        refused_at(&world, place)?;
    }
    Ok(())
}
