//! Objects that other roles have planted before the extension is created.

use crate::support::prelude::*;

const CREATE: &str = "CREATE EXTENSION pg_pinterest SCHEMA app";

/// A new database with pgvector in its own schema, and with a schema `app` in which `intruder` can create objects.
fn database(cluster: &Cluster, name: &str) -> Result<(Client, Client)> {
    let mut superuser = cluster.connect()?;
    superuser.batch_execute(&format!("CREATE DATABASE {name}"))?;
    let mut superuser = cluster.connect_to("postgres", name)?;
    superuser.batch_execute(
        "CREATE SCHEMA pgvector; CREATE EXTENSION vector SCHEMA pgvector; GRANT USAGE ON SCHEMA pgvector TO PUBLIC;
         CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO intruder",
    )?;
    let mut intruder = cluster.connect_to("intruder", name)?;
    intruder.batch_execute("SET search_path = app, pgvector")?;
    Ok((superuser, intruder))
}

#[test]
fn what_is_planted_is_refused_or_not_used() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.create_role("intruder")?;
    let evil = "AS $$ BEGIN EXECUTE 'ALTER ROLE intruder SUPERUSER'; RETURN 1; END $$ LANGUAGE plpgsql IMMUTABLE";
    for (name, planted, named) in [
        ("one", format!("CREATE FUNCTION vector_norm(vector) RETURNS float8 {evil}"), Some("function app.vector_norm")),
        (
            "two",
            format!(
                "CREATE FUNCTION far(vector, vector) RETURNS float8 {evil};
                 CREATE OPERATOR app.<=> (FUNCTION = app.far, LEFTARG = vector, RIGHTARG = vector)"
            ),
            None,
        ),
        (
            "three",
            "CREATE FUNCTION step(vector, vector) RETURNS vector AS 'SELECT $1' LANGUAGE sql IMMUTABLE;
             CREATE AGGREGATE app.avg(vector) (SFUNC = step, STYPE = vector)"
                .to_owned(),
            None,
        ),
    ] {
        let (mut superuser, mut intruder) = database(&cluster, name)?;
        intruder.batch_execute(&planted)?;
        // Statements name the operators and aggregates of pgvector with their schema; a constraint is bound when it is created.
        match named {
            Some(named) => {
                let refused = superuser.refused(CREATE, "55000");
                assert!(refused.message.contains(named), "{name}: {refused:?}");
                assert!(refused.hint.contains("revoke CREATE"), "{name}: {refused:?}");
            }
            None => {
                superuser.batch_execute(CREATE)?;
                let bound = "SELECT count(*) FROM pg_depend d JOIN pg_operator o ON o.oprname = '<=>'
                    WHERE d.refobjid = o.oid AND o.oprnamespace = 'app'::regnamespace AND d.deptype = 'n'";
                assert_eq!(superuser.value::<i64>(bound)?, 0, "{name}");
                superuser.batch_execute("DROP EXTENSION pg_pinterest CASCADE")?;
            }
        }
        let powers: bool = superuser.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'intruder'")?;
        assert!(!powers, "{name}");
        superuser.batch_execute("DROP OWNED BY intruder CASCADE")?;
        superuser.batch_execute(CREATE)?;
    }
    // A planted type is refused; unrelated objects may stay.
    let (mut superuser, mut intruder) = database(&cluster, "four")?;
    intruder.batch_execute("CREATE DOMAIN app.vector AS text")?;
    superuser.refused(CREATE, "55000");
    intruder.batch_execute("DROP DOMAIN app.vector; CREATE FUNCTION app.abs(text) RETURNS text AS 'SELECT $1' LANGUAGE sql; CREATE TABLE app.pin (id int)")?;
    superuser.batch_execute(CREATE)?;
    Ok(())
}

#[test]
fn functions_planted_afterwards_are_reported() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.create_role("intruder")?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let row = "SELECT concat_ws(' ', status, detail, hint) FROM pinterest_doctor() WHERE check_name = 'schema'";
    assert_eq!(client.value::<String>(row)?, "ok public: only superusers can create functions there");
    client.batch_execute("GRANT CREATE ON SCHEMA public TO intruder")?;
    let found: String = client.value(row)?;
    assert!(found.starts_with("note public: intruder can create functions there"), "{found}");
    let mut intruder = cluster.connect_as("intruder")?;
    intruder.batch_execute(
        "CREATE FUNCTION pinterest_board_embedding(unknown_board varchar) RETURNS int AS 'SELECT 1' LANGUAGE sql",
    )?;
    let found: String = client.value(row)?;
    assert!(
        found.starts_with(
            "problem other roles' functions have names of the extension's: public.pinterest_board_embedding"
        ),
        "{found}"
    );
    Ok(())
}

#[test]
fn default_privileges_grant_nothing() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.create_role("app")?;
    let mut client = cluster.connect()?;
    client.batch_execute(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO app;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO app;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO app WITH GRANT OPTION;
         CREATE EXTENSION pg_pinterest CASCADE",
    )?;
    let granted: Vec<String> = client.column("SELECT format('%s %s', o.name, pg_get_userbyid(a.grantee)) FROM (
                 SELECT p.oid::regprocedure::text, COALESCE(p.proacl, acldefault('f', p.proowner)), p.proowner FROM pg_proc p
                   JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                   JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid WHERE e.extname = 'pg_pinterest'
                 UNION ALL SELECT c.oid::regclass::text, c.relacl, c.relowner FROM pg_class c WHERE c.relnamespace = 'pinterest'::regnamespace
                 UNION ALL SELECT 'role_owner', t.typacl, t.typowner FROM pg_type t WHERE t.oid = 'pinterest.role_owner'::regtype
                 UNION ALL SELECT n.nspname, n.nspacl, n.nspowner FROM pg_namespace n WHERE n.nspname = 'pinterest') AS o(name, acl, owner),
                 aclexplode(o.acl) AS a WHERE a.grantee <> o.owner AND pg_get_userbyid(a.grantee) <> 'pinterest_worker'
                   AND NOT (pg_get_userbyid(a.grantee) = 'pg_monitor' AND (o.name = 'pinterest' OR o.name ~ '^pinterest\\.(read_)?stat_'))")?;
    assert!(granted.is_empty(), "{granted:?}");
    let mut app = cluster.connect_as("app")?;
    for statement in ["SELECT pinterest_adopt()", "SELECT * FROM pinterest.token", "SELECT pinterest_doctor()"] {
        assert_eq!(refusal(app.batch_execute(statement)).code, "42501", "{statement}");
    }
    client.batch_execute("SELECT pinterest_grant('app')")?;
    app.batch_execute("SELECT count(*) FROM pinterest.accounts")?;
    Ok(())
}

#[test]
fn a_planted_worker_role_is_refused() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.create_role("intruder")?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE ROLE pinterest_worker NOLOGIN; CREATE ROLE other")?;
    let create = "CREATE EXTENSION pg_pinterest CASCADE";
    for (before, after, said) in [
        ("GRANT pinterest_worker TO intruder", "REVOKE pinterest_worker FROM intruder", "has members"),
        ("GRANT other TO pinterest_worker", "REVOKE other FROM pinterest_worker", "is a member of other roles"),
        ("ALTER ROLE pinterest_worker SET search_path = app", "ALTER ROLE pinterest_worker RESET ALL", "has settings"),
        (
            "ALTER ROLE pinterest_worker IN DATABASE template1 SET work_mem = '1MB'",
            "ALTER ROLE pinterest_worker IN DATABASE template1 RESET ALL",
            "has settings",
        ),
        ("ALTER ROLE pinterest_worker LOGIN", "ALTER ROLE pinterest_worker NOLOGIN", "has attributes"),
        ("ALTER ROLE pinterest_worker BYPASSRLS", "ALTER ROLE pinterest_worker NOBYPASSRLS", "has attributes"),
        ("CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO pinterest_worker", "DROP TABLE theirs", "owns objects"),
    ] {
        client.batch_execute(before)?;
        let refused = client.refused(create, "55000");
        assert!(refused.message.contains(said) && !refused.hint.is_empty(), "{before}: {refused:?}");
        client.batch_execute(after)?;
    }
    // Harmless attributes.
    client.batch_execute("ALTER ROLE pinterest_worker CONNECTION LIMIT 0 INHERIT PASSWORD 'x'")?;
    client.batch_execute(create)?;
    let row = "SELECT concat_ws(' ', status, detail, hint) FROM pinterest_doctor() WHERE check_name = 'worker role'";
    assert_eq!(client.value::<String>(row)?, "ok pinterest_worker: no role can act as it");
    client.batch_execute("GRANT pinterest_worker TO intruder")?;
    let found: String = client.value(row)?;
    assert!(found.starts_with("problem pinterest_worker: \"intruder\" is a member of it"), "{found}");
    Ok(())
}

#[test]
fn other_encodings_are_refused() -> Result<()> {
    let cluster = Cluster::start()?;
    let mut client = cluster.connect()?;
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP"] {
        let name = encoding.to_lowercase();
        client.batch_execute(&format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"))?;
        let mut other = cluster.connect_to("postgres", &name)?;
        let refused = other.refused("CREATE EXTENSION pg_pinterest CASCADE", "0A000");
        assert!(refused.message.contains(&format!("the encoding of this one is {encoding}")), "{refused:?}");
        assert!(refused.hint.contains("ENCODING 'UTF8'"), "{refused:?}");
    }
    Ok(())
}
