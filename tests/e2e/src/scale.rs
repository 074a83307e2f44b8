//! Many accounts on one server: generated rows, and the plans of the statements that run beside them.

use std::collections::BTreeMap;

use anyhow::Context;
use postgres::Client;

use crate::{Cluster, Result};

/// The role that owns nearly all generated accounts.
pub const COUPLES: &str = "couples";
/// A role that owns a few of them.
pub const TENANT: &str = "tenant_7";

/// Tables whose rows grow with the accounts.
pub const LARGE: [&str; 8] =
    ["account", "token", "quota_ledger", "board", "import", "import_outcome", "pin", "pin_image"];

/// Settings of a server that logs the plan of each statement, for [`plans`].
pub const EXPLAINED: [(&str, &str); 3] = [
    ("shared_preload_libraries", "auto_explain, pg_pinterest"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_nested_statements", "on"),
];

/// The rows to generate.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Accounts, one in ten of which needs its user; 99 of 100 belong to [`COUPLES`], the others to a hundred roles.
    pub accounts: i64,
    /// Pins of each account, on two boards, each with one image.
    pub pins_each: i64,
    /// Finished imports of each account.
    pub imports_each: i64,
    /// Of so many images one has an embedding; the others are skipped, because vectors take most of the space. One in
    /// 500 is pending.
    pub embedded_of: i64,
}

/// Inserts the rows beside those of the connected account, whose tokens the generated ones resemble without being valid.
///
/// As a superuser who turns foreign keys off, because their checks take longer than the rest; and with the indexes of
/// the largest tables built afterwards.
pub fn fill(client: &mut Client, size: Size) -> Result<()> {
    let Size { accounts, pins_each, imports_each, embedded_of } = size;
    client.batch_execute(
        "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB';
         SET auto_explain.log_min_duration = -1",
    )?;
    client.batch_execute(&format!(
        "DO $$ BEGIN
             EXECUTE 'CREATE ROLE {COUPLES} LOGIN';
             PERFORM pinterest_grant('{COUPLES}');
             FOR n IN 0..99 LOOP
                 EXECUTE format('CREATE ROLE tenant_%s LOGIN', n);
             END LOOP;
             PERFORM pinterest_grant('{TENANT}');
         END $$"
    ))?;
    let rows = [
        format!(
            "INSERT INTO pinterest.app (owner, name, client_id, redirect_uri, tier)
             VALUES ('{COUPLES}', 'generated', '1', 'https://example.com/', 'standard')"
        ),
        format!(
            "INSERT INTO pinterest.account (owner, app_id, pinterest_user_id, username, status, cause, scopes, scopes_requested)
             SELECT (CASE WHEN n % 100 = 50 THEN 'tenant_' || (n / 100) % 100 ELSE '{COUPLES}' END)::pinterest.role_owner,
                    p.app_id, 'user ' || n, 'user_' || n, CASE WHEN n % 10 = 3 THEN 'needs_reauth' ELSE 'connected' END,
                    CASE WHEN n % 10 = 3 THEN 'rejected: revoked' END, s.scopes, s.scopes
             FROM pinterest.app p, generate_series(1, {accounts}) n,
                  (VALUES ('{{boards:read,pins:read,user_accounts:read}}'::text[])) AS s(scopes)
             WHERE p.name = 'generated'"
        ),
        "CREATE TEMP TABLE generated AS SELECT a.account_id, a.owner, row_number() OVER (ORDER BY a.account_id) AS n,
                a.status = 'needs_reauth' AS lost, random() AS r
         FROM pinterest.account a JOIN pinterest.app p USING (app_id) WHERE p.name = 'generated'"
            .to_owned(),
        "ANALYZE generated".to_owned(),
        // None is due while the workers run: they could not open these. Those of lost accounts have been for long.
        "INSERT INTO pinterest.token (account_id, consent, access_token, refresh_token, previous_refresh_token,
             access_expires_at, refresh_expires_at, refreshed_at, refresh_after, granted_scopes, generation,
             dormant_generation)
         SELECT g.account_id, 1, t.sealed, t.sealed, t.sealed, g.at + '30 days', g.at + '60 days', g.at,
                CASE WHEN g.lost THEN g.at + '20 days'
                     ELSE GREATEST(g.at + '20 days'::interval * (1 - random() / 20), now() + '6 hours') END, '{pins:read}', g.n + 10,
                CASE WHEN g.lost THEN g.n + 10 END
         FROM (SELECT *, now() - '20 days'::interval * r - CASE WHEN lost THEN '30 days'::interval ELSE '0' END AS at
               FROM generated) AS g,
              LATERAL (SELECT substr(o.access_token, 1, 10) || decode(repeat(md5(g.n::text), 8), 'hex') AS sealed
                       FROM pinterest.token o WHERE o.account_id <> g.account_id ORDER BY o.account_id LIMIT 1) AS t"
            .to_owned(),
        "INSERT INTO pinterest.quota_ledger (account_id, category, request_limit, remaining, window_length, reset_at, observed_at)
         SELECT g.account_id, 'org_read', 1000, 990, '1 minute', now(), now() FROM generated g"
            .to_owned(),
        "INSERT INTO pinterest.board (account_id, board_id, name, pin_count, created_at, pins_modified_at,
             imported_modified_at, imported_pin_count, imported_pins, imported_at, confirmed_at, sync_every, next_sync_at, owner)
         SELECT g.account_id, (g.account_id * 10 + b)::text || '00000', 'Board ' || b, 50, now() - '1 year'::interval,
                now() - '30 days'::interval, now() - '30 days'::interval, 50, 50, now() - '1 day'::interval * g.r,
                now() - '1 day'::interval * g.r, CASE WHEN b = 1 THEN '1 day'::interval END,
                CASE WHEN b = 1 THEN now() + '1 hour'::interval + '1 day'::interval * g.r END, g.owner
         FROM generated g, generate_series(1, 2) b ORDER BY g.account_id"
            .to_owned(),
        format!(
            "INSERT INTO pinterest.import (account_id, board_reference, board_id, state, phase, due, listing_complete, coverage,
                 pins_reported, pins_listed, images_total, images_reused, created_at, started_at, finished_at)
             SELECT g.account_id, b.id, b.id, 'completed', 'finished', NULL, true, 'unchanged', 50, 50, 50, 50,
                    now() - t.age, now() - t.age, now() - t.age
             FROM generated g, generate_series(1, {imports_each}) i,
                  LATERAL (SELECT (g.account_id * 10 + 1 + i % 2)::text || '00000' AS id) AS b,
                  LATERAL (SELECT '1 day'::interval * (g.r + i) AS age) AS t ORDER BY i, g.account_id"
        ),
        "INSERT INTO pinterest.import_outcome (account_id, import_id, item, outcome, reason, count)
         SELECT i.account_id, i.import_id, k.item, k.outcome, k.reason, 50 FROM pinterest.import i JOIN generated g USING (account_id),
              (VALUES ('image', 'reused', 'unchanged'), ('pin', 'with_images', '')) AS k(item, outcome, reason)"
            .to_owned(),
        // Imports that wait: one in fifty sleeps until its quota is renewed, those of lost accounts wait for their users.
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, state, due, wake_at)
         SELECT g.account_id, b.board_id, b.board_id, CASE WHEN g.lost THEN 'needs_reauth' ELSE 'waiting_quota' END,
                CASE WHEN NOT g.lost THEN false END, now() + '6 hours'::interval
         FROM generated g JOIN pinterest.board b ON b.account_id = g.account_id AND b.name = 'Board 2'
         WHERE g.lost OR g.n % 50 = 7"
            .to_owned(),
        "CREATE TEMP TABLE vectors AS SELECT n AS id, l2_normalize((SELECT array_agg(random() - 0.5 + 0 * (n + d))
             FROM generate_series(1, 512) d)::vector) AS embedding FROM generate_series(1, 1000) n"
            .to_owned(),
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension, used_at)
         VALUES ('\\x01', 'generated', '', 'f32', 'generated', 512, now() - '1 day'::interval)"
            .to_owned(),
    ];
    for statement in rows {
        run(client, &statement)?;
    }
    let indexes: Vec<(String, String)> = client
        .query(
            "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
             WHERE i.indrelid IN ('pinterest.pin'::regclass, 'pinterest.pin_image'::regclass) AND NOT i.indisprimary",
            &[],
        )?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    for (name, _) in &indexes {
        run(client, &format!("DROP INDEX {name}"))?;
    }
    let pin = "(1000000000000 + g.account_id * 100000 + k)::text || '00001'";
    let last = "SELECT account_id, max(import_id) AS import_id FROM pinterest.import GROUP BY account_id";
    run(client, &format!("CREATE TEMP TABLE last AS {last}; ANALYZE last"))?;
    run(
        client,
        &format!(
            "INSERT INTO pinterest.pin (account_id, pin_id, board_id, title, link, link_domain, created_at, raw, import_id, imported_at, owner)
             SELECT g.account_id, {pin}, (g.account_id * 10 + 1 + k % 2)::text || '00000', 'Pin ' || k,
                    'https://example.com/' || k, 'example.com', now() - '1 hour'::interval * k, '{{}}', g.import_id,
                    now() - '1 day'::interval * g.r, g.owner
             FROM (SELECT g.*, l.import_id FROM generated g JOIN last l USING (account_id) ORDER BY account_id) AS g,
                  generate_series(1, {pins_each}) k"
        ),
    )?;
    run(
        client,
        &format!(
            "INSERT INTO pinterest.pin_image (account_id, pin_id, position, kind, candidates, content_hash, state, reason,
                 reason_code, import_id, embedding, model_id, embedded_at, owner)
             SELECT g.account_id, {pin}, 0, 'image', '[]', md5(g.account_id::text || ' ' || k), s.state,
                    CASE WHEN s.state = 'skipped' THEN 'generated' END, CASE WHEN s.state = 'skipped' THEN 'generated' END,
                    g.import_id, v.embedding,
                    CASE WHEN s.state = 'embedded' THEN m.model_id END, now(), g.owner
             FROM (SELECT g.*, l.import_id FROM generated g JOIN last l USING (account_id) ORDER BY account_id) AS g
                  CROSS JOIN (SELECT model_id FROM pinterest.model WHERE name = 'generated') AS m
                  CROSS JOIN generate_series(1, {pins_each}) k
                  CROSS JOIN LATERAL (SELECT CASE WHEN (g.n * {pins_each} + k) % {embedded_of} = 0 THEN 'embedded'
                                       WHEN (g.n * {pins_each} + k) % 500 = 1 THEN 'pending' ELSE 'skipped' END AS state) AS s
                  LEFT JOIN vectors v ON s.state = 'embedded' AND v.id = 1 + (g.n * 7 + k) % 1000"
        ),
    )?;
    for (_, definition) in &indexes {
        run(client, definition)?;
    }
    for table in LARGE {
        run(client, &format!("VACUUM (ANALYZE) pinterest.{table}"))?;
    }
    run(
        client,
        "DROP TABLE generated, last, vectors; RESET session_replication_role; RESET auto_explain.log_min_duration",
    )
}

fn run(client: &mut Client, statement: &str) -> Result<()> {
    client.batch_execute(statement).with_context(|| statement.chars().take(200).collect::<String>())
}

/// A statement that a server has logged with its plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kind of process that ran it, as in `pg_stat_activity`.
    pub process: String,
    /// Its time in milliseconds.
    pub milliseconds: f64,
    /// Its text.
    pub statement: String,
    /// The lines of the plan.
    pub lines: Vec<String>,
}

impl Plan {
    /// The tables of [`LARGE`] that it reads from end to end: row by row, or by one of these indexes of whole tables
    /// without a condition, except for its first rows.
    pub fn scanned(&self, whole: &[String]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (place, line) in self.lines.iter().enumerate() {
            let Some((_, node)) = line.split_once("Scan ") else { continue };
            let node = node.strip_prefix("Backward ").unwrap_or(node);
            let (index, table) = match node.strip_prefix("on ") {
                Some(rest) if line.contains("Seq Scan on ") => (None, rest),
                Some(_) => continue,
                None => match node.strip_prefix("using ").and_then(|rest| rest.split_once(" on ")) {
                    Some((index, rest)) => (Some(index), rest),
                    None => continue,
                },
            };
            let Some(table) = LARGE.into_iter().find(|large| table.split(' ').next() == Some(*large)) else { continue };
            let unbounded = match index {
                None => true,
                Some(index) => {
                    whole.iter().any(|name| name == index)
                        && !self.attributes(place).any(|attribute| attribute.starts_with("Index Cond"))
                        && !self.parent(place).is_some_and(|parent| parent.starts_with("Limit"))
                }
            };
            if unbounded {
                found.push(table);
            }
        }
        found
    }

    /// The lines about the node in this line.
    fn attributes(&self, place: usize) -> impl Iterator<Item = &str> {
        let lines = self.lines[place + 1..].iter().map(|line| line.trim_start());
        lines.take_while(|line| !line.starts_with("->"))
    }

    /// The node that reads from the one in this line.
    fn parent(&self, place: usize) -> Option<&str> {
        let depth = |line: &str| line.len() - line.trim_start().len();
        let own = depth(self.lines[place].as_str());
        let mut above = self.lines[..place].iter().rev().map(String::as_str);
        let node = above.find(|line| line.contains("(cost=") && depth(line) < own)?;
        Some(node.trim_start().trim_start_matches("->").trim())
    }
}

/// The indexes of [`LARGE`] that contain all rows of their tables.
pub fn whole_indexes(client: &mut Client) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         JOIN pg_class t ON t.oid = i.indrelid WHERE i.indpred IS NULL AND t.relnamespace = 'pinterest'::regnamespace",
        &[],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The plans in the log of a server with the settings [`EXPLAINED`], from a byte of the log on.
pub fn plans(cluster: &Cluster, from: usize) -> Result<Vec<Plan>> {
    let log = cluster.log()?;
    let mut found: Vec<Plan> = Vec::new();
    let mut inside = false;
    for line in log.get(from..).unwrap_or_default().lines() {
        if let Some(line) = line.strip_prefix('\t') {
            if let (true, Some(plan)) = (inside, found.last_mut()) {
                match line.strip_prefix("Query Text: ") {
                    Some(statement) => plan.statement = statement.to_owned(),
                    None => plan.lines.push(line.to_owned()),
                }
            }
            continue;
        }
        let logged = line.split_once("LOG:  duration: ").and_then(|(before, rest)| {
            let milliseconds = rest.strip_suffix(" ms  plan:")?.parse().ok()?;
            let process = before.rsplit_once("] ")?.1.trim_end().trim_end_matches(':').to_owned();
            Some(Plan { process, milliseconds, statement: String::new(), lines: Vec::new() })
        });
        inside = logged.is_some();
        found.extend(logged);
    }
    Ok(found)
}

/// The times of each statement, in milliseconds and sorted, with the tables that it reads from end to end.
pub fn by_statement<'a>(plans: &'a [Plan], whole: &[String]) -> BTreeMap<&'a str, (Vec<f64>, Vec<&'static str>)> {
    let mut statements: BTreeMap<&str, (Vec<f64>, Vec<&'static str>)> = BTreeMap::new();
    for plan in plans {
        let (times, scanned) = statements.entry(&plan.statement).or_default();
        times.push(plan.milliseconds);
        scanned.extend(plan.scanned(whole));
    }
    for (times, scanned) in statements.values_mut() {
        times.sort_by(f64::total_cmp);
        scanned.sort_unstable();
        scanned.dedup();
    }
    statements
}
