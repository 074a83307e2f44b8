//! Running workers are found in memory that SQL cannot change, at a cost independent of the number of sessions.

use crate::support::oauth::kill_worker;
use crate::support::prelude::*;
use crate::support::tracking::{VENUES, start as tracking_server};
use crate::support::tracking_work::small_world;

/// Kinds of workers of which a database has more than one.
const DOUBLED: &str = "SELECT count(*) FROM (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_pinterest%'
     GROUP BY backend_type, datname HAVING count(*) > 1) AS doubled";

#[test]
fn names_that_processes_set_are_ignored() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    client.batch_execute(
        "CREATE TABLE trap (id int PRIMARY KEY, description text, embedding vector(512));
         CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM set_config('application_name', 'leaving', false); PERFORM pg_sleep(0.5); RETURN NEW; END $$;
         CREATE TRIGGER stay BEFORE UPDATE OF embedding ON trap FOR EACH ROW EXECUTE FUNCTION stay();
         SELECT pinterest_track('trap', text => 'description');
         INSERT INTO trap SELECT n, 'barn' FROM generate_series(1, 3) n",
    )?;
    let named = "SELECT EXISTS (SELECT FROM pg_stat_activity
                  WHERE backend_type LIKE 'pg_pinterest%' AND application_name = 'leaving')";
    client.until(named, true)?;
    // Each commit checks for a running worker.
    for n in 10..20 {
        client.batch_execute(&format!("INSERT INTO trap VALUES ({n}, NULL)"))?;
        queue_board(&mut client, "Beach")?;
    }
    let import = queue_board(&mut client, "Beach")?;
    assert_eq!(client.value::<i64>(DOUBLED)?, 0);
    complete(&mut client, import)?;
    assert_eq!(client.value::<i64>(DOUBLED)?, 0);
    Ok(())
}

#[test]
fn a_burst_of_first_calls_starts_one_worker() -> Result<()> {
    for preload in [true, false] {
        let world = e2e::World::builder().preload(preload).sandbox(quick_board("Beach", 2)).start()?;
        let callers: Vec<_> = (0..12)
            .map(|_| {
                let mut client = world.connect()?;
                Ok(std::thread::spawn(move || queue_board(&mut client, "Beach")))
            })
            .collect::<Result<_>>()?;
        let mut client = world.connect()?;
        for caller in callers {
            let Ok(import) = caller.join() else { panic!("a session panicked") };
            complete(&mut client, import?)?;
        }
        assert!(!world.cluster.log()?.contains("no background worker slot is free"));
        assert_eq!(client.value::<i64>(DOUBLED)?, 0);
    }
    Ok(())
}

#[test]
fn entries_of_dead_processes_are_ignored() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    import(&mut client, "Beach")?;
    let mut client = {
        drop(client);
        kill_worker(&world)?
    };
    let strangers = "SELECT count(*) FROM pinterest.workers w
          WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = w.pid AND a.backend_type = w.kind)";
    assert_eq!(client.value::<i64>(strangers)?, 0);
    import(&mut client, "Beach")?;
    Ok(())
}

/// The shortest time of many UPDATEs of one row, in seconds.
fn update(client: &mut Client, table: &str, number: &mut u64) -> Result<f64> {
    let statement = client.prepare(&format!("UPDATE {table} SET description = $1 WHERE id = 1"))?;
    let mut shortest = f64::MAX;
    for _ in 0..200 {
        *number += 1;
        let text = format!("a barn, {number}");
        let began = Instant::now();
        client.execute(&statement, &[&text])?;
        shortest = shortest.min(began.elapsed().as_secs_f64());
    }
    Ok(shortest)
}

/// `cargo test -p pg_pinterest-e2e --test it -- --nocapture presence::a_tracked_write` prints the figures.
#[test]
fn a_tracked_write_costs_the_same_beside_300_sessions() -> Result<()> {
    let builder = Cluster::builder().setting("max_connections", "340").setting("synchronous_commit", "off");
    let (cluster, mut client) = tracking_server(builder)?;
    client.batch_execute(&format!(
        "{VENUES} CREATE TABLE plain (LIKE venues INCLUDING ALL);
         INSERT INTO plain VALUES (1, 'x'); INSERT INTO venues VALUES (1, 'x');
         SELECT pinterest_track('venues', text => 'description')"
    ))?;
    let mut number = 0;
    let mut measured = Vec::new();
    let mut idle = Vec::new();
    for sessions in [0, 300] {
        while idle.len() < sessions {
            idle.push(cluster.connect()?);
        }
        let (mut plain, mut tracked) = (f64::MAX, f64::MAX);
        for _ in 0..5 {
            plain = plain.min(update(&mut client, "plain", &mut number)?);
            tracked = tracked.min(update(&mut client, "venues", &mut number)?);
        }
        println!("{sessions} idle sessions: {:.3} ms, untracked {:.3} ms", tracked * 1e3, plain * 1e3);
        measured.push(Duration::from_secs_f64((tracked - plain).max(0.0)));
    }
    let [alone, beside] = measured[..] else { panic!("there must be two measurements") };
    assert!(
        beside.saturating_sub(alone) < Duration::from_micros(100),
        "{alone:?} alone, {beside:?} beside 300 sessions"
    );
    Ok(())
}
