//! The trigger functions raise at most an ERROR in triggers of any timing, level, event and arguments.

use crate::support::prelude::*;
use crate::support::tracking::{queue, settle, tracked_venues};

const CHANGE: &str = "pinterest.track_change";
const STALE: &str = "pinterest.track_stale";

/// Columns of every storage type as source and key.
const TABLE: &str = "(id int PRIMARY KEY, src text, embedding vector(512), odd public.odd, point point, list int[], \
     both_of public.pair, fixed char(4), short bigint, gone int, filled text GENERATED ALWAYS AS (src || '!') STORED, nothing public.void_like)";

/// A session of a role of level `user` that may also create tables and types.
fn intruder(cluster: &e2e::Cluster, client: &mut Client) -> Result<Client> {
    cluster.create_role("intruder")?;
    client.batch_execute("SELECT pinterest_grant('intruder'); GRANT CREATE ON SCHEMA public TO intruder")?;
    let mut intruder = cluster.connect_as("intruder")?;
    intruder.batch_execute(
        "CREATE DOMAIN odd AS int CHECK (VALUE IS NULL OR VALUE < 1000); CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN void_like AS text",
    )?;
    Ok(intruder)
}

/// Runs a statement and returns its SQLSTATE if it is refused. A session that ends fails the test.
fn run(client: &mut Client, sql: &str) -> Option<String> {
    match client.batch_execute(sql) {
        Ok(()) => None,
        Err(error) => match error.as_db_error() {
            Some(error) => {
                let code = error.code().code();
                assert!(!["XX000", "57P01", "57P02"].contains(&code), "{sql}: {error:?}");
                Some(code.to_owned())
            }
            None => panic!("the session ended with {error}: {sql}"),
        },
    }
}

fn arguments(tie: &str) -> Vec<String> {
    let literals = |list: &[&str]| list.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let many = (0..300).map(|n| format!("'c{n}'")).collect::<Vec<_>>().join(", ");
    let mut all: Vec<String> = [
        &[][..],
        &[""],
        &["0"],
        &["0", "src"],
        &["0", "src", "id"],
        &["src", "embedding"],
        &["src", "src"],
        &["embedding", "id"],
        &["src", "filled"],
        &["src", "both_of"],
        &["", "", ""],
        &["x", "ctid", "tableoid"],
        &["-1", "gone", "xmin"],
        &["99999999999999999999", "src", "id", "id", "id"],
        &[tie, "description", "id"],
        &[tie, "src", "id"],
        &[tie, "point", "list", "both_of", "odd", "fixed", "short"],
        &[tie, "both_of", "nothing", "filled"],
        &["00000000-0000-0000-0000-000000000000", "odd", "list"],
    ]
    .iter()
    .map(|list| literals(list))
    .collect();
    all.push(many);
    all.push(format!("'{}', 'src', 'id'", "9".repeat(100_000)));
    all
}

fn statements(table: &str) -> [String; 5] {
    [
        format!(
            "INSERT INTO {table} (id, src, odd, point, list, both_of, fixed, short) VALUES (1, 'a', 1, '(1,2)', '{{1}}', '(1,x)', 'ab', 7), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        ),
        format!(
            "UPDATE {table} SET src = 'b', odd = 2, point = '(2,3)', list = '{{2,3}}', both_of = '(2,y)', fixed = 'b', short = -1"
        ),
        format!("UPDATE {table} SET id = id + 10, src = NULL"),
        format!("DELETE FROM {table} WHERE id = 11"),
        format!("TRUNCATE {table}"),
    ]
}

#[test]
fn triggers_of_every_timing_level_event_and_argument_are_harmless() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column")?;
    let mut intruder = intruder(&cluster, &mut client)?;
    let session: i32 = intruder.value("SELECT pg_backend_pid()")?;
    intruder.batch_execute(&format!(
        "CREATE TEMP TABLE boom {TABLE}; CREATE TABLE plain {TABLE}; CREATE TABLE parts (id int, src text) PARTITION BY LIST (id);
         CREATE TABLE part PARTITION OF parts DEFAULT; CREATE VIEW seen AS SELECT id, src FROM plain;
         ALTER TABLE boom DROP gone; ALTER TABLE plain DROP gone"
    ))?;
    let mut fired = 0;
    for table in ["boom", "plain"] {
        for function in [CHANGE, STALE] {
            for (timing, level, event) in shapes() {
                let fits = match function {
                    CHANGE => timing == "AFTER" && (level == "ROW") == (event != "TRUNCATE"),
                    _ => (timing, level) == ("BEFORE", "ROW") && event.starts_with("UPDATE"),
                };
                for (place, arguments) in arguments(&tie).into_iter().enumerate() {
                    // All arguments on the first table, a quarter of them on the second.
                    if table == "plain" && place % 4 != 0 {
                        continue;
                    }
                    let create = format!(
                        "CREATE TRIGGER t {timing} {event} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}({arguments})"
                    );
                    if run(&mut intruder, &create).is_some() {
                        continue;
                    }
                    for statement in statements(table) {
                        let Some(code) = run(&mut intruder, &statement) else { continue };
                        fired += 1;
                        assert!(!fits || code == "39P01", "{create}: {statement}: {code}");
                        assert!(["39P01", "428C9", "23502"].contains(&code.as_str()), "{create}: {statement}: {code}");
                    }
                    intruder.batch_execute(&format!("DROP TRIGGER t ON {table}; TRUNCATE {table}"))?;
                }
            }
        }
    }
    assert!(fired > 500, "{fired} statements were refused by a trigger");
    assert_eq!(intruder.value::<i32>("SELECT pg_backend_pid()")?, session, "the session has not ended");
    assert_eq!(queue(&mut client)?, "1 2", "the queue of the tracked table");
    assert_quiet(&cluster)
}

fn shapes() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut shapes = Vec::new();
    for timing in ["BEFORE", "AFTER", "INSTEAD OF"] {
        for level in ["ROW", "STATEMENT"] {
            for event in ["INSERT", "UPDATE", "UPDATE OF src", "DELETE", "TRUNCATE", "INSERT OR UPDATE OR DELETE"] {
                shapes.push((timing, level, event));
            }
        }
    }
    shapes
}

/// No server process was ended by a signal and no thread has panicked.
fn assert_quiet(cluster: &e2e::Cluster) -> Result<()> {
    let log = cluster.log()?;
    for word in ["terminated by signal", "panicked", "PANIC", "server process"] {
        assert!(!log.contains(word), "{word} in the log");
    }
    Ok(())
}

#[test]
fn triggers_on_other_kinds_of_relations_are_harmless() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'); CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
    )?;
    settle(&mut client, "venues")?;
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column")?;
    let mut intruder = intruder(&cluster, &mut client)?;
    client.batch_execute("GRANT USAGE ON FOREIGN SERVER nowhere TO intruder")?;
    intruder.batch_execute(&format!(
        "CREATE TABLE plain {TABLE}; CREATE TABLE child () INHERITS (plain);
         CREATE TABLE parts (id int, src text) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts DEFAULT;
         CREATE FOREIGN TABLE far (id int, src text) SERVER nowhere;
         CREATE VIEW seen AS SELECT id, src FROM plain; CREATE MATERIALIZED VIEW kept AS SELECT id, src FROM plain"
    ))?;
    let change = format!("EXECUTE FUNCTION {CHANGE}('{tie}', 'src', 'id')");
    let wrong = format!("EXECUTE FUNCTION {CHANGE}('src')");
    let stale = format!("EXECUTE FUNCTION {STALE}('src', 'id')");
    let all = |table: &str| {
        let simple =
            ["INSERT INTO {} (id, src) VALUES (1, 'a')", "UPDATE {} SET src = 'b'", "DELETE FROM {}", "TRUNCATE {}"];
        simple.map(|statement| statement.replace("{}", table))
    };
    for (table, trigger) in [
        ("seen", format!("CREATE TRIGGER t INSTEAD OF INSERT OR UPDATE OR DELETE ON seen FOR EACH ROW {change}")),
        ("seen", format!("CREATE TRIGGER t INSTEAD OF UPDATE ON seen FOR EACH ROW {stale}")),
        ("seen", format!("CREATE TRIGGER t AFTER UPDATE OR INSERT OR DELETE ON seen FOR EACH STATEMENT {change}")),
        ("seen", format!("CREATE TRIGGER t BEFORE UPDATE OR INSERT OR DELETE ON seen FOR EACH STATEMENT {wrong}")),
        ("parts", format!("CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON parts FOR EACH ROW {change}")),
        (
            "parts",
            format!(
                "CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON parts FOR EACH STATEMENT {change}"
            ),
        ),
        ("parts", format!("CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON parts FOR EACH ROW {stale}")),
        ("part", format!("CREATE TRIGGER t AFTER TRUNCATE ON part FOR EACH STATEMENT {change}")),
        ("child", format!("CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON child FOR EACH ROW {change}")),
        ("far", format!("CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON far FOR EACH ROW {change}")),
        ("far", format!("CREATE TRIGGER t BEFORE INSERT OR UPDATE ON far FOR EACH STATEMENT {change}")),
        ("kept", format!("CREATE TRIGGER t AFTER INSERT ON kept FOR EACH ROW {change}")),
        (
            "plain",
            format!(
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {change}"
            ),
        ),
        (
            "plain",
            format!(
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {stale}"
            ),
        ),
        (
            "plain",
            format!(
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON plain FROM parts NOT DEFERRABLE FOR EACH ROW WHEN (true) {change}"
            ),
        ),
        (
            "plain",
            format!(
                "CREATE TRIGGER t AFTER UPDATE ON plain REFERENCING OLD TABLE AS was NEW TABLE AS becomes FOR EACH ROW {change}"
            ),
        ),
        (
            "plain",
            format!(
                "CREATE TRIGGER t AFTER UPDATE ON plain REFERENCING OLD TABLE AS was NEW TABLE AS becomes FOR EACH STATEMENT {change}"
            ),
        ),
        (
            "plain",
            format!("CREATE TRIGGER t AFTER UPDATE ON plain FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) {change}"),
        ),
        ("plain", format!("CREATE TRIGGER t BEFORE UPDATE ON plain FOR EACH ROW WHEN (NEW.id > 0) {stale}")),
        (
            "plain",
            format!(
                "CREATE TRIGGER t AFTER UPDATE ON plain FOR EACH ROW {change}; ALTER TABLE plain ENABLE ALWAYS TRIGGER t; ALTER TABLE plain ALTER src TYPE varchar(9)"
            ),
        ),
    ] {
        // Postgres refuses some of these triggers.
        let _ = run(&mut intruder, &trigger);
        for statement in all(table) {
            let _ = run(&mut intruder, &statement);
            let _ = run(&mut intruder, &format!("BEGIN; {statement}; SET CONSTRAINTS ALL IMMEDIATE; COMMIT"));
            let _ = run(&mut intruder, "ROLLBACK");
        }
        let _ = run(&mut intruder, &format!("COPY {table} (id, src) FROM PROGRAM 'true'"));
        let _ = run(
            &mut intruder,
            &format!(
                "MERGE INTO {table} t USING (VALUES (1)) v(n) ON t.id = n WHEN MATCHED THEN UPDATE SET src = 'm' WHEN NOT MATCHED THEN INSERT (id, src) VALUES (n, 'm')"
            ),
        );
        let _ = run(&mut intruder, &format!("DROP TRIGGER IF EXISTS t ON {table}"));
    }
    // Calls outside a trigger.
    for statement in [
        format!("SELECT {CHANGE}()"),
        format!("SELECT {STALE}()"),
        format!("SELECT * FROM {CHANGE}()"),
        format!("DO $$ BEGIN PERFORM {CHANGE}(); END $$"),
        format!("CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION {CHANGE}()"),
    ] {
        assert!(run(&mut intruder, &statement).is_some(), "{statement}");
    }
    intruder.refused(&format!("SELECT {CHANGE}()"), "39P01");
    // Other objects that take a function.
    for statement in [
        format!("CREATE AGGREGATE all_of (*) (SFUNC = {CHANGE}, STYPE = int)"),
        format!("CREATE OPERATOR public.@@@ (FUNCTION = {CHANGE}, RIGHTARG = int)"),
        format!("CREATE CAST (public.pair AS text) WITH FUNCTION {CHANGE}()"),
        format!("CREATE TYPE base (INPUT = {CHANGE}, OUTPUT = {STALE})"),
        format!("ALTER TABLE plain ADD CHECK ({CHANGE}() IS NULL)"),
        "CREATE FUNCTION mine() RETURNS trigger LANGUAGE c AS '$libdir/pg_pinterest', 'pinterest_track_change'".into(),
        "CREATE FUNCTION mine() RETURNS int LANGUAGE internal AS 'pinterest_track_change'".into(),
        format!("CREATE FUNCTION mine() RETURNS trigger LANGUAGE sql AS 'SELECT {CHANGE}()'"),
    ] {
        assert!(run(&mut intruder, &statement).is_some(), "{statement}");
    }
    assert_eq!(queue(&mut client)?, "1");
    assert_quiet(&cluster)
}

#[test]
fn a_statement_level_trigger_is_refused_when_it_fires() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    let mut intruder = intruder(&cluster, &mut client)?;
    intruder.batch_execute(
        "CREATE TEMP TABLE boom (id int PRIMARY KEY, src text);
         CREATE TRIGGER boom AFTER UPDATE ON boom FOR EACH STATEMENT EXECUTE FUNCTION pinterest.track_change('0', 'src', 'id')",
    )?;
    intruder
        .refused("UPDATE boom SET src = 'x'", "39P01")
        .says("must be fired AFTER INSERT, UPDATE or DELETE for each row");
    client.batch_execute("SELECT 1")?;
    assert_quiet(&cluster)
}

#[test]
fn a_trigger_with_other_columns_writes_nothing() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column")?;
    // The table's own tie with undeclared columns: with the description as key, rows would be lost.
    client.batch_execute(&format!(
        "CREATE TRIGGER odd AFTER INSERT OR DELETE OR UPDATE ON venues FOR EACH ROW
             EXECUTE FUNCTION pinterest.track_change('{tie}', 'photo', 'description');
         INSERT INTO venues VALUES (3, '1', 'x'); UPDATE venues SET photo = 'y' WHERE id = 3; DELETE FROM venues WHERE id = 3"
    ))?;
    assert_eq!(queue(&mut client)?, "1 2");
    Ok(())
}

#[test]
fn keys_too_long_for_an_index_are_left_out() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "CREATE TABLE words (id text PRIMARY KEY, words text, embedding vector(512));
         SELECT pinterest_track('words', text => 'words'); ALTER TABLE words DROP CONSTRAINT words_pkey;
         INSERT INTO words VALUES (repeat('x', 100000000), 'barn'), ('a', 'beach')",
    )?;
    let keys = "SELECT COALESCE(string_agg(left(key[1], 10), ' '), '') FROM pinterest.tracked_row";
    assert_eq!(client.value::<String>(keys)?, "a");
    client.batch_execute("UPDATE words SET id = repeat('y', 100000000) WHERE id = 'a'")?;
    assert_eq!(client.value::<String>(keys)?, "");
    client.batch_execute("DELETE FROM words")?;
    Ok(())
}
