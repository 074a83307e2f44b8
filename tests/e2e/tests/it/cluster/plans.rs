//! The statements of the workers read by indexes, however many accounts there are: none reads a table from end to end
//! whose rows grow with the accounts.

use e2e::scale::{self, COUPLES, EXPLAINED, Size, TENANT};

use crate::support::oauth::{generation, refresh, restart_worker};
use crate::support::prelude::*;

const SIZE: Size = Size { accounts: 1_000, pins_each: 10, imports_each: 3, embedded_of: 5 };

/// Statements that read a whole table rightly, by their beginning.
const WHOLE: [&str; 1] = [
    // Once at the start of a worker, and in calls of a DBA: which keys seal the secrets.
    "SELECT encode(substr(s.sealed, 3, 8), 'hex'), count(*)",
];

fn world() -> Result<(World, Client)> {
    // The planner reads a table from end to end only where no index serves, whatever the sizes of the tables.
    let mut builder = World::builder()
        .sandbox(quick_board("Beach", 6))
        .setting("pinterest.retention", "300d")
        .setting("enable_seqscan", "off")
        .setting("enable_hashjoin", "off")
        .setting("enable_mergejoin", "off");
    for (name, value) in EXPLAINED {
        builder = builder.setting(name, value);
    }
    let (world, mut client) = builder.start()?.with_session()?;
    scale::fill(&mut client, SIZE)?;
    Ok((world, client))
}

#[test]
fn statements_of_workers_read_by_indexes() -> Result<()> {
    if let Some(reason) = lacking(&["auto_explain"])? {
        return skip(&reason);
    }
    let (world, mut client) = world()?;
    let from = world.cluster.log()?.len();
    // A worker's start, a round of its housekeeping, an import, a repetition, a refresh that is due, and a lost account.
    restart_worker(&world, &mut client)?;
    import(&mut client, "Beach")?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    import(&mut client, "Beach")?;
    client.batch_execute("SELECT pinterest_sync_board('Beach', '1 day')")?;
    let account = world.account();
    let before = generation(&mut client, account)?;
    client
        .execute("UPDATE pinterest.token SET refresh_after = clock_timestamp() WHERE account_id = $1", &[&account])?;
    client.batch_execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp() WHERE name = 'Beach'")?;
    restart_worker(&world, &mut client)?;
    until("the refresh", || Ok(generation(&mut client, account)? > before))?;
    client.until("SELECT count(*) FROM pinterest.import WHERE board_reference = board_id AND account_id = 1 AND state = 'completed'", 1_i64)?;
    refresh(&mut client, Some(account))?;
    let whole = scale::whole_indexes(&mut client)?;
    // Retention is the last duty of a round.
    let expected = [
        "t.refresh_after <= (SELECT",
        "WITH ready AS",
        "b.next_sync_at <=",
        "owner_is_gone(o.owner)",
        "o.finished_at <",
    ];
    let plans = wait_for("the end of a round", SOON, || {
        let plans = scale::plans(&world.cluster, from)?;
        let all = expected.iter().all(|text| plans.iter().any(|plan| plan.statement.contains(text)));
        Ok(all.then_some(plans))
    })?;
    let scans: Vec<String> = plans
        .iter()
        .filter(|plan| !plan.scanned(&whole).is_empty() && !WHOLE.iter().any(|whole| plan.statement.starts_with(whole)))
        .filter(|plan| plan.process.starts_with("pg_pinterest"))
        .map(|plan| format!("{:?}\n{}\n{}", plan.scanned(&whole), plan.statement, plan.lines.join("\n")))
        .collect();
    assert!(scans.is_empty(), "{}", scans.join("\n\n"));
    by_hash(&plans);
    Ok(())
}

/// Searches for equal images read by their hash. By the account or the model, each would read all images of a new one, of
/// which the statistics know nothing.
fn by_hash(plans: &[scale::Plan]) {
    let mut searches = 0;
    for plan in plans.iter().filter(|plan| plan.statement.contains("pinterest.pin_image")) {
        for line in plan.lines.iter().map(|line| line.trim_start().trim_start_matches("->").trim_start()) {
            let words: Vec<_> = line.split_whitespace().collect();
            // The aliases of the images that are compared.
            let ["Index", "Scan", "using", index, "on", "pin_image", alias, ..] = words[..] else { continue };
            if !["o", "e", "o_1", "o_2"].contains(&alias) {
                continue;
            }
            searches += 1;
            assert!(["pin_image_pending", "pin_image_content"].contains(&index), "{line}\n{}", plan.statement);
        }
    }
    assert!(searches > 3, "{searches}");
}

/// Calls of roles that own all accounts or few of them.
#[test]
fn calls_for_one_board_read_by_indexes() -> Result<()> {
    if let Some(reason) = lacking(&["auto_explain"])? {
        return skip(&reason);
    }
    let (world, mut client) = world()?;
    let whole = scale::whole_indexes(&mut client)?;
    for role in [COUPLES, TENANT] {
        let mut session = world.cluster.connect_as(role)?;
        let (account, board): (i64, String) = session.pair(
            "SELECT b.account_id, b.board_id FROM pinterest.board b WHERE EXISTS (SELECT FROM pinterest.pin p
                 JOIN pinterest.pin_image i USING (account_id, pin_id) WHERE p.account_id = b.account_id
                 AND p.board_id = b.board_id AND i.state = 'embedded') ORDER BY 1 LIMIT 1",
            &[],
        )?;
        let from = world.cluster.log()?.len();
        session.query("SELECT pinterest_board_embedding($1, $2)", &[&board, &account])?;
        session.query(
            "SELECT * FROM pinterest_pins_like(pinterest_board_embedding($1, $2), 5, $1, $2)",
            &[&board, &account],
        )?;
        session.query("SELECT * FROM pinterest.pin WHERE account_id = $1 AND board_id = $2", &[&account, &board])?;
        session.query("SELECT * FROM pinterest_disconnect($1, purge => true)", &[&account])?;
        let plans = scale::plans(&world.cluster, from)?;
        let scans: Vec<String> = plans
            .iter()
            .filter(|plan| plan.process == "client backend" && !plan.scanned(&whole).is_empty())
            .map(|plan| format!("{role}: {:?}\n{}\n{}", plan.scanned(&whole), plan.statement, plan.lines.join("\n")))
            .collect();
        assert!(plans.len() > 3 && scans.is_empty(), "{}", scans.join("\n\n"));
    }
    Ok(())
}
