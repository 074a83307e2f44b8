//! The procedures of docs/operations.md: the blocks of commands of the page are run as they are written.
//!
//! Each test runs the sections that it names, in a world that has what the page takes for granted, and asserts what the
//! page promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::cluster::SUPERUSER;
use e2e::{Installation, ServerFile, ServerUser, checkout, other_tiny_stand_in, world};
use postgres::NoTls;
use tempfile::TempDir;

use crate::support::doc_pages::{blocks, sections};
use crate::support::key_files::key_file;
use crate::support::oauth::{doctor, generation, refresh, status};
use crate::support::prelude::*;
use crate::support::tracking_work::settled;
use crate::support::worlds::asked;

const PAGE: &str = "docs/operations.md";

/// The section whose block sets the variables of the others.
const VARIABLES: &str = "Operations";

/// The sections with commands, each run by a test of this file.
const RUN: [&str; 18] = [
    "Back up with pg_dump",
    "Restore a dump",
    "Clone for staging",
    "Back up with pg_basebackup and WAL",
    "Restore to a point in time",
    "Set up a standby",
    "Failover",
    "Switchover",
    "Replicate venues to another server",
    "Rotate the key",
    "Rotate an app secret",
    "Upgrade pg_pinterest",
    "Upgrade Postgres to a newer minor release",
    "Upgrade Postgres to a newer major release",
    "Upgrade pgvector",
    "Change the model",
    "Add a database",
    "Uninstall",
];

/// The page's blocks of commands, by section.
fn commands(section: &str) -> Result<Vec<String>> {
    let page = fs::read_to_string(checkout().join(PAGE))?;
    let text = sections(&page).into_iter().find(|(title, _)| *title == section);
    let text = text.unwrap_or_else(|| panic!("{PAGE} has no section {section:?}")).1;
    Ok(blocks(&text).into_iter().filter(|(language, _)| *language == "sh").map(|(_, body)| body).collect())
}

/// A world, and a place for backups and another server.
struct Stage {
    world: World,
    place: TempDir,
    new_port: u16,
    variables: Vec<(&'static str, String)>,
    /// Requests to the API that the board's first import took.
    requests: i64,
    _key: ServerFile,
}

impl Stage {
    /// With a board, a tracked table and a key file. `settings` may contain `ARCHIVE`.
    fn new(settings: &[(&str, &str)]) -> Result<Self> {
        Self::of(world::Builder::default().sandbox(quick_board("Beach", 4)), settings)
    }

    fn of(mut builder: world::Builder, settings: &[(&str, &str)]) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("pg_pinterest-").tempdir()?;
        let user = ServerUser::get()?;
        user.own(place.path())?;
        for directory in ["backup", "archive"] {
            user.private_directory(&place.path().join(directory))?;
        }
        let key = key_file(&[1])?;
        builder = builder.setting("pinterest.key_file", &key.setting());
        let archive = place.path().join("archive").display().to_string();
        for (name, value) in settings {
            builder = builder.setting(name, &value.replace("ARCHIVE", &archive));
        }
        let world = builder.start()?;
        let mut client = world.connect()?;
        client.batch_execute(
            "CREATE ROLE app_role;
             CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
             INSERT INTO venues VALUES (1, 'a barn'), (2, 'a beach')",
        )?;
        client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        world.sandbox.requests().reset();
        import(&mut client, "Beach")?;
        let requests = asked(&world);
        settled(&mut client)?;
        let new_port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let variables = vec![
            ("PGDATA", world.cluster.data_directory().display().to_string()),
            ("PGHOST", world.cluster.socket_directory().display().to_string()),
            ("PGPORT", world.cluster.port().to_string()),
            ("PGUSER", SUPERUSER.into()),
            ("PGDATABASE", e2e::cluster::DATABASE.into()),
            ("KEY", key.setting()),
            ("BACKUP", place.path().join("backup").display().to_string()),
            ("ARCHIVE", archive),
            ("NEW", place.path().join("new").display().to_string()),
            ("NEWPORT", new_port.to_string()),
        ];
        Ok(Self { world, place, new_port, variables, requests, _key: key })
    }

    fn bin(&self) -> PathBuf {
        self.world.cluster.installation().program("psql").parent().map(Path::to_path_buf).unwrap_or_default()
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.into()));
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Exchanges the two servers, as after a failover.
    fn swap(&mut self) {
        for (one, other) in [("PGDATA", "NEW"), ("PGPORT", "NEWPORT")] {
            let (first, second) = (self.variable(one).to_owned(), self.variable(other).to_owned());
            self.set(one, second);
            self.set(other, first);
        }
    }

    /// Runs commands as the server's user; returns what they print.
    fn run(&self, commands: &str) -> Result<String> {
        let mut bash = ServerUser::get()?.command("/bin/bash");
        let path = format!("{}:/usr/bin:/bin", self.bin().display());
        bash.args(["-euo", "pipefail", "-c", commands]).env("PATH", path).envs(self.variables.iter().cloned());
        // The servers that the commands start keep the descriptors that they inherit.
        let output_file = self.place.path().join("output");
        let file = fs::File::create(&output_file)?;
        let status = bash.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status()?;
        let printed = fs::read_to_string(&output_file)?;
        assert!(status.success(), "{commands}\n{printed}\n{}", self.new_log());
        Ok(printed)
    }

    /// Runs all blocks of a section.
    fn section(&self, section: &str) -> Result<String> {
        assert!(RUN.contains(&section), "{section}");
        commands(section)?.iter().map(|block| self.run(block)).collect()
    }

    /// Runs one block of a section.
    fn block(&self, section: &str, number: usize) -> Result<String> {
        assert!(RUN.contains(&section), "{section}");
        self.run(&commands(section)?[number])
    }

    fn new_log(&self) -> String {
        fs::read_to_string(self.place.path().join("new/log")).unwrap_or_default()
    }

    /// A session with the other server.
    fn connect_new(&self, database: &str) -> Result<Client> {
        let mut config = postgres::Config::new();
        config.host_path(self.world.cluster.socket_directory()).port(self.new_port).user(SUPERUSER).dbname(database);
        Ok(config.connect(NoTls)?)
    }

    /// Starts another, empty server.
    fn start_new(&self) -> Result<()> {
        self.run(
            "initdb --pgdata=\"$NEW\" --username=\"$PGUSER\" --encoding=UTF8 --locale=C.UTF-8 --no-sync
             cp \"$PGDATA/postgresql.conf\" \"$PGDATA/pg_hba.conf\" \"$NEW\"
             pg_ctl start --wait --silent --pgdata=\"$NEW\" --log=\"$NEW/log\" --options=\"-p $NEWPORT\"",
        )
        .map(drop)
    }

    fn stop_new(&self) -> Result<()> {
        self.run("pg_ctl stop --wait --silent --mode=immediate --pgdata=\"$NEW\"").map(drop)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let new = self.place.path().join("new");
        if new.join("postmaster.pid").exists()
            && let Ok(user) = ServerUser::get()
        {
            let mut stop = user.command(self.bin().join("pg_ctl"));
            let _ = stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(new).status();
        }
    }
}

fn fence(client: &mut Client) -> Result<String> {
    Ok(doctor(client, "clone fence")?.0)
}

/// Numbers that a copy must have too.
fn census(client: &mut Client) -> Result<String> {
    client.value(
        "SELECT concat_ws(' ', (SELECT count(*) FROM pinterest.pin), (SELECT count(embedding) FROM pinterest.pin_image),
                (SELECT count(*) FROM pinterest.token), (SELECT count(*) FROM pinterest.import),
                (SELECT string_agg(state || key::text, ' ' ORDER BY key) FROM pinterest.tracked_row),
                (SELECT md5(string_agg(id || embedding::text, ' ' ORDER BY id)) FROM venues))",
    )
}

#[test]
fn every_block_of_commands_is_run() -> Result<()> {
    let page = fs::read_to_string(checkout().join(PAGE))?;
    let with_commands: BTreeSet<&str> = sections(&page)
        .iter()
        .filter(|(_, text)| blocks(text).iter().any(|(language, _)| *language == "sh"))
        .map(|(title, _)| *title)
        .filter(|title| *title != VARIABLES)
        .collect();
    let run: BTreeSet<&str> = RUN.into_iter().collect();
    assert_eq!(with_commands, run);
    // The variables that the page sets are those that the tests set.
    let block = commands(VARIABLES)?.remove(0);
    let words = block.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let set: BTreeSet<&str> = words.filter_map(|word| Some(word.split_once('=')?.0)).collect();
    let known =
        ["ARCHIVE", "BACKUP", "KEY", "NEW", "NEWPORT", "PATH", "PGDATA", "PGDATABASE", "PGHOST", "PGPORT", "PGUSER"];
    assert_eq!(set, BTreeSet::from(known));
    Ok(())
}

#[test]
fn every_alert_that_the_page_names_exists() -> Result<()> {
    let page = fs::read_to_string(checkout().join(PAGE))?;
    let (_, text) = sections(&page).into_iter().find(|(title, _)| *title == "When an alert fires").unwrap_or_default();
    let named: Vec<&str> = text.split('`').filter(|word| word.starts_with("PgPinterest")).collect();
    assert!(named.len() > 10, "{named:?}");
    let rules = fs::read_to_string(checkout().join("monitoring/alerts.yml"))?;
    let unknown: Vec<_> = named.iter().filter(|name| !rules.contains(&format!("alert: {name}\n"))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    Ok(())
}

#[test]
fn a_dump_is_restored_and_cloned() -> Result<()> {
    let stage = Stage::new(&[])?;
    let mut client = stage.world.connect()?;
    // As the page states: two, and one per page of pins.
    assert_eq!(stage.requests, 3);
    stage.section("Back up with pg_dump")?;
    let dumped = fs::read_to_string(stage.place.path().join("backup/roles.sql"))?;
    assert!(dumped.contains("pinterest_worker") && dumped.contains("app_role"), "{dumped}");
    let before = census(&mut client)?;
    let printed = stage.block("Restore a dump", 0)?;
    assert!(printed.contains("clone fence"), "{printed}");
    let mut copy = stage.connect_new("restored")?;
    assert_eq!(census(&mut copy)?, before);
    assert_eq!(fence(&mut copy)?, "problem");
    copy.refused("SELECT pinterest_refresh()", "55000").hints("pinterest_adopt");

    stage.world.cluster.stop(Stop::Fast)?;
    stage.block("Restore a dump", 1)?;
    assert_eq!(fence(&mut copy)?, "ok");
    refresh(&mut copy, None)?;
    copy.batch_execute("INSERT INTO venues VALUES (3, 'a lake')")?;
    settled(&mut copy)?;
    stage.world.sandbox.add_pins(&stage.world.sandbox.board_id("Beach")?, 1)?;
    assert_eq!(import(&mut copy, "Beach")?.embedded, 1);

    stage.section("Clone for staging")?;
    let left: i64 =
        copy.value("SELECT (SELECT count(*) FROM pinterest.token) + (SELECT count(client_secret) FROM pinterest.app)")?;
    assert_eq!(left, 0);
    assert!(copy.query("SELECT * FROM pinterest_list_boards()", &[]).is_err());
    copy.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    Ok(())
}

#[test]
fn a_point_in_time_is_restored_with_the_newest_tokens() -> Result<()> {
    let archive = [("archive_mode", "on"), ("archive_command", "test ! -f ARCHIVE/%f && cp %p ARCHIVE/%f")];
    let mut stage = Stage::new(&archive)?;
    let mut client = stage.world.connect()?;
    let account = stage.world.account();
    stage.section("Back up with pg_basebackup and WAL")?;
    client.batch_execute("INSERT INTO venues VALUES (3, 'a lake')")?;
    settled(&mut client)?;
    let before = census(&mut client)?;
    let at_point = generation(&mut client, account)?;
    let point: String = client.value("SELECT clock_timestamp()::text")?;
    stage.set("POINT", point);
    // The mistake, and a refresh after it.
    client.batch_execute("DROP TABLE venues")?;
    refresh(&mut client, None)?;
    let newest = generation(&mut client, account)?;
    assert!(newest > at_point);
    let segment: String = client.value("SELECT pg_walfile_name(pg_switch_wal())")?;
    let archived = stage.place.path().join("archive").join(segment);
    until("the segment to be archived", || Ok(archived.exists()))?;

    let asked = stage.world.sandbox.requests().total();
    stage.block("Restore to a point in time", 0)?;
    let mut copy = stage.connect_new("postgres")?;
    assert_eq!(census(&mut copy)?, before);
    assert_eq!(generation(&mut copy, account)?, at_point);
    assert_eq!(fence(&mut copy)?, "problem");
    copy.refused("SELECT pinterest_refresh()", "55000").hints("pinterest_adopt");
    assert_eq!(stage.world.sandbox.requests().total(), asked, "the copy sends no request");

    // The lost table is copied back.
    stage.block("Restore to a point in time", 1)?;
    settled(&mut client)?;
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 3);
    client.batch_execute("UPDATE venues SET description = 'a red barn' WHERE id = 1")?;
    settled(&mut client)?;

    // The copy replaces the original.
    stage.block("Restore to a point in time", 2)?;
    assert_eq!(generation(&mut copy, account)?, newest);
    assert_eq!(fence(&mut copy)?, "ok");
    refresh(&mut copy, None)?;
    assert!(generation(&mut copy, account)? > newest);
    assert_eq!(status(&mut copy)?, "connected");
    let printed = stage.block("Restore to a point in time", 3)?;
    assert!(printed.contains("(0 rows)"), "{printed}");
    Ok(())
}

#[test]
fn without_the_newest_tokens_a_restored_copy_needs_its_users() -> Result<()> {
    let archive = [("archive_mode", "on"), ("archive_command", "test ! -f ARCHIVE/%f && cp %p ARCHIVE/%f")];
    let mut stage = Stage::new(&archive)?;
    let mut client = stage.world.connect()?;
    stage.section("Back up with pg_basebackup and WAL")?;
    let point: String = client.value("SELECT clock_timestamp()::text")?;
    stage.set("POINT", point);
    refresh(&mut client, None)?;
    let segment: String = client.value("SELECT pg_walfile_name(pg_switch_wal())")?;
    let archived = stage.place.path().join("archive").join(segment);
    until("the segment to be archived", || Ok(archived.exists()))?;
    stage.world.cluster.stop(Stop::Fast)?;
    stage.block("Restore to a point in time", 0)?;
    let mut copy = stage.connect_new("postgres")?;
    copy.batch_execute("SELECT pinterest_adopt()")?;
    expect_refusal(refresh(&mut copy, None), "28000");
    assert!(status(&mut copy)?.starts_with("needs_reauth: rejected"), "{}", status(&mut copy)?);
    let printed = stage.block("Restore to a point in time", 3)?;
    assert!(printed.contains("(1 row)"), "{printed}");
    Ok(())
}

#[test]
fn nothing_is_lost_by_a_switchover_and_a_synchronous_failover() -> Result<()> {
    let mut stage = Stage::new(&[("pinterest.clone_fence", "strict")])?;
    let account = stage.world.account();
    let mut client = stage.world.connect()?;
    stage.block("Set up a standby", 0)?;
    hold_pictures_after(&stage.world, 0);
    stage.world.sandbox.add_pins(&stage.world.sandbox.board_id("Beach")?, 2)?;
    let held = queue_board(&mut client, "Beach")?;
    until_row(&mut client, held, "the listing", |row| row.total == 6)?;
    refresh(&mut client, None)?;
    let newest = generation(&mut client, account)?;
    drop(client);

    // With an import in progress.
    stage.section("Switchover")?;
    let mut promoted = stage.connect_new("postgres")?;
    assert_eq!(generation(&mut promoted, account)?, newest);
    assert_eq!(fence(&mut promoted)?, "ok");
    stage.world.sandbox.faults().release(GATE);
    let row = complete(&mut promoted, held)?;
    assert_eq!((row.embedded + row.reused, row.failed), (6, 0), "{row:?}");

    // The former primary is now a synchronous standby; the other server dies directly after a refresh.
    stage.swap();
    stage.block("Set up a standby", 1)?;
    promoted.until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", 1_i64)?;
    refresh(&mut promoted, None)?;
    let newest = generation(&mut promoted, account)?;
    stage.run("pg_ctl stop --wait --silent --mode=immediate --pgdata=\"$PGDATA\"")?;
    stage.section("Failover")?;
    let mut survivor = stage.world.connect()?;
    assert_eq!(generation(&mut survivor, account)?, newest);
    assert_eq!(fence(&mut survivor)?, "ok");
    refresh(&mut survivor, None)?;
    assert_eq!(status(&mut survivor)?, "connected");
    stage.world.sandbox.add_pins(&stage.world.sandbox.board_id("Beach")?, 1)?;
    assert_eq!(import(&mut survivor, "Beach")?.total, 7);
    survivor.batch_execute("INSERT INTO venues VALUES (3, 'a lake')")?;
    settled(&mut survivor)
}

#[test]
fn a_major_upgrade_keeps_everything_and_is_adopted() -> Result<()> {
    let mut stage = Stage::new(&[])?;
    let account = stage.world.account();
    let mut client = stage.world.connect()?;
    client.batch_execute("SELECT pinterest_grant('app_role')")?;
    let (before, newest) = (census(&mut client)?, generation(&mut client, account)?);
    drop(client);
    stage.set("NEWBIN", stage.bin().display().to_string());
    stage.section("Upgrade Postgres to a newer major release")?;
    let mut upgraded = stage.connect_new("postgres")?;
    assert_eq!((census(&mut upgraded)?, generation(&mut upgraded, account)?), (before, newest));
    assert_eq!(fence(&mut upgraded)?, "ok");
    refresh(&mut upgraded, None)?;
    stage.world.sandbox.add_pins(&stage.world.sandbox.board_id("Beach")?, 1)?;
    assert_eq!(import(&mut upgraded, "Beach")?.total, 5);
    upgraded.batch_execute("UPDATE venues SET description = 'a red barn'")?;
    settled(&mut upgraded)?;
    assert!(upgraded.value::<bool>(
        "SELECT has_function_privilege('app_role', 'pinterest_keys()', 'EXECUTE') IS FALSE
        AND has_function_privilege('app_role', 'pinterest_refresh(bigint)', 'EXECUTE')"
    )?);
    Ok(())
}

#[test]
fn keys_secrets_models_and_extensions_are_maintained() -> Result<()> {
    let secrets = ServerFile::new(".secrets", b"0 x\n")?;
    let mut stage = Stage::new(&[("wal_level", "logical"), ("pinterest.app_secret_file", secrets.setting().as_str())])?;
    let mut client = stage.world.connect()?;

    stage.start_new()?;
    stage.section("Replicate venues to another server")?;
    let mut subscriber = stage.connect_new("postgres")?;
    subscriber.until("SELECT count(embedding) FROM venues", 2_i64)?;
    client.batch_execute("INSERT INTO venues VALUES (3, 'a lake')")?;
    subscriber.until("SELECT count(embedding) FROM venues", 3_i64)?;
    subscriber.batch_execute("DROP SUBSCRIPTION venues")?;
    drop(subscriber);
    stage.stop_new()?;

    let [old]: [String; 1] = fingerprints(&mut client)?.try_into().unwrap_or_else(|keys| panic!("{keys:?}"));
    stage.section("Rotate the key")?;
    let [new]: [String; 1] = fingerprints(&mut client)?.try_into().unwrap_or_else(|keys| panic!("{keys:?}"));
    assert_ne!(old, new);
    assert_eq!(fs::read_to_string(stage.variable("KEY"))?.lines().count(), 1);
    refresh(&mut client, None)?;

    let app = stage.world.sandbox.config().app.clone();
    secrets.write(format!("{} wrong\n", app.client_id).as_bytes())?;
    let redirect = app.redirect_uris.first().cloned().unwrap_or_default();
    client.query_one("SELECT pinterest_register_app('sandbox', $1, NULL, $2)", &[&app.client_id, &redirect])?;
    expect_refusal(refresh(&mut client, None), "55000").says("Authentication failed");
    stage.set("SECRETS", secrets.setting());
    stage.set("CLIENT_ID", app.client_id.clone());
    stage.set("SECRET", app.client_secret.clone());
    stage.section("Rotate an app secret")?;
    refresh(&mut client, None)?;

    stage.section("Upgrade pg_pinterest")?;
    client.batch_execute("CREATE INDEX places ON venues USING hnsw (embedding vector_cosine_ops)")?;
    let printed = stage.section("Upgrade pgvector")?;
    assert!(printed.contains("REINDEX INDEX CONCURRENTLY places"), "{printed}");
    let printed = stage.section("Add a database")?;
    let problems = printed.lines().filter(|line| line.contains("| problem") && !line.contains("pgvector"));
    assert_eq!(problems.count(), 0, "{printed}");
    drop(client);
    stage.section("Upgrade Postgres to a newer minor release")?;

    let other = other_tiny_stand_in(&Installation::staged()?.with_extension()?)?;
    stage.set("MODEL", other.display().to_string());
    stage.section("Change the model")?;
    let mut client = stage.world.connect()?;
    client.until("SELECT count(*) FROM pinterest.imports WHERE finished_at IS NULL", 0_i64)?;
    settled(&mut client)?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.models WHERE images > 0")?, 1);
    assert_eq!(doctor(&mut client, "embeddings")?.0, "ok");
    let wrong = "SELECT count(*) FROM venues WHERE embedding <=> pinterest_embed_text(description) > 1e-6";
    assert_eq!(client.value::<i64>(wrong)?, 0);

    client.batch_execute("DROP DATABASE second WITH (FORCE)")?;
    stage.section("Uninstall")?;
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 3);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pg_roles WHERE rolname = 'pinterest_worker'")?, 0);
    client.batch_execute("UPDATE venues SET description = 'a barn'")?;
    let left: Vec<String> = fs::read_dir(stage.world.cluster.data_directory())?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("pinterest"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

/// The keys that secrets use.
fn fingerprints(client: &mut Client) -> Result<Vec<String>> {
    client.column("SELECT fingerprint FROM pinterest_keys() WHERE secrets > 0")
}
