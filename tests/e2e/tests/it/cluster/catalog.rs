//! Each function, table, sequence, owner column and setting has its comment, level, privileges, row-level security,
//! dump mark and README entry. Each check is also shown to fail.

use std::collections::BTreeSet;

use e2e::checkout;

use crate::support::owners::{role, server, settle};
use crate::support::prelude::*;
use crate::support::tracking::VENUES;

/// Faults of the objects in the catalog, one per row. `$1` are names of columns that need no comment, because they mean
/// the same in every table; `$2` are tables that are erased with an account without a foreign key.
const FAULTS: &str = "
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
         WHERE e.extname = 'pg_pinterest' AND d.deptype = 'e'
           AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND (t.typelem <> 0 OR t.typrelid <> 0)))
    ), relation AS (
        SELECT c.*, c.oid::regclass::text AS name FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    ), object (name, owner, acl) AS (
        SELECT p.oid::regprocedure::text, p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner))
          FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
        UNION ALL SELECT t.oid::regtype::text, t.typowner, COALESCE(t.typacl, acldefault('T', t.typowner))
          FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
        UNION ALL SELECT n.nspname, n.nspowner, n.nspacl
          FROM pg_namespace n JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
        UNION ALL SELECT name, relowner, relacl FROM relation
    )
    SELECT format('%s has no comment', pg_describe_object(classid, objid, 0)) FROM member
     WHERE classid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass, 'pg_class'::regclass)
       AND obj_description(objid, classid::regclass::name) IS NULL
       AND objid NOT IN (SELECT d.objid FROM pg_depend d JOIN relation r ON r.oid = d.objid WHERE r.relkind = 'S' AND d.deptype = 'i')
    UNION ALL SELECT format('%s has no level', p.oid::regprocedure) FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
     WHERE NOT EXISTS (SELECT FROM pinterest.functions f WHERE f.function = p.oid AND f.level IN ('reader', 'user', 'admin'))
    UNION ALL SELECT DISTINCT format('%s is granted to %s', o.name, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END)
      FROM object o, aclexplode(o.acl) AS g WHERE g.grantee <> o.owner AND g.grantee <> 'pinterest_worker'::regrole
       AND NOT (g.grantee = 'pg_monitor'::regrole AND (o.name = 'pinterest' OR o.name ~ '^pinterest[.](read_)?stat_'))
    UNION ALL SELECT format('pinterest_worker has no %s on %s', p.privilege, r.name)
      FROM relation r, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(privilege)
     WHERE r.relkind = 'r' AND NOT has_table_privilege('pinterest_worker', r.oid, p.privilege)
    UNION ALL SELECT format('pinterest_worker has no %s on %s', p.privilege, r.name)
      FROM relation r, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS p(privilege)
     WHERE r.relkind = 'S' AND NOT has_sequence_privilege('pinterest_worker', r.oid, p.privilege)
    UNION ALL SELECT format('%s has no forced row-level security', name) FROM relation
     WHERE relkind = 'r' AND relname <> 'model' AND NOT (relrowsecurity AND relforcerowsecurity)
    UNION ALL SELECT format('%s has no policy for pinterest_worker', name) FROM relation
     WHERE relkind = 'r' AND relname <> 'model' AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = relation.oid
           AND p.polname = 'worker' AND p.polroles = ARRAY['pinterest_worker'::regrole::oid] AND p.polcmd = '*')
    UNION ALL SELECT format('%s is readable without a policy of its own', name) FROM relation
     WHERE relkind = 'r' AND relname <> 'model' AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = relation.oid
           AND p.polname <> 'worker' AND NOT (p.polname = 'own' AND p.polcmd = 'r'))
    UNION ALL SELECT format('%s is not dumped', name) FROM relation
     WHERE relkind IN ('r', 'S') AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_pinterest' AND relation.oid = ANY (e.extconfig))
    UNION ALL SELECT format('%s.%s has no comment', r.name, a.attname) FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
     WHERE r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL ($1) AND col_description(r.oid, a.attnum) IS NULL
    UNION ALL SELECT format('%s belongs to no column, so pinterest_adopt() does not advance it', name) FROM relation
     WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = relation.oid AND d.refobjsubid > 0)
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_attrdef'::regclass AND d.refobjid = relation.oid)
    UNION ALL SELECT format('%s stays when an account is erased', r.name) FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = 'account_id'
     WHERE r.relkind = 'r' AND r.relname <> ALL ($2)
       AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = r.oid AND f.contype = 'f' AND f.confdeltype = 'c' AND a.attnum = ANY (f.conkey))
    ORDER BY 1";

/// Columns that mean the same in every table.
const PLAIN: [&str; 52] = [
    "access_expires_at",
    "account_id",
    "alt_text",
    "app_id",
    "attempts",
    "board_id",
    "board_section_id",
    "claimed_by",
    "connected_at",
    "created_at",
    "description",
    "dimension",
    "dominant_color",
    "embedded_at",
    "embedding_column",
    "expires_at",
    "finished_at",
    "granted_scopes",
    "hint",
    "images_embedded",
    "images_failed",
    "images_skipped",
    "images_total",
    "import_id",
    "key_columns",
    "lease_until",
    "media_type",
    "model_id",
    "name",
    "next_attempt_at",
    "next_sync_at",
    "owner_username",
    "pin_id",
    "pins_listed",
    "pins_removed",
    "pins_without_image",
    "pinterest_user_id",
    "previous_refresh_token",
    "quota_id",
    "refresh_after",
    "refresh_expires_at",
    "refresh_token",
    "section_id",
    "source_column",
    "started_at",
    "status_since",
    "table_schema",
    "title",
    "tracked_column_id",
    "username",
    "weights_sha256",
    "window_length",
];

/// `account` is the row that is deleted; rows of `token_answer` are deleted by another statement.
const ERASED_BY_STATEMENT: [&str; 2] = ["account", "token_answer"];

fn faults(client: &mut impl Sql) -> Result<BTreeSet<String>> {
    let found = client.column_with(FAULTS, &[&PLAIN.as_slice(), &ERASED_BY_STATEMENT.as_slice()])?;
    Ok(found.into_iter().collect())
}

#[test]
fn objects_are_complete_and_each_check_can_fail() -> Result<()> {
    let (_cluster, mut client) = server()?;
    assert_eq!(faults(&mut client)?, BTreeSet::new());
    let new_table = "CREATE TABLE pinterest.new (account_id bigint); COMMENT ON TABLE pinterest.new IS 'x';
                     ALTER EXTENSION pg_pinterest ADD TABLE pinterest.new";
    for (sabotage, expected) in [
        ("COMMENT ON FUNCTION pinterest_adopt() IS NULL", "function pinterest_adopt() has no comment"),
        ("COMMENT ON TABLE pinterest.pin IS NULL", "table pinterest.pin has no comment"),
        ("COMMENT ON VIEW pinterest.imports IS NULL", "view pinterest.imports has no comment"),
        ("COMMENT ON TYPE pinterest.role_owner IS NULL", "type pinterest.role_owner has no comment"),
        ("COMMENT ON SEQUENCE pinterest.tracked_version IS NULL", "sequence pinterest.tracked_version has no comment"),
        ("COMMENT ON COLUMN pinterest.pin.raw IS NULL", "pinterest.pin.raw has no comment"),
        (
            "CREATE FUNCTION pinterest.new() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION pg_pinterest ADD FUNCTION pinterest.new()",
            "pinterest.new() has no level",
        ),
        ("GRANT EXECUTE ON FUNCTION pinterest_adopt() TO PUBLIC", "pinterest_adopt() is granted to PUBLIC"),
        (
            "GRANT EXECUTE ON PROCEDURE pinterest_await_import(bigint, interval) TO pg_monitor",
            "pinterest_await_import(bigint,interval) is granted to pg_monitor",
        ),
        ("GRANT USAGE ON TYPE pinterest.role_owner TO PUBLIC", "pinterest.role_owner is granted to PUBLIC"),
        ("GRANT USAGE ON SCHEMA pinterest TO PUBLIC", "pinterest is granted to PUBLIC"),
        ("GRANT SELECT ON pinterest.token TO PUBLIC", "pinterest.token is granted to PUBLIC"),
        ("REVOKE DELETE ON pinterest.pin FROM pinterest_worker", "pinterest_worker has no DELETE on pinterest.pin"),
        (
            "REVOKE USAGE ON SEQUENCE pinterest.token_generation FROM pinterest_worker",
            "pinterest_worker has no USAGE on pinterest.token_generation",
        ),
        ("ALTER TABLE pinterest.pin NO FORCE ROW LEVEL SECURITY", "pinterest.pin has no forced row-level security"),
        ("DROP POLICY worker ON pinterest.pin", "pinterest.pin has no policy for pinterest_worker"),
        (
            "CREATE POLICY everybody ON pinterest.token USING (true)",
            "pinterest.token is readable without a policy of its own",
        ),
        (new_table, "pinterest.new is not dumped"),
        (new_table, "pinterest.new stays when an account is erased"),
        (
            "CREATE SEQUENCE pinterest.new; ALTER EXTENSION pg_pinterest ADD SEQUENCE pinterest.new",
            "pinterest.new belongs to no column, so pinterest_adopt() does not advance it",
        ),
    ] {
        let mut transaction = client.transaction()?;
        transaction.batch_execute(sabotage)?;
        let found = faults(&mut transaction)?;
        assert!(found.contains(expected), "{sabotage}: {found:?}");
        transaction.rollback()?;
    }
    Ok(())
}

#[test]
fn no_level_reads_a_secret() -> Result<()> {
    let (cluster, mut client) = server()?;
    let _chief = role(&cluster, "chief", "admin")?;
    // Secrets are sealed, so they are bytes. These bytes are not secret.
    let readable: Vec<String> = client.column(
        "SELECT format('%s.%s', c.relname, a.attname)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'pinterest'::regnamespace
            AND c.relkind IN ('r', 'v') AND a.atttypid = 'bytea'::regtype AND has_column_privilege('chief', c.oid, a.attnum, 'SELECT') ORDER BY 1",
    )?;
    assert_eq!(
        readable,
        [
            "model.fingerprint",
            "pin_image.image",
            "pin_image.sha256",
            "pin_image.thumbnail",
            "tracked_row.source_sha256"
        ]
    );
    Ok(())
}

#[test]
fn reassigning_changes_every_owner_column() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut ann = role(&cluster, "ann", "user")?;
    settle(&mut ann, "venues")?;
    ann.batch_execute(VENUES)?;
    ann.batch_execute("SELECT pinterest_track('venues', text => 'description'); SELECT pinterest_authorize_url()")?;
    cluster.create_role("ben")?;
    client.batch_execute(
        "REASSIGN OWNED BY ann TO ben;
         INSERT INTO pinterest.board (account_id, board_id, name, owner) SELECT account_id, 'b', 'b', owner FROM pinterest.account;
         INSERT INTO pinterest.board_section (account_id, board_id, section_id, name, owner)
             SELECT account_id, 'b', 's', 's', owner FROM pinterest.account;
         INSERT INTO pinterest.pin (account_id, pin_id, board_id, raw, import_id, owner)
             SELECT account_id, 'p', 'b', '{}', 0, owner FROM pinterest.account;
         INSERT INTO pinterest.pin_image (account_id, pin_id, position, kind, candidates, import_id, owner)
             SELECT account_id, 'p', 0, 'image', '[]', 0, owner FROM pinterest.account",
    )?;
    let columns: Vec<String> = client.column(
        "SELECT format('SELECT count(*) FROM pinterest.%I WHERE %I::text = ''ann''', c.relname, a.attname)
           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
          WHERE a.atttypid = 'pinterest.role_owner'::regtype",
    )?;
    for count in &columns {
        assert_ne!(client.value::<i64>(count)?, 0, "this test makes no row for {count}");
    }
    client.batch_execute("SELECT pinterest_reassign('ann', 'ben')")?;
    for count in &columns {
        assert_eq!(client.value::<i64>(count)?, 0, "{count}");
    }
    Ok(())
}

#[test]
fn every_table_of_an_account_is_exported_or_omitted_on_purpose() -> Result<()> {
    let (_cluster, mut client) = server()?;
    let tables: Vec<String> = client.column(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relkind = 'r' AND a.attname = 'account_id' ORDER BY 1",
    )?;
    let export = std::fs::read_to_string(checkout().join("src/store/export.rs"))?;
    let omitted: Vec<&String> =
        tables.iter().filter(|table| !export.contains(&format!("FROM pinterest.{table} "))).collect();
    // Secrets, and counts of what is exported.
    assert_eq!(omitted, ["import_outcome", "quota_ledger", "token", "token_answer"]);
    Ok(())
}

/// Omissions of README.md, and its differences from the catalog.
fn readme_faults(client: &mut Client, readme: &str) -> Result<BTreeSet<String>> {
    let mut faults = BTreeSet::new();
    let text = readme.replace('"', "");
    let functions = client.query(
        "SELECT p.proname::text, bool_or(strpos($1, s.signature || '`') > 0), min(s.signature)
           FROM pinterest.functions f JOIN pg_proc p ON p.oid = f.function,
                LATERAL (SELECT format('%s(%s)', p.proname, array_to_string(p.proargnames[1:p.pronargs], ', '))) AS s(signature)
          WHERE p.pronamespace <> 'pinterest'::regnamespace GROUP BY 1",
        &[&text],
    )?;
    for row in functions.iter().filter(|row| !row.get::<_, bool>(1)) {
        faults.insert(format!("function {}", row.get::<_, String>(2)));
    }
    let views: Vec<String> = client.column(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'pinterest'::regnamespace AND relkind = 'v'",
    )?;
    faults.extend(views.iter().filter(|view| !text.contains(&format!("`{view}`"))).map(|view| format!("view {view}")));
    // Converts a default in README.md to the setting's unit.
    let in_unit = "SELECT CASE $2 WHEN 'kB' THEN pg_size_bytes($1) / 1024 WHEN 'MB' THEN pg_size_bytes($1) / 1048576
             WHEN 'ms' THEN EXTRACT(EPOCH FROM $1::interval) * 1000 WHEN 's' THEN EXTRACT(EPOCH FROM $1::interval)
             WHEN 'min' THEN EXTRACT(EPOCH FROM $1::interval) / 60 END::int8::text";
    let settings = client.query(
        "SELECT substr(name, 11), boot_val, unit, vartype FROM pg_settings WHERE name LIKE 'pinterest.%'",
        &[],
    )?;
    for row in &settings {
        let (name, default): (String, String) = (row.get(0), row.get::<_, Option<String>>(1).unwrap_or_default());
        let mut rows = readme.lines().filter(|line| line.starts_with("| `pinterest."));
        let Some(line) = rows.find(|line| {
            let cell = line.split('|').nth(1).unwrap_or_default();
            cell.contains(&format!("`pinterest.{name}`")) || cell.contains(&format!("`{name}`"))
        }) else {
            faults.insert(format!("setting pinterest.{name}"));
            continue;
        };
        let written = line.split('|').nth(2).unwrap_or_default().trim().trim_matches('`').to_owned();
        let written = match row.get::<_, Option<String>>(2) {
            Some(unit) => client.value_with(in_unit, &[&written, &unit])?,
            None => written,
        };
        // Defaults of texts are described, not quoted.
        if row.get::<_, String>(3) != "string" && written != default {
            faults.insert(format!("default {default} of pinterest.{name}, not {written}"));
        }
    }
    let defined: BTreeSet<String> = settings.iter().map(|row| row.get(0)).collect();
    for line in readme.lines().filter(|line| line.starts_with("| `pinterest.")) {
        for name in line.split('|').nth(1).unwrap_or_default().split(',') {
            let name = name.trim().trim_matches('`').trim_start_matches("pinterest.");
            if !defined.contains(name) {
                faults.insert(format!("no setting pinterest.{name}"));
            }
        }
    }
    Ok(faults)
}

#[test]
fn the_readme_names_every_function_view_and_setting() -> Result<()> {
    let (_cluster, mut client) = server()?;
    let readme = std::fs::read_to_string(checkout().join("README.md"))?;
    assert_eq!(readme_faults(&mut client, &readme)?, BTreeSet::new());
    for (present, instead, expected) in [
        ("`pinterest_adopt()`", "", "function pinterest_adopt()"),
        ("pinterest_refresh(account_id)", "pinterest_refresh(account)", "function pinterest_refresh(account_id)"),
        ("`pinterest.quota`", "", "view pinterest.quota"),
        ("| `pinterest.key_file` ", "", "setting pinterest.key_file"),
        ("`pinterest.ca_file`", "`pinterest.ca_files`", "no setting pinterest.ca_files"),
        (" | 64MB | ", " | 63MB | ", "default 65536 of pinterest.max_image_size, not 64512"),
        (" | `on` | ", " | `off` | ", "default on of pinterest.clone_fence, not off"),
    ] {
        assert!(readme.contains(present), "{present}");
        let found = readme_faults(&mut client, &readme.replace(present, instead))?;
        assert!(found.contains(expected), "{present}: {found:?}");
    }
    Ok(())
}
