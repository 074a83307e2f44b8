//! The action of each step.

use std::time::Duration;

use anyhow::Context;
use postgres::Client;
use sandbox::{Fault, Kind, Rule};

use super::event::{BOARDS, Call, Change, Event, Hold, Shape, Signal, USERS, Victim, Write};
use super::stage::{Stage, board_name, database, ring, table, track, username};
use crate::process::{kill9, terminate};
use crate::{Result, Stop};

/// Settings that are changed by a reload, each with permitted values.
const SETTINGS: [(&str, [&str; 2]); 7] = [
    ("pinterest.parallel_downloads", ["1", "8"]),
    ("pinterest.workers_per_database", ["1", "2"]),
    ("pinterest.embedder_idle_timeout", ["1s", "10min"]),
    ("pinterest.worker_idle_timeout", ["1s", "1min"]),
    ("pinterest.embedder_threads", ["1", "2"]),
    ("pinterest.reuse_across_accounts", ["on", "off"]),
    ("log_min_messages", ["debug1", "warning"]),
];

/// SQLSTATEs that a statement may fail with: provoked errors, locks, ended sessions.
const MAY_BE: [&str; 20] = [
    "22023", "23505", "25P02", "28000", "34000", "40001", "40P01", "42501", "42701", "42703", "42704", "42710",
    "42P01", "42P07", "53000", "53300", "53400", "54000", "55000", "55006",
];
/// Classes of such SQLSTATEs: connection exceptions, errors of Pinterest, operator intervention.
const MAY_BE_CLASSES: [&str; 4] = ["08", "57", "55", "P0"];

impl Stage {
    /// Runs one step and returns its line for the log.
    pub fn act(&mut self, event: &Event) -> Result<String> {
        match event {
            Event::Breathe(milliseconds) => {
                std::thread::sleep(Duration::from_millis(*milliseconds));
                Ok(String::new())
            }
            Event::Call(user, call) => self.call(*user, *call),
            Event::Write(user, write) => self.statement(*user, &write_sql(*user, *write)),
            Event::Shape(user, shape) => self.shape(*user, *shape),
            Event::Hold(hold) => self.hold(*hold),
            Event::Release => {
                self.held.clear();
                Ok(String::new())
            }
            Event::End(victim, signal) => self.end(*victim, *signal),
            Event::Restart { crash } => {
                self.held.clear();
                self.restarted = true;
                self.lossy += 1;
                self.world.cluster.restart(if *crash { Stop::Immediate } else { Stop::Fast })?;
                Ok(String::new())
            }
            Event::Reload(which) => {
                let (name, values) = SETTINGS[which % SETTINGS.len()];
                let value = values[which / SETTINGS.len() % 2];
                self.world.cluster.set(name, value)?;
                self.world.connect()?.batch_execute("SELECT pg_reload_conf()")?;
                Ok(format!("{name} = {value}"))
            }
            Event::RotateKey => self.rotate_key(),
            Event::Advance(seconds) => {
                self.world.sandbox.advance_clock(Duration::from_secs(*seconds));
                Ok(String::new())
            }
            Event::TokensDue(user) => {
                let mut client = self.superuser(&self.users[*user].database)?;
                client.batch_execute("SET statement_timeout = '3s'")?;
                let due = "UPDATE pinterest.token SET refresh_after = now() WHERE attempt_by IS NULL";
                self.outcome_of(client.batch_execute(due))
            }
            Event::ExpireAccess(user) => {
                self.world.sandbox.expire_access_tokens(&username(*user))?;
                Ok(String::new())
            }
            Event::Board(user, board, change) => self.change_board(*user, *board, *change),
            Event::Fault(which) => {
                let rule = fault(*which);
                let said = format!("{rule:?}");
                // The fault may lose a response with tokens that Pinterest has sent.
                self.lossy += 1;
                self.world.sandbox.faults().add(rule);
                Ok(said)
            }
            Event::ExpireBookmarks => {
                self.world.sandbox.expire_bookmarks();
                Ok(String::new())
            }
        }
    }

    /// Runs a statement of a user, which may be refused.
    fn statement(&mut self, user: usize, sql: &str) -> Result<String> {
        let mut client = self.connect(user)?;
        let result = client.batch_execute(sql);
        self.outcome_of(result)
    }

    /// The error of a statement, which must be a permitted one; empty if the statement succeeded.
    fn outcome_of(&mut self, result: Result<(), postgres::Error>) -> Result<String> {
        let Err(error) = result else { return Ok(String::new()) };
        self.outcome.refused += 1;
        let Some(refused) = error.as_db_error() else {
            return Err(error).context("a session ended");
        };
        let code = refused.code().code();
        let said = format!("{code}: {}", refused.message());
        let known = MAY_BE.contains(&code) || MAY_BE_CLASSES.contains(&&code[..2]);
        anyhow::ensure!(known, "a statement was refused with {said}");
        Ok(said)
    }

    fn call(&mut self, user: usize, call: Call) -> Result<String> {
        let board = |board: usize| board_name(user, board);
        let latest = "(SELECT import_id FROM pinterest.imports ORDER BY import_id DESC LIMIT 1)";
        let account = "(SELECT account_id FROM pinterest.accounts ORDER BY account_id LIMIT 1)";
        let sql = match call {
            Call::Import(number) => format!("SELECT pinterest_import_board('{}')", board(number)),
            Call::ImportRolledBack(number) => {
                format!("BEGIN; SELECT pinterest_import_board('{}'); ROLLBACK", board(number))
            }
            Call::Sync(number) => format!("SELECT pinterest_sync_board('{}', interval '20 minutes')", board(number)),
            Call::NoSync(number) => format!("SELECT pinterest_sync_board('{}', NULL)", board(number)),
            Call::Cancel => format!("SELECT pinterest_cancel_import({latest})"),
            Call::Pause => format!("SELECT pinterest_pause_account({account})"),
            Call::Resume => format!("SELECT pinterest_pause_account({account}, false)"),
            Call::Disconnect => {
                let result = self.statement(user, &format!("SELECT pinterest_disconnect({account})"))?;
                self.users[user].disconnected |= result.is_empty();
                return Ok(result);
            }
            Call::Reconnect => return self.reconnect(user),
            Call::Refresh => format!("SELECT pinterest_refresh({account})"),
            Call::RetryFailed => format!("SELECT pinterest_retry_failed({latest})"),
            Call::Reembed(number) => format!("SELECT pinterest_reembed_board('{}')", board(number)),
            Call::Recommend(number) => {
                format!("SELECT * FROM pinterest_recommend('{}', 'places_{user}', k => 3)", board(number))
            }
            Call::Themes(number) => format!("SELECT * FROM pinterest_board_themes('{}')", board(number)),
            Call::EmbedText => "SELECT pinterest_embed_text('a barn')".to_owned(),
            Call::Gallery(number) => format!("SELECT pinterest_gallery('{}')", board(number)),
            Call::Export => format!("SELECT pinterest_export({account})"),
            Call::Doctor => "SELECT * FROM pinterest_doctor()".to_owned(),
            Call::ListBoards => "SELECT * FROM pinterest_list_boards()".to_owned(),
            Call::Purge(number) => format!("SELECT * FROM pinterest_purge_board('{}')", board(number)),
            Call::RetryTracked => format!("SELECT pinterest_retry_tracked('places_{user}')"),
            Call::WaitForTracked => format!("SELECT pinterest_wait_for_tracked('places_{user}', '1 second')"),
        };
        self.statement(user, &sql)
    }

    /// Connects the account again. Returns the error if that fails.
    fn reconnect(&mut self, user: usize) -> Result<String> {
        match self.connect_account(user) {
            Ok(()) => {
                self.users[user].disconnected = false;
                Ok(String::new())
            }
            Err(error) => match error.downcast_ref::<postgres::Error>() {
                Some(_) => match error.downcast::<postgres::Error>() {
                    Ok(error) => self.outcome_of(Err(error)),
                    Err(error) => Err(error),
                },
                None => Ok(format!("{error:#}")),
            },
        }
    }

    fn shape(&mut self, user: usize, shape: Shape) -> Result<String> {
        let name = format!("places_{user}");
        let sql = match shape {
            Shape::RenameTable => {
                format!("ALTER TABLE {name} RENAME TO {name}_b; ALTER TABLE {name}_b RENAME TO {name}")
            }
            Shape::RenameColumn => format!(
                "ALTER TABLE {name} RENAME COLUMN description TO words; ALTER TABLE {name} RENAME COLUMN words TO description"
            ),
            Shape::AddColumn => format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS extra int DEFAULT 7"),
            Shape::DropAndTrackAgain => format!("DROP TABLE IF EXISTS {name}; {}; {}", table(user), track(user)),
            Shape::Untrack => format!("SELECT pinterest_untrack('{name}')"),
            Shape::Track => track(user),
            Shape::Vacuum => format!("VACUUM FULL {name}"),
            Shape::Reindex => format!("REINDEX TABLE {name}"),
            Shape::SlowTrigger => format!(
                "CREATE OR REPLACE FUNCTION slow_{user}() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END $$;
                 DROP TRIGGER IF EXISTS odd ON {name};
                 CREATE TRIGGER odd BEFORE UPDATE OF embedding ON {name} FOR EACH ROW EXECUTE FUNCTION slow_{user}()"
            ),
            Shape::FailingTrigger => format!(
                "CREATE OR REPLACE FUNCTION fail_{user}() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN IF NEW.id % 3 = 0 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
                 DROP TRIGGER IF EXISTS odd ON {name};
                 CREATE TRIGGER odd BEFORE UPDATE OF embedding ON {name} FOR EACH ROW EXECUTE FUNCTION fail_{user}()"
            ),
            Shape::NoTriggers => format!("DROP TRIGGER IF EXISTS odd ON {name}"),
        };
        // VACUUM cannot run in a transaction block.
        self.statement(user, &sql)
    }

    fn hold(&mut self, hold: Hold) -> Result<String> {
        // A limit, because each takes a connection.
        if self.held.len() >= 4 {
            self.held.remove(0);
        }
        let (mut client, sql): (Client, String) = match hold {
            Hold::ImportTable => {
                (self.superuser(&database(0))?, "BEGIN; LOCK TABLE pinterest.import IN SHARE MODE".to_owned())
            }
            Hold::PinImages => (
                self.superuser(&database(0))?,
                "BEGIN; LOCK TABLE pinterest.pin_image IN ACCESS EXCLUSIVE MODE".to_owned(),
            ),
            Hold::PausedAccount(user) => (
                self.connect(user)?,
                "BEGIN; SELECT pinterest_pause_account((SELECT min(account_id) FROM pinterest.accounts), false)"
                    .to_owned(),
            ),
            Hold::TrackedTable(user) => {
                (self.connect(user)?, format!("BEGIN; LOCK TABLE places_{user} IN ACCESS EXCLUSIVE MODE"))
            }
            Hold::TrackedRows(user) => (self.connect(user)?, format!("BEGIN; SELECT 1 FROM places_{user} FOR UPDATE")),
            Hold::Snapshot => (
                self.superuser(&database(0))?,
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pinterest.import".to_owned(),
            ),
        };
        client.batch_execute("SET lock_timeout = '1s'; SET statement_timeout = '5s'")?;
        let result = client.batch_execute(&sql);
        let said = self.outcome_of(result)?;
        if said.is_empty() {
            self.held.push(client);
        }
        Ok(said)
    }

    fn end(&mut self, victim: Victim, signal: Signal) -> Result<String> {
        let pids: Vec<i32> = match victim {
            Victim::Worker => self.pids("backend_type LIKE 'pg_pinterest %worker'")?,
            Victim::Launcher => self.pids("backend_type = 'pg_pinterest launcher'")?,
            Victim::Supervisor => self.pids("backend_type = 'pg_pinterest supervisor'")?,
            Victim::Embedder => self.world.cluster.embedder()?.into_iter().map(|process| process.pid).collect(),
            Victim::Backend => {
                let mut client = self.connect(0)?;
                let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
                self.held.push(client);
                vec![pid]
            }
        };
        let Some(pid) = pids.into_iter().next() else { return Ok("no such process".to_owned()) };
        self.lossy += 1;
        // The process may already have ended.
        let ended = match signal {
            Signal::Term => terminate(pid),
            Signal::Kill => kill9(pid),
        };
        if let Err(error) = ended {
            return Ok(format!("{error:#}"));
        }
        if signal == Signal::Kill && victim != Victim::Embedder {
            self.await_crash()?;
        }
        Ok(format!("process {pid}"))
    }

    fn pids(&self, which: &str) -> Result<Vec<i32>> {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE {which} ORDER BY pid");
        Ok(self.world.connect()?.query(&sql, &[])?.iter().map(|row| row.get(0)).collect())
    }

    /// Adds a key, which removes the oldest one from the file, unless secrets are still sealed with an older key.
    fn rotate_key(&mut self) -> Result<String> {
        for user in [0, USERS - 1] {
            let mut client = self.superuser(&self.users[user].database)?;
            client.batch_execute("SET statement_timeout = '5s'")?;
            let old = "SELECT COALESCE(sum(secrets), 0)::int8 FROM pinterest_keys() WHERE NOT active";
            match client.query_one(old, &[]) {
                Ok(row) if row.get::<_, i64>(0) == 0 => {}
                Ok(row) => return Ok(format!("{} secrets are sealed with the previous key", row.get::<_, i64>(0))),
                Err(error) => return self.outcome_of(Err(error)),
            }
        }
        self.key = self.key.checked_add(1).unwrap_or(3);
        self.keys.write(ring(self.key).as_bytes())?;
        for user in [0, USERS - 1] {
            let mut client = self.superuser(&self.users[user].database)?;
            client.batch_execute("SET statement_timeout = '5s'")?;
            let result = client.batch_execute("SELECT pinterest_rotate_key()");
            let said = self.outcome_of(result)?;
            if !said.is_empty() {
                return Ok(said);
            }
        }
        Ok(String::new())
    }

    fn change_board(&mut self, user: usize, board: usize, change: Change) -> Result<String> {
        let sandbox = &self.world.sandbox;
        let id = sandbox.board_id(&board_name(user, board))?;
        let pins = sandbox.pin_ids(&id)?;
        match (change, pins.first()) {
            (Change::Add(count), _) if pins.len() < 40 => {
                sandbox.add_pins(&id, count)?;
            }
            (Change::Remove, Some(pin)) if pins.len() > 2 => sandbox.remove_pin(pin)?,
            (Change::Move, Some(pin)) if pins.len() > 2 => {
                let other = sandbox.board_id(&board_name(user, (board + 1) % BOARDS))?;
                sandbox.move_pin(pin, &other)?;
            }
            _ => return Ok("not changed".to_owned()),
        }
        Ok(String::new())
    }
}

fn write_sql(user: usize, write: Write) -> String {
    let name = format!("places_{user}");
    match write {
        Write::Insert(count) => format!(
            "INSERT INTO {name} (id, description) SELECT (random() * 1e9)::int8, 'a new place ' || n
               FROM generate_series(1, {count}) AS n ON CONFLICT DO NOTHING"
        ),
        Write::Update(count) => format!(
            "UPDATE {name} SET description = 'a changed place ' || (random() * 1e6)::int
              WHERE id IN (SELECT id FROM {name} ORDER BY random() LIMIT {count})"
        ),
        Write::Upsert(count) => format!(
            "INSERT INTO {name} (id, description) SELECT n, 'a place again ' || n FROM generate_series(1, {count}) AS n
               ON CONFLICT (id) DO UPDATE SET description = excluded.description || (random() * 9)::int"
        ),
        Write::Delete(count) => {
            format!("DELETE FROM {name} WHERE id IN (SELECT id FROM {name} ORDER BY random() LIMIT {count})")
        }
        Write::Truncate => format!("TRUNCATE {name}"),
        Write::MoveKeys => format!("UPDATE {name} SET id = id + 1000000007 WHERE id % 5 = 0"),
        Write::EmptySources => format!("UPDATE {name} SET description = NULL WHERE id % 7 = 0"),
        Write::RolledBack => format!("BEGIN; UPDATE {name} SET description = 'never'; ROLLBACK"),
        Write::Bulk => format!(
            "INSERT INTO {name} (id, description) SELECT 5000000000 + n, 'one of many ' || n
               FROM generate_series(1, 100) AS n ON CONFLICT DO NOTHING"
        ),
    }
}

/// Transient faults, each for a few requests.
fn fault(which: usize) -> Rule {
    let kinds = [Kind::BoardPins, Kind::Boards, Kind::Board, Kind::Image, Kind::Token];
    let kind = kinds[which % kinds.len()];
    let seconds = |text: &str| Fault::RateLimited { retry_after: Some(text.to_owned()), reset: None };
    let faults = [
        seconds("1"),
        seconds("nonsense"),
        Fault::ServerError { status: 500 },
        Fault::ServerError { status: 503 },
        Fault::Html502,
        Fault::Html200,
        Fault::TruncatedBody,
        Fault::SlowBody { bytes_per_second: 200 },
        Fault::WrongContentLength { difference: 40 },
        Fault::SomethingWentWrong,
        Fault::RetryAfterText { seconds: 1 },
        Fault::ResetBeforeHeaders,
        Fault::ResetAfterHeaders,
        Fault::LostAnswer,
        Fault::Delay { milliseconds: 1_500 },
        Fault::RepeatedBookmark,
        Fault::ShortPage { items: 2 },
        Fault::DuplicateItems,
        Fault::CorruptImage,
        Fault::HugeHeader { bytes: 100_000 },
        Fault::ManyHeaders { count: 300 },
        Fault::GzipBomb { mebibytes: 20 },
    ];
    let fault = faults[which / kinds.len() % faults.len()].clone();
    Rule::on(kind, fault).times(1 + (which % 4) as u64)
}
