//! The launcher checks databases again depending on what it found, not on how long a check took.

use e2e::ServerFile;
use e2e::cluster::SUPERUSER;

use crate::support::key_files::key;
use crate::support::oauth::kill_worker;
use crate::support::prelude::*;

/// Longer than the pauses after the first failures, after which a failed check is repeated.
const AGAIN: &str = "SELECT pg_sleep(8)";

/// The number of database workers that the postmaster has started.
fn started(cluster: &Cluster) -> Result<usize> {
    Ok(cluster.log()?.matches("starting background worker process \"pg_pinterest worker\"").count())
}

#[test]
fn databases_without_the_extension_are_checked_once_and_without_keys() -> Result<()> {
    const DATABASES: usize = 6;
    let runs = ServerFile::new(".runs", b"")?;
    let script =
        ServerFile::new(".sh", format!("echo run >> {}; sleep 2; echo '{}'", runs.setting(), key(1)).as_bytes())?;
    let cluster = Cluster::builder()
        .preload(true)
        .setting("log_min_messages", "debug1")
        .setting("pinterest.key_command", format!("sh {}", script.setting()))
        .start()?;
    let mut client = cluster.connect()?;
    for number in 1..DATABASES {
        client.batch_execute(&format!("CREATE DATABASE d{number}"))?;
    }
    for closed in ["closed", "half"] {
        client.batch_execute(&format!("CREATE DATABASE {closed} ALLOW_CONNECTIONS false"))?;
    }
    // As after an interrupted DROP DATABASE.
    client.batch_execute("UPDATE pg_database SET datallowconn = true, datconnlimit = -2 WHERE datname = 'half'")?;
    drop(client);
    cluster.stop(Stop::Fast)?;
    let (stopped, before) = (cluster.log()?.len(), started(&cluster)?);
    let each_is_checked_once = |expected| -> Result<()> {
        until("a check of each database", || Ok(started(&cluster)? >= expected))?;
        cluster.connect()?.query_one(AGAIN, &[])?;
        assert_eq!(started(&cluster)?, expected, "{before} before");
        Ok(())
    };
    cluster.launch()?;
    each_is_checked_once(before + DATABASES)?;
    // After a reload, also those that were checked before.
    cluster.reload()?;
    each_is_checked_once(before + 2 * DATABASES)?;
    assert_eq!(std::fs::read_to_string(runs.path())?, "", "no process has requested keys");
    let log = cluster.log()?.split_off(stopped);
    assert!(!log.contains("FATAL"), "{log}");
    Ok(())
}

/// A cluster with the role of workers and no extension, where the launcher's check of a second database waits for a lock. All
/// other checks have ended.
struct WaitingCheck {
    cluster: Cluster,
    /// A session in the first database.
    client: Client,
    /// A session in the second one, which has the lock until it ends its transaction.
    holder: Client,
    /// The process that checks.
    pid: i32,
}

impl WaitingCheck {
    fn start() -> Result<Self> {
        let cluster = Cluster::builder().preload(true).setting("log_min_messages", "debug1").start()?;
        let mut client = cluster.connect()?;
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; DROP EXTENSION pg_pinterest")?;
        client.batch_execute("CREATE DATABASE venues")?;
        let mut holder = cluster.connect_to(SUPERUSER, "venues")?;
        holder.batch_execute("BEGIN; LOCK TABLE pg_extension")?;
        cluster.reload()?;
        // A session that begins now knows the time of the reload. Earlier checks do not count.
        let mut client = cluster.connect()?;
        let pid = wait_for("a check that waits, and no other", SOON, || {
            let row = client.query_opt(
                "SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker'
                 HAVING count(*) = 1 AND bool_and(datname = 'venues' AND wait_event = 'relation'
                                                  AND backend_start > pg_conf_load_time())",
                &[],
            )?;
            Ok(row.map(|row| row.get(0)))
        })?;
        Ok(Self { cluster, client, holder, pid })
    }

    /// Does the check still wait? It does so for two seconds.
    fn waits(&mut self) -> Result<bool> {
        let statement = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)";
        Ok(self.client.query_one(statement, &[&self.pid])?.get(0))
    }
}

/// Runs a test again whose check did not wait until the end of what was to happen during it.
fn until_in_time(test: impl Fn(WaitingCheck) -> Result<bool>) -> Result<()> {
    until("a check that waits long enough", || test(WaitingCheck::start()?))
}

#[test]
fn a_reload_during_a_check_is_not_forgotten() -> Result<()> {
    until_in_time(|mut check| {
        let before = started(&check.cluster)?;
        check.cluster.reload()?;
        until("a check of the first database after the reload", || Ok(started(&check.cluster)? > before))?;
        let in_time = check.waits()?;
        check.holder.batch_execute("ROLLBACK")?;
        if in_time {
            until("a second check", || Ok(started(&check.cluster)? > before + 1))?;
        }
        Ok(in_time)
    })
}

#[test]
fn work_committed_during_a_check_is_not_forgotten() -> Result<()> {
    until_in_time(|mut check| {
        let before = started(&check.cluster)?;
        check.holder.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; SELECT pinterest_adopt()")?;
        let in_time = check.waits()?;
        // The worker has its snapshot already, so it finds no extension, although it runs when the commit wakes it.
        check.holder.batch_execute("COMMIT")?;
        if in_time {
            until("another worker", || Ok(started(&check.cluster)? > before))?;
        }
        Ok(in_time)
    })
}

#[test]
fn checks_take_few_worker_slots() -> Result<()> {
    let cluster = Cluster::start()?;
    let mut client = cluster.connect()?;
    for number in 0..12 {
        client.batch_execute(&format!("CREATE DATABASE d{number}"))?;
    }
    // The lock keeps each check running.
    let mut blocker = cluster.connect()?;
    let mut most = 0;
    cluster.reload()?;
    blocker.batch_execute("BEGIN; LOCK TABLE pg_authid, pg_database IN ACCESS EXCLUSIVE MODE")?;
    for _ in 0..40 {
        let now: i64 = client
            .value("SELECT count(*) FROM pg_stat_get_activity(NULL) WHERE backend_type = 'pg_pinterest worker'")?;
        most = most.max(now);
        std::thread::sleep(Duration::from_millis(25));
    }
    blocker.batch_execute("ROLLBACK")?;
    assert!(most <= 2, "{most} at one time");
    Ok(())
}

#[test]
fn a_terminated_worker_is_started_again_at_once() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    import(&mut client, "Beach")?;
    // Without work a worker ends after some milliseconds, so the server itself looks for it.
    for _ in 0..6 {
        client.batch_execute(
            "DO $$ DECLARE worker int; BEGIN
                 FOR i IN 1..10000 LOOP
                     PERFORM pg_stat_clear_snapshot();
                     SELECT pid INTO worker FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker';
                     IF FOUND AND pg_terminate_backend(worker, 5000) THEN RETURN; END IF;
                     PERFORM pg_sleep(0.001);
                 END LOOP;
                 RAISE 'no worker has started';
             END $$",
        )?;
    }
    Ok(())
}

#[test]
fn a_worker_that_crashes_repeatedly_is_started_after_a_pause() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    for deaths in 0..3 {
        import(&mut client, "Beach")?;
        drop(client);
        client = kill_worker(&world)?;
        assert!(client.batch_execute("SELECT 1").is_ok(), "{deaths}");
    }
    // After the third crash, the worker is not started for four seconds, even if it is requested.
    let died: f64 = client.value(
        "SELECT extract(epoch FROM clock_timestamp() - modification)::float8
           FROM pg_stat_file('pg_stat_tmp/pinterest-deaths')",
    )?;
    let began = Instant::now();
    let import = queue_board(&mut client, "Beach")?;
    let there = |client: &mut Client| -> Result<bool> {
        client.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker')")
    };
    while died + began.elapsed().as_secs_f64() < 2.5 {
        assert!(!there(&mut client)?, "it is back {:.1} s after its third crash", died + began.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(50));
    }
    complete(&mut client, import)?;
    Ok(())
}
