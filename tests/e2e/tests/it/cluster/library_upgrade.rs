//! The library's file is replaced in a server that runs, as an upgrade of a package does it. Sessions and workers of both
//! versions run side by side, with an import, a refresh and tracked rows under way; nothing is lost.
//!
//! The old version is the present one with another version number in its bytes.

use std::fs;

use e2e::{Installation, checkout, world};

use crate::support::oauth::{WORKER, arrived, doctor, generation, refreshes, status};
use crate::support::prelude::*;
use crate::support::tracking_work::{settled, wrong_texts};

const PRESENT: &str = env!("CARGO_PKG_VERSION");
/// As long as the present version, so that it can be written over it.
const OLD: &str = "0.0.9";
const PINS: u8 = 6;

/// An installation with the old library, whose version the extension's objects can have too.
fn old_installation(name: &str) -> Result<Installation> {
    assert_eq!(OLD.len(), PRESENT.len(), "choose an OLD of the same length");
    let installation = Installation::copy(name)?;
    let directory = installation.extension_directory();
    let script = |version: &str| directory.join(format!("pg_pinterest--{version}.sql"));
    fs::copy(script(PRESENT), script(OLD))?;
    fs::write(directory.join(format!("pg_pinterest--{OLD}--{PRESENT}.sql")), check()?)?;
    install(&installation, OLD)?;
    Ok(installation)
}

/// The check with which each upgrade step begins.
fn check() -> Result<String> {
    let mut steps: Vec<_> = fs::read_dir(checkout().join("sql"))?.flatten().map(|entry| entry.path()).collect();
    steps.retain(|path| path.to_string_lossy().ends_with(&format!("--{PRESENT}.sql")));
    let [step] = steps.try_into().unwrap_or_else(|steps| panic!("not one step to {PRESENT}: {steps:?}"));
    let text = fs::read_to_string(step)?;
    let (check, _) = text.split_once("$$;\n").unwrap_or_else(|| panic!("the step has no check"));
    Ok(format!("{check}$$;\n"))
}

/// Replaces the library by a rename, as dpkg does.
fn install(installation: &Installation, version: &str) -> Result<()> {
    let staged = Installation::staged()?.with_extension()?;
    let mut bytes = fs::read(staged.library())?;
    if version != PRESENT {
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(PRESENT.len()).position(|window| window == PRESENT.as_bytes()) {
            bytes[at + found..at + found + PRESENT.len()].copy_from_slice(version.as_bytes());
            at += found + PRESENT.len();
        }
    }
    let unfinished = installation.library().with_extension("new");
    fs::write(&unfinished, bytes)?;
    Ok(fs::rename(unfinished, installation.library())?)
}

/// A server with the old library and old objects, and work in progress.
struct Stage {
    installation: Installation,
    world: World,
    account: i64,
    import: i64,
    /// The generation of the tokens, and the requests and answers at the sandbox, before the refresh.
    before: (i64, u64, usize),
    /// A session that has loaded the old library.
    old: Client,
}

impl Stage {
    fn new(name: &str, preload: bool) -> Result<Self> {
        let installation = old_installation(name)?;
        let boards = ["Beach", "Lake"].map(|board| BoardSpec::new(board, &[Family::Beach], u64::from(PINS)));
        let account = boards.into_iter().fold(AccountSpec::new("example_user"), |account, board| {
            account.board(board.media(MediaMix::images_only()))
        });
        let builder: world::Builder = World::builder().installation(installation.clone()).preload(preload);
        let config = Config { accounts: vec![account], ..quick_board("Beach", 1) };
        let world = builder.connected(false).sandbox(config).start()?;
        let mut old = world.connect()?;
        old.batch_execute(&format!("CREATE EXTENSION pg_pinterest VERSION '{OLD}' CASCADE"))?;
        world.register_app(&mut old, "sandbox")?;
        let account = world.connect_account(&mut old)?;
        assert_eq!(version(&mut old)?, OLD);
        assert_eq!(doctor(&mut old, "version")?.0, "ok");
        old.batch_execute(
            "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
             INSERT INTO venues VALUES (1, 'a barn')",
        )?;
        old.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        settled(&mut old)?;

        hold_pictures_after(&world, 2);
        let import = queue_board(&mut old, "Beach")?;
        until_row(&mut old, import, "the first images", |row| row.embedded == 2)?;
        world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: TOKENS.into() }));
        let before = (generation(&mut old, account)?, arrived(&world), refreshes(&world));
        old.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
        // Wakes the worker.
        old.batch_execute("SELECT pinterest_rotate_key()")?;
        until("the refresh", || Ok(arrived(&world) > before.1))?;
        Ok(Self { installation, world, account, import, before, old })
    }

    /// Lets everything end, and checks that each pin, image, token and row is there.
    fn all_is_done(&self, client: &mut Client, second: i64) -> Result<()> {
        self.world.sandbox.faults().release(TOKENS);
        self.world.sandbox.faults().release(GATE);
        let pins = i32::from(PINS);
        for import in [self.import, second] {
            let row = complete(client, import)?;
            assert_eq!((row.total, row.embedded + row.reused, row.failed), (pins, pins, 0), "{row:?}");
        }
        let pins: i64 = client.value("SELECT count(*) FROM pinterest.pin WHERE removed_at IS NULL")?;
        assert_eq!(pins, 2 * i64::from(PINS));
        settled(client)?;
        assert_eq!(wrong_texts(client, "venues")?, 0);
        // One answer, stored once.
        let stored = format!("SELECT generation > {} FROM pinterest.token", self.before.0);
        client.until(&stored, true)?;
        assert_eq!((arrived(&self.world), refreshes(&self.world)), (self.before.1 + 1, self.before.2 + 1));
        assert_eq!(status(client)?, "connected");
        client.query_one("SELECT pinterest_refresh($1)::text", &[&self.account])?;
        assert_eq!(doctor(client, "version")?.0, "ok");
        Ok(())
    }
}

const TOKENS: &str = "tokens";

/// The version of the library that a session has loaded.
fn version(client: &mut Client) -> Result<String> {
    client.batch_execute("LOAD 'pg_pinterest'")?;
    client.value("SHOW pinterest.library_version")
}

fn update(client: &mut Client) -> Result<(), postgres::Error> {
    client.batch_execute("ALTER EXTENSION pg_pinterest UPDATE")
}

#[test]
fn without_preloading_no_restart_is_needed() -> Result<()> {
    let mut stage = Stage::new("stage-library", false)?;
    let pid = |backend_type: &str| -> Result<i32> { Ok(stage.world.cluster.wait_for_backend(backend_type, SOON)?.pid) };
    let processes = ["pg_pinterest launcher", "pg_pinterest supervisor", WORKER];
    let before: Vec<i32> = processes.iter().map(|name| pid(name)).collect::<Result<_>>()?;
    // A transaction of the old library that commits after the upgrade.
    let mut open = stage.world.connect()?;
    open.batch_execute(
        "BEGIN; INSERT INTO venues VALUES (2, 'a lake'); UPDATE venues SET description = 'a red barn' WHERE id = 1",
    )?;
    let second = queue_board_in(&mut open, "Lake")?;

    install(&stage.installation, PRESENT)?;
    let mut new = stage.world.connect()?;
    assert_eq!((version(&mut new)?.as_str(), version(&mut stage.old)?.as_str()), (PRESENT, OLD));
    expect_refusal(update(&mut stage.old), "55000").says(OLD).hints("connect again");
    update(&mut new)?;
    // The old worker waits for the answer of Pinterest, and only for that.
    open.batch_execute("COMMIT")?;
    stage.old.batch_execute("INSERT INTO venues VALUES (3, 'a field')")?;
    stage.world.sandbox.faults().release(TOKENS);
    until("the old worker to end", || {
        Ok(stage.world.cluster.backends(WORKER)?.iter().all(|worker| worker.pid != before[2]))
    })?;
    // Sessions with the old library queue work for workers with the new one.
    stage.old.batch_execute("INSERT INTO venues VALUES (4, 'a barn with lights'); SELECT pinterest_rotate_key()")?;
    stage.all_is_done(&mut new, second)?;
    stage.old.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    for (name, before) in processes.iter().zip(before) {
        until(name, || Ok(stage.world.cluster.backends(name)?.iter().any(|process| process.pid != before)))?;
    }
    stage.old.batch_execute("UPDATE venues SET description = 'a tent'")?;
    settled(&mut stage.old)?;
    assert_eq!(wrong_texts(&mut stage.old, "venues")?, 0);
    Ok(())
}

#[test]
fn with_preloading_the_old_library_works_until_the_restart() -> Result<()> {
    let mut stage = Stage::new("stage-library-preloaded", true)?;
    install(&stage.installation, PRESENT)?;
    // Every process, new sessions included, has the old library.
    let mut new = stage.world.connect()?;
    assert_eq!(version(&mut new)?, OLD);
    expect_refusal(update(&mut new), "55000").says(OLD).hints("restart the server");
    assert_eq!(doctor(&mut new, "version")?.0, "ok", "nothing has changed");
    stage.old.batch_execute("INSERT INTO venues VALUES (2, 'a lake')")?;
    settled(&mut new)?;
    let second = queue_board(&mut new, "Lake")?;

    // The answer arrives while the server shuts down.
    let gate = stage.world.sandbox.faults();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("the shutdown", || Ok(stage.world.connect().is_err())).unwrap();
            gate.release(TOKENS);
        });
        stage.world.cluster.restart(Stop::Fast)
    })?;
    let mut client = stage.world.connect()?;
    assert_eq!(version(&mut client)?, PRESENT);
    let (status, text) = doctor(&mut client, "version")?;
    assert!(status == "problem" && text.contains("ALTER EXTENSION pg_pinterest UPDATE"), "{status}: {text}");
    // Statements work meanwhile, and their work waits.
    client.batch_execute(
        "INSERT INTO venues VALUES (3, 'a field'); UPDATE venues SET description = 'a red barn' WHERE id = 1;
         SELECT pinterest_board_embedding('Beach')::text",
    )?;
    update(&mut client)?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    stage.all_is_done(&mut client, second)
}

/// Queues an import of a board in the session's transaction.
fn queue_board_in(client: &mut Client, board: &str) -> Result<i64> {
    client.value_with("SELECT pinterest_import_board($1)", &[&board])
}
