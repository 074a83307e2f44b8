//! Many accounts on one server: sizes, the statements of the workers, the views, and VACUUM.

use std::time::Instant;

use e2e::imports::{queue_board, wait};
use e2e::scale::{self, COUPLES, EXPLAINED, LARGE, Size, TENANT, by_statement, plans, whole_indexes};
use e2e::{Result, Stop, World, wait_for};
use postgres::Client;
use sandbox::config::ImageRules;
use sandbox::{Config, Family};

use crate::figure;

/// Pins of the board that is imported beside the generated ones.
const BOARD_PINS: u64 = 500;
const BOARD: &str = "Bench";
/// Of so many images one has a vector.
const EMBEDDED_OF: i64 = 100;
const SOON: std::time::Duration = std::time::Duration::from_secs(300);

/// Generates the accounts and pins, and prints the table.
pub fn measure(accounts: i64, pins: i64) -> Result<()> {
    let config = Config::with_board(BOARD, &[Family::Beach], BOARD_PINS);
    let config = Config { images: ImageRules { pool: Some(1), ..config.images.clone() }, ..config };
    let mut builder = World::builder()
        .sandbox(config)
        .setting("shared_buffers", "1GB")
        .setting("max_wal_size", "1GB")
        .setting("wal_level", "minimal")
        .setting("max_wal_senders", "0")
        .setting("pinterest.retention", "300d");
    for (name, value) in EXPLAINED {
        builder = builder.setting(name, value);
    }
    let (world, mut client) = builder.start()?.with_session()?;
    let size = Size { accounts, pins_each: (pins / accounts).max(1), imports_each: 5, embedded_of: EMBEDDED_OF };
    println!(
        "{accounts} accounts, {} pins with one image each, a vector for one image in {EMBEDDED_OF}",
        accounts * size.pins_each
    );
    let begun = Instant::now();
    scale::fill(&mut client, size)?;
    figure("generated in", seconds(begun));
    sizes(&mut client)?;

    drop(client);
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    client.batch_execute("SET auto_explain.log_min_duration = -1")?;
    let from = world.cluster.log()?.len();
    work(&world, &mut client)?;
    statements(&world, &mut client, from)?;
    refreshes(&mut client)?;
    views(&world)?;
    vacuum(&mut client, accounts)
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}

fn sizes(client: &mut Client) -> Result<()> {
    for table in LARGE {
        let row = client.query_one(
            &format!(
                "SELECT reltuples::int8, pg_table_size(oid), pg_indexes_size(oid), pg_table_size(oid) / greatest(reltuples, 1)::int8,
                        pg_indexes_size(oid) / greatest(reltuples, 1)::int8
                 FROM pg_class WHERE oid = 'pinterest.{table}'::regclass"
            ),
            &[],
        )?;
        let megabytes = |column: usize| row.get::<_, i64>(column) >> 20;
        let (rows, of_table, of_indexes): (i64, i64, i64) = (row.get(0), row.get(3), row.get(4));
        figure(
            &format!("pinterest.{table}"),
            format!(
                "{rows} rows, {} MB + {} MB of indexes; {of_table} + {of_indexes} bytes a row",
                megabytes(1),
                megabytes(2)
            ),
        );
    }
    Ok(())
}

/// A worker's start, an import of a real board, the same again with a change, a refresh and a repetition by sync_every.
fn work(world: &World, client: &mut Client) -> Result<()> {
    let begun = Instant::now();
    let import = queue_board(client, BOARD)?;
    wait(client, import)?;
    figure(&format!("import of {BOARD_PINS} pins beside them"), seconds(begun));
    world.sandbox.add_pins(&world.sandbox.board_id(BOARD)?, 20)?;
    client.execute("SELECT pinterest_sync_board($1, '1 day', $2)", &[&BOARD, &world.account()])?;
    client.batch_execute(&format!(
        "UPDATE pinterest.board SET next_sync_at = clock_timestamp() WHERE name = '{BOARD}'"
    ))?;
    client.execute(
        "UPDATE pinterest.token SET refresh_after = clock_timestamp() WHERE account_id = $1",
        &[&world.account()],
    )?;
    let begun = Instant::now();
    client.execute("SELECT pinterest_refresh($1)", &[&world.account()])?;
    figure("pinterest_refresh()", format!("{:.0} ms", begun.elapsed().as_secs_f64() * 1e3));
    wait_for("the repetition", SOON, || {
        let done: i64 = client
            .query_one(
                "SELECT count(*) FROM pinterest.import WHERE account_id = $1 AND board_reference = board_id AND state = 'completed'",
                &[&world.account()],
            )?
            .get(0);
        Ok((done > 0).then_some(()))
    })
}

/// The statements of the workers: those that read a large table from end to end, the slowest ones, and the claims.
fn statements(world: &World, client: &mut Client, from: usize) -> Result<()> {
    let plans: Vec<_> =
        plans(&world.cluster, from)?.into_iter().filter(|plan| plan.process.starts_with("pg_pinterest")).collect();
    let statements = by_statement(&plans, &whole_indexes(client)?);
    figure("statements of the workers", format!("{}, {} different ones", plans.len(), statements.len()));
    let line = |statement: &str, times: &[f64]| {
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let text: String = statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(110).collect();
        println!("  {:>8.3} {:>8.3} {:>8.3} {:>6}  {text}", at(0.5), at(0.95), times[times.len() - 1], times.len());
    };
    for (title, start) in
        [("claims of images", "WITH ready AS ( SELECT i.pin_id"), ("claims of imports", "WITH first AS MATERIALIZED")]
    {
        println!("{title}: ms at the median, for 95 of 100, at most; number");
        for (statement, (times, _)) in statements.iter().filter(|(statement, _)| statement.starts_with(start)) {
            line(statement, times);
        }
    }
    println!("reading a large table from end to end:");
    for (statement, (times, scanned)) in statements.iter().filter(|(_, (_, scanned))| !scanned.is_empty()) {
        line(statement, times);
        println!("{:>36} {}", "", scanned.join(", "));
    }
    println!("slowest:");
    let mut slowest: Vec<_> = statements.iter().collect();
    slowest.sort_by(|(_, (a, _)), (_, (b, _))| b[b.len() - 1].total_cmp(&a[a.len() - 1]));
    for (statement, (times, _)) in slowest.into_iter().take(15) {
        line(statement, times);
    }
    Ok(())
}

/// How the refreshes of accounts are spread over the hours of a day.
fn refreshes(client: &mut Client) -> Result<()> {
    let row = client.query_one(
        "SELECT COALESCE(sum(n), 0)::int8, COALESCE(max(n), 0)::int8 FROM (SELECT count(*) AS n FROM pinterest.token
             WHERE dormant_generation IS DISTINCT FROM generation AND refresh_after BETWEEN now() + '1 day' AND now() + '2 days'
             GROUP BY date_trunc('hour', refresh_after)) AS hours",
        &[],
    )?;
    let (day, hour): (i64, i64) = (row.get(0), row.get(1));
    figure("refreshes of a day", format!("{day}, {hour} of them in the hour with the most"));
    Ok(())
}

fn views(world: &World) -> Result<()> {
    println!("views and calls, ms (superuser, owner of nearly all accounts, owner of a few):");
    let mut sessions = Vec::new();
    for role in [e2e::cluster::SUPERUSER, COUPLES, TENANT] {
        let mut session = world.cluster.connect_as(role)?;
        let row = session.query_one(
            "SELECT i.account_id, p.board_id FROM pinterest.pin_image i JOIN pinterest.pin p USING (account_id, pin_id)
             WHERE i.state = 'embedded' AND i.account_id IN (SELECT account_id FROM pinterest.board WHERE name = 'Board 1') LIMIT 1",
            &[],
        )?;
        let (account, board): (i64, String) = (row.get(0), row.get(1));
        session.batch_execute(&format!(
            "SELECT pinterest_embed_text('a barn'); SET my.account = '{account}'; SET my.board = '{board}'"
        ))?;
        sessions.push(session);
    }
    let account = "current_setting('my.account')::bigint";
    let board = "current_setting('my.board')";
    let calls = [
        ("pinterest.accounts", "SELECT * FROM pinterest.accounts".to_owned()),
        (
            "pinterest.accounts that need their user",
            "SELECT * FROM pinterest.accounts WHERE status = 'needs_reauth'".to_owned(),
        ),
        ("pinterest.accounts, one", format!("SELECT * FROM pinterest.accounts WHERE account_id = {account}")),
        (
            "pinterest.imports, the last 20",
            "SELECT * FROM pinterest.imports ORDER BY import_id DESC LIMIT 20".to_owned(),
        ),
        (
            "pinterest.imports that have not ended",
            "SELECT * FROM pinterest.imports WHERE finished_at IS NULL AND state <> 'needs_reauth'".to_owned(),
        ),
        ("pinterest.imports of an account", format!("SELECT * FROM pinterest.imports WHERE account_id = {account}")),
        (
            "pinterest.import_report of an account",
            format!("SELECT * FROM pinterest.import_report WHERE account_id = {account}"),
        ),
        ("pinterest.quota of an account", format!("SELECT * FROM pinterest.quota WHERE account_id = {account}")),
        ("pinterest.models", "SELECT * FROM pinterest.models".to_owned()),
        ("pinterest_doctor()", "SELECT * FROM pinterest_doctor()".to_owned()),
        ("pinterest.workers", "SELECT * FROM pinterest.workers".to_owned()),
        (
            "pinterest.pin of a board",
            format!("SELECT * FROM pinterest.pin WHERE account_id = {account} AND board_id = {board}"),
        ),
        ("pinterest_board_embedding()", format!("SELECT pinterest_board_embedding({board}, {account})")),
        (
            "pinterest_pins_like() of an account",
            format!("SELECT * FROM pinterest_pins_like(pinterest_embed_text('a barn'), 5, account_id => {account})"),
        ),
        ("pinterest.stat_imports", "SELECT * FROM pinterest.stat_imports".to_owned()),
        ("pinterest.stat_images", "SELECT * FROM pinterest.stat_images".to_owned()),
        ("pinterest.stat_refreshes", "SELECT * FROM pinterest.stat_refreshes".to_owned()),
    ];
    for (name, sql) in calls {
        let mut cells = Vec::new();
        for session in &mut sessions {
            // The second time, with the pages in memory.
            let mut cell = "-".to_owned();
            for _ in 0..2 {
                let begun = Instant::now();
                if let Ok(rows) = session.query(sql.as_str(), &[]) {
                    cell = format!("{:.1} ({})", begun.elapsed().as_secs_f64() * 1e3, rows.len());
                }
            }
            cells.push(cell);
        }
        println!("  {name:<42} {:>18} {:>18} {:>18}", cells[0], cells[1], cells[2]);
    }
    Ok(())
}

/// One round of autovacuum, at its default pace: after a fifth of the accounts were imported again, which updates each of
/// their pins, and twice as many refreshes.
fn vacuum(client: &mut Client, accounts: i64) -> Result<()> {
    let begun = Instant::now();
    client.batch_execute("UPDATE pinterest.pin SET imported_at = clock_timestamp() WHERE account_id % 5 = 1")?;
    client.batch_execute("UPDATE pinterest.pin_image SET attempts = attempts WHERE account_id % 5 = 1")?;
    client.batch_execute("UPDATE pinterest.token SET refreshed_at = clock_timestamp(), generation = generation + 1 WHERE account_id % 5 < 2")?;
    figure(&format!("imports of {} accounts, as UPDATE", accounts / 5), seconds(begun));
    let pace = "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 200; SET maintenance_work_mem = '64MB'";
    client.batch_execute(pace)?;
    for table in ["token", "pin", "pin_image", "import"] {
        let begun = Instant::now();
        client.batch_execute(&format!("VACUUM pinterest.{table}"))?;
        figure(&format!("VACUUM pinterest.{table}, at the pace of autovacuum"), seconds(begun));
    }
    Ok(())
}
