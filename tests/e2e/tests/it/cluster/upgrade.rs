//! An upgraded database has the objects of a fresh installation, and keeps its data. Omissions in an upgrade step are
//! found. Files of releases do not change.
//!
//! While no release is frozen, the present install script and data made by the present version stand in for a release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use e2e::cluster::SUPERUSER;
use e2e::release::{self, BOARD, Data};
use e2e::{Installation, checkout};
use postgres::GenericClient;
use serde_json::Value;

use crate::support::oauth::{WORKER, doctor};
use crate::support::prelude::*;

const OBJECTS: &str = include_str!("extension_objects.sql");

/// The version that stands in for a release while none is frozen.
const UNRELEASED: &str = "0.0.0";

/// The versions from the oldest release to the present one, in an installation that has their scripts and all steps.
struct Releases {
    installation: Installation,
    /// The last one is the present version.
    versions: Vec<String>,
}

/// In the tests' own copy of the installation, to which each test adds versions of its own.
static RELEASES: LazyLock<Releases> = LazyLock::new(|| Releases::install().unwrap());

impl Releases {
    fn install() -> Result<Self> {
        let installation = Installation::copy("stage-upgrade")?;
        let directory = installation.extension_directory();
        let sql = checkout().join("sql");
        let listed = fs::read_to_string(sql.join("releases/SHA256SUMS")).unwrap_or_default();
        let mut versions: Vec<String> = listed
            .lines()
            .filter_map(|line| Some(line.split_once("sql/releases/pg_pinterest--")?.1.strip_suffix(".sql")?.to_owned()))
            .collect();
        for step in fs::read_dir(&sql)?.flatten() {
            let name = step.file_name();
            if name.to_string_lossy().starts_with("pg_pinterest--") {
                let installed = fs::read_to_string(directory.join(&name)).unwrap_or_default();
                assert_eq!(installed, fs::read_to_string(step.path())?, "{name:?} is not installed: run make stage");
            }
        }
        let present = env!("CARGO_PKG_VERSION").to_owned();
        let script = |version: &str| directory.join(format!("pg_pinterest--{version}.sql"));
        for version in &versions {
            let frozen = sql.join(format!("releases/pg_pinterest--{version}.sql"));
            if *version == present {
                let message =
                    "the present version is a release: set the next version in Cargo.toml before sql/ changes";
                // The positions of functions in Rust files may differ.
                let lines = |path: &Path| -> Result<BTreeSet<String>> {
                    let text = fs::read_to_string(path)?;
                    Ok(text.lines().filter(|line| !line.starts_with("-- src/")).map(str::to_owned).collect())
                };
                assert!(lines(&script(version))? == lines(&frozen)?, "{message}");
            }
            fs::copy(frozen, script(version))?;
        }
        if versions.is_empty() {
            versions.push(UNRELEASED.into());
            fs::copy(script(&present), script(UNRELEASED))?;
            fs::write(directory.join(format!("pg_pinterest--{UNRELEASED}--{present}.sql")), "")?;
        }
        if versions.last() != Some(&present) {
            versions.push(present);
        }
        Ok(Self { installation, versions })
    }

    fn present(&self) -> &str {
        &self.versions[self.versions.len() - 1]
    }

    /// The data of a release. The data of [`UNRELEASED`] is generated in a directory.
    fn data(&self, version: &str, directory: &Path) -> Result<Data> {
        if version != UNRELEASED {
            return Ok(Data::at(&checkout().join("sql/releases/data").join(version)));
        }
        let data = Data::at(&directory.join(version));
        data.make(&release::world().start()?)?;
        Ok(data)
    }

    /// Adds an upgrade step from the present version to another one.
    fn add_step(&self, target: &str, sql: &str) -> Result<()> {
        let name = format!("pg_pinterest--{}--{target}.sql", self.present());
        Ok(fs::write(self.installation.extension_directory().join(name), sql)?)
    }
}

fn install(client: &mut Client, version: &str) {
    if let Err(message) = try_install(client, version) {
        panic!("CREATE EXTENSION pg_pinterest VERSION '{version}': {message}");
    }
}

fn try_install(client: &mut Client, version: &str) -> Result<(), String> {
    let created = client.batch_execute(&format!("CREATE EXTENSION pg_pinterest VERSION '{version}' CASCADE"));
    let Err(error) = created else { return Ok(()) };
    let message = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    if message.contains("could not find function") {
        return Err(format!(
            "{message}\nA release has this function. The library must keep the functions of all releases, because pg_upgrade \
             declares them again, and sessions call them until ALTER EXTENSION UPDATE. A function that is no longer \
             declared can be replaced by one that raises an error."
        ));
    }
    Err(message)
}

fn update(client: &mut impl GenericClient, version: &str) -> Result<()> {
    Ok(client.batch_execute(&format!("ALTER EXTENSION pg_pinterest UPDATE TO '{version}'"))?)
}

/// All properties of all objects that belong to the extension.
fn objects(client: &mut impl GenericClient) -> Result<BTreeSet<String>> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute("SET LOCAL search_path = pg_catalog")?;
    let lines: BTreeSet<String> = transaction.query(OBJECTS, &[])?.iter().map(|row| row.get(0)).collect();
    transaction.rollback()?;
    assert!(lines.len() > 500, "{lines:#?}");
    let unknown: Vec<_> = lines.iter().filter(|line| line.starts_with("not described: ")).collect();
    assert!(unknown.is_empty(), "add these kinds of objects to extension_objects.sql: {unknown:#?}");
    Ok(lines)
}

fn fresh(cluster: &Cluster, version: &str) -> Result<BTreeSet<String>> {
    objects(&mut database(cluster, &format!("fresh {version}"), version)?)
}

/// A new database with a version.
fn database(cluster: &Cluster, name: &str, version: &str) -> Result<Client> {
    cluster.connect()?.batch_execute(&format!("CREATE DATABASE \"{name}\""))?;
    let mut client = cluster.connect_to(SUPERUSER, name)?;
    install(&mut client, version);
    Ok(client)
}

/// The lines that only one of the two has.
fn differences(fresh: &BTreeSet<String>, upgraded: &BTreeSet<String>) -> Vec<String> {
    let missing = fresh.difference(upgraded).map(|line| format!("only in a fresh installation: {line}"));
    let extra = upgraded.difference(fresh).map(|line| format!("only after the upgrade: {line}"));
    missing.chain(extra).collect()
}

type Rows = Vec<serde_json::Map<String, Value>>;

/// Every row of every table of the extension and of the user's tables, and the state of every sequence.
fn contents(client: &mut impl GenericClient) -> Result<BTreeMap<String, Rows>> {
    let relations = client.query(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'S')
            AND relnamespace IN ('pinterest'::regnamespace, 'public'::regnamespace)",
        &[],
    )?;
    let mut contents = BTreeMap::new();
    for relation in relations {
        let relation: String = relation.get(0);
        let rows = client.query(
            &format!("SELECT (to_jsonb(r) - 'log_cnt')::text FROM (SELECT * FROM {relation}) r ORDER BY 1"),
            &[],
        )?;
        let rows = rows.iter().map(|row| serde_json::from_str(row.get(0))).collect::<Result<_, _>>()?;
        contents.insert(relation, rows);
    }
    Ok(contents)
}

/// Asserts that the tables and columns that both versions have contain the same data.
fn assert_kept(before: &BTreeMap<String, Rows>, after: &BTreeMap<String, Rows>, what: &str) {
    let common = |rows: &Rows, other: Option<&Rows>| -> BTreeSet<String> {
        let columns = other.and_then(|rows| rows.first());
        let kept = rows.iter().map(|row| {
            let kept = row.iter().filter(|(name, _)| columns.is_some_and(|columns| columns.contains_key(*name)));
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect()).to_string()
        });
        kept.collect()
    };
    for (relation, rows) in before {
        let Some(kept) = after.get(relation) else { continue };
        assert_eq!(rows.len(), kept.len(), "{what}: rows of {relation}");
        assert_eq!(common(rows, Some(kept)), common(kept, Some(rows)), "{what}: {relation}");
    }
}

#[test]
fn every_release_upgrades_to_a_fresh_installation() -> Result<()> {
    let releases = &*RELEASES;
    if releases.versions.len() == 1 {
        // The present version is the only release.
        return Ok(());
    }
    let oldest = &releases.versions[0];
    let world = release::world().installation(releases.installation.clone()).connected(false).start()?;
    let cluster = &world.cluster;

    // Workers ignore the database until its objects have the version of the library.
    let data = releases.data(oldest, cluster.directory())?;
    let mut client = world.connect()?;
    install(&mut client, oldest);
    data.load(cluster, e2e::cluster::DATABASE)?;
    let before = contents(&mut client)?;
    let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name).collect();
    assert!(empty.is_empty(), "the data of {oldest} has no rows in {empty:?}");

    for version in &releases.versions {
        // No worker changes the database before the comparison.
        let mut transaction = client.transaction()?;
        update(&mut transaction, version)?;
        assert_kept(&before, &contents(&mut transaction)?, version);
        let differences = differences(&fresh(cluster, version)?, &objects(&mut transaction)?);
        assert!(differences.is_empty(), "{oldest} upgraded to {version}: {differences:#?}");
        transaction.commit()?;
    }
    for version in &releases.versions[1..releases.versions.len() - 1] {
        let name = format!("data of {version}");
        let mut client = database(cluster, &name, version)?;
        releases.data(version, cluster.directory())?.load(cluster, &name)?;
        let before = contents(&mut client)?;
        let mut transaction = client.transaction()?;
        update(&mut transaction, releases.present())?;
        assert_kept(&before, &contents(&mut transaction)?, &name);
    }
    data.load_key(cluster)?;

    restores_from_a_dump(&world, &mut client)?;
    works(&world, &mut client)
}

/// The upgraded database can be dumped and restored.
fn restores_from_a_dump(world: &World, client: &mut Client) -> Result<()> {
    let dump = world.cluster.directory().join("upgraded.sql");
    // A worker would settle the row of token_answer in one of them.
    client.batch_execute("CREATE DATABASE restored")?;
    client.batch_execute("SELECT pinterest_pause_workers(), pinterest_pause_workers('restored')")?;
    for command in [
        world.cluster.program("pg_dump")?.args(["--dbname", e2e::cluster::DATABASE, "--file"]).arg(&dump),
        world.cluster.program("psql")?.args(["--set=ON_ERROR_STOP=1", "--dbname=restored", "--file"]).arg(&dump),
    ] {
        let output = command.output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut restored = world.cluster.connect_to(SUPERUSER, "restored")?;
    let differences = differences(&objects(client)?, &objects(&mut restored)?);
    assert!(differences.is_empty(), "{differences:#?}");
    assert_kept(&contents(client)?, &contents(&mut restored)?, "restored");
    client.batch_execute("SELECT pinterest_resume_workers()")?;
    Ok(())
}

/// A dump of an older release can be restored into the present version. Its rows have no owner until pinterest_adopt().
#[test]
fn a_dump_of_each_release_is_restored_into_the_present_one() -> Result<()> {
    let releases = &*RELEASES;
    let cluster = Cluster::builder().installation(releases.installation.clone()).start()?;
    for version in &releases.versions[..releases.versions.len() - 1] {
        let mut client = database(&cluster, &format!("from {version}"), releases.present())?;
        releases.data(version, cluster.directory())?.load(&cluster, &format!("from {version}"))?;
        let rows = "SELECT (SELECT count(*) FROM pinterest.board JOIN pinterest.account a USING (account_id) WHERE board.owner = a.owner)
                         + (SELECT count(*) FROM pinterest.board_section s JOIN pinterest.account a USING (account_id) WHERE s.owner = a.owner)
                         + (SELECT count(*) FROM pinterest.pin p JOIN pinterest.account a USING (account_id) WHERE p.owner = a.owner)
                         + (SELECT count(*) FROM pinterest.pin_image i JOIN pinterest.account a USING (account_id) WHERE i.owner = a.owner)";
        let all = rows.replace(".owner = a.owner", ".account_id = a.account_id");
        let all: i64 = client.value(&all)?;
        client.batch_execute("SET search_path = pinterest, public; SELECT pinterest_adopt()")?;
        assert_eq!(client.value::<i64>(rows)?, all, "{version}");
        assert!(all > 8, "{all}");
    }
    Ok(())
}

/// The upgraded extension opens old secrets, and completes a consent, an import, a refresh and tracked rows.
fn works(world: &World, client: &mut Client) -> Result<()> {
    // The data is that of another cluster.
    client.batch_execute("SELECT pinterest_adopt()")?;
    let (status, text) = doctor(client, "version")?;
    assert_eq!(status, "ok", "{text}");
    // Opens the app's sealed secret. The account is the same.
    let account: i64 = client.value("SELECT account_id FROM pinterest.account")?;
    assert_eq!(world.connect_account(client)?, account);
    let row = import(client, BOARD)?;
    assert_eq!((row.total, row.embedded + row.reused), (4, 4), "{row:?}");
    client.batch_execute("SELECT pinterest_refresh()")?;
    client.batch_execute("UPDATE venues SET description = 'a red barn'; INSERT INTO venues VALUES (2, 'a field')")?;
    assert_eq!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues', '1 minute')")?, 0);
    let embedded: bool = client.value(
        "SELECT bool_and(embedding <=> pinterest_embed_text(description) < 1e-3) AND count(embedding) = 2 FROM venues",
    )?;
    assert!(embedded);
    Ok(())
}

/// Omission, upgrade step to an otherwise equal version, and a text that the comparison must print.
const FORGOTTEN: [(&str, &str, &str); 31] = [
    (
        "a grant",
        "REVOKE SELECT ON pinterest.board FROM pinterest_worker",
        "SELECT on pinterest.board granted to pinterest_worker",
    ),
    (
        "a revoke",
        "GRANT EXECUTE ON FUNCTION pinterest_keys() TO PUBLIC",
        "EXECUTE on public.pinterest_keys() granted to PUBLIC",
    ),
    (
        "a revoke on a column",
        "GRANT SELECT (name) ON pinterest.board TO PUBLIC",
        "SELECT on pinterest.board.name granted to PUBLIC",
    ),
    (
        "a revoke on a type",
        "GRANT USAGE ON TYPE pinterest.role_owner TO PUBLIC",
        "USAGE on pinterest.role_owner granted to PUBLIC",
    ),
    ("a revoke on the schema", "GRANT USAGE ON SCHEMA pinterest TO PUBLIC", "USAGE on pinterest granted to PUBLIC"),
    ("an owner", "ALTER TABLE pinterest.pin OWNER TO pinterest_worker", "table pinterest.pin: owner pinterest_worker"),
    ("a comment", "COMMENT ON TABLE pinterest.pin IS NULL", "comment on pinterest.pin:"),
    ("a column's comment", "COMMENT ON COLUMN pinterest.imports.state IS 'x'", "comment on pinterest.imports.state: x"),
    (
        "a dump mark",
        "ALTER EXTENSION pg_pinterest DROP TABLE pinterest.pin; ALTER EXTENSION pg_pinterest ADD TABLE pinterest.pin",
        "dump mark pinterest.pin",
    ),
    (
        "a dump mark's condition",
        "SELECT pg_catalog.pg_extension_config_dump('pinterest.model', 'WHERE false')",
        "dump mark pinterest.model WHERE false",
    ),
    ("a table", "CREATE TABLE pinterest.left_over ()", "table pinterest.left_over: member"),
    ("a view", "DROP VIEW pinterest.workers", "view pinterest.workers: member"),
    ("a column", "ALTER TABLE pinterest.pin ADD left_over int", "column left_over integer"),
    (
        "a column's type",
        "ALTER TABLE pinterest.installation ALTER clock_boot TYPE varchar",
        "column clock_boot character varying",
    ),
    (
        "a default",
        "ALTER TABLE pinterest.board ALTER seen_at DROP DEFAULT",
        "column seen_at timestamp with time zone NOT NULL DEFAULT",
    ),
    (
        "NOT NULL",
        "ALTER TABLE pinterest.board ALTER seen_at DROP NOT NULL",
        "column seen_at timestamp with time zone DEFAULT",
    ),
    ("a storage", "ALTER TABLE pinterest.pin_image ALTER embedding SET STORAGE EXTERNAL", "storage e,"),
    ("an option", "ALTER TABLE pinterest.pin_image RESET (fillfactor)", "fillfactor=70"),
    (
        "a constraint",
        "ALTER TABLE pinterest.pin_image DROP CONSTRAINT pin_image_embedding_is_a_unit_vector",
        "pin_image_embedding_is_a_unit_vector on pinterest.pin_image: CHECK",
    ),
    ("an index", "DROP INDEX pinterest.board_sync", "CREATE INDEX board_sync"),
    ("row security", "ALTER TABLE pinterest.pin NO FORCE ROW LEVEL SECURITY", "row security t forced f"),
    ("a policy", "DROP POLICY own ON pinterest.pin", "policy own on pinterest.pin: command r"),
    ("a policy's condition", "ALTER POLICY own ON pinterest.pin USING (true)", "using true"),
    (
        "a view's definition",
        "DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pinterest.models AS ' \
             || rtrim(pg_get_viewdef('pinterest.models'::regclass), ';') || ' LIMIT 7'; END $$",
        "LIMIT 7",
    ),
    ("a sequence's increment", "ALTER SEQUENCE pinterest.tracked_version INCREMENT 2", "increment 2"),
    (
        "a function's body",
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('pinterest_recommend(text, regclass, integer, double precision, \
             text, boolean, text[], text, text, bigint, text[], boolean, boolean)'::regprocedure), 'IS NOT NULL', \
             'IS NULL'); END $$",
        "IS NULL) THEN",
    ),
    ("a function's setting", "ALTER FUNCTION pinterest_embed_text(text) SET work_mem = '1MB'", "SET work_mem"),
    ("a function's cost", "ALTER FUNCTION pinterest_embed_text(text) COST 7", "COST 7"),
    ("a function's volatility", "ALTER FUNCTION pinterest_keys() IMMUTABLE", "IMMUTABLE"),
    (
        "a trigger",
        "CREATE TRIGGER left_over BEFORE UPDATE ON pinterest.pin FOR EACH ROW EXECUTE FUNCTION \
         suppress_redundant_updates_trigger()",
        "CREATE TRIGGER left_over",
    ),
    (
        "an operator's estimator",
        "ALTER OPERATOR pinterest.< (pinterest.role_owner, pinterest.role_owner) SET (RESTRICT = NONE)",
        "restrict -",
    ),
];

#[test]
fn omissions_in_an_upgrade_step_are_found() -> Result<()> {
    let releases = &*RELEASES;
    let cluster = Cluster::builder().installation(releases.installation.clone()).start()?;
    let mut client = cluster.connect()?;
    install(&mut client, releases.present());
    let complete = objects(&mut client)?;
    let mut missed = Vec::new();
    for (number, (what, sql, printed)) in FORGOTTEN.iter().enumerate() {
        let target = format!("forgotten.{number}");
        releases.add_step(&target, sql)?;
        let mut transaction = client.transaction()?;
        update(&mut transaction, &target).map_err(|error| error.context(*what))?;
        let found = differences(&complete, &objects(&mut transaction)?);
        if !found.iter().any(|line| line.contains(printed)) {
            missed.push(format!("{what}: {printed} is not among {found:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(differences(&complete, &objects(&mut client)?).is_empty());
    Ok(())
}

#[test]
fn granted_privileges_survive_every_step() -> Result<()> {
    let releases = &*RELEASES;
    let cluster = Cluster::builder().installation(releases.installation.clone()).start()?;
    let mut client = database(&cluster, "granted", &releases.versions[0])?;
    client.batch_execute(
        "CREATE ROLE deputy; CREATE ROLE app;
         GRANT EXECUTE ON FUNCTION pinterest_keys() TO deputy WITH GRANT OPTION;
         SET ROLE deputy; GRANT EXECUTE ON FUNCTION pinterest_keys() TO app; RESET ROLE",
    )?;
    for version in &releases.versions[1..] {
        update(&mut client, version)?;
        let kept: bool = client.value("SELECT has_function_privilege('app', 'pinterest_keys()', 'EXECUTE')")?;
        assert!(kept, "the step to {version} revokes what was granted");
    }
    Ok(())
}

/// The number of privileges that a role holds in the database: from this grantor, and from others.
fn held(client: &mut Client, role: &str, grantor: &str) -> Result<(i64, i64)> {
    let sql = "SELECT count(*) FILTER (WHERE pg_get_userbyid(g.grantor) = $2), \
                      count(*) FILTER (WHERE pg_get_userbyid(g.grantor) <> $2) \
        FROM (SELECT proacl FROM pg_proc UNION ALL SELECT relacl FROM pg_class \
              UNION ALL SELECT attacl FROM pg_attribute UNION ALL SELECT nspacl FROM pg_namespace \
              UNION ALL SELECT typacl FROM pg_type) AS o(acl), \
             aclexplode(o.acl) AS g WHERE pg_get_userbyid(g.grantee) = $1";
    client.pair(sql, &[&role, &grantor])
}

/// Who holds a level has that level of the new version, from the same grantor, and nobody else has anything.
#[test]
fn levels_survive_every_step() -> Result<()> {
    let releases = &*RELEASES;
    let cluster = Cluster::builder().installation(releases.installation.clone()).start()?;
    let mut client = database(&cluster, "levels", &releases.versions[0])?;
    for role in ["chief", "the \"deputy\"", "ann", "ben", "second", "third", "reader", "app", "dba"] {
        client.batch_execute(&format!("CREATE ROLE \"{}\" LOGIN", role.replace('"', "\"\"")))?;
    }
    let deputy = "the \"deputy\"";
    client.batch_execute(&format!(
        "GRANT \"{SUPERUSER}\" TO dba;
         SELECT pinterest_grant('chief', 'admin'), pinterest_grant('reader', 'reader');
         SET ROLE chief;
         SELECT pinterest_grant('{deputy}', 'admin'), pinterest_grant('ann', 'user');
         SET ROLE \"the \"\"deputy\"\"\";
         SELECT pinterest_grant('ben', 'user');
         RESET ROLE;
         ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO app;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app WITH GRANT OPTION;
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    ))?;
    // The session's user is no superuser and may not become the grantors.
    let mut dba = cluster.connect_to("dba", "levels")?;
    dba.batch_execute(&format!("SET ROLE \"{SUPERUSER}\""))?;
    for version in &releases.versions[1..] {
        update(&mut dba, version)?;
    }
    let role: String = dba.value("SELECT current_user::text")?;
    assert_eq!(role, SUPERUSER, "the update changes the role of the session");

    // Neither default privileges, nor privileges that pg_dump would omit.
    let fresh = fresh(&cluster, releases.present())?;
    let holders = ["chief", deputy, "ann", "ben", "reader"].map(|role| format!(" granted to {role} by "));
    let unexpected: Vec<_> = differences(&fresh, &objects(&mut client)?)
        .into_iter()
        .filter(|line| !holders.iter().any(|holder| line.contains(holder)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");

    client.batch_execute(
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM app;
         ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM app, PUBLIC;
         SELECT pinterest_grant('second', 'admin'), pinterest_grant('third', 'user')",
    )?;
    let (admin, user) = (held(&mut client, "second", SUPERUSER)?, held(&mut client, "third", SUPERUSER)?);
    assert!(admin.0 > user.0 && user.0 > 50, "{admin:?} {user:?}");
    for (role, grantor, level) in
        [("chief", SUPERUSER, admin), (deputy, "chief", admin), ("ann", "chief", user), ("ben", deputy, user)]
    {
        assert_eq!(held(&mut client, role, grantor)?, level, "{role}");
    }

    // Admins grant and revoke what they could before.
    client.batch_execute("SELECT pinterest_revoke('second'), pinterest_revoke('third'), pinterest_revoke('reader')")?;
    let mut chief = cluster.connect_to("chief", "levels")?;
    chief.batch_execute("SELECT pinterest_revoke('ann'), pinterest_grant('second', 'admin')")?;
    assert_eq!(held(&mut client, "ann", "chief")?, (0, 0));
    assert_eq!(held(&mut client, "second", "chief")?, admin);
    chief.batch_execute("SELECT pinterest_revoke('second')")?;
    let mut connected = cluster.connect_to(deputy, "levels")?;
    connected.batch_execute("SELECT pinterest_grant('third', 'admin')")?;
    assert_eq!(held(&mut client, "third", deputy)?, admin);
    chief.refused("SELECT pinterest_revoke('ben')", "42501");
    // With the deputy's privileges, those that it has granted end.
    client.execute("SELECT pinterest_revoke($1, cascade => true)", &[&deputy])?;
    for role in [deputy, "ben", "second", "third", "ann", "reader"] {
        assert_eq!(held(&mut client, role, SUPERUSER)?, (0, 0), "{role}");
    }
    drop(connected);
    client.batch_execute("DROP ROLE \"the \"\"deputy\"\"\", ann, ben, second, third, reader, app")?;
    Ok(())
}

#[test]
fn a_function_missing_in_the_library_is_reported() -> Result<()> {
    let releases = &*RELEASES;
    let directory = releases.installation.extension_directory();
    let mut script = fs::read_to_string(directory.join(format!("pg_pinterest--{}.sql", releases.present())))?;
    script += "CREATE FUNCTION pinterest.gone() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_gone';";
    fs::write(directory.join("pg_pinterest--gone.sql"), script)?;
    let cluster = Cluster::builder().installation(releases.installation.clone()).start()?;
    let message = try_install(&mut cluster.connect()?, "gone").unwrap_err();
    assert!(message.contains("pinterest_gone") && message.contains("must keep the functions"), "{message}");
    Ok(())
}

#[test]
fn workers_pause_between_two_versions() -> Result<()> {
    let releases = &*RELEASES;
    let (present, other) = (releases.present(), "999");
    releases.add_step(other, "")?;
    fs::write(releases.installation.extension_directory().join(format!("pg_pinterest--{other}--{present}.sql")), "")?;
    let world = release::world().installation(releases.installation.clone()).start()?;
    let mut client = world.connect()?;
    hold_pictures_after(&world, 1);
    let import = queue_board(&mut client, BOARD)?;
    until_row(&mut client, import, "the first image", |row| row.embedded == 1)?;

    // The update does not wait for the worker, which ends after it.
    update(&mut client, other)?;
    until("the worker to end", || Ok(world.cluster.backends(WORKER)?.is_empty()))?;
    let (status, text) = doctor(&mut client, "version")?;
    assert!(status == "problem" && text.contains("ALTER EXTENSION pg_pinterest UPDATE"), "{status}: {text}");

    world.sandbox.faults().release(GATE);
    update(&mut client, present)?;
    let row = complete(&mut client, import)?;
    assert_eq!((row.embedded, row.failed), (4, 0), "{row:?}");
    Ok(())
}

/// Between the restart with a new library and ALTER EXTENSION UPDATE, statements of users work on the old objects.
#[test]
fn statements_work_before_the_update() -> Result<()> {
    let releases = &*RELEASES;
    let world = release::world().installation(releases.installation.clone()).connected(false).start()?;
    for version in &releases.versions[..releases.versions.len() - 1] {
        let mut client = database(&world.cluster, version, version)?;
        let data = releases.data(version, world.cluster.directory())?;
        data.load(&world.cluster, version)?;
        data.load_key(&world.cluster)?;
        client.batch_execute("SELECT pinterest_resume_workers(); SELECT pinterest_adopt()")?;
        client.batch_execute(
            "INSERT INTO venues VALUES (2, 'a field'), (3, 'a lake'); UPDATE venues SET description = 'a red barn' WHERE id = 1;
             DELETE FROM venues WHERE id = 3",
        )?;
        // Queueing works, or states that the update is missing, if the release has other arguments.
        let queued = client.query_one("SELECT pinterest_import_board($1)", &[&BOARD]);
        if queued.is_err() {
            expect_refusal(queued, "55000").hints("ALTER EXTENSION pg_pinterest UPDATE");
        }
        client.query_one("SELECT pinterest_board_embedding($1) <=> pinterest_embed_text('sand')", &[&BOARD])?;
        client.query(&format!("SELECT * FROM pinterest_recommend('{BOARD}', 'venues', all_themes => true)"), &[])?;
        client.query("SELECT * FROM pinterest.imports, pinterest.accounts, pinterest.tracked", &[])?;
        // A connected session works on after the update.
        let mut other = world.cluster.connect_to(SUPERUSER, version)?;
        update(&mut other, releases.present())?;
        client.batch_execute("INSERT INTO venues VALUES (4, 'a barn')")?;
        // The tokens of the data are those of another sandbox.
        world.connect_account(&mut client)?;
        let row = import(&mut client, BOARD)?;
        assert_eq!((row.embedded + row.reused, row.failed), (4, 0), "{version}: {row:?}");
        assert_eq!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues', '1 minute')")?, 0);
        let embedded: bool = client.value(
            "SELECT bool_and(embedding <=> pinterest_embed_text(description) < 1e-3) AND count(embedding) = 3 FROM venues",
        )?;
        assert!(embedded, "{version}");
    }
    Ok(())
}

#[test]
fn files_of_releases_do_not_change() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = |name: &str| root.path().join(name);
    for directory in ["tools", "sql/releases/data"] {
        fs::create_dir_all(path(directory))?;
    }
    for script in ["tools/check-releases", "tools/freeze-release", "tools/releases.sh"] {
        fs::copy(checkout().join(script), path(script))?;
    }
    fs::write(path("Cargo.toml"), "[workspace.package]\nversion = \"0.2.0\"\n")?;
    let run = |script: &str, arguments: &[&str]| -> Result<Output> {
        Ok(Command::new(path(script)).args(arguments).output()?)
    };
    let fails = |message: &str| -> Result<()> {
        let output = run("tools/check-releases", &[])?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(message), "{message} is not in: {errors}");
        Ok(())
    };
    let passes = || -> Result<()> {
        let output = run("tools/check-releases", &[])?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };

    passes()?;
    let scripts = ["sql/releases/pg_pinterest--0.0.9.sql", "sql/releases/pg_pinterest--0.1.0.sql"];
    for script in scripts {
        fs::write(path(script), "SELECT 1;\n")?;
    }
    fails("0.1.0.sql is not in sql/releases/SHA256SUMS")?;
    let sums = Command::new("sha256sum").args(scripts).current_dir(root.path()).output()?.stdout;
    fs::write(path("sql/releases/SHA256SUMS"), sums)?;
    fails("sql/pg_pinterest--0.0.9--0.1.0.sql is missing")?;
    assert!(run("tools/freeze-release", &["--step"])?.status.success());
    passes()?;
    let newest = "sql/pg_pinterest--0.1.0--0.2.0.sql";
    let step = fs::read(path(newest))?;
    fs::write(path(newest), "SELECT 1;\n")?;
    fails("the first line of sql/pg_pinterest--0.1.0--0.2.0.sql must be")?;
    fs::remove_file(path(newest))?;
    fails("sql/pg_pinterest--0.1.0--0.2.0.sql is missing")?;
    fs::write(path(newest), step)?;
    fs::write(path("sql/pg_pinterest--0.0.9--0.2.0.sql"), "")?;
    fails("sql/pg_pinterest--0.0.9--0.2.0.sql does not lead from a release to the next one")?;
    fs::remove_file(path("sql/pg_pinterest--0.0.9--0.2.0.sql"))?;
    fs::write(path(scripts[0]), "SELECT 2;\n")?;
    fails("a frozen file was changed or removed")?;
    fs::remove_file(path(scripts[0]))?;
    fails("a frozen file was changed or removed")?;
    fs::write(path(scripts[0]), "SELECT 1;\n")?;
    passes()?;
    refuses_to_freeze(root.path())
}

fn refuses_to_freeze(root: &Path) -> Result<()> {
    let git = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("git").args(arguments).current_dir(root).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    git(&["init", "--quiet"])?;
    for (version, message) in [
        ("0.1.0", "it is frozen already"),
        ("0.1--2", "two in a row"),
        ("-1", "hyphen"),
        ("1-", "hyphen"),
        ("1/2", "letters"),
        ("1 2", "letters"),
        ("0.2.0", "the working tree has changes"),
    ] {
        let output = Command::new(root.join("tools/freeze-release")).arg(version).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(message), "{version}: {message} is not in: {errors}");
    }
    Ok(())
}
