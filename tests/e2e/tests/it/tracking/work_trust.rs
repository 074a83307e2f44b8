//! A worker runs code that belongs to a table with the rights of the table's owner only.

use crate::support::prelude::*;
use crate::support::tracking_work::{settled, small_world, state, table_of, until_state, wrong_texts};

#[test]
fn a_trigger_in_the_workers_write_gains_nothing() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    // The trigger records the result of each attempt; the write itself succeeds.
    owner.batch_execute(
        r#"CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$
           DECLARE attempt text;
           BEGIN
             FOREACH attempt IN ARRAY ARRAY[
                 'SELECT access_token FROM pinterest.token', 'SET ROLE pinterest_worker', 'SET ROLE postgres',
                 'SET SESSION AUTHORIZATION pinterest_worker', 'RESET SESSION AUTHORIZATION', 'RESET ROLE',
                 'UPDATE pinterest.tracked_row SET reason = NULL', 'CREATE TEMP TABLE mine ()', 'LISTEN anything',
                 'ALTER ROLE ann SUPERUSER'] LOOP
               BEGIN
                 EXECUTE attempt;
                 INSERT INTO ann.seen VALUES (CURRENT_USER, 'DONE: ' || attempt);
               EXCEPTION WHEN OTHERS THEN
                 INSERT INTO ann.seen VALUES (CURRENT_USER, SQLERRM);
               END;
             END LOOP;
             SET search_path = ann;
             SET lock_timeout = 0;
             RETURN NEW;
           END $$;
           CREATE TRIGGER try AFTER UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION try();
           INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')"#,
    )?;
    settled(&mut superuser)?;
    assert_eq!(wrong_texts(&mut superuser, "ann.venues")?, 0);
    let seen = owner.query("SELECT DISTINCT who, what FROM seen", &[])?;
    assert!(seen.len() >= 5, "the trigger ran");
    for row in seen {
        let (who, what): (String, String) = (row.get(0), row.get(1));
        assert_eq!(who, "ann");
        assert!(!what.starts_with("DONE"), "{what}");
    }
    assert!(!superuser.value::<bool>("SELECT rolsuper FROM pg_roles WHERE rolname = 'ann'")?);
    Ok(())
}

#[test]
fn a_deferred_trigger_runs_at_once_and_as_the_owner() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    owner.batch_execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO seen VALUES (CURRENT_USER, SESSION_USER); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON venues DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION note();
         INSERT INTO venues VALUES (1, 'barn')",
    )?;
    settled(&mut superuser)?;
    assert_eq!(state(&mut superuser, "1")?.0, "embedded");
    assert_eq!(owner.value::<Vec<String>>("SELECT array_agg(who) FROM seen")?, ["ann"]);
    Ok(())
}

#[test]
fn a_table_that_refuses_fails_its_row_alone() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    owner.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
           IF NEW.id = 1 THEN RAISE 'not on my watch'; END IF;
           IF NEW.id = 2 THEN RETURN NULL; END IF;
           IF NEW.id = 5 THEN RAISE 'nor on mine' USING ERRCODE = 'MY001'; END IF;
           RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION refuse();
         ALTER TABLE venues ADD CHECK (id <> 3 OR embedding IS NULL);
         INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'), (3, 'garden'), (4, 'castle'), (5, 'tent')",
    )?;
    let (reason, code) = until_state(&mut superuser, "1", "failed")?;
    assert_eq!((reason.as_str(), code.as_str()), ("not on my watch", "P0001"));
    let (reason, _) = until_state(&mut superuser, "2", "failed")?;
    assert!(reason.contains("prevents the embedding from being written"), "{reason}");
    let (reason, code) = until_state(&mut superuser, "3", "failed")?;
    assert!(reason.contains("check constraint") && code == "23514", "{reason}");
    // User-defined SQLSTATEs are replaced.
    assert_eq!(until_state(&mut superuser, "5", "failed")?, ("nor on mine".to_owned(), "09000".to_owned()));
    assert_eq!(state(&mut superuser, "4")?.0, "embedded");
    assert_eq!(superuser.value::<i64>("SELECT count(problem) FROM pinterest.tracked_column")?, 0);
    assert_eq!(superuser.value::<i32>("SELECT max(attempts) FROM pinterest.tracked_row")?, 4);
    Ok(())
}

#[test]
fn a_locked_row_waits_without_delaying_others() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    owner.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settled(&mut superuser)?;
    // Both rows are pending before the transaction that holds one of them begins.
    let mut locker = world.cluster.connect_as("ann")?;
    locker.batch_execute("BEGIN; SELECT FROM venues WHERE id = 1 FOR UPDATE")?;
    superuser.batch_execute("UPDATE pinterest.tracked_row SET state = 'pending', source_sha256 = NULL")?;
    owner.batch_execute("INSERT INTO venues VALUES (2, 'beach')")?;
    until_state(&mut superuser, "2", "embedded")?;
    let reason = wait_for("an attempt on the locked row", SOON, || {
        let (_, reason, _) = state(&mut superuser, "1")?;
        Ok((!reason.is_empty()).then_some(reason))
    })?;
    assert_eq!(reason, "another session holds a lock on the row or its table");
    locker.batch_execute("UPDATE venues SET description = 'a red barn' WHERE id = 1; COMMIT")?;
    settled(&mut superuser)?;
    assert_eq!(wrong_texts(&mut superuser, "ann.venues")?, 0);
    Ok(())
}

#[test]
fn an_endless_trigger_delays_other_rows_briefly() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    owner.batch_execute(
        "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.id = 1 THEN PERFORM pg_sleep(3600); END IF; RETURN NEW; END $$;
         CREATE TRIGGER sleep BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION sleep();
         INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')",
    )?;
    until_state(&mut superuser, "2", "embedded")?;
    let reason = wait_for("the limit", Duration::from_secs(90), || {
        let (_, reason, _) = state(&mut superuser, "1")?;
        Ok((!reason.is_empty()).then_some(reason))
    })?;
    assert!(reason.contains("longer than 1 second"), "{reason}");
    Ok(())
}

/// Any code may raise the SQLSTATE of a lock timeout without end.
#[test]
fn endless_lock_errors_fail_the_row() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    owner.batch_execute(
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'locked' USING ERRCODE = '55P03'; END $$;
         CREATE TRIGGER forge BEFORE UPDATE OF embedding ON venues FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION forge();
         INSERT INTO venues VALUES (1, 'barn')",
    )?;
    let mut refused = |refusals: i32, attempts: i32| {
        until("a refusal", || {
            let sql = "SELECT count(*) FROM pinterest.tracked_row WHERE key = ARRAY['1'] AND claimed_by IS NULL
                           AND refusals >= $1 AND attempts = $2";
            let found: i64 = superuser.value_with(sql, &[&refusals, &attempts])?;
            Ok(found == 1)
        })
    };
    refused(2, 0)?;
    let mut other = world.connect()?;
    other.batch_execute(
        "UPDATE pinterest.tracked_row SET refusals = 20, next_attempt_at = now() WHERE key = ARRAY['1'];
         INSERT INTO ann.venues VALUES (2, 'beach')",
    )?;
    refused(21, 1)?;
    other.batch_execute(
        "UPDATE pinterest.tracked_row SET attempts = 4, next_attempt_at = now() WHERE key = ARRAY['1'];
         INSERT INTO ann.venues VALUES (3, 'beach')",
    )?;
    assert_eq!(until_state(&mut other, "1", "failed")?.1, "55P03");
    Ok(())
}
