//! The statements of the pages run as they are written. docs/search.md and docs/tracking.md have tests of their own, which
//! also compare results.
//!
//! Every block of SQL of a page is run, in order, in a world that has what the pages take for granted: a board, venues, apps
//! and roles. Only the values that a reader would replace are replaced: ids, codes and the reader's own address.

use std::fs;

use e2e::{ServerFile, checkout};

use crate::support::doc_pages::{blocks, statements};
use crate::support::owners::{drop_role, role, settle};
use crate::support::prelude::*;
use crate::support::tracking_work::settled;

const BOARD: &str = "Barn wedding";

/// What the pages take for granted.
struct Reader {
    world: World,
    client: Client,
    /// What a page contains, and the value that the reader would write there.
    values: Vec<(&'static str, String)>,
    /// The file with the secret of docs/tokens.md.
    _secrets: ServerFile,
}

impl Reader {
    fn new() -> Result<Self> {
        let account = AccountSpec::new("example_user").board(beach_board(BOARD, 12).sections(&["Flowers", "Tables"]));
        let config = Config { accounts: vec![account], ..quick_board(BOARD, 1) };
        let secrets = ServerFile::new(".secrets", b"1453111 secret-of-the-app\n")?;
        let builder = World::builder().sandbox(config).setting("pinterest.app_secret_file", &secrets.setting());
        let (world, mut client) = builder.start()?.with_session()?;
        world.register_app(&mut client, "venues")?;
        let import = imported(&mut client, "'Barn wedding', keep_images => 'originals'")?.import;
        client.batch_execute(
            "CREATE ROLE app_role; CREATE ROLE ben;
             CREATE TABLE venues (id bigint PRIMARY KEY, name text, photo bytea, photo_url text, site text, town text,
                 price integer, embedding vector(512));
             INSERT INTO venues SELECT n, 'Venue ' || n, NULL, NULL, 'https://example.com/', 'Ely', 1000 * n, i.embedding
               FROM (SELECT row_number() OVER () AS n, embedding FROM pinterest.pin_image) AS i",
        )?;
        let url: String = client.value("SELECT pinterest_authorize_url('venues')")?;
        let redirect = world.browser()?.authorize(&url)?;
        let gone = dropped_owner(&world, &mut client)?;
        let values = vec![
            ("import_id = 7", format!("import_id = {import}")),
            ("await_import(7)", format!("await_import({import})")),
            ("(42", format!("({}", world.account())),
            ("…code…", redirect.code),
            ("…state…", redirect.state),
            ("/USER/", "/example_user/".into()),
            ("ann (dropped 16412)", gone),
            // A command of psql, which repeats the statement before it.
            ("\\watch 1", ";".into()),
        ];
        Ok(Self { world, client, values, _secrets: secrets })
    }

    /// Runs the blocks of a page; returns how many statements it has.
    fn run(&mut self, page: &str) -> Result<usize> {
        let mut text = fs::read_to_string(checkout().join(page))?;
        for (shown, value) in &self.values {
            text = text.replace(shown, value);
        }
        let mut run = 0;
        for (_, body) in blocks(&text).iter().filter(|(language, _)| *language == "sql") {
            for statement in statements(body) {
                self.before(&statement)?;
                // A block may list calls of which a reader makes one: the one that deletes everything is rolled back.
                let purges = statement.contains("purge => true");
                let sql = if purges { format!("BEGIN; {statement}; ROLLBACK") } else { statement.clone() };
                self.client.batch_execute(&sql).map_err(|error| anyhow::anyhow!("{page}: {statement}\n{error:?}"))?;
                self.after(&statement)?;
                run += 1;
            }
            // Workers that a block has paused are resumed after it.
            self.client.batch_execute("SELECT pinterest_resume_workers()")?;
        }
        Ok(run)
    }

    /// A page shows the result before the steps that lead to it, which start without what the result needs.
    fn before(&mut self, statement: &str) -> Result<()> {
        let prepare = match statement {
            "CREATE EXTENSION pg_pinterest CASCADE" => {
                self.world.cluster.psql("CREATE DATABASE first")?;
                self.client = self.world.cluster.connect_to("postgres", "first")?;
                return Ok(());
            }
            "ALTER TABLE venues ADD COLUMN embedding vector(512)" => "ALTER TABLE venues DROP COLUMN embedding CASCADE",
            _ => return Ok(()),
        };
        Ok(self.client.batch_execute(prepare)?)
    }

    /// Lets the work end that a statement queued, as the next statement expects.
    fn after(&mut self, statement: &str) -> Result<()> {
        if statement.contains("pinterest_import_board") || statement.contains("pinterest_reembed_board") {
            self.client.until("SELECT count(*) FROM pinterest.imports WHERE finished_at IS NULL", 0_i64)?;
        }
        if statement.contains("pinterest_track(") {
            settled(&mut self.client)?;
        }
        if statement == "SELECT * FROM pinterest_doctor()" {
            self.client = self.world.connect()?;
        }
        Ok(())
    }
}

/// Makes a role that owns an account and drops it; returns the name of that owner from then on. Another role of the same name
/// follows.
fn dropped_owner(world: &World, client: &mut Client) -> Result<String> {
    settle(&mut role(&world.cluster, "ann", "user")?, "ann's")?;
    drop_role(client, "ann")?;
    settle(&mut role(&world.cluster, "ann", "user")?, "ann's other")?;
    client.value("SELECT owner FROM pinterest.accounts WHERE owner LIKE 'ann (dropped %'")
}

fn runs(page: &str, least: usize) -> Result<()> {
    let run = Reader::new()?.run(page)?;
    assert!(run >= least, "{run} statements of {page}");
    Ok(())
}

#[test]
fn statements_of_readme_run() -> Result<()> {
    runs("README.md", 10)
}

#[test]
fn statements_on_imports_run() -> Result<()> {
    runs("docs/imports.md", 10)
}

#[test]
fn statements_on_tokens_run() -> Result<()> {
    runs("docs/tokens.md", 6)
}

#[test]
fn statements_on_galleries_run() -> Result<()> {
    runs("docs/gallery.md", 1)
}

#[test]
fn statements_on_processes_and_operations_run() -> Result<()> {
    let mut reader = Reader::new()?;
    // A database that the page copies and renames, and a table that is tracked.
    reader.client.batch_execute("CREATE DATABASE wedding")?;
    let mut wedding = reader.world.cluster.connect_to("postgres", "wedding")?;
    wedding.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    drop(wedding);
    reader.client.batch_execute("SELECT pinterest_track('venues', image => 'photo')")?;
    assert!(reader.run("docs/processes.md")? >= 2);
    assert!(reader.run("docs/operations.md")? >= 5);
    Ok(())
}

#[test]
fn statements_on_networks_run() -> Result<()> {
    runs("docs/network.md", 0)
}

#[test]
fn statements_on_monitoring_run() -> Result<()> {
    runs("docs/monitoring.md", 8)
}

#[test]
fn statements_on_sizes_and_statistics_run() -> Result<()> {
    let mut reader = Reader::new()?;
    assert!(reader.run("docs/scale.md")? >= 2);
    assert!(reader.run("docs/embedders.md")? >= 1);
    assert!(reader.run("docs/statistics.md")? >= 1);
    assert!(reader.run("docs/packages.md")? >= 1);
    Ok(())
}
