//! The world of a run: server, Pinterest, users and bystanders.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use postgres::Client;
use sandbox::Family;
use sandbox::config::{AccountSpec, BoardSpec, Config, ImageRules, MediaMix, Surprises};

use super::Outcome;
use super::event::{BOARDS, DATABASES, USERS};
use crate::cluster::DATABASE;
use crate::process::Process;
use crate::{Result, ServerFile, Stop, World, runtime_directory, wait_for};

/// A user: role, database, Pinterest account and tracked table.
#[derive(Debug)]
pub struct User {
    /// The role, which is also the username at Pinterest.
    pub name: String,
    pub database: String,
    /// Whether it has disconnected its account.
    pub disconnected: bool,
}

/// An idle session that only a crash or restart of the server may end.
struct Bystander {
    database: String,
    client: Client,
}

/// The state of a run.
pub struct Stage {
    pub world: World,
    pub users: Vec<User>,
    /// Sessions that keep locks.
    pub held: Vec<Client>,
    pub keys: ServerFile,
    /// The number of the first key in the file.
    pub key: u8,
    pub outcome: Outcome,
    /// Whether this step restarts the server.
    pub restarted: bool,
    /// Number of events that may have lost a response of Pinterest.
    pub lossy: u64,
    /// Number of killed server processes.
    pub kills: u64,
    bystanders: Vec<Bystander>,
}

/// The line of a key file for a key number.
fn key(number: u8) -> String {
    format!("{:02x}", number).repeat(32) + "\n"
}

/// A key file with the active key and the previous one.
pub fn ring(number: u8) -> String {
    key(number) + &key(number.wrapping_sub(1))
}

impl Stage {
    /// Starts everything: users connected, boards imported, tables tracked.
    pub fn set() -> Result<Self> {
        let accounts = (0..USERS)
            .map(|user| {
                (0..BOARDS).fold(AccountSpec::new(username(user)), |account, board| {
                    let pins = 5 + 7 * board as u64 + user as u64;
                    let board = BoardSpec::new(board_name(user, board), &[Family::Beach, Family::Barn], pins);
                    account.board(board.media(MediaMix::images_only()))
                })
            })
            .collect();
        let config = Config {
            accounts,
            surprises: Surprises::none(),
            images: ImageRules { pool: Some(1), ..ImageRules::default() },
            ..Config::demo()
        };
        let keys = ServerFile::new(".key", ring(2).as_bytes())?;
        let world = World::builder()
            .sandbox(config)
            .connected(false)
            .setting("pinterest.key_file", &keys.setting())
            .setting("pinterest.worker_idle_timeout", "10s")
            .setting("max_worker_processes", "16")
            .setting("log_min_error_statement", "panic")
            .setting("log_error_verbosity", "verbose")
            .setting("restart_after_crash", "on")
            .start()?;
        let mut stage = Self {
            world,
            users: Vec::new(),
            held: Vec::new(),
            keys,
            key: 2,
            outcome: Outcome::default(),
            restarted: false,
            lossy: 0,
            kills: 0,
            bystanders: Vec::new(),
        };
        stage.world.connect()?.batch_execute("CREATE ROLE bystander LOGIN")?;
        for number in 0..DATABASES {
            let database = database(number);
            if number > 0 {
                stage.world.connect()?.batch_execute(&format!("CREATE DATABASE {database}"))?;
            }
            let mut client = stage.superuser(&database)?;
            client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; GRANT CREATE ON SCHEMA public TO PUBLIC")?;
        }
        for number in 0..USERS {
            let name = username(number);
            let database = database(if number == USERS - 1 { DATABASES - 1 } else { 0 });
            stage.world.cluster.create_role(&name)?;
            stage.superuser(&database)?.batch_execute(&format!("SELECT pinterest_grant('{name}')"))?;
            stage.users.push(User { name, database, disconnected: false });
            let mut client = stage.connect(number)?;
            stage.world.register_app(&mut client, "sandbox")?;
            stage.connect_account(number)?;
            client.batch_execute(&format!("{}; {}", table(number), track(number)))?;
        }
        stage.bystanders = stage.find_bystanders()?;
        Ok(stage)
    }

    /// A superuser's session.
    pub fn superuser(&self, database: &str) -> Result<Client> {
        self.world.cluster.connect_to(crate::cluster::SUPERUSER, database)
    }

    /// A user's session with statement and lock timeouts.
    pub fn connect(&self, user: usize) -> Result<Client> {
        let user = &self.users[user];
        let mut client = self.world.cluster.connect_to(&user.name, &user.database)?;
        client.batch_execute("SET statement_timeout = '15s'; SET lock_timeout = '2s'")?;
        Ok(client)
    }

    /// Connects a user's account through the authorization page.
    pub fn connect_account(&self, user: usize) -> Result<()> {
        self.world.sandbox.sign_in(&self.users[user].name)?;
        let mut client = self.connect(user)?;
        self.world.connect_account(&mut client).map(drop)
    }

    fn find_bystanders(&self) -> Result<Vec<Bystander>> {
        (0..DATABASES)
            .map(|number| {
                let database = database(number);
                let client = self.world.cluster.connect_to("bystander", &database)?;
                Ok(Bystander { database, client })
            })
            .collect()
    }

    /// Requires that no bystander's session has ended without a restart of the server.
    pub fn check_bystanders(&mut self) -> Result<()> {
        if std::mem::take(&mut self.restarted) {
            self.outcome.restarts += 1;
            wait_for("the server to restart", Duration::from_secs(60), || Ok(self.world.connect().ok()))?;
            self.bystanders =
                wait_for("the bystanders to return", Duration::from_secs(60), || Ok(self.find_bystanders().ok()))?;
            self.held.clear();
        }
        for bystander in &mut self.bystanders {
            if let Err(error) = bystander.client.simple_query("SELECT 1") {
                bail!("a bystander's session in {} ended: {error}", bystander.database);
            }
        }
        Ok(())
    }

    /// Waits until the server has ended its sessions after the kill of a process.
    pub fn await_crash(&mut self) -> Result<()> {
        self.restarted = true;
        self.kills += 1;
        let bystanders = &mut self.bystanders;
        wait_for("the server to end its sessions", Duration::from_secs(30), || {
            Ok(bystanders[0].client.simple_query("").is_err().then_some(()))
        })
    }

    /// Releases all locks and ends all faults, pauses and changed settings.
    pub fn settle(&mut self) -> Result<()> {
        self.held.clear();
        self.world.sandbox.faults().clear();
        let mut client = self.world.connect()?;
        client.batch_execute("ALTER SYSTEM RESET ALL")?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        for number in 0..USERS {
            let _ = self.act(&super::event::Event::Call(number, super::event::Call::Resume))?;
            let _ = self.act(&super::event::Event::Shape(number, super::event::Shape::NoTriggers))?;
        }
        Ok(())
    }

    /// Makes everything due that waits for a time.
    pub fn hasten(&self) -> Result<()> {
        for number in 0..DATABASES {
            let mut client = self.superuser(&database(number))?;
            client.batch_execute(
                "SET lock_timeout = '2s';
                 UPDATE pinterest.import SET wake_at = now() WHERE state IN ('queued', 'waiting_quota', 'waiting_access') AND wake_at > now();
                 UPDATE pinterest.pin_image SET next_attempt_at = now() WHERE state = 'pending' AND next_attempt_at > now();
                 UPDATE pinterest.tracked_row SET next_attempt_at = now() WHERE state = 'pending' AND next_attempt_at > now();
                 UPDATE pinterest.tracked_column SET next_attempt_at = now() WHERE next_attempt_at > now();
                 DELETE FROM pinterest.quota_ledger",
            )?;
        }
        Ok(())
    }

    /// Copies the server's log to `target/chaos`, because the next run removes the cluster; returns its path.
    pub fn keep_log(self, seed: u64) -> Result<String> {
        let path = runtime_directory("chaos")?.join(format!("seed-{seed}.log"));
        std::fs::write(&path, self.world.cluster.log()?)?;
        Ok(path.display().to_string())
    }

    /// Stops the server, which must be fast and leave no process.
    pub fn strike(self) -> Result<Outcome> {
        let Self { world, outcome, bystanders, held, .. } = self;
        drop((bystanders, held));
        let postmaster = world.cluster.postmaster()?;
        let processes = Process::descendants(postmaster);
        let began = Instant::now();
        world.cluster.stop(Stop::Fast)?;
        ensure!(began.elapsed() < Duration::from_secs(20), "a fast stop took {:?}", began.elapsed());
        wait_for("all processes to end", Duration::from_secs(20), || {
            let left = processes.iter().filter(|process| Process::get(process.pid).as_ref() == Some(*process)).count();
            Ok((left == 0).then_some(()))
        })
        .context("a process outlives the server")?;
        Ok(outcome)
    }
}

/// The name of a user, as role and at Pinterest.
pub fn username(number: usize) -> String {
    ["anna", "berta", "carla"][number % 3].to_owned()
}

/// The name of a database.
pub fn database(number: usize) -> String {
    if number == 0 { DATABASE.to_owned() } else { format!("second{number}") }
}

/// The name of a board.
pub fn board_name(user: usize, board: usize) -> String {
    format!("Board {board} of {}", username(user))
}

/// SQL that creates a user's table.
pub fn table(user: usize) -> String {
    format!(
        "CREATE TABLE places_{user} (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO places_{user} SELECT n, 'place ' || n FROM generate_series(1, 10) AS n"
    )
}

/// SQL that tracks the description of a user's table. Tracking keeps existing vectors of rows without a source, so they
/// are removed first.
pub fn track(user: usize) -> String {
    format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pinterest.tracked WHERE \"table\" = 'public.places_{user}') THEN
             UPDATE places_{user} SET embedding = NULL WHERE description IS NULL AND embedding IS NOT NULL;
         END IF; END $$;
         SELECT pinterest_track('places_{user}', text => 'description')"
    )
}
