//! Rows of a role, also of a dropped or missing one, are reassigned to another.

use crate::support::oauth::{doctor, refresh};
use crate::support::owners::{drop_role, owners, role, server, settle};
use crate::support::prelude::*;
use crate::support::tracking::VENUES;

/// Reassigns, and returns the numbers of apps, accounts and tracked columns.
fn reassign(client: &mut Client, old: &str, new: &str) -> Result<[i64; 3], postgres::Error> {
    let row = client.query_one("SELECT * FROM pinterest_reassign($1, $2)", &[&old, &new])?;
    Ok([row.get("apps"), row.get("accounts"), row.get("tracked_columns")])
}

#[test]
fn reassigning_requires_the_rights_of_both_roles() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    let mut ben = role(&cluster, "ben", "user")?;
    let mut chief = role(&cluster, "chief", "admin")?;
    let account = settle(&mut ann, "venues")?;
    for (who, old, new) in [
        ("chief", "ann", "chief"),
        ("chief", "ann", "ben"),
        ("ben", "ann", "ben"),
        ("ann", "ann", "ben"),
        ("chief", "nobody", "chief"),
        ("chief", "ann (dropped 7)", "chief"),
    ] {
        let client = match who {
            "chief" => &mut chief,
            "ben" => &mut ben,
            _ => &mut ann,
        };
        let refused = refusal(reassign(client, old, new));
        assert_eq!(refused.code, "42501", "{who}: {old} to {new}: {refused:?}");
        assert!(refused.hint.contains("both roles"), "{refused:?}");
    }
    assert_eq!(owners(&mut client)?, ["ann"]);
    for (old, new, code) in [
        ("ann", "nobody", "42704"),
        ("nobody", "ann", "42704"),
        ("", "ann", "22P02"),
        ("ann", "ann (missing)", "42704"),
    ] {
        let refused = refusal(reassign(&mut client, old, new));
        assert_eq!(refused.code, code, "{old} to {new}: {refused:?}");
    }
    // Membership in both roles is enough, as for REASSIGN OWNED.
    client.batch_execute("GRANT ben TO ann")?;
    assert_eq!(reassign(&mut ann, "ann", "ben")?, [1, 1, 0]);
    assert_eq!(ben.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 1);
    assert_eq!(ann.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 0, "membership is not ownership");
    ben.query_one("SELECT pinterest_store_token('again', account_id => $1)", &[&account])?;
    assert_eq!(reassign(&mut client, "ann", "ben")?, [0; 3], "no rows are left");
    Ok(())
}

#[test]
fn apps_and_accounts_are_not_merged() -> Result<()> {
    let (cluster, mut client) = server()?;
    let (mut ann, mut ben) = (role(&cluster, "ann", "user")?, role(&cluster, "ben", "user")?);
    settle(&mut ann, "venues")?;
    settle(&mut ann, "weddings")?;
    settle(&mut ben, "venues")?;
    expect_refusal(reassign(&mut client, "ann", "ben"), "42710").says("\"venues\"");
    assert_eq!(owners(&mut client)?, ["ann", "ann", "ben"], "all or nothing");
    client.batch_execute(
        "UPDATE pinterest.app SET name = 'venues of ann' WHERE name = 'venues' AND owner::text = 'ann'",
    )?;
    assert_eq!(reassign(&mut client, "ann", "ben")?, [2, 2, 0]);

    // Two accounts of one user through one app, which only a superuser can make.
    client.batch_execute(
        "UPDATE pinterest.account SET pinterest_user_id = '7', app_id = (SELECT min(app_id) FROM pinterest.app),
                owner = CASE account_id WHEN (SELECT min(account_id) FROM pinterest.account) THEN 'ann' ELSE 'ben' END::pinterest.role_owner
          WHERE account_id < (SELECT max(account_id) FROM pinterest.account)",
    )?;
    expect_refusal(reassign(&mut client, "ann", "ben"), "42710");
    Ok(())
}

#[test]
fn tracked_columns_follow_their_tables() -> Result<()> {
    let (cluster, mut client) = crate::support::tracking::server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    let mut ben = role(&cluster, "ben", "user")?;
    ann.batch_execute(&format!(
        "{VENUES} SELECT pinterest_track('venues', text => 'description'); INSERT INTO venues VALUES (1, 'barn')"
    ))?;
    assert_eq!(reassign(&mut client, "ann", "ben")?, [0; 3], "ann still owns the table");
    client.batch_execute("REASSIGN OWNED BY ann TO ben")?;
    assert_eq!(
        client.value::<String>("SELECT state FROM pinterest.tracked WHERE tracked_column_id IS NOT NULL")?,
        "problem"
    );
    assert_eq!(reassign(&mut client, "ann", "ben")?, [0, 0, 1]);
    assert_eq!(
        ben.value::<String>(
            "SELECT concat_ws(' ', owner, state) FROM pinterest.tracked WHERE tracked_column_id IS NOT NULL"
        )?,
        "ben active"
    );
    ben.batch_execute("INSERT INTO venues VALUES (2, 'beach')")?;
    assert_eq!(crate::support::tracking::queue(&mut ben)?, "1* 2*");
    assert_eq!(ann.value::<i64>("SELECT count(*) FROM pinterest.tracked WHERE tracked_column_id IS NOT NULL")?, 0);
    Ok(())
}

/// A world with one board and an account of `ann`.
fn world_of_ann() -> Result<(World, Client, i64)> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 6)).connected(false).start()?.with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.cluster.create_role("ann")?;
    client.batch_execute("SELECT pinterest_grant('ann')")?;
    let mut ann = world.cluster.connect_as("ann")?;
    world.register_app(&mut ann, "venues")?;
    let account = world.connect_account(&mut ann)?;
    drop(ann);
    Ok((world, client, account))
}

#[test]
fn rows_of_a_dropped_role_wait_to_be_reassigned() -> Result<()> {
    let (world, mut client, account) = world_of_ann()?;
    hold_pictures_after(&world, 2);
    let mut ann = world.cluster.connect_as("ann")?;
    let import = queue_board(&mut ann, "Beach")?;
    drop(ann);
    until_row(&mut client, import, "the first images", |row| row.embedded == 2)?;
    assert_eq!(doctor(&mut client, "owners")?.0, "ok");
    let oid: u32 = client.value("SELECT oid FROM pg_roles WHERE rolname = 'ann'")?;
    let gone = format!("ann (dropped {oid})");
    drop_role(&mut client, "ann")?;
    let (status, detail) = doctor(&mut client, "owners")?;
    assert_eq!(status, "problem");
    assert!(detail.contains(&gone) && detail.contains("pinterest_reassign"), "{detail}");

    // Roles without level admin do not see the problem.
    let mut ben = role(&world.cluster, "ben", "user")?;
    assert_eq!(doctor(&mut ben, "owners")?.0, "ok");
    // A worker parks imports that no role could see; the tokens are kept fresh.
    crate::support::oauth::restart_worker(&world, &mut client)?;
    let parked = until_state(&mut client, import, "needs_reauth")?;
    assert!(parked.reason.contains("role") && parked.reason.contains("pinterest_reassign"), "{parked:?}");
    assert_eq!(client.value::<String>("SELECT status FROM pinterest.accounts")?, "connected");
    refresh(&mut client, Some(account))?;
    world.sandbox.faults().release(GATE);

    assert_eq!(ben.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 0);
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    expect_refusal(reassign(&mut client, &gone, "ben"), "55000").hints("READ COMMITTED");
    client.batch_execute("ROLLBACK")?;
    assert_eq!(reassign(&mut client, &gone, "ben")?, [1, 1, 0]);
    for table in ["board", "pin", "pin_image"] {
        assert_ne!(ben.value::<i64>(&format!("SELECT count(*) FROM pinterest.{table}"))?, 0, "{table}");
    }
    assert_eq!(complete(&mut ben, import)?.total, 6, "the import continues");
    refresh(&mut ben, None)?;
    assert_eq!(doctor(&mut client, "owners")?.0, "ok");
    expect_refusal(reassign(&mut client, &gone, "ben"), "42704");
    Ok(())
}

#[test]
fn rows_of_a_restored_dump_can_be_reassigned() -> Result<()> {
    let (cluster, mut client) = server()?;
    settle(&mut role(&cluster, "ann", "user")?, "venues")?;
    settle(&mut role(&cluster, "cleo", "user")?, "galleries")?;
    let cleo: u32 = client.value("SELECT oid FROM pg_roles WHERE rolname = 'cleo'")?;
    drop_role(&mut client, "cleo")?;
    let dump = crate::support::owners::dump(&cluster, e2e::cluster::DATABASE)?;
    let other = Cluster::builder().own_identity().start()?;
    crate::support::owners::restore(&dump, &other, e2e::cluster::DATABASE, &["--no-privileges"])?;
    let mut client = other.connect()?;
    let mut anna = role(&other, "anna", "user")?;
    let (_, detail) = doctor(&mut client, "owners")?;
    assert!(detail.contains("\"ann (missing)\": apps 1, accounts 1, tracked columns 0"), "{detail}");
    assert!(detail.contains(&format!("\"cleo (dropped {cleo})\"")), "{detail}");
    // The bare name suffices while no such role exists; the displayed name always does.
    assert_eq!(reassign(&mut client, "ann", "anna")?, [1, 1, 0]);
    assert_eq!(reassign(&mut client, &format!("cleo (dropped {cleo})"), "anna")?, [1, 1, 0]);
    assert_eq!(anna.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 2);
    assert_eq!(doctor(&mut client, "owners")?.0, "ok");
    Ok(())
}
