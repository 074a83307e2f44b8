//! The main job through PgBouncer in transaction mode: each transaction may run on another server connection, which
//! others have used before without a reset. Calls must neither need nor leave session state.

use std::collections::HashSet;

use postgres::SimpleQueryMessage;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::oauth::USER;
use crate::support::pgbouncer::PgBouncer;
use crate::support::prelude::*;

/// Several clients of one role, used in turn.
struct Clients {
    clients: Vec<Client>,
    asked: usize,
    /// Server processes that have answered.
    servers: HashSet<String>,
}

impl Clients {
    fn new(bouncer: &PgBouncer, world: &World, role: &str) -> Result<Self> {
        let mut clients: Vec<Client> = (0..3).map(|_| bouncer.connect(world, role)).collect::<Result<_>>()?;
        // Two transactions at the same time take both server connections.
        for client in &mut clients[..2] {
            client.simple_query("BEGIN; SELECT 1")?;
        }
        for client in &mut clients[..2] {
            client.simple_query("COMMIT")?;
        }
        Ok(Clients { clients, asked: 0, servers: HashSet::new() })
    }

    fn next(&mut self) -> &mut Client {
        self.asked += 1;
        let turn = self.asked % self.clients.len();
        &mut self.clients[turn]
    }

    /// The value of an expression as text, by the simple protocol and the extended one (without names) in turn.
    fn value(&mut self, expression: &str) -> Result<String> {
        let sql = format!("SELECT ({expression})::text, pg_backend_pid()::text");
        let simple = self.asked.is_multiple_of(2);
        let client = self.next();
        let (found, server) = if simple {
            let rows = client.simple_query(&sql)?;
            let row = rows.iter().find_map(|row| match row {
                SimpleQueryMessage::Row(row) => Some((row.get(0).map(str::to_owned), row.get(1).map(str::to_owned))),
                _ => None,
            });
            row.unwrap_or_default()
        } else {
            let rows = client.query_typed(&sql, &[])?;
            rows.first().map(|row| (row.get(0), row.get(1))).unwrap_or_default()
        };
        self.servers.extend(server);
        Ok(found.unwrap_or_default())
    }

    /// Runs statements, each a transaction.
    fn run(&mut self, sql: &str) -> Result<()> {
        self.next().simple_query(sql)?;
        Ok(())
    }
}

/// The state that a session keeps from one transaction to the next.
const KEPT: &str = "concat_ws('; ',
    (SELECT string_agg(name || '=' || setting, ', ' ORDER BY name) FROM pg_settings
      WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')),
    (SELECT string_agg(channel, ', ') FROM pg_listening_channels() AS channel),
    (SELECT string_agg(name, ', ') FROM pg_prepared_statements), (SELECT string_agg(name, ', ') FROM pg_cursors WHERE is_holdable),
    (SELECT string_agg(locktype, ', ') FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
    (SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
    nullif(current_user, session_user))";

#[test]
fn the_main_job_works_through_a_transaction_pool() -> Result<()> {
    let board = |name: &str, family, pins| BoardSpec::new(name, &[family], pins).media(MediaMix::images_only());
    let account =
        AccountSpec::new(USER).board(board("Barn", Family::Barn, 12)).board(board("Beach", Family::Beach, 40));
    let config = Config { accounts: vec![account], ..quick_board("Beach", 0) };
    let world = World::builder().sandbox(config).connected(false).start()?;
    let mut direct = world.connect()?;
    direct.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE; CREATE ROLE app LOGIN; SELECT pinterest_grant('app');
         GRANT CREATE ON SCHEMA public TO app",
    )?;
    let Some(bouncer) = PgBouncer::start(&world, &["app"], 2)? else { return Ok(()) };
    let mut app = Clients::new(&bouncer, &world, "app")?;

    let known = &world.sandbox.config().app;
    let (id, secret, redirect) = (&known.client_id, &known.client_secret, &known.redirect_uris[0]);
    app.value(&format!("pinterest_register_app('venues', '{id}', '{secret}', '{redirect}')"))?;
    let url = app.value("pinterest_authorize_url()")?;
    let code = world.browser()?.authorize(&url)?;
    let account = app.value(&format!("pinterest_connect('{}', '{}')", code.code, code.state))?;
    assert_eq!(app.value("SELECT string_agg(name, ',' ORDER BY name) FROM pinterest_list_boards()")?, "Barn,Beach");

    // A direct connection is notified of an import through the pool.
    let mut listener = world.cluster.connect_as("app")?;
    listener.batch_execute("LISTEN pinterest_import")?;
    let import = app.value("pinterest_import_board('Barn')")?;
    assert_eq!(app.value(&format!("pinterest_wait_for_import({import}, '1 minute')"))?, "completed");
    let heard = {
        use postgres::fallible_iterator::FallibleIterator;
        listener.notifications().timeout_iter(SOON).next()?.map(|notice| notice.payload().to_owned())
    };
    assert_eq!(heard.as_deref(), Some(import.as_str()));
    // The procedure commits while it waits, and keeps its connection.
    let second = app.value("pinterest_import_board('Barn')")?;
    app.run(&format!("CALL pinterest_await_import({second}, '1 minute')"))?;
    assert_eq!(app.value(&format!("SELECT state FROM pinterest.imports WHERE import_id = {second}"))?, "completed");

    app.run("CREATE TABLE venues (id int PRIMARY KEY, name text, embedding vector(512))")?;
    app.run("SELECT pinterest_track('venues', text => 'name')")?;
    for number in 0..20 {
        app.run(&format!("INSERT INTO venues VALUES ({number}, 'a barn with {number} lights')"))?;
    }
    app.run("BEGIN; INSERT INTO venues VALUES (20, 'rolled back'); ROLLBACK")?;
    assert_eq!(app.value("pinterest_wait_for_tracked('venues', '1 minute')")?, "0");
    app.run("UPDATE venues SET name = 'a beach' WHERE id = 3")?;
    app.run("CALL pinterest_await_tracked('venues', '1 minute')")?;
    assert_eq!(app.value("SELECT count(embedding) FROM venues")?, "20");
    app.run("CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops)")?;
    let near = "SELECT string_agg(id::text, ',') FROM (SELECT id FROM venues ORDER BY embedding <=> pinterest_embed_text('a beach') LIMIT 1) AS v";
    assert_eq!(app.value(near)?, "3");
    let recommended =
        "SELECT string_agg(key, ',' ORDER BY rank) FROM pinterest_recommend('Barn', 'venues', k => 5, explain => true)";
    let first = app.value(recommended)?;
    assert_eq!(first.split(',').count(), 5, "{first}");
    for _ in 0..4 {
        assert_eq!(app.value(recommended)?, first, "on each connection");
    }
    assert_eq!(app.value("SELECT sum(images) FROM pinterest_board_themes('Barn', labels => '{barn,beach}')")?, "12");
    assert_eq!(app.value("pinterest_gallery('Barn') LIKE '%<html%'")?, "true");
    assert_eq!(
        app.value("SELECT count(*) FROM pinterest_doctor() WHERE status = 'problem' AND check_name <> 'pgvector'")?,
        "0"
    );

    // A cancel request reaches the statement's connection, and any connection can cancel an import.
    hold_pictures_after(&world, 0);
    let held = app.value("pinterest_import_board('Beach')")?;
    assert!(world.sandbox.requests().wait_for(Kind::Image, 1, SOON));
    let waiting = bouncer.psql(&world, "app", &format!("SELECT pinterest_wait_for_import({held})"))?.spawn()?;
    wait_for("the wait", SOON, || {
        let active = "SELECT count(*) > 0 FROM pg_stat_activity
            WHERE query LIKE '%wait_for_import(%' AND state = 'active' AND pid <> pg_backend_pid()";
        Ok(direct.value::<bool>(active)?.then_some(()))
    })?;
    kill_process(Pid::from_child(&waiting), Signal::INT)?;
    let output = waiting.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("57014"), "{said}");
    assert_eq!(app.value(&format!("pinterest_cancel_import({held})"))?, "true");
    assert_eq!(app.value(&format!("pinterest_wait_for_import({held}, '1 minute')"))?, "cancelled");
    world.sandbox.faults().release(GATE);

    assert_eq!(app.value(&format!("pinterest_refresh({account}) > now()"))?, "true");
    assert_eq!(app.value("SELECT status FROM pinterest.accounts")?, "connected");
    assert_eq!(app.value(&format!("SELECT count(*) FROM pinterest_disconnect({account}, purge => true)"))?, "1");
    assert_eq!(app.value("SELECT count(*) FROM pinterest.pin")?, "0");
    assert_eq!(app.value("SELECT count(embedding) FROM venues")?, "20");
    for _ in 0..4 {
        assert_eq!(app.value(KEPT)?, "", "no session state is left");
    }
    assert_eq!(app.servers.len(), 2, "both connections were used");
    Ok(())
}

/// The app has one login role, and sets its user's role for a transaction: a connection must not return one user's
/// results to another.
#[test]
fn roles_can_share_a_connection() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 6)).connected(false).start()?;
    let mut direct = world.connect()?;
    direct.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE; CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN; CREATE ROLE gate LOGIN NOINHERIT IN ROLE ann, ben;
         SELECT pinterest_grant('ann'), pinterest_grant('ben');
         CREATE TABLE venues (id int PRIMARY KEY, embedding vector(512)); GRANT SELECT ON venues TO PUBLIC;
         CREATE FUNCTION accounts() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM pinterest.accounts); END';
         CREATE FUNCTION embedding() RETURNS vector LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN pinterest_board_embedding('Beach'); END $$",
    )?;
    let mut ann = world.cluster.connect_as("ann")?;
    world.register_app(&mut ann, "hers")?;
    world.connect_account(&mut ann)?;
    import(&mut ann, "Beach")?;
    direct.batch_execute("INSERT INTO venues SELECT row_number() OVER (), embedding FROM pinterest.pin_image")?;
    let Some(bouncer) = PgBouncer::start(&world, &["gate"], 1)? else { return Ok(()) };

    // Prepared by another client of the same connection, as PgBouncer does since version 1.21.
    let mut clients = [bouncer.connect(&world, "gate")?, bouncer.connect(&world, "gate")?];
    clients[0].simple_query(
        "BEGIN; SET LOCAL ROLE ann; PREPARE pins AS SELECT count(*) FROM pinterest.pin;
         PREPARE recommended AS SELECT count(*) FROM pinterest_recommend('Beach', 'venues');
         PREPARE embedded AS SELECT pinterest_board_embedding('Beach') IS NOT NULL; COMMIT",
    )?;
    let mut as_role = |turn: usize, role: &str, sql: &str| -> std::result::Result<String, postgres::Error> {
        let client = &mut clients[turn % 2];
        client.simple_query(&format!("BEGIN; SET LOCAL ROLE {role}"))?;
        let answer = client.simple_query(sql);
        client.simple_query("ROLLBACK")?;
        let value = answer?.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(value.unwrap_or_default())
    };
    for turn in 0..8 {
        for (sql, anns, bens) in [
            ("EXECUTE pins", "6", Ok("0")),
            ("SELECT accounts()", "1", Ok("0")),
            ("EXECUTE recommended", "6", Err("42704")),
            ("EXECUTE embedded", "t", Err("42704")),
            ("SELECT embedding() IS NOT NULL", "t", Err("42704")),
            ("SELECT count(*) FROM pinterest_list_boards()", "1", Err("42704")),
            ("SELECT pinterest_embed_text('a beach') IS NOT NULL", "t", Ok("t")),
        ] {
            assert_eq!(as_role(turn, "ann", sql)?, anns, "{sql}");
            match bens {
                Ok(expected) => assert_eq!(as_role(turn + 1, "ben", sql)?, expected, "{sql}"),
                Err(code) => {
                    let refused = refusal(as_role(turn + 1, "ben", sql));
                    assert_eq!(refused.code, code, "{sql}: {refused:?}");
                }
            }
            // The login role itself has no privileges.
            let refused = refusal(as_role(turn, "gate", "SELECT count(*) FROM pinterest.pin"));
            assert_eq!(refused.code, "42501", "{refused:?}");
        }
    }
    let kept = KEPT.replace("(SELECT string_agg(name, ', ') FROM pg_prepared_statements), ", "");
    assert_eq!(
        as_role(0, "ann", &format!("SELECT {}", kept.replace("nullif(current_user, session_user)", "NULL")))?,
        ""
    );
    Ok(())
}

/// The same within one transaction, for which PL/pgSQL keeps its expressions.
#[test]
fn changes_of_roles_and_rows_are_seen_within_a_transaction() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 6)).connected(false).start()?;
    let mut direct = world.connect()?;
    direct.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE; CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN; CREATE ROLE gate LOGIN NOINHERIT IN ROLE ann, ben;
         SELECT pinterest_grant('ann'), pinterest_grant('ben');
         CREATE FUNCTION embedding() RETURNS vector LANGUAGE plpgsql AS $$ BEGIN RETURN pinterest_board_embedding('Beach'); END $$",
    )?;
    let mut ann = world.cluster.connect_as("ann")?;
    world.register_app(&mut ann, "hers")?;
    world.connect_account(&mut ann)?;
    import(&mut ann, "Beach")?;
    let mut gate = world.cluster.connect_as("gate")?;
    gate.batch_execute("BEGIN; SET LOCAL ROLE ann; SELECT embedding(); SET LOCAL ROLE ben")?;
    let refused = refusal(gate.query_one("SELECT embedding()::text", &[]));
    assert_eq!(refused.code, "42704", "{refused:?}");
    gate.batch_execute("ROLLBACK")?;

    // A pin that is removed meanwhile no longer counts.
    let mut other = world.connect()?;
    let mut transaction = ann.transaction()?;
    let before: String = transaction.query_one("SELECT embedding()::text", &[])?.get(0);
    other.batch_execute(
        "UPDATE pinterest.pin SET removed_at = now() WHERE pin_id = (SELECT min(pin_id) FROM pinterest.pin)",
    )?;
    let after: String = transaction.query_one("SELECT embedding()::text", &[])?.get(0);
    assert_ne!(before, after);
    Ok(())
}
