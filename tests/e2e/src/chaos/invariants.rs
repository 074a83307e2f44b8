//! The invariants that are checked at the end of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use postgres::Client;

use super::event::{BOARDS, Call, DATABASES, Event, USERS};
use super::stage::{Stage, board_name, database, track, username};
use crate::{Result, sqlsmith, wait_for};

/// The time limit of each wait.
const LONG: Duration = Duration::from_secs(180);

impl Stage {
    /// Checks all invariants.
    pub fn check(&mut self, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let mut checked = Vec::new();
        let mut say = |line: String| {
            tell(&line);
            checked.push(line);
        };
        say(self.tokens()?);
        say(self.queue()?);
        for user in 0..USERS {
            for board in 0..BOARDS {
                self.board(user, board).with_context(|| board_name(user, board))?;
            }
        }
        say(format!("{} boards match Pinterest", USERS * BOARDS));
        say(self.images()?);
        say(self.reports()?);
        say(self.tracked()?);
        say(self.log()?);
        self.outcome.checked = checked;
        Ok(())
    }

    /// Every account is connected with a valid token, unless its user disconnected it or an event lost the response
    /// with its only valid token.
    fn tokens(&mut self) -> Result<String> {
        let (mut connected, mut lost) = (0, 0);
        for user in 0..USERS {
            let mut status = String::new();
            // The next refresh resolves an uncertain one.
            let settled = wait_for("an account to be settled", LONG, || {
                let mut client = self.connect(user)?;
                let row = client.query_opt(
                    "SELECT concat_ws(': ', status, cause), account_id FROM pinterest.accounts
                      WHERE username = $1 ORDER BY account_id DESC LIMIT 1",
                    &[&username(user)],
                )?;
                status = row.as_ref().map_or_else(|| "none".to_owned(), |row| row.get(0));
                if status.starts_with("refresh_uncertain") {
                    self.superuser(&self.users[user].database)?.batch_execute(
                        "UPDATE pinterest.token SET refresh_after = now(), attempt_until = now() WHERE refresh_after > now()",
                    )?;
                    return Ok(None);
                }
                if status == "connected" {
                    let account: i64 = row.map_or(0, |row| row.get(1));
                    if let Err(error) = client.query_one("SELECT pinterest_refresh($1)::text", &[&account]) {
                        status = format!("connected, but a refresh fails: {error:?}");
                        return Ok(None);
                    }
                    client
                        .query("SELECT * FROM pinterest_list_boards($1)", &[&account])
                        .context("a token that Pinterest refuses")?;
                }
                Ok(Some(()))
            });
            settled.with_context(|| format!("{}: {status}", username(user)))?;
            match status.as_str() {
                "connected" => {
                    ensure!(!self.users[user].disconnected, "{} is no longer disconnected", username(user));
                    connected += 1;
                }
                _ if self.users[user].disconnected => {}
                status if status.starts_with("needs_reauth: lost_response") && self.lossy > 0 => lost += 1,
                status => bail!("{}'s account is {status}", username(user)),
            }
            if status != "connected" {
                let said = self.act(&Event::Call(user, Call::Reconnect))?;
                ensure!(said.is_empty(), "{} cannot connect again: {said}", username(user));
            }
        }
        Ok(format!("{connected} accounts connected, {lost} lost their token with a response"))
    }

    /// No import of a connected account stays in the queue.
    fn queue(&self) -> Result<String> {
        let mut left = Vec::new();
        let mut imports = 0_i64;
        let drained = wait_for("the queue to drain", LONG, || {
            self.hasten()?;
            left.clear();
            imports = 0;
            for number in 0..DATABASES {
                let mut client = self.superuser(&database(number))?;
                imports += client.query_one("SELECT count(*) FROM pinterest.import", &[])?.get::<_, i64>(0);
                let rows = client.query(
                    "SELECT i.import_id, i.state, i.phase, concat_ws(' ', i.reason, i.error_code), a.status
                       FROM pinterest.imports i JOIN pinterest.accounts a USING (account_id)
                      WHERE i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth')
                        AND a.status = 'connected'",
                    &[],
                )?;
                left.extend(rows.iter().map(|row| {
                    let text = |index: usize| row.get::<_, String>(index);
                    format!("import {} is {} {} {}", row.get::<_, i64>(0), text(1), text(2), text(3))
                }));
            }
            if !left.is_empty() {
                std::thread::sleep(Duration::from_millis(500));
            }
            Ok(left.is_empty().then_some(()))
        });
        drained.with_context(|| left.join("\n"))?;
        Ok(format!("the queue of {imports} imports is drained"))
    }

    /// After imports without faults a board has the pins that Pinterest has.
    fn board(&self, user: usize, board: usize) -> Result<()> {
        let sandbox = &self.world.sandbox;
        let name = board_name(user, board);
        let id = sandbox.board_id(&name)?;
        let truth: BTreeSet<String> = sandbox.pin_ids(&id)?.into_iter().collect();
        let mut difference = String::new();
        // A listing that lacks many pins has to be confirmed by another one.
        for _ in 0..4 {
            let mut client = self.connect(user)?;
            client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
            let import: i64 = client
                .query_one(
                    "SELECT pinterest_import_board($1, (SELECT max(account_id) FROM pinterest.accounts WHERE username = $2))",
                    &[&name, &username(user)],
                )?
                .get(0);
            let state = wait_for("an import", LONG, || {
                self.hasten()?;
                let row = client.query_one("SELECT pinterest_wait_for_import($1, interval '3 seconds')", &[&import])?;
                let state: String = row.get(0);
                Ok(["completed", "failed", "cancelled"].contains(&state.as_str()).then_some(state))
            })?;
            ensure!(state == "completed", "import {import} is {state}");
            let rows = client.query(
                "SELECT pin_id FROM pinterest.pin p JOIN pinterest.accounts a USING (account_id)
                  WHERE board_id = $1 AND removed_at IS NULL AND a.username = $2
                    AND a.status = 'connected'",
                &[&id, &username(user)],
            )?;
            let found: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
            if found == truth {
                return Ok(());
            }
            let missing: Vec<_> = truth.difference(&found).collect();
            let beyond: Vec<_> = found.difference(&truth).collect();
            difference = format!("missing {missing:?}, not at Pinterest {beyond:?}");
        }
        bail!("pins differ from Pinterest's: {difference}")
    }

    /// Every image has an embedding of length 1 or a reason.
    fn images(&self) -> Result<String> {
        let mut images = 0_i64;
        for number in 0..DATABASES {
            let mut client = self.superuser(&database(number))?;
            let row = client.query_one(
                "SELECT count(*),
                        count(*) FILTER (WHERE i.state = 'embedded' AND (embedding IS NULL OR abs(vector_norm(embedding) - 1) > 1e-3)),
                        count(*) FILTER (WHERE i.state IN ('skipped', 'failed') AND COALESCE(i.reason, '') = ''),
                        count(*) FILTER (WHERE i.state = 'pending' AND p.removed_at IS NULL AND a.status = 'connected'
                                           AND NOT EXISTS (SELECT FROM pinterest.import c WHERE c.account_id = i.account_id
                                                              AND c.state = 'cancelled'))
                   FROM pinterest.pin_image i JOIN pinterest.pin p USING (account_id, pin_id)
                   JOIN pinterest.account a USING (account_id)",
                &[],
            )?;
            let counts: [i64; 4] = std::array::from_fn(|index| row.get(index));
            ensure!(counts[1..] == [0, 0, 0], "of {} images: {counts:?} wrong, without a reason, pending", counts[0]);
            images += counts[0];
        }
        Ok(format!("{images} images have an embedding or a reason"))
    }

    /// The report of each finished import adds up.
    fn reports(&self) -> Result<String> {
        let mut reports = 0;
        for number in 0..DATABASES {
            let mut client = self.superuser(&database(number))?;
            let rows = client.query(
                "SELECT import_id,
                        COALESCE(sum(count) FILTER (WHERE item = 'pin' AND outcome = 'listed'), 0)::int8,
                        COALESCE(sum(count) FILTER (WHERE item = 'pin' AND outcome IN ('with_images', 'without_image', 'left_out')), 0)::int8,
                        COALESCE(sum(count) FILTER (WHERE item = 'image' AND outcome = 'found'), 0)::int8,
                        COALESCE(sum(count) FILTER (WHERE item = 'image' AND outcome <> 'found'), 0)::int8
                   FROM pinterest.import_report JOIN pinterest.imports USING (import_id) WHERE state = 'completed'
                  GROUP BY import_id",
                &[],
            )?;
            for row in &rows {
                let [listed, came, found, done]: [i64; 4] = std::array::from_fn(|index| row.get(index + 1));
                let import: i64 = row.get(0);
                ensure!(listed == came, "import {import}: {listed} pins listed, {came} accounted for");
                ensure!(found == done, "import {import}: {found} images found, {done} accounted for");
            }
            reports += rows.len();
        }
        Ok(format!("{reports} reports add up"))
    }

    /// Every tracked row has the embedding of its present source or a reason.
    fn tracked(&self) -> Result<String> {
        let mut rows = 0_i64;
        for user in 0..USERS {
            let name = format!("places_{user}");
            let mut client = self.connect(user)?;
            client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
            client.batch_execute(&track(user)).with_context(|| format!("pinterest_track('{name}')"))?;
            client.batch_execute(&format!("SELECT pinterest_retry_tracked('{name}')"))?;
            let mut state = String::new();
            wait_for("the tracked rows", LONG, || {
                self.hasten()?;
                state = tracked_state(&mut client)?;
                let pending: i64 = client
                    .query_one("SELECT pinterest_wait_for_tracked($1::text::regclass, interval '2 seconds')", &[&name])?
                    .get(0);
                Ok((pending == 0).then_some(()))
            })
            .with_context(|| format!("{name}: {state}"))?;
            let row = client.query_one(
                &format!(
                    "SELECT count(*),
                            count(*) FILTER (WHERE t.description IS NULL AND t.embedding IS NOT NULL),
                            count(*) FILTER (WHERE t.description IS NOT NULL AND t.embedding IS NULL AND f.key IS NULL),
                            count(*) FILTER (WHERE t.embedding IS NOT NULL AND t.description IS NOT NULL
                                               AND t.embedding <=> pinterest_embed_text(t.description) > 1e-4)
                       FROM {name} t LEFT JOIN pinterest.tracked_failures f ON f.key = ARRAY[t.id::text]
                        AND f.\"table\" LIKE '%{name}' AND f.state = 'failed'"
                ),
                &[],
            )?;
            let counts: [i64; 4] = std::array::from_fn(|index| row.get(index));
            ensure!(
                counts[1..] == [0, 0, 0],
                "{name}: of {} rows {counts:?} with the embedding of nothing, without one or a reason, of another source",
                counts[0]
            );
            rows += counts[0];
        }
        Ok(format!("{rows} tracked rows have the embedding of their source, or a reason"))
    }

    /// The log contains no crashes except those caused by this run, and no secrets.
    fn log(&self) -> Result<String> {
        let log = self.world.cluster.log()?;
        let (killed, others): (Vec<String>, Vec<String>) = sqlsmith::crashes(&log)
            .into_iter()
            .filter(|line| !line.contains("all server processes terminated"))
            .partition(|line| line.contains("was terminated by signal 9"));
        ensure!(others.is_empty(), "faults in the log:\n{}", others.join("\n"));
        let killed = killed.iter().filter(|line| !line.contains("pinterest-embedder")).count() as u64;
        ensure!(killed <= self.kills, "{killed} server processes were killed, {} of them by this run", self.kills);
        let mut secrets = vec![self.world.sandbox.config().app.client_secret.clone()];
        for user in 0..USERS {
            secrets.extend(self.world.sandbox.valid_access_token(&username(user)));
            secrets.extend(self.world.sandbox.valid_refresh_token(&username(user)));
        }
        for secret in &secrets {
            ensure!(!log.contains(secret.as_str()), "the log contains a secret");
        }
        for token in ["pina_", "pinr."] {
            ensure!(!log.contains(token), "the log contains something like a token ({token})");
        }
        Ok(format!("{} lines of log without a fault or secret", log.lines().count()))
    }
}

fn tracked_state(client: &mut Client) -> Result<String> {
    let rows = client.query(
        "SELECT concat_ws(' ', \"table\", state, problem, 'pending', pending, 'failed', failed) FROM pinterest.tracked",
        &[],
    )?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; "))
}
