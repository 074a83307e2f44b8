//! Random SQL by SQLsmith, as a role of level `user` against a database with data.
//!
//! SQLsmith reads functions from an unqualified `pg_proc`. A view of that name earlier in its search path offers all
//! functions of the extension and some of the server's, for variety. Every statement is rolled back.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use postgres::Client;
use sandbox::Family;
use sandbox::config::{Config, ImageRules};

use crate::wait::wait_for;
use crate::{Result, World, imports};

/// The role that runs the statements.
const ROLE: &str = "smith";

/// Statements per run of SQLsmith, whose memory grows with each of them.
const STATEMENTS: u32 = 5_000;

/// The result of a round.
#[derive(Debug)]
pub struct Outcome {
    /// Statements that reached the server.
    pub statements: i64,
    /// Calls of functions of the extension.
    pub calls: i64,
    /// Different functions of the extension that were called.
    pub functions: i64,
    /// Internal errors that do not come from the extension, with their counts: bugs of the server or of pgvector.
    pub internal: Vec<(String, usize)>,
}

/// Path of SQLsmith if it is installed.
pub fn program() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join("sqlsmith"))
        .find(|path| path.exists())
}

/// Runs statements of SQLsmith for this time.
///
/// # Errors
/// If the server crashed, the extension raised an internal error, or the setup failed.
pub fn round(program: &Path, duration: Duration, seed: u64) -> Result<Outcome> {
    let world = world()?;
    let mut superuser = world.connect()?;
    let began: String = superuser.query_one("SELECT pg_postmaster_start_time()::text", &[])?.get(0);
    let deadline = Instant::now() + duration;
    for seed in seed.. {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        smith(&world, program, seed, left)?;
    }
    let log = world.cluster.log()?;
    let faults = crashes(&log);
    ensure!(faults.is_empty(), "the server crashed, or the extension failed (seed {seed}):\n{}", faults.join("\n"));
    let alive: String = superuser
        .query_one("SELECT pg_postmaster_start_time()::text", &[])
        .context("the superuser's session was ended")?
        .get(0);
    ensure!(began == alive, "the server has restarted");
    outcome(&mut superuser, &log)
}

/// One run of the program, which is killed after this time.
fn smith(world: &World, program: &Path, seed: u64, time: Duration) -> Result<()> {
    let target = format!(
        "host={} port={} user={ROLE} dbname={} options='-c statement_timeout=1000 -c search_path=smith,pg_catalog,public'",
        world.cluster.socket_directory().display(),
        world.cluster.port(),
        crate::cluster::DATABASE,
    );
    let mut child = Command::new(program)
        .arg(format!("--target={target}"))
        .arg(format!("--seed={}", seed % 1_000_000_007))
        .arg(format!("--max-queries={STATEMENTS}"))
        .arg("--exclude-catalog")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "sqlsmith ended with {status}");
            return Ok(());
        }
        if Instant::now() >= deadline {
            // Its session ends soon after.
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A world with an imported board, tracked columns and SQLsmith's role.
fn world() -> Result<World> {
    let config = Config::with_board("Barn wedding", &[Family::Beach, Family::Barn], 30);
    let config = Config { images: ImageRules { pool: Some(1), ..config.images.clone() }, ..config };
    let world = World::builder()
        .sandbox(config)
        .connected(false)
        .setting("track_functions", "all")
        .setting("log_error_verbosity", "verbose")
        .setting("log_min_error_statement", "panic")
        .setting("temp_file_limit", "200MB")
        .start()?;
    world.connect()?.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.cluster.create_role(ROLE)?;
    world.connect()?.batch_execute(&format!(
        "SELECT pinterest_grant('{ROLE}'); GRANT CREATE ON SCHEMA public TO {ROLE}; GRANT CREATE ON DATABASE postgres TO {ROLE};"
    ))?;
    let mut smith = world.cluster.connect_as(ROLE)?;
    world.register_app(&mut smith, "sandbox")?;
    world.connect_account(&mut smith)?;
    let import = imports::queue_board(&mut smith, "Barn wedding")?;
    let state = imports::wait(&mut smith, import)?;
    ensure!(state == "completed", "the import is {state}");
    smith.batch_execute(SCHEMA)?;
    wait_for("the tracked rows", Duration::from_secs(60), || {
        let pending: i64 = smith.query_one("SELECT sum(pending)::int8 FROM pinterest.tracked", &[])?.get(0);
        Ok((pending == 0).then_some(()))
    })?;
    Ok(world)
}

/// The role's tables, and the view of functions for SQLsmith.
const SCHEMA: &str = "
    CREATE TABLE venues (id bigint PRIMARY KEY, name text NOT NULL, description text, price numeric, opened date,
        tags text[], facts jsonb, photo bytea, embedding vector(512));
    CREATE TABLE bookings (id int PRIMARY KEY, venue bigint REFERENCES venues, at timestamptz, note text,
        note_embedding vector(512));
    INSERT INTO venues SELECT n, 'venue ' || n, CASE WHEN n % 5 > 0 THEN 'a barn with light ' || n END, n * 1.5,
        date '2020-01-01' + n, ARRAY['a', NULL, n::text], jsonb_build_object('n', n), decode(md5(n::text), 'hex')
        FROM generate_series(1, 40) AS n;
    INSERT INTO bookings SELECT n, n, now() - n * interval '1 day', 'note ' || n FROM generate_series(1, 20) AS n;
    CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops);
    SELECT pinterest_track('venues', text => 'description');
    SELECT pinterest_track('bookings', text => 'note', embedding => 'note_embedding');
    CREATE SCHEMA smith;
    CREATE VIEW smith.pg_proc AS
        SELECT p.* FROM pg_catalog.pg_proc p
         WHERE p.oid IN (SELECT objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                          WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
                            AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname IN ('pg_pinterest', 'vector'))
            OR p.pronamespace = 'pg_catalog'::regnamespace AND (p.oid::int8 % 8 = 0 OR p.prokind <> 'f');";

/// Lines of the log that show a crash or an internal error of the extension.
pub(crate) fn crashes(log: &str) -> Vec<String> {
    let mut found: Vec<String> = log
        .lines()
        .filter(|line| {
            ["PANIC:", "TRAP:", "was terminated by signal", "panicked at", "internal error: "]
                .iter()
                .any(|word| line.contains(word))
                || line.contains("all server processes terminated")
        })
        .map(str::to_owned)
        .collect();
    // Internal errors (XX000) of the extension have a Rust file as their location.
    let lines: Vec<&str> = log.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("ERROR:  XX000: ")) {
        let place = lines[index + 1..].iter().take(12).find(|line| line.contains("LOCATION:"));
        if place.is_some_and(|place| place.contains(".rs:")) {
            found.push((*line).to_owned());
        }
    }
    found
}

fn outcome(superuser: &mut Client, log: &str) -> Result<Outcome> {
    let row = superuser.query_one(
        "SELECT (SELECT (xact_commit + xact_rollback)::int8 FROM pg_stat_database WHERE datname = current_database()),
                COALESCE(sum(calls), 0)::int8, count(*)
           FROM pg_stat_user_functions WHERE funcname LIKE 'pinterest%'",
        &[],
    )?;
    let mut internal: Vec<(String, usize)> = Vec::new();
    for line in log.lines().filter_map(|line| line.split_once("ERROR:  XX").map(|(_, rest)| format!("XX{rest}"))) {
        match internal.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => internal.push((line, 1)),
        }
    }
    Ok(Outcome { statements: row.get(0), calls: row.get(1), functions: row.get(2), internal })
}
