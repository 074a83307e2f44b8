//! Transactions that keep one snapshot: the queue of a tracked table causes no serialisation failure.

use std::io::Write;

use anyhow::Context;

use crate::support::prelude::*;
use crate::support::tracking::{VENUES, queue, server, settle};
use crate::support::tracking_work::{count, settled, small_world, texts, wrong_texts};

const LEVELS: [&str; 2] = ["REPEATABLE READ", "SERIALIZABLE"];

fn venues() -> Result<(Cluster, Client)> {
    let (cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         SELECT pinterest_track('venues', text => 'description');
         INSERT INTO venues SELECT n, 'barn' FROM generate_series(1, 9) n",
    )?;
    settle(&mut client, "venues")?;
    Ok((cluster, client))
}

/// Opens a transaction that takes its snapshot now.
fn begin(client: &mut Client, level: &str) -> Result<()> {
    Ok(client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM pg_class"))?)
}

/// A worker's changes to the queue and to the declaration, on all rows.
const WORK: &str =
    "UPDATE pinterest.tracked_row SET fence = fence + 1, claimed_by = 'w', lease_until = now() + interval '1 min';
    UPDATE pinterest.tracked_column SET pauses = pauses + 1, problem = 'x'";

#[test]
fn workers_cause_no_serialisation_failure() -> Result<()> {
    let (cluster, mut client) = venues()?;
    let mut app = cluster.connect()?;
    for level in LEVELS {
        begin(&mut app, level)?;
        client.batch_execute(WORK)?;
        app.batch_execute(
            "UPDATE venues SET description = 'beach' WHERE id = 1; DELETE FROM venues WHERE id = 2;
             UPDATE venues SET id = 30 WHERE id = 3; UPDATE venues SET description = NULL WHERE id = 4;
             INSERT INTO venues VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET description = 'castle';
             SAVEPOINT s; UPDATE venues SET description = 'lost' WHERE id = 6; ROLLBACK TO s; UPDATE venues SET description = 'twice' WHERE id = 1",
        )?;
        // Its snapshot has not changed.
        client.batch_execute("CREATE TABLE later (); INSERT INTO venues VALUES (99, 'later')")?;
        assert_eq!(app.value::<i64>("SELECT count(*) FROM venues WHERE id = 99")?, 0, "{level}");
        app.batch_execute("COMMIT")?;
        // A serializable transaction does not remove deleted rows from the queue; a worker does.
        let expected = match level {
            "SERIALIZABLE" => "1* 2* 3* 30* 4* 5* 6 7 8 9 99*",
            _ => "1* 30* 5* 6 7 8 9 99*",
        };
        assert_eq!(queue(&mut client)?, expected, "{level}");
        client.batch_execute(
            "DROP TABLE later; TRUNCATE venues, pinterest.tracked_row; INSERT INTO venues SELECT n, 'barn' FROM generate_series(1, 9) n",
        )?;
        settle(&mut client, "venues")?;
    }
    Ok(())
}

#[test]
fn truncate_causes_no_serialisation_failure() -> Result<()> {
    let (cluster, mut client) = venues()?;
    let mut app = cluster.connect()?;
    for level in LEVELS {
        begin(&mut app, level)?;
        client.batch_execute(WORK)?;
        app.batch_execute("TRUNCATE venues")?;
        let mut copy = app.copy_in("COPY venues (id, description) FROM STDIN")?;
        copy.write_all(b"7\tlake\n8\tcastle\n9\t\n")?;
        copy.finish()?;
        app.batch_execute("COMMIT")?;
        assert_eq!(queue(&mut client)?, "7* 8*", "{level}");
        settle(&mut client, "venues")?;
    }
    Ok(())
}

#[test]
fn snapshots_older_than_the_declaration_queue_their_rows() -> Result<()> {
    let (cluster, mut client) = server()?;
    client.batch_execute(VENUES)?;
    let mut app = cluster.connect()?;
    for (place, level) in LEVELS.iter().enumerate() {
        begin(&mut app, level)?;
        client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        app.batch_execute(&format!("INSERT INTO venues (id, description) VALUES ({place}, 'barn'); COMMIT"))?;
        assert_eq!(queue(&mut client)?, format!("{place}*"), "{level}");
        client.batch_execute("SELECT pinterest_untrack('venues'); TRUNCATE venues")?;
    }
    Ok(())
}

#[test]
fn changes_to_neighbouring_rows_do_not_conflict() -> Result<()> {
    let (cluster, mut client) = venues()?;
    let (mut one, mut two) = (cluster.connect()?, cluster.connect()?);
    for level in LEVELS {
        for [first, second] in [
            ["UPDATE venues SET description = 'a' WHERE id = 1", "UPDATE venues SET description = 'b' WHERE id = 2"],
            ["DELETE FROM venues WHERE id = 3", "DELETE FROM venues WHERE id = 300"],
            [
                "DELETE FROM venues WHERE id = 5; INSERT INTO venues VALUES (5, 'c')",
                "DELETE FROM venues WHERE id = 500; INSERT INTO venues VALUES (500, 'c')",
            ],
            ["UPDATE venues SET id = 7001 WHERE id = 700", "UPDATE venues SET id = -70 WHERE id = 7"],
            ["INSERT INTO venues VALUES (1001, 'a')", "INSERT INTO venues VALUES (1002, 'a')"],
            [
                "UPDATE venues SET description = NULL WHERE id = 1; INSERT INTO venues VALUES (8001, 'a')",
                "UPDATE venues SET description = ' ' WHERE id = 100; INSERT INTO venues VALUES (-80, 'a')",
            ],
        ] {
            client.batch_execute(
                "TRUNCATE venues; INSERT INTO venues SELECT n, 'barn' FROM generate_series(1, 900) n; ANALYZE venues",
            )?;
            settle(&mut client, "venues")?;
            // Far apart in the table's index, so that the application has no conflict; close together in the queue's.
            for client in [&mut one, &mut two] {
                client.batch_execute("SET enable_seqscan = off")?;
                begin(client, level)?;
            }
            one.batch_execute(first)?;
            two.batch_execute(second)?;
            one.batch_execute("COMMIT")?;
            two.batch_execute("COMMIT").with_context(|| format!("{level}: {second}"))?;
        }
    }
    Ok(())
}

#[test]
fn changes_to_one_row_conflict_as_without_tracking() -> Result<()> {
    let (cluster, mut client) = venues()?;
    let (mut one, mut two) = (cluster.connect()?, cluster.connect()?);
    for level in LEVELS {
        begin(&mut one, level)?;
        begin(&mut two, level)?;
        one.batch_execute("UPDATE venues SET description = 'a' WHERE id = 1; COMMIT")?;
        // The application's own conflict.
        two.refused("UPDATE venues SET description = 'b' WHERE id = 1", "40001");
        two.batch_execute("ROLLBACK; UPDATE venues SET description = 'b' WHERE id = 1")?;
        assert_eq!(queue(&mut client)?, "1* 2 3 4 5 6 7 8 9", "{level}");
        settle(&mut client, "venues")?;
    }
    Ok(())
}

/// A refused writer tries again, as these isolation levels require.
#[test]
fn embeddings_are_right_after_writers_of_every_level() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn' FROM generate_series(1, 20) n")?;
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
            .into_iter()
            .enumerate()
            .map(|(writer, level)| {
                let world = &world;
                scope.spawn(move || -> Result<()> {
                    let mut app = world.connect()?;
                    for round in 0..40 {
                        let id = (round * 7 + writer * 3) % 20 + 1;
                        let statements = match round % 4 {
                            0 => format!("DELETE FROM venues WHERE id = {id}; INSERT INTO venues VALUES ({id}, '{writer} {round}')"),
                            1 => format!("DELETE FROM venues WHERE id = {id}"),
                            _ => format!("INSERT INTO venues VALUES ({id}, 'x') ON CONFLICT (id) DO UPDATE SET description = '{writer} {round}'"),
                        };
                        loop {
                            let done = app.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {statements}; COMMIT"));
                            let Err(error) = done else { break };
                            app.batch_execute("ROLLBACK")?;
                            let code = error.code().map(|code| code.code().to_owned());
                            assert!(["40001", "40P01", "23505"].contains(&code.as_deref().unwrap_or_default()), "{error:?}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| match writer.join() {
            Ok(done) => done,
            Err(_) => panic!("a writer panicked"),
        })
    })?;
    settled(&mut client)?;
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    let rows: i64 = client.value("SELECT count(*) FROM venues")?;
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (rows, 0));
    Ok(())
}
