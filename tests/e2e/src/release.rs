//! Data of a release: a pg_dump of a database in use, and the key file of its secrets.
//!
//! `tools/freeze-release` saves them beside the install script of each release, for the tests of upgrades: only the
//! release itself writes its data as users have it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sandbox::Family;
use sandbox::config::{AccountSpec, BoardSpec, Config, ImageRules, MediaMix};

use crate::checkout::run;
use crate::server_user::ServerUser;
use crate::{Cluster, Result, World, cluster, imports, world};

/// The board in the data.
pub const BOARD: &str = "Beach";

/// The world in which the data is made and later restored.
pub fn world() -> world::Builder {
    let board = BoardSpec::new(BOARD, &[Family::Beach, Family::Barn], 4).media(MediaMix::images_only());
    let accounts = vec![AccountSpec::new("example_user").board(board.sections(&["Sand", "Palms"]))];
    let config = Config::with_board(BOARD, &[Family::Beach], 1);
    let images = ImageRules { pool: Some(1), ..config.images.clone() };
    World::builder().sandbox(Config { accounts, images, ..config })
}

/// The two files.
#[derive(Clone, Debug)]
pub struct Data {
    dump: PathBuf,
    key: PathBuf,
}

impl Data {
    /// The files `PATH.sql` and `PATH.key`.
    pub fn at(path: &Path) -> Self {
        let with = |extension: &str| PathBuf::from(format!("{}.{extension}", path.display()));
        Data { dump: with("sql"), key: with("key") }
    }

    /// Uses the extension in a world from [`world`] until each of its tables has rows, and saves the database.
    pub fn make(&self, world: &World) -> Result<()> {
        use_extension(world)?;
        let dump = run(world.cluster.program("pg_dump")?.args(["--dbname", cluster::DATABASE]))?.stdout;
        let text = String::from_utf8(dump).context("pg_dump does not print UTF-8")?;
        // These lines contain a random word, and older versions of psql reject them.
        let kept = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(&self.dump, text).with_context(|| format!("cannot write {}", self.dump.display()))?;
        fs::copy(key_file(&world.cluster), &self.key)
            .with_context(|| format!("cannot write {}", self.key.display()))?;
        Ok(())
    }

    /// Installs the key file in the cluster.
    pub fn load_key(&self, cluster: &Cluster) -> Result<()> {
        let key = key_file(cluster);
        fs::copy(&self.key, &key).with_context(|| format!("cannot write {}", key.display()))?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        ServerUser::get()?.own(&key)
    }

    /// Loads the data into an otherwise empty database that has the extension in the data's version.
    pub fn load(&self, cluster: &Cluster, database: &str) -> Result<()> {
        let dump = cluster.directory().join("release.sql");
        fs::copy(&self.dump, &dump).with_context(|| format!("cannot read {}", self.dump.display()))?;
        ServerUser::get()?.own(&dump)?;
        let mut psql = cluster.program("psql")?;
        psql.args(["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", "--dbname", database]);
        run(psql.arg("--file").arg(&dump)).map(drop)
    }
}

fn key_file(cluster: &Cluster) -> PathBuf {
    cluster.data_directory().join("pinterest.key")
}

fn use_extension(world: &World) -> Result<()> {
    let mut client = world.connect()?;
    let import = imports::queue_board(&mut client, BOARD)?;
    let state = imports::wait(&mut client, import)?;
    ensure!(state == "completed", "the import is {state}");
    client.batch_execute("SELECT pinterest_refresh()")?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO venues VALUES (1, 'a beach with palm trees');
         SELECT pinterest_track('venues', text => 'description');",
    )?;
    let open: i64 = client.query_one("SELECT pinterest_wait_for_tracked('venues', '1 minute')", &[])?.get(0);
    ensure!(open == 0, "{open} rows of venues are not embedded");
    // A worker would delete the last row.
    client.batch_execute(
        "SELECT pinterest_authorize_url();
         SELECT pinterest_pause_workers();
         INSERT INTO pinterest.token_answer (account_id, expected, generation, access_token, access_expires_at, refresh_after,
                granted_scopes)
         SELECT account_id, 0, 1, access_token, access_expires_at, refresh_after, granted_scopes FROM pinterest.token",
    )?;
    Ok(())
}
