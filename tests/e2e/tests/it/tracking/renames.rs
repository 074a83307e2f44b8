//! Schemas that are renamed while workers write to a table in them: ALTER SCHEMA waits for no lock on the table.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::prelude::*;
use crate::support::tracking_work::{count, small_world, wrong_texts};

const ROWS: i64 = 1_500;
/// On a busy machine a row takes some ten milliseconds, and is tried again after each miss.
const LONG: Duration = Duration::from_secs(300);

#[test]
fn a_strangers_view_with_the_tables_name_is_never_written() -> Result<()> {
    let world = small_world()?;
    world.cluster.create_role("ann")?;
    let mut superuser = world.connect()?;
    superuser.batch_execute(
        "SELECT pinterest_grant('ann'); CREATE SCHEMA live AUTHORIZATION ann; CREATE SCHEMA other;
         CREATE TABLE public.seen (who text); GRANT INSERT ON public.seen TO PUBLIC;
         CREATE VIEW other.venues AS SELECT n::bigint AS id, 'stranger'::text AS description, NULL::vector(512) AS embedding
             FROM generate_series(1, 1500) n;
         CREATE FUNCTION other.note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.seen VALUES (CURRENT_USER); RETURN NEW; END $$;
         CREATE TRIGGER note INSTEAD OF UPDATE ON other.venues FOR EACH ROW EXECUTE FUNCTION other.note();
         GRANT USAGE ON SCHEMA other TO ann; GRANT ALL ON other.venues TO ann",
    )?;
    let mut owner = world.cluster.connect_as("ann")?;
    owner.batch_execute(&format!(
        "CREATE TABLE live.venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO live.venues SELECT n, 'venue ' || n FROM generate_series(1, {ROWS}) n;
         SELECT pinterest_track('live.venues', text => 'description')"
    ))?;
    swap_until_settled(&world, "live", "other")?;
    assert_eq!(superuser.value::<i64>("SELECT count(*) FROM public.seen")?, 0, "a stranger's trigger ran");
    assert_eq!((count(&mut superuser, "embedded")?, count(&mut superuser, "failed")?), (ROWS, 0));
    assert_eq!(wrong_texts(&mut superuser, "live.venues")?, 0);
    Ok(())
}

#[test]
fn renaming_schemas_loses_no_row() -> Result<()> {
    let world = small_world()?;
    world.cluster.create_role("ann")?;
    let mut superuser = world.connect()?;
    superuser.batch_execute(
        "SELECT pinterest_grant('ann'); CREATE SCHEMA blue AUTHORIZATION ann; CREATE SCHEMA green AUTHORIZATION ann",
    )?;
    let mut owner = world.cluster.connect_as("ann")?;
    for (schema, other) in [("blue", 0), ("green", 10_000)] {
        owner.batch_execute(&format!(
            "CREATE TABLE {schema}.venues (id bigint PRIMARY KEY, description text, embedding vector(512));
             INSERT INTO {schema}.venues SELECT n + {other}, '{schema} ' || n FROM generate_series(1, {ROWS} / 2) n;
             SELECT pinterest_track('{schema}.venues', text => 'description')"
        ))?;
    }
    swap_until_settled(&world, "blue", "green")?;
    assert_eq!((count(&mut superuser, "embedded")?, count(&mut superuser, "failed")?), (ROWS, 0));
    for schema in ["blue", "green"] {
        assert_eq!(wrong_texts(&mut superuser, &format!("{schema}.venues"))?, 0);
        assert_eq!(superuser.value::<i64>(&format!("SELECT count(embedding) FROM {schema}.venues"))?, ROWS / 2);
    }
    Ok(())
}

/// Swaps the names of two schemas until no row is pending; ends with the original names.
fn swap_until_settled(world: &e2e::World, one: &str, other: &str) -> Result<()> {
    let done = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| -> Result<u64> {
        let swapping = scope.spawn(|| -> Result<u64> {
            let mut client = world.connect()?;
            let swap = |from: &str, to: &str| {
                format!(
                    "BEGIN; ALTER SCHEMA {from} RENAME TO away; ALTER SCHEMA {to} RENAME TO {from}; ALTER SCHEMA away RENAME TO {to}; COMMIT"
                )
            };
            let mut swaps = 0;
            let started = Instant::now();
            while !done.load(Ordering::Relaxed) && started.elapsed() < LONG {
                client.batch_execute(&swap(one, other))?;
                client.batch_execute(&swap(one, other))?;
                swaps += 2;
                // Both namings last equally long.
                std::thread::sleep(Duration::from_millis(3));
            }
            Ok(swaps)
        });
        let mut client = world.connect()?;
        let settled =
            wait_for("no row to be pending", LONG, || Ok((count(&mut client, "pending")? == 0).then_some(())));
        done.store(true, Ordering::Relaxed);
        let swaps = match swapping.join() {
            Ok(swaps) => swaps?,
            Err(_) => panic!("the thread that renames panicked"),
        };
        settled.map(|()| swaps)
    })?;
    assert!(swaps > 20, "{swaps} renames");
    Ok(())
}
