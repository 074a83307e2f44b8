//! Despite locks, crashes, changes and rollbacks during a refresh or a connect, the tokens that Pinterest accepts are
//! stored. Refresh tokens work only once here, so that a lost one is detected.
//!
//! Rounds are drawn from a seed. `MISHAPS` sets their number, `MISHAPS_SEED` the seed.

use anyhow::{Context, ensure};
use e2e::ServerFile;
use fastrand::Rng;
use sandbox::config::{OldRefreshToken, TokenRules};

use crate::support::key_files::{key_file, ring};
use crate::support::oauth::{USER, WORKER, arrived, kill_worker};
use crate::support::prelude::*;

/// The role that owns the account, of level user.
const OWNER: &str = "owner";
/// The number of worlds that run in parallel.
const WORLDS: usize = 3;

/// Locks that an open transaction of a role can hold, other than those of the tokens.
const LOCKS: [(&str, &str); 17] = [
    ("reader", "SELECT FROM pinterest.accounts; SELECT FROM pinterest.imports"),
    ("nobody", "SELECT pg_advisory_xact_lock(1)"),
    (OWNER, "SELECT pinterest_pause_account(account_id, false) FROM pinterest.accounts"),
    (OWNER, "SELECT pinterest_pause_account(account_id) FROM pinterest.accounts"),
    (OWNER, "SELECT pinterest_authorize_url()"),
    (OWNER, "SELECT pinterest_cancel_import(import_id) FROM pinterest.imports"),
    (
        OWNER,
        "SELECT pinterest_import_board('Nowhere', min(account_id)) FROM pinterest.accounts WHERE username IS NOT NULL",
    ),
    (OWNER, "SELECT pinterest_register_app('sandbox', client_id, 'another secret', redirect_uri) FROM pinterest.app"),
    (OWNER, "SELECT length(pinterest_export(min(account_id))::text) FROM pinterest.accounts"),
    ("admin", "SELECT pinterest_rotate_key()"),
    ("admin", "SELECT pinterest_adopt()"),
    ("postgres", "LOCK pinterest.import IN SHARE MODE"),
    ("postgres", "LOCK pinterest.board, pinterest.pin, pinterest.pin_image IN ACCESS EXCLUSIVE MODE"),
    ("postgres", "SELECT FROM pinterest.account FOR UPDATE"),
    ("postgres", "SELECT FROM pinterest.app FOR NO KEY UPDATE"),
    ("postgres", "SELECT FROM pinterest.installation FOR UPDATE"),
    ("postgres", "LOCK pinterest.account IN SHARE MODE"),
];

/// Locks on the row of the tokens or on the whole table.
const LOCKS_OF_TOKENS: [(&str, &str); 5] = [
    (OWNER, "store"),
    (
        OWNER,
        "SELECT FROM pinterest_disconnect((SELECT min(account_id) FROM pinterest.accounts WHERE username IS NOT NULL))",
    ),
    ("postgres", "SELECT FROM pinterest.token FOR UPDATE"),
    ("postgres", "LOCK pinterest.token IN SHARE MODE"),
    ("postgres", "LOCK pinterest.token IN ACCESS EXCLUSIVE MODE"),
];

/// An event while the answer is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    Nothing,
    Terminated,
    Killed,
    SlotsFilled,
    Rotation,
    Fence,
    NothingStored,
    Reload,
}

const MISHAPS: [Mishap; 8] = [
    Mishap::Nothing,
    Mishap::Terminated,
    Mishap::Killed,
    Mishap::SlotsFilled,
    Mishap::Rotation,
    Mishap::Fence,
    Mishap::NothingStored,
    Mishap::Reload,
];

/// How the call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    RollsBack,
    TimesOut,
    IsTerminated,
}

struct Rounds {
    world: World,
    keys: ServerFile,
    key: u8,
    account: i64,
}

impl Rounds {
    fn start() -> Result<Self> {
        let keys = key_file(&[1])?;
        let tokens = TokenRules { old_refresh_token: OldRefreshToken::Dead, ..TokenRules::default() };
        let (world, mut client) = World::builder()
            .sandbox(Config { tokens, ..quick_board("Beach", 1) })
            .connected(false)
            .setting("pinterest.key_file", &keys.setting())
            .start()?
            .with_session()?;
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        for (role, level) in [(OWNER, "user"), ("reader", "reader"), ("admin", "admin"), ("nobody", "")] {
            world.cluster.create_role(role)?;
            if !level.is_empty() {
                client.query_one("SELECT pinterest_grant($1, $2)", &[&role, &level])?;
            }
        }
        let mut owner = world.cluster.connect_as(OWNER)?;
        world.register_app(&mut owner, "sandbox")?;
        let account = world.connect_account(&mut owner)?;
        Ok(Rounds { world, keys, key: 1, account })
    }

    fn lock(&self, (role, statement): (&str, &str)) -> Result<Client> {
        let mut client = self.world.cluster.connect_as(role)?;
        client.batch_execute("SET lock_timeout = '300ms'; BEGIN")?;
        if statement == "store" {
            let grant = self.world.sandbox.issue_grant(USER)?;
            let _ = client.query_one(
                "SELECT pinterest_store_token($1, $2, app => 'sandbox', account_id => $3)",
                &[&grant.access_token, &grant.refresh_token, &self.account],
            );
        } else {
            // Without effect if the account is gone or another session has the lock.
            let _ = client.batch_execute(statement);
        }
        Ok(client)
    }

    fn run(&mut self, number: usize, random: &mut Rng) -> Result<()> {
        let world = &self.world;
        let sandbox = &world.sandbox;
        let connects = random.bool();
        let mishap = MISHAPS[random.usize(..MISHAPS.len())];
        let fate = [Fate::Waits, Fate::Waits, Fate::RollsBack, Fate::TimesOut, Fate::IsTerminated][random.usize(..5)];
        let early: Vec<_> = (0..random.usize(..2)).map(|_| LOCKS[random.usize(..LOCKS.len())]).collect();
        let mut late: Vec<_> = (0..random.usize(..3)).map(|_| LOCKS[random.usize(..LOCKS.len())]).collect();
        // A terminated worker has three seconds to store the answer; locks on the tokens are released before that.
        let of_tokens = (mishap != Mishap::Killed && random.u8(..) < 110)
            .then(|| LOCKS_OF_TOKENS[random.usize(..LOCKS_OF_TOKENS.len())]);
        late.extend(of_tokens);
        let commits = random.bool();
        let held_for = Duration::from_millis(random.u64(0..1500));
        let what = format!(
            "round {number}: {} {mishap:?}, the call {fate:?}, locks {early:?} then {late:?}, {} after {held_for:?}",
            if connects { "connect" } else { "refresh" },
            if commits { "COMMIT" } else { "ROLLBACK" },
        );
        let mut client = world.connect()?;
        let redirect = if connects {
            let mut owner = world.cluster.connect_as(OWNER)?;
            let url: String = owner.value("SELECT pinterest_authorize_url()")?;
            Some(world.browser()?.authorize(&url)?)
        } else {
            None
        };
        let consents = "SELECT COALESCE(max(consent), 0) FROM pinterest.token";
        let before: i64 = client.value(consents)?;

        let early: Vec<Client> = early.into_iter().map(|lock| self.lock(lock)).collect::<Result<_>>()?;
        let (gate, asked) = (format!("gate {number}"), arrived(world));
        sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: gate.clone() }).once());
        let mut caller = world.cluster.connect_as(OWNER)?;
        let pid: i32 = caller.value("SELECT pg_backend_pid()")?;
        match fate {
            Fate::RollsBack => caller.batch_execute("BEGIN")?,
            Fate::TimesOut => caller.batch_execute("SET statement_timeout = '700ms'")?,
            _ => {}
        }
        let account = self.account;
        let call = std::thread::spawn(move || {
            let result = match redirect {
                Some(redirect) => loop {
                    let called =
                        caller.query_one("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state]);
                    match called {
                        // No slot for a worker: nothing was sent, and the state is still valid.
                        Err(error) if error.code().is_some_and(|code| code.code() == "53000") => {
                            std::thread::sleep(Duration::from_millis(200));
                        }
                        called => break called.map(drop),
                    }
                },
                None => caller.query_one("SELECT pinterest_refresh($1)::text", &[&account]).map(drop),
            };
            if fate == Fate::RollsBack {
                let _ = caller.batch_execute("ROLLBACK");
            }
            result
        });
        // If the caller timed out before anything was sent, nothing can be lost.
        let sent = sandbox.requests().wait_for(Kind::Token, asked + 1, Duration::from_secs(15));
        let late: Vec<Client> = late.into_iter().map(|lock| self.lock(lock)).collect::<Result<_>>()?;
        let mut sleepers = Vec::new();
        match mishap {
            Mishap::Terminated => end_worker(&mut client)?,
            Mishap::SlotsFilled => {
                for _ in 0..8 {
                    let mut client = world.connect()?;
                    sleepers.push(std::thread::spawn(move || {
                        client.batch_execute("SET force_parallel_mode = on; SELECT pg_sleep(1.5)")
                    }));
                }
                end_worker(&mut client)?;
            }
            Mishap::Rotation => {
                let next = self.key % 250 + 1;
                self.keys.write(ring(&[next, self.key]).as_bytes())?;
                self.key = next;
            }
            Mishap::Fence => unless_locked(
                client.batch_execute(
                    "SET lock_timeout = '300ms'; UPDATE pinterest.installation SET database_identity = 'another'",
                ),
            )?,
            Mishap::NothingStored => unless_locked(client.batch_execute(
                "SET lock_timeout = '300ms'; ALTER TABLE pinterest.token ADD CONSTRAINT full_disk CHECK (false) NOT VALID",
            ))?,
            Mishap::Reload => drop(client.query_one("SELECT pg_reload_conf()", &[])?),
            Mishap::Nothing | Mishap::Killed => {}
        }
        if fate == Fate::IsTerminated {
            client.query_one("SELECT pg_terminate_backend($1)", &[&pid])?;
        }
        if mishap == Mishap::Killed {
            // The gate stays closed: an answer that is never sent cannot be lost.
            client = kill_worker(world)?;
        } else {
            sandbox.faults().release(&gate);
            std::thread::sleep(held_for);
        }
        for mut blocker in late.into_iter().chain(early) {
            let _ = blocker.batch_execute(if commits { "COMMIT" } else { "ROLLBACK" });
        }
        match mishap {
            Mishap::Fence => {
                client.batch_execute("SET lock_timeout = 0")?;
                wait_for("the adoption", SOON, || {
                    client.query_one("SELECT pinterest_adopt()", &[])?;
                    Ok(client
                        .value::<bool>("SELECT database_identity <> 'another' FROM pinterest.installation")?
                        .then_some(()))
                })?;
            }
            Mishap::NothingStored => client.batch_execute(
                "SET lock_timeout = 0; ALTER TABLE pinterest.token DROP CONSTRAINT IF EXISTS full_disk",
            )?,
            Mishap::Rotation => drop(client.query_one("SELECT pinterest_rotate_key()", &[]).context(what.clone())?),
            _ => {}
        }
        for sleeper in sleepers {
            let _ = sleeper.join();
        }
        let Ok(called) = call.join() else { panic!("the caller panicked: {what}") };
        if mishap == Mishap::Killed {
            client = wait_for("the server to accept connections", SOON, || Ok(world.connect().ok()))?;
        } else if connects && sent {
            until("the consent to be stored", || Ok(client.value::<i64>(consents)? > before))
                .with_context(|| format!("{what}; {called:?}"))?;
        }
        self.is_whole(&mut client).with_context(|| format!("{what}; {called:?}"))
    }

    /// Checks that there is one account, which is connected and whose tokens Pinterest accepts.
    fn is_whole(&mut self, client: &mut Client) -> Result<()> {
        let mut owner = self.world.cluster.connect_as(OWNER)?;
        // One of the locking statements may have committed another client secret.
        self.world.register_app(&mut owner, "sandbox")?;
        wait_for("all work to be done", Duration::from_secs(90), || {
            client.batch_execute(
                "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due > clock_timestamp()",
            )?;
            client.query_one("SELECT pinterest_rotate_key()", &[])?;
            let left = "SELECT (SELECT count(*) FROM pinterest.account WHERE identity_due IS NOT NULL)
                             + (SELECT count(*) FROM pinterest.token WHERE unsettled)";
            Ok((client.value::<i64>(left)? == 0).then_some(()))
        })?;
        ensure!(client.value::<i64>("SELECT count(*) FROM pinterest.account")? == 1, "there is a second account");
        if client.value::<i64>("SELECT count(*) FROM pinterest.token")? == 0 {
            // The owner has disconnected it.
            self.world.connect_account(&mut owner)?;
        }
        client
            .query_one("SELECT pinterest_pause_account(account_id, false) FROM pinterest.account", &[])
            .map(drop)
            .or_else(|_| owner.query_one("SELECT pinterest_pause_account($1, false)", &[&self.account]).map(drop))?;
        for _ in 0..2 {
            // After several kills, a worker is restarted later than a call waits.
            wait_for("a further refresh", Duration::from_secs(150), || {
                match owner.query_one("SELECT pinterest_refresh($1)::text", &[&self.account]) {
                    Err(error) if error.as_db_error().is_some_and(|error| error.message().starts_with("no worker")) => {
                        Ok(None)
                    }
                    refreshed => Ok(Some(refreshed.map(drop))),
                }
            })??;
        }
        let status: String = owner.value("SELECT status FROM pinterest.accounts")?;
        ensure!(status == "connected", "{status}");
        let boards = owner.query("SELECT * FROM pinterest_list_boards($1)", &[&self.account])?;
        ensure!(boards.len() == 1, "{} boards", boards.len());
        Ok(())
    }
}

/// Ignores the failure if another lock of the round causes it.
fn unless_locked(done: Result<(), postgres::Error>) -> Result<(), postgres::Error> {
    done.or_else(|error| match error.code() {
        Some(code) if code.code() == "55P03" => Ok(()),
        _ => Err(error),
    })
}

/// Ends the worker as an administrator does, if one runs.
fn end_worker(client: &mut Client) -> Result<()> {
    client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = $1", &[&WORKER])?;
    Ok(())
}

#[test]
fn no_mishap_loses_a_grant() -> Result<()> {
    let number = |name: &str, default: u64| -> u64 {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (rounds, seed) = (number("MISHAPS", 60), number("MISHAPS_SEED", 1));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORLDS)
            .map(|place| {
                scope.spawn(move || -> Result<Vec<String>> {
                    let mut failures = Vec::new();
                    let mut state = Rounds::start()?;
                    for round in (0..rounds).filter(|round| *round as usize % WORLDS == place) {
                        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(round));
                        if let Err(error) = state.run(usize::try_from(round)?, &mut random) {
                            failures.push(format!("{error:?}"));
                            if failures.len() > 5 {
                                break;
                            }
                            state = Rounds::start()?;
                        }
                    }
                    Ok(failures)
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(Ok(failures)) => failures,
                Ok(Err(error)) => vec![format!("{error:?}")],
                Err(_) => vec!["a thread panicked".to_owned()],
            })
            .collect()
    });
    assert!(failures.is_empty(), "{} of {rounds} rounds failed:\n{}", failures.len(), failures.join("\n\n"));
    Ok(())
}
