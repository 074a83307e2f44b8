//! pinterest_grant() grants a level as a whole or fails, and pinterest_revoke() revokes it.

use crate::support::owners::{drop_role, role, server, settle};
use crate::support::prelude::*;

const LEVELS: [&str; 3] = ["reader", "user", "admin"];

/// The number of privileges that any role has granted to this one in the database.
fn held(client: &mut Client, role: &str) -> Result<i64> {
    let sql = "SELECT count(*) FROM (
        SELECT proacl FROM pg_proc UNION ALL SELECT relacl FROM pg_class UNION ALL SELECT attacl FROM pg_attribute
        UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname = 'pinterest' UNION ALL SELECT typacl FROM pg_type) AS o(acl),
        aclexplode(acl) AS g WHERE g.grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)";
    client.value_with(sql, &[&role])
}

#[test]
fn every_function_has_a_level() -> Result<()> {
    let (cluster, mut client) = server()?;
    for level in LEVELS {
        cluster.create_role(level)?;
        client.execute("SELECT pinterest_grant($1, $1)", &[&level])?;
    }
    let functions = client.query(
        "SELECT p.oid::regprocedure::text, has_function_privilege('reader', p.oid, 'EXECUTE'),
                has_function_privilege('user', p.oid, 'EXECUTE'),
                has_function_privilege('admin', p.oid, 'EXECUTE WITH GRANT OPTION')
           FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
           JOIN pg_extension e ON d.refobjid = e.oid WHERE e.extname = 'pg_pinterest' ORDER BY 1",
        &[],
    )?;
    let all: Vec<(String, [bool; 3])> =
        functions.iter().map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3)])).collect();
    assert!(all.len() > 50, "{all:?}");
    for (function, may) in &all {
        assert!(may[2], "{function} has no level in pinterest.functions");
        assert!(may[1] || !may[0], "{function}: a user may call what a reader may call");
    }
    // Functions that affect more than the caller's own rows.
    let admins: Vec<&str> = all.iter().filter(|(_, may)| !may[1]).map(|(function, _)| function.as_str()).collect();
    for function in ["pinterest_adopt()", "pinterest_grant(text,text)", "pinterest_keys()", "pinterest_rotate_key()"] {
        assert!(admins.contains(&function), "{function} {admins:?}");
    }
    // Every table and view, except those that contain secrets.
    let unread: Vec<String> = client.value(
        "SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'pinterest'::regnamespace
            AND relkind IN ('r', 'v') AND NOT has_any_column_privilege('reader', oid, 'SELECT')",
    )?;
    for table in ["installation", "oauth_state", "token"] {
        assert!(unread.iter().any(|name| name == table), "{table} {unread:?}");
    }
    for table in ["app", "account", "pin_image", "tracked", "workers"] {
        assert!(!unread.iter().any(|name| name == table), "{table}");
    }
    assert!(!client.value::<bool>("SELECT has_column_privilege('admin', 'pinterest.app', 'client_secret', 'SELECT')")?);
    Ok(())
}

#[test]
fn an_admin_grants_and_others_are_refused() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut chief = role(&cluster, "chief", "admin")?;
    let mut user = role(&cluster, "app", "user")?;
    cluster.create_role("stranger")?;
    client.batch_execute("GRANT EXECUTE ON FUNCTION pinterest_grant(text, text) TO app")?;
    for name in ["ann", "ben", "deputy"] {
        cluster.create_role(name)?;
    }
    // All or nothing: the privileges that the user could grant are not granted either, and there is no warning.
    client.batch_execute("GRANT SELECT ON pinterest.pin TO app WITH GRANT OPTION")?;
    for level in LEVELS {
        let refused = expect_refusal(user.query("SELECT pinterest_grant('ann', $1)", &[&level]), "42501");
        assert!(refused.hint.contains("level admin"), "{refused:?}");
    }
    assert_eq!(held(&mut client, "ann")?, 0);
    let mut stranger = cluster.connect_as("stranger")?;
    stranger.refused("SELECT pinterest_grant('ann')", "42501");

    // A role of level admin grants; granting twice succeeds.
    for _ in 0..2 {
        chief.batch_execute("SELECT pinterest_grant('ann', 'user')")?;
    }
    settle(&mut cluster.connect_as("ann")?, "venues")?;
    chief.batch_execute("SELECT pinterest_grant('deputy', 'admin')")?;
    let mut deputy = cluster.connect_as("deputy")?;
    deputy.batch_execute("SELECT pinterest_grant('ben', 'reader')")?;
    let mut ben = cluster.connect_as("ben")?;
    assert_eq!(ben.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 0);
    ben.refused("SELECT pinterest_authorize_url()", "42501");
    deputy.refused("SELECT pinterest_grant('nobody of that name')", "42704");
    deputy.refused("SELECT pinterest_grant('ben', 'emperor')", "22023");
    // A role of level admin sees only its own rows.
    assert_eq!(chief.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 0);
    chief.refused("SELECT * FROM pinterest.token", "42501");
    Ok(())
}

/// From Postgres 17 on there is a privilege for it, and before only the owner of a table may.
#[test]
fn an_admin_maintains_the_tables_where_postgres_can_grant_that() -> Result<()> {
    let (cluster, mut client) = server()?;
    for level in ["user", "admin"] {
        cluster.create_role(level)?;
        client.execute("SELECT pinterest_grant($1, $1)", &[&level])?;
    }
    let can_be_granted = client.value::<i32>("SELECT current_setting('server_version_num')::int")? >= 170_000;
    for (role, may) in [("user", false), ("admin", can_be_granted)] {
        client.batch_execute(&format!("SET ROLE \"{role}\""))?;
        for (table, may) in
            [("pin", may), ("pin_image", may), ("tracked_row", may), ("token", false), ("account", false)]
        {
            let done = client.batch_execute(&format!("REINDEX TABLE pinterest.{table}"));
            assert_eq!(done.is_ok(), may, "{role} {table}: {done:?}");
        }
        client.batch_execute("RESET ROLE")?;
    }
    // An admin grants it on.
    cluster.create_role("second")?;
    client.batch_execute("SET ROLE admin; SELECT pinterest_grant('second', 'admin'); RESET ROLE")?;
    if can_be_granted {
        assert!(client.value::<bool>("SELECT has_table_privilege('second', 'pinterest.pin', 'MAINTAIN')")?);
    }
    client.batch_execute("SELECT pinterest_revoke('admin', true)")?;
    assert_eq!((held(&mut client, "admin")?, held(&mut client, "second")?), (0, 0));
    Ok(())
}

#[test]
fn a_revoked_role_has_no_privileges() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut chief = role(&cluster, "chief", "admin")?;
    let mut deputy = role(&cluster, "deputy", "admin")?;
    cluster.create_role("ann")?;
    chief.batch_execute("SELECT pinterest_grant('ann', 'user')")?;
    deputy.batch_execute("SELECT pinterest_grant('ann', 'reader')")?;
    client.batch_execute("SELECT pinterest_grant('ann', 'admin')")?;
    // One of three grantors cannot revoke everything, and revokes nothing.
    let before = held(&mut client, "ann")?;
    chief.refused("SELECT pinterest_revoke('ann')", "42501");
    assert_eq!(held(&mut client, "ann")?, before);
    client.batch_execute("SELECT pinterest_revoke('ann'); DROP ROLE ann")?;

    // A role that has granted privileges to others is refused without cascade.
    cluster.create_role("ben")?;
    deputy.batch_execute("SELECT pinterest_grant('ben', 'user')")?;
    client.refused("SELECT pinterest_revoke('deputy')", "2BP01");
    let mut ben = cluster.connect_as("ben")?;
    settle(&mut ben, "venues")?;
    client.batch_execute("SELECT pinterest_revoke('deputy', cascade => true)")?;
    assert_eq!((held(&mut client, "deputy")?, held(&mut client, "ben")?), (0, 0));
    ben.refused("SELECT * FROM pinterest.accounts", "42501");
    client.batch_execute("SELECT pinterest_revoke('ben'); SELECT pinterest_grant('ben')")?;
    assert_eq!(ben.value::<i64>("SELECT count(*) FROM pinterest.accounts")?, 1, "the role still owns its rows");
    for (name, code) in [("pinterest_worker", "22023"), ("postgres", "22023"), ("nobody", "42704")] {
        expect_refusal(client.query("SELECT pinterest_revoke($1)", &[&name]), code);
    }
    drop_role(&mut client, "chief")?;
    Ok(())
}
