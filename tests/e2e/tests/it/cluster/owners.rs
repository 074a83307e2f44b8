//! Rows belong to a role, not to its name: through renames, drops, namesakes, dumps and restores.

use e2e::cluster::DATABASE;

use crate::support::owners::{drop_role, dump, owners, restore, role, server, settle};
use crate::support::prelude::*;
use crate::support::tracking::{VENUES, queue};

/// The numbers of accounts, of rows of their view, and of apps that a session sees.
fn seen(client: &mut Client) -> Result<Vec<i64>> {
    client.value(
        "SELECT ARRAY[(SELECT count(*) FROM pinterest.account), (SELECT count(*) FROM pinterest.accounts),
                      (SELECT count(app_id) FROM pinterest.app)]",
    )
}

fn role_oid(client: &mut Client, name: &str) -> Result<u32> {
    client.value_with("SELECT oid FROM pg_roles WHERE rolname = $1", &[&name])
}

#[test]
fn a_renamed_role_keeps_its_rows() -> Result<()> {
    let (cluster, mut client) = crate::support::tracking::server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    let account = settle(&mut ann, "venues")?;
    ann.batch_execute(&format!(
        "{VENUES} SELECT pinterest_track('venues', text => 'description'); INSERT INTO venues VALUES (1, 'barn')"
    ))?;
    drop(ann);
    client.batch_execute("ALTER ROLE ann RENAME TO \"Anna \"\"of\"\" the (missing)\"")?;
    let name = "Anna \"of\" the (missing)";
    let mut anna = cluster.connect_as(name)?;
    assert_eq!(seen(&mut anna)?, [1, 1, 1]);
    anna.query_one("SELECT pinterest_store_token('again', account_id => $1)", &[&account])?;
    anna.query_one("SELECT pinterest_authorize_url('venues')", &[])?;
    anna.batch_execute("INSERT INTO venues VALUES (2, 'beach')")?;
    assert_eq!(queue(&mut anna)?, "1* 2*", "the table is still tracked");
    assert_eq!(anna.value::<String>("SELECT state FROM pinterest.tracked")?, "active");
    assert_eq!(anna.value::<i64>("SELECT pinterest_untrack('venues')")?, 1);
    // The present name, in quotes, which distinguish it from a missing owner.
    assert_eq!(owners(&mut client)?, ["\"Anna \"\"of\"\" the (missing)\""]);

    // A new role with the old name gets no rows.
    let mut namesake = role(&cluster, "ann", "user")?;
    assert_eq!(seen(&mut namesake)?, [0, 0, 0]);
    expect_refusal(namesake.query("SELECT pinterest_disconnect($1)", &[&account]), "42501");
    Ok(())
}

#[test]
fn a_namesake_of_a_dropped_role_inherits_nothing() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    let account = settle(&mut ann, "venues")?;
    let state: String = ann.value("SELECT split_part(split_part(pinterest_authorize_url(), 'state=', 2), '&', 1)")?;
    drop(ann);
    let oid = role_oid(&mut client, "ann")?;
    drop_role(&mut client, "ann")?;
    let mut namesake = role(&cluster, "ann", "user")?;
    assert_eq!(seen(&mut namesake)?, [0, 0, 0]);
    for (call, code) in [
        (format!("SELECT pinterest_export({account})"), "42501"),
        (format!("SELECT * FROM pinterest_disconnect({account})"), "42501"),
        (format!("SELECT pinterest_refresh({account})"), "42501"),
        (format!("SELECT pinterest_import_board('Beach', {account})"), "42501"),
        ("SELECT pinterest_list_boards()".to_owned(), "42704"),
        ("SELECT pinterest_authorize_url()".to_owned(), "42704"),
        (format!("SELECT pinterest_connect('code', '{state}')"), "28000"),
    ] {
        namesake.refused(&call, code);
    }
    // It may have an app of the same name and an account of its own.
    assert_ne!(settle(&mut namesake, "venues")?, account);
    assert_eq!(seen(&mut namesake)?, [1, 1, 1]);
    assert_eq!(owners(&mut client)?, [format!("ann (dropped {oid})"), "ann".to_owned()]);
    let causes: Vec<Option<String>> =
        client.value("SELECT array_agg(cause ORDER BY account_id) FROM pinterest.accounts")?;
    assert!(causes[0].as_ref().is_some_and(|cause| cause.starts_with("owner_gone: ")), "{causes:?}");
    assert_eq!(causes[1], None);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.token")?, 2, "no token is lost");
    Ok(())
}

#[test]
fn a_restored_dump_finds_its_owners_by_name() -> Result<()> {
    let (cluster, mut client) = server()?;
    for name in ["ann", "ben", "cleo"] {
        settle(&mut role(&cluster, name, "user")?, "venues")?;
    }
    let cleo = role_oid(&mut client, "cleo")?;
    drop_role(&mut client, "cleo")?;
    client.batch_execute("ALTER ROLE ben RENAME TO benjamin")?;
    let gone = format!("cleo (dropped {cleo})");
    assert_eq!(owners(&mut client)?, ["ann", "benjamin", &gone]);
    let dump = dump(&cluster, DATABASE)?;

    // In the same cluster.
    client.batch_execute("CREATE DATABASE copy TEMPLATE template0")?;
    restore(&dump, &cluster, "copy", &[])?;
    let mut copy = cluster.connect_to("benjamin", "copy")?;
    assert_eq!(seen(&mut copy)?, [1, 1, 1]);

    // In another cluster, where all names, also that of the dropped role, have other OIDs.
    let other = Cluster::builder().own_identity().start()?;
    for name in ["stranger", "cleo", "benjamin", "ann"] {
        other.create_role(name)?;
    }
    restore(&dump, &other, DATABASE, &[])?;
    assert_eq!(owners(&mut other.connect()?)?, ["ann", "benjamin", &gone]);
    for (name, accounts) in [("ann", 1), ("benjamin", 1), ("cleo", 0), ("stranger", 0)] {
        let mut client = other.connect()?;
        client.execute("SELECT pinterest_grant($1)", &[&name])?;
        assert_eq!(seen(&mut other.connect_as(name)?)?, [accounts; 3], "{name}");
    }
    Ok(())
}

#[test]
fn a_dump_can_be_restored_where_roles_are_missing() -> Result<()> {
    let (cluster, mut client) = server()?;
    settle(&mut role(&cluster, "ann", "user")?, "venues")?;
    settle(&mut role(&cluster, "ben", "user")?, "venues")?;
    let first = dump(&cluster, DATABASE)?;

    let other = Cluster::builder().own_identity().start()?;
    other.create_role("anna")?;
    restore(&first, &other, DATABASE, &["--no-privileges"])?;
    let mut there = other.connect()?;
    assert_eq!(owners(&mut there)?, ["ann (missing)", "ben (missing)"]);
    // A role that is created later is another owner, and can have an app of the same name.
    let mut ann = role(&other, "ann", "user")?;
    assert_eq!(seen(&mut ann)?, [0, 0, 0]);
    there.batch_execute(
        "SELECT pinterest_adopt(); DELETE FROM pinterest.token; UPDATE pinterest.app SET client_secret = NULL",
    )?;
    settle(&mut ann, "venues")?;
    assert_eq!(owners(&mut there)?, ["ann (missing)", "ben (missing)", "ann"]);

    // Now two owners have one name, and their dump can still be restored in each cluster.
    let second = dump(&other, DATABASE)?;
    client.batch_execute("CREATE DATABASE copy TEMPLATE template0")?;
    restore(&second, &cluster, "copy", &["--no-privileges"])?;
    let mut copy = cluster.connect_to(e2e::cluster::SUPERUSER, "copy")?;
    assert_eq!(owners(&mut copy)?, ["ann (missing)", "ben (missing)", "ann"]);
    let third = Cluster::builder().own_identity().start()?;
    restore(&second, &third, DATABASE, &["--no-privileges"])?;
    assert_eq!(owners(&mut third.connect()?)?, ["ann (missing)", "ben (missing)", "ann (missing)"]);
    Ok(())
}

#[test]
fn values_of_the_owner_type_convert_and_compare() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    settle(&mut ann, "venues")?;
    // Also in the binary format, which drivers request.
    assert_eq!(ann.query("SELECT * FROM pinterest.account", &[])?.len(), 1);
    for table in ["account", "tracked_column"] {
        ann.batch_execute(&format!("CREATE TEMPORARY TABLE {table} AS SELECT * FROM pinterest.{table}"))?;
    }
    client.batch_execute(
        "COPY pinterest.account TO '/dev/null' (FORMAT binary);
         CREATE TEMPORARY TABLE copied (owner pinterest.role_owner);
         PREPARE give(pinterest.role_owner) AS INSERT INTO copied VALUES ($1)",
    )?;
    for (text, shown) in [
        ("ann", "ann"),
        ("\"ann\"", "ann"),
        ("nobody", "nobody (missing)"),
        ("ann (missing)", "ann (missing)"),
        ("ann (dropped 7)", "ann (dropped 7)"),
        ("\"ann (missing)\"", "\"ann (missing)\" (missing)"),
    ] {
        let printed = client.query_one("SELECT $1::text::pinterest.role_owner::text", &[&text])?;
        assert_eq!(printed.get::<_, String>(0), shown);
    }
    for (text, code) in [("", "22P02"), ("\"ann", "22P02"), (&"x".repeat(64), "42622")] {
        expect_refusal(client.query("SELECT $1::text::pinterest.role_owner", &[&text]), code);
    }
    // Each plan can group and join by owner. The operators are in the schema of the type.
    client.batch_execute("SET search_path = public, pinterest")?;
    client.batch_execute(
        "INSERT INTO copied SELECT ('role' || i % 50)::pinterest.role_owner FROM generate_series(1, 500) i",
    )?;
    for plan in ["hashagg", "sort"] {
        client.batch_execute(&format!("SET enable_hashagg = {}", plan == "hashagg"))?;
        let groups = "SELECT count(*) FROM (SELECT owner FROM copied GROUP BY owner) AS g";
        assert_eq!(client.value::<i64>(groups)?, 50, "{plan}");
    }
    for plan in ["hashjoin", "mergejoin", "nestloop"] {
        client.batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off")?;
        client.batch_execute(&format!("SET enable_{plan} = on"))?;
        let pairs = "SELECT count(*) FROM copied a JOIN copied b USING (owner)";
        assert_eq!(client.value::<i64>(pairs)?, 5000, "{plan}");
    }
    let compared = "SELECT ARRAY['ann' = a, 'ann' <> b, a < b OR b < a, a <= a, a >= a, a > b OR a < b, a = '\"ann\"']
                      FROM (SELECT 'ann'::pinterest.role_owner, 'ann (missing)'::pinterest.role_owner) AS t(a, b)";
    assert_eq!(client.value::<Vec<bool>>(compared)?, [true; 7]);
    client.batch_execute("ANALYZE copied")?;
    // An owner that is not a role matches no role, not even a superuser.
    let nobody = "SELECT ARRAY[pinterest.is_owner('x'), pinterest.has_rights_of('x'), pinterest.is_owner('postgres (dropped 10)'),
                               pinterest.has_rights_of('postgres (dropped 10)')]";
    assert_eq!(client.value::<Vec<bool>>(nobody)?, [false; 4]);
    Ok(())
}
