//! Settings of the embedder that change while it runs.

use std::sync::atomic::{AtomicBool, Ordering};

use e2e::process::Process;

use crate::support::oauth::doctor;
use crate::support::prelude::*;

const A_TEXT: &str = "SELECT pinterest_embed_text('a barn')::text";
/// Part of the log message for each replaced embedder.
const REPLACED: &str = "have changed; restarting it";

fn world(pins: u64) -> Result<World> {
    World::builder().sandbox(quick_board("Beach", pins)).setting("pinterest.clip_precision", "f32").start()
}

fn embedder(world: &World) -> Result<Process> {
    wait_for("the embedder", SOON, || world.cluster.embedder())
}

/// Changes a setting and waits for the embedder that is started with it.
fn change(world: &World, name: &str, value: &str) -> Result<Process> {
    let before = embedder(world)?.pid;
    world.cluster.change(name, value)?;
    wait_for("another embedder", SOON, || Ok(world.cluster.embedder()?.filter(|now| now.pid != before)))
}

/// The value of an option on the embedder's command line.
fn option(embedder: &Process, name: &str) -> Result<Option<String>> {
    // Between fork and exec, the process has the command line of its parent.
    wait_for("its command line", SOON, || {
        let arguments = embedder.arguments()?;
        let found = arguments.iter().position(|argument| argument == name);
        let value = found.and_then(|place| arguments.get(place + 1)).cloned();
        Ok(arguments.contains(&"serve".to_string()).then_some(value))
    })
}

#[test]
fn a_reload_restarts_the_embedder_if_its_settings_changed() -> Result<()> {
    let (world, mut client) = world(1)?.with_session()?;
    let before: String = client.value(A_TEXT)?;
    let first = embedder(&world)?;
    assert_eq!(option(&first, "--precision")?.as_deref(), Some("f32"));
    assert_eq!(option(&first, "--threads")?, None);

    // Not a setting of the embedder: no restart.
    world.cluster.change("pinterest.parallel_downloads", "4")?;
    for (name, value, argument, expected) in [
        ("pinterest.embedder_threads", "1", "--threads", "1"),
        ("pinterest.embedder_idle_timeout", "7min", "--idle-timeout", "420"),
        ("pinterest.embedder_memory_limit", "3GB", "--memory-limit", "3221225472"),
    ] {
        let next = change(&world, name, value)?;
        assert_eq!(option(&next, argument)?.as_deref(), Some(expected));
    }
    assert_eq!(client.value::<String>(A_TEXT)?, before);
    let log = world.cluster.log()?;
    assert_eq!(log.matches(REPLACED).count(), 3, "{log}");
    assert!(!log.contains("pinterest-embedder was ended") && !log.contains("is killed"), "{log}");
    Ok(())
}

#[test]
fn an_import_continues_with_the_next_embedder() -> Result<()> {
    // An image per pin keeps the embedder busy.
    let config = sandbox::Config::with_board("Beach", &sandbox::Family::ALL, 60);
    let (world, mut client) =
        World::builder().sandbox(config).setting("pinterest.clip_precision", "f32").start()?.with_session()?;
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "some images", |row| row.embedded > 0)?;
    for threads in ["1", "2", "1"] {
        change(&world, "pinterest.embedder_threads", threads)?;
    }
    let row = complete(&mut client, import)?;
    assert_eq!(row.failed, 0, "{row:?}");
    let blamed = "SELECT count(*) FROM pinterest.pin_image WHERE attempts > 1";
    assert_eq!(client.value::<i64>(blamed)?, 0, "a restart does not count as an attempt");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.model")?, 1);
    Ok(())
}

#[test]
fn a_running_search_is_answered_by_the_next_embedder() -> Result<()> {
    let (world, mut client) = world(1)?.with_session()?;
    client.query_one(A_TEXT, &[])?;
    let done = AtomicBool::new(false);
    let searched = std::thread::scope(|scope| -> Result<_> {
        let searching = scope.spawn(|| -> Result<usize> {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                // New texts each time, so that none is cached.
                let texts: Vec<String> = (0..400).map(|number| format!("barn {rounds} {number}")).collect();
                client.query_one("SELECT pinterest_embed_texts($1)::text", &[&texts])?;
                rounds += 1;
            }
            Ok(rounds)
        });
        let changed = ["1", "2", "1"].map(|threads| -> Result<()> {
            change(&world, "pinterest.embedder_threads", threads)?;
            // A request is repeated once only: wait until this change is complete.
            world.connect()?.query_one(A_TEXT, &[])?;
            Ok(())
        });
        done.store(true, Ordering::Relaxed);
        changed.into_iter().collect::<Result<()>>()?;
        let Ok(searched) = searching.join() else { panic!("the searching thread panicked") };
        searched
    })?;
    assert!(searched > 0);
    Ok(())
}

#[test]
fn an_unsupported_precision_is_reported() -> Result<()> {
    let (world, mut client) = world(1)?.with_session()?;
    client.query_one(A_TEXT, &[])?;
    let (status, words) = doctor(&mut client, "embedder")?;
    // The weights of tests are untrained.
    assert_eq!(status, "note", "{words}");
    assert!(words.contains("(f32 by kernels ") && !words.contains("validated"), "{words}");

    let fast = change(&world, "pinterest.clip_precision", "int8")?;
    assert_eq!(option(&fast, "--precision")?.as_deref(), Some("int8"));
    let (status, words) = doctor(&mut client, "embedder")?;
    match status.as_str() {
        "note" => assert!(words.contains("int8") && words.contains("not validated on trained weights"), "{words}"),
        "problem" => {
            const HINT: &str = "Set pinterest.clip_precision to auto or f32.";
            assert!(words.contains("int8") && words.ends_with(HINT), "{words}");
            let refused = refusal(client.query_one(A_TEXT, &[]));
            assert_eq!((refused.code.as_str(), refused.hint.as_str()), ("0A000", HINT), "{refused:?}");
            let import = queue_board(&mut client, "Beach")?;
            let row = until_row(&mut client, import, "the reason", |row| !row.reason.is_empty())?;
            assert_eq!((row.state.as_str(), row.error_code.as_str()), ("queued", "0A000"), "{row:?}");
        }
        _ => panic!("{status}: {words}"),
    }

    change(&world, "pinterest.clip_precision", "f32")?;
    client.query_one(A_TEXT, &[])?;
    let refused = client.refused("ALTER SYSTEM SET pinterest.clip_precision = 'f16'", "22023");
    assert_eq!(refused.hint, "Available values: auto, f32, bf16, int8.");
    assert!(client_may_not_change(&mut client));
    Ok(())
}

/// Sessions cannot change the embedder's settings.
fn client_may_not_change(client: &mut Client) -> bool {
    refusal(client.batch_execute("SET pinterest.clip_precision = 'f32'")).code == "55P02"
}

/// The doctor agrees with the kernel about the embedder's confinement, and reports pgvector with known faults.
#[test]
fn the_doctor_reports_the_embedders_confinement_and_faults_of_pgvector() -> Result<()> {
    let (world, mut client) = world(1)?.with_session()?;
    client.query_one(A_TEXT, &[])?;
    let (status, words) = doctor(&mut client, "embedder confinement")?;
    match status.as_str() {
        "ok" => assert!(words.starts_with("Landlock (ABI ") && words.ends_with(" and seccomp, sealed"), "{words}"),
        "note" => assert!(words.contains("; no ") && words.contains("could reach"), "{words}"),
        _ => panic!("{status}: {words}"),
    }
    let Some(embedder) = world.cluster.embedder()? else { panic!("no embedder runs") };
    let kernels = std::fs::read_to_string(format!("/proc/{}/status", embedder.pid))?;
    assert_eq!(kernels.contains("Seccomp:\t2"), words.contains("seccomp") && !words.contains("no seccomp"), "{words}");
    assert!(kernels.contains("NoNewPrivs:\t1"));

    let (status, words) = doctor(&mut client, "pgvector")?;
    let sound: bool = client.value(
        "SELECT string_to_array(extversion, '.')::int[] >= '{0,8,3}' FROM pg_extension WHERE extname = 'vector'",
    )?;
    assert_eq!(status, if sound { "ok" } else { "problem" }, "{words}");
    assert_eq!(words.contains("max_parallel_maintenance_workers = 0"), !sound, "{words}");

    client.batch_execute("CREATE DATABASE fresh")?;
    let user: String = client.value("SELECT current_user::text")?;
    world.cluster.connect_to(&user, "fresh")?.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    assert_eq!(world.cluster.log()?.contains("pgvector before 0.8.3 has known faults"), !sound);
    Ok(())
}
