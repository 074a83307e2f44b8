//! Calls every function in the catalog with unusual arguments and with other roles' rows, as a role of each level: a
//! call succeeds or fails with an ERROR that is not internal, and the session continues.

use std::collections::BTreeMap;

use crate::support::prelude::*;

/// Arguments of a type in SQL; the first one is usual.
fn values(type_name: &str, world: &Fixture) -> Vec<String> {
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let long = "repeat('x', 1048576)";
    match type_name {
        "text" => list(&[
            "'Beach'",
            "NULL",
            "''",
            "' '",
            long,
            "repeat('\"', 1048577)",
            "E'\\x01\\n'",
            "'\u{202e}\u{1f3d6}\u{0301}'",
            "'a.b.c.d'",
            "'\"'",
            "'pg_class'",
            "'pinterest.token'",
            "'others.venues'",
            "'1, 2'",
            "'description'",
            "'key'",
            "'-1'",
            "'https://pinterest.com/a/b/'",
            "'https://[::1]/'",
            "'{\"a\":'",
            "'user'",
            "'admin'",
            "'no such thing'",
            "'%s%n$1'",
            "repeat('a,', 5000)",
        ]),
        "bigint" => {
            let mut all = list(&["1", "NULL", "0", "-1", "9223372036854775807", "-9223372036854775808", "999999"]);
            all.extend([world.foreign_account.to_string(), world.foreign_import.to_string()]);
            all
        }
        "integer" => list(&["10", "NULL", "0", "-1", "2147483647", "-2147483648", "1000001"]),
        "double precision" => {
            list(&["0.5", "NULL", "'NaN'", "'Infinity'", "'-Infinity'", "-1", "1e308", "-1e-320", "0"])
        }
        "boolean" => list(&["true", "NULL", "false"]),
        "interval" => list(&[
            "'1 second'",
            "NULL",
            "'0'",
            "'-1 day'",
            "'178000000 years'",
            "'-178000000 years'",
            "'1 microsecond'",
            "'2147483647 months 2147483647 days'",
        ]),
        "regclass" => list(&[
            "'venues'",
            "NULL",
            "0",
            "4294967295",
            "99999999",
            "'pg_class'",
            "'pg_toast.pg_toast_1255'",
            "'pinterest.token'",
            "'pinterest.tracked_row'",
            "'others.venues'",
            "'others.seen'",
            "'others.far'",
            "'others.parts'",
            "'others.numbers'",
            "'others.venues_pkey'",
            "'others.kept'",
            "'mine'",
            "'information_schema.tables'",
            "'others.pair'",
            "'pg_temp.mine'",
            "'none'",
            "'pinterest.accounts'",
            "'others.bare'",
        ]),
        "bytea" => list(&[
            "'\\x'",
            "NULL",
            "'\\x00'",
            "'\\xffd8ffe000104a464946'",
            "'\\x89504e470d0a1a0a'",
            "'\\x52494646ffffffff57454250'",
            "decode(repeat('ff', 1048576), 'hex')",
        ]),
        "text[]" => list(&[
            "ARRAY['Beach', 'Barn']",
            "NULL",
            "'{}'",
            "'{NULL}'",
            "'{NULL,NULL,a}'",
            "'[5:6]={a,b}'",
            "'[-2147483648:-2147483647]={a,b}'",
            "'{{a,b},{c,d}}'",
            "'{{{a}}}'",
            "ARRAY['']",
            "array_fill('x'::text, ARRAY[1001])",
            "array_fill(NULL::text, ARRAY[20000])",
            "ARRAY[repeat('x', 1048576)]",
            "array_fill('a'::text, ARRAY[2,3,4], ARRAY[7,-7,0])",
        ]),
        "bytea[]" => list(&[
            "ARRAY['\\x00'::bytea]",
            "NULL",
            "'{}'",
            "'{NULL}'",
            "'[3:4]={NULL,NULL}'",
            "'{{NULL,NULL},{NULL,NULL}}'",
            "array_fill('\\x00'::bytea, ARRAY[1001])",
            "array_fill('\\x00'::bytea, ARRAY[2,2], ARRAY[5,-5])",
            "ARRAY[decode(repeat('00', 1048576), 'hex')]",
        ]),
        "json" => list(&[
            "'[{\"title\": \"a\"}]'",
            "NULL",
            "'null'",
            "'1'",
            "'\"\"'",
            "'[]'",
            "'{}'",
            "'[1, [2], null]'",
            "'[{\"image\": {\"a\": [1]}}]'",
            "'[{\"title\": \"\\u0000\"}]'",
            "'[{\"image\": \"javascript:alert(1)\", \"rank\": 1e999}]'",
            "(repeat('[', 5000) || repeat(']', 5000))::json",
            "json_build_array(json_build_object('title', repeat('x', 1048576)))",
        ]),
        "jsonb" => list(&[
            "'{\"Ceremony\": 2}'",
            "NULL",
            "'null'",
            "'[]'",
            "'{}'",
            "'{\"\": 1e308}'",
            "'{\"a\": \"b\"}'",
            "'{\"a\": -1}'",
            "'{\"a\": {\"b\": []}}'",
            "'\"\"'",
            "'{\"a\": 1e-320, \"b\": 1e400}'",
        ]),
        "vector" => list(&[
            "array_fill(1, '{512}')::vector",
            "NULL",
            "'[1]'",
            "'[1,2,3]'",
            "array_fill(0, '{512}')::vector",
            "array_fill(3e38, '{512}')::vector",
            "array_fill(-1e-38, '{512}')::vector",
            "array_fill(1, '{513}')::vector",
            "array_fill(1, '{16000}')::vector",
        ]),
        "pinterest.role_owner" => list(&[
            "'reader'",
            "NULL",
            "''",
            "'no such role'",
            "'x (dropped 10)'",
            "'x (missing)'",
            "repeat('x', 5000)",
        ]),
        "cstring" => {
            list(&["'reader'", "NULL", "''", "'x (dropped 99999999999)'", "'x (dropped -1)'", "E'\\u2603 (missing)'"])
        }
        // No statement can produce a value of this type.
        "internal" => list(&["NULL", "NULL"]),
        other => panic!("no unusual values of type {other}"),
    }
}

/// Rows of other roles.
struct Fixture {
    foreign_account: i64,
    foreign_import: i64,
}

#[derive(Clone, Debug)]
struct Function {
    verb: &'static str,
    name: String,
    arguments: Vec<String>,
}

fn functions(client: &mut Client) -> Result<Vec<Function>> {
    let rows = client.query(
        "SELECT p.oid::regproc::text, p.prokind = 'p', ARRAY(SELECT format_type(t.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS t(type, place)
             ORDER BY t.place)
           FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
           JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_pinterest'
          ORDER BY p.oid::regprocedure::text",
        &[],
    )?;
    Ok(rows
        .iter()
        .map(|row| Function {
            verb: if row.get(1) { "CALL" } else { "SELECT * FROM" },
            name: row.get(0),
            arguments: row.get(2),
        })
        .collect())
}

/// Calls with usual arguments, with NULLs, with one unusual argument, and with unusual arguments only.
fn calls(function: &Function, fixture: &Fixture) -> Vec<String> {
    let pools: Vec<Vec<String>> = function.arguments.iter().map(|name| values(name, fixture)).collect();
    let call = |chosen: &dyn Fn(usize) -> usize| {
        let arguments = pools.iter().zip(&function.arguments).enumerate().map(|(place, (pool, type_name))| {
            let value = &pool[chosen(place) % pool.len()];
            format!("({value})::{type_name}")
        });
        format!("{} {}({})", function.verb, function.name, arguments.collect::<Vec<_>>().join(", "))
    };
    let mut all = vec![call(&|_| 0), call(&|_| 1)];
    for (odd, pool) in pools.iter().enumerate() {
        for which in 1..pool.len() {
            all.push(call(&|place| if place == odd { which } else { 0 }));
            // The other arguments are NULL.
            all.push(call(&|place| if place == odd { which } else { 1 }));
        }
    }
    let longest = pools.iter().map(Vec::len).max().unwrap_or(0);
    all.extend((2..longest).map(|which| call(&|place| which + 3 * place)));
    all.sort();
    all.dedup();
    all
}

const OTHERS: &str = "
    CREATE SCHEMA others;
    CREATE TABLE others.venues (id bigint PRIMARY KEY, description text, embedding vector(512));
    INSERT INTO others.venues VALUES (1, 'barn', array_fill(1, '{512}')::vector);
    CREATE VIEW others.seen AS SELECT * FROM others.venues; CREATE MATERIALIZED VIEW others.kept AS SELECT * FROM others.venues;
    CREATE TABLE others.parts (id bigint, embedding vector(512)) PARTITION BY LIST (id); CREATE SEQUENCE others.numbers;
    CREATE TYPE others.pair AS (a int, b text); CREATE TABLE others.bare ();
    CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE others.far (id bigint, embedding vector(512)) SERVER nowhere;
    SELECT pinterest_track('others.venues', text => 'description');
    GRANT USAGE ON SCHEMA others TO PUBLIC; GRANT CREATE ON SCHEMA public TO reader, users, admin;";

const OWN: &str = "
    CREATE TABLE IF NOT EXISTS venues (id bigint PRIMARY KEY, description text, key text, embedding vector(512));
    CREATE TEMP TABLE mine (id bigint PRIMARY KEY, description text, embedding vector(512));
    SET statement_timeout = '700ms'; SET client_min_messages = error";

#[test]
fn calls_succeed_or_fail_with_an_ordinary_error() -> Result<()> {
    let world =
        World::builder().sandbox(quick_board("Beach", 2)).setting("log_min_error_statement", "panic").start()?;
    let mut superuser = world.connect()?;
    import(&mut superuser, "Beach")?;
    let fixture = Fixture {
        foreign_account: superuser.value("SELECT min(account_id) FROM pinterest.account")?,
        foreign_import: superuser.value("SELECT min(import_id) FROM pinterest.import")?,
    };
    for (role, level) in [("reader", "reader"), ("users", "user"), ("admin", "admin")] {
        world.cluster.create_role(role)?;
        superuser.batch_execute(&format!("SELECT pinterest_grant('{role}', '{level}')"))?;
    }
    superuser.batch_execute(OTHERS)?;
    let functions = functions(&mut superuser)?;
    assert!(functions.len() > 40, "{functions:?}");
    let postmaster = world.cluster.postmaster()?;
    for role in ["reader", "users", "admin"] {
        let codes = as_role(&world.cluster, role, &functions, &fixture)?;
        assert!(codes.len() > 2, "{role}: {codes:?}");
    }
    // Other roles' rows are unchanged.
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM pinterest.account WHERE account_id = 1), (SELECT count(*) FROM pinterest.pin),
             (SELECT count(embedding) FROM pinterest.pin_image), (SELECT count(*) FROM pinterest.tracked_column),
             (SELECT state FROM pinterest.import ORDER BY import_id LIMIT 1), (SELECT status FROM pinterest.account WHERE account_id = 1))";
    assert_eq!(superuser.value::<String>(left)?, "1 2 2 1 completed connected");
    assert_eq!(world.cluster.postmaster()?, postmaster);
    let log = world.cluster.log()?;
    for word in ["panicked", "terminated by signal", "PANIC", "XX000", "internal error"] {
        let line = log.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{line:?}");
    }
    Ok(())
}

/// Makes all calls in one session; returns the number of calls per SQLSTATE.
fn as_role(
    cluster: &Cluster,
    role: &str,
    functions: &[Function],
    fixture: &Fixture,
) -> Result<BTreeMap<String, usize>> {
    let mut client = cluster.connect_as(role)?;
    client.batch_execute("DROP TABLE IF EXISTS public.venues").ok();
    client.batch_execute(OWN)?;
    let session: i32 = client.value("SELECT pg_backend_pid()")?;
    let mut codes = BTreeMap::new();
    let mut internal = Vec::new();
    for function in functions {
        for call in calls(function, fixture) {
            // Rolled back, so that the next call has the same state.
            let result = match function.verb {
                "CALL" => client.batch_execute(&call),
                _ => client.batch_execute(&format!("BEGIN; SAVEPOINT s; {call}")),
            };
            let code = match result {
                Ok(()) => "00000".to_owned(),
                Err(error) => match error.as_db_error() {
                    Some(error) => {
                        let code = error.code().code().to_owned();
                        if code.starts_with("XX") || code == "58000" {
                            internal.push(format!("{role}: {}: {error}", short(&call)));
                        }
                        code
                    }
                    None => panic!("{role}: the session ended with {error}: {}", short(&call)),
                },
            };
            *codes.entry(code).or_default() += 1;
            client.batch_execute("ROLLBACK")?;
        }
    }
    assert_eq!(client.value::<i32>("SELECT pg_backend_pid()")?, session, "the session continued");
    client.batch_execute("DROP TABLE public.venues")?;
    assert!(internal.is_empty(), "{internal:#?}");
    Ok(codes)
}

fn short(call: &str) -> String {
    call.chars().take(400).collect()
}
