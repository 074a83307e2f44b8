//! Tables of superusers and equally powerful roles: workers refuse to run other roles' code there.

use crate::support::prelude::*;
use crate::support::tracking_work::{settled, small_world, wrong_texts};

const VENUES: &str = "CREATE TABLE venues (id bigint PRIMARY KEY, description text, other text, embedding vector(512))";
const TRACK: &str = "SELECT pinterest_track('venues', text => 'description')";

/// Code that makes its owner a superuser if it runs with a superuser's rights.
const EVIL: &str = "
    CREATE FUNCTION bob.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        BEGIN EXECUTE 'ALTER ROLE bob SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NEW; END $$;
    CREATE FUNCTION bob.probe(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
        BEGIN EXECUTE 'ALTER ROLE bob SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN true; END $$;
    CREATE FUNCTION bob.next(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE DOMAIN bob.strict AS text CHECK (bob.probe(VALUE));
    CREATE TYPE bob.pair AS (a int, b text);
    CREATE FUNCTION bob.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT bob.probe($1)';
    CREATE OPERATOR bob.=== (FUNCTION = bob.same, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION bob.apart(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
    CREATE TYPE bob.span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = bob.apart);
    CREATE VIEW bob.seen AS SELECT 1 AS n;
    CREATE TABLE bob.root (id bigint, description text, other text, embedding vector(512), PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE bob.part (id bigint PRIMARY KEY, description text, other text, embedding vector(512));
    GRANT ALL ON ALL TABLES IN SCHEMA bob TO PUBLIC; GRANT USAGE ON SCHEMA bob TO PUBLIC;";

fn world() -> Result<(World, Client, Client)> {
    let world = small_world()?;
    world.cluster.create_role("bob")?;
    let mut superuser = world.connect()?;
    superuser.batch_execute("SELECT pinterest_grant('bob'); CREATE SCHEMA bob AUTHORIZATION bob")?;
    let mut bob = world.cluster.connect_as("bob")?;
    bob.batch_execute(EVIL)?;
    Ok((world, superuser, bob))
}

#[test]
fn foreign_code_is_refused_at_the_declaration() -> Result<()> {
    let (_world, mut superuser, _bob) = world()?;
    for (with, named) in [
        ("CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION bob.evil()", "function bob.evil()"),
        ("CREATE TRIGGER t AFTER UPDATE ON venues FOR EACH STATEMENT EXECUTE FUNCTION bob.evil()", "function bob.evil()"),
        (
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW WHEN (bob.probe(NEW.other)) EXECUTE FUNCTION mine()",
            "function bob.probe(anyelement)",
        ),
        ("ALTER TABLE venues ADD CHECK (bob.probe(other))", "function bob.probe(anyelement)"),
        ("CREATE INDEX ON venues (bob.next(other))", "function bob.next(text)"),
        ("CREATE INDEX ON venues (id) WHERE bob.probe(other)", "function bob.probe(anyelement)"),
        ("CREATE STATISTICS s ON bob.next(other), id FROM venues", "function bob.next(text)"),
        ("ALTER TABLE venues ADD n text GENERATED ALWAYS AS (bob.next(other)) STORED", "function bob.next(text)"),
        ("ALTER TABLE venues ADD n text DEFAULT bob.next('x')", "function bob.next(text)"),
        ("ALTER TABLE venues ADD n bob.strict", "bob."),
        ("ALTER TABLE venues ADD n bob.pair", "bob."),
        ("ALTER TABLE venues ADD n bob.span; CREATE INDEX ON venues USING gist (n)", "bob."),
        (
            "CREATE DOMAIN loose AS text CHECK (bob.probe(VALUE)); ALTER TABLE venues ADD n loose",
            "function bob.probe(anyelement)",
        ),
        ("CREATE RULE r AS ON UPDATE TO venues DO ALSO SELECT bob.probe(1)", "function bob.probe(anyelement)"),
        ("CREATE POLICY p ON venues USING (bob.probe(id))", "function bob.probe(anyelement)"),
        ("CREATE POLICY p ON venues USING (id IN (SELECT n FROM bob.seen))", "view bob.seen"),
        ("CREATE POLICY p ON venues USING (other OPERATOR(bob.===) 'x')", "bob."),
        (
            "CREATE FUNCTION through(text) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT bob.probe($1); END;
             ALTER TABLE venues ADD CHECK (through(other))",
            "function bob.probe(anyelement)",
        ),
        ("GRANT TRIGGER ON venues TO bob", "\"bob\" may make triggers on public.venues"),
        ("GRANT ALL ON venues TO PUBLIC", "PUBLIC may make triggers on public.venues"),
        (
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM lookup(1); RETURN NEW; END';
             CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION mine(); GRANT CREATE ON SCHEMA public TO bob",
            "\"bob\" may create functions in the schema public",
        ),
        // Created while its owner had the right to.
        (
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM lookup(1); RETURN NEW; END';
             CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION mine();
             CREATE FUNCTION lookup(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION lookup OWNER TO bob",
            "function public.lookup(integer) belongs to \"bob\"",
        ),
        (
            "CREATE TABLE notes (note text);
             CREATE TRIGGER t BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION bob.evil();
             CREATE RULE r AS ON UPDATE TO venues DO ALSO INSERT INTO notes VALUES ('x')",
            "function bob.evil()",
        ),
        (
            "CREATE TABLE notes (note text, n text DEFAULT bob.next('x'));
             CREATE RULE r AS ON UPDATE TO venues DO ALSO INSERT INTO notes VALUES ('x')",
            "function bob.next(text)",
        ),
    ] {
        superuser.batch_execute(&format!("BEGIN; {VENUES}; {with}; SAVEPOINT s"))?;
        let refused = refusal(superuser.batch_execute(TRACK));
        superuser.batch_execute("ROLLBACK")?;
        assert_eq!(refused.code, "55000", "{with}: {refused:?}");
        assert!(refused.message.contains("public.venues belongs to \"postgres\""), "{with}: {refused:?}");
        assert!(refused.message.contains(named), "{with}: {refused:?}");
        assert!(refused.hint.contains("OWNER TO"), "{with}: {refused:?}");
    }
    // A partition of another role, and a table that is a partition of another role's table.
    superuser.batch_execute(&format!(
        "BEGIN; {VENUES} PARTITION BY RANGE (id); ALTER TABLE venues ATTACH PARTITION bob.part DEFAULT; SAVEPOINT s"
    ))?;
    let refused = refusal(superuser.batch_execute(TRACK));
    assert!(refused.message.contains("table bob.part belongs to \"bob\""), "{refused:?}");
    superuser.batch_execute(&format!(
        "ROLLBACK; BEGIN; {VENUES}; ALTER TABLE bob.root ATTACH PARTITION venues DEFAULT; SAVEPOINT s"
    ))?;
    let refused = refusal(superuser.batch_execute(TRACK));
    assert!(refused.message.contains("table bob.root belongs to \"bob\""), "{refused:?}");
    superuser.batch_execute("ROLLBACK")?;
    Ok(())
}

#[test]
fn code_of_superusers_runs_on_a_superusers_table() -> Result<()> {
    let (_world, mut superuser, _bob) = world()?;
    superuser.batch_execute(&format!(
        "{VENUES}; CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.other := lookup(); RETURN NEW; END';
         CREATE FUNCTION lookup() RETURNS text LANGUAGE sql AS $$ SELECT 'found' $$;
         CREATE TRIGGER t BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION mine();
         CREATE DOMAIN short AS text CHECK (length(VALUE) < 100); ALTER TABLE venues ALTER other TYPE short, ADD CHECK (id > 0),
             ADD parent bigint REFERENCES venues, ADD span int4range, ADD EXCLUDE USING gist (span WITH &&);
         CREATE INDEX ON venues (lower(description)) WHERE id > 0; CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops);
         GRANT SELECT, INSERT, UPDATE, DELETE ON venues TO bob; INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')"
    ))?;
    assert_eq!(superuser.value::<i64>(TRACK)?, 2);
    settled(&mut superuser)?;
    assert_eq!(wrong_texts(&mut superuser, "venues")?, 0);
    assert_eq!(superuser.value::<i64>("SELECT count(*) FROM venues WHERE other = 'found'")?, 2);
    Ok(())
}

#[test]
fn foreign_code_added_later_stops_the_column() -> Result<()> {
    let (_world, mut superuser, mut bob) = world()?;
    superuser.batch_execute(&format!("{VENUES}; {TRACK}; INSERT INTO venues VALUES (1, 'barn')"))?;
    settled(&mut superuser)?;
    let problem = "SELECT concat_ws(' ', state, problem_code, problem) FROM pinterest.tracked";
    superuser.batch_execute("GRANT TRIGGER, SELECT, INSERT ON venues TO bob")?;
    bob.batch_execute(
        "CREATE TRIGGER t BEFORE UPDATE ON public.venues FOR EACH ROW EXECUTE FUNCTION bob.evil();
         INSERT INTO public.venues VALUES (2, 'beach')",
    )?;
    let found = wait_for("the problem", SOON, || {
        let found: String = superuser.value(problem)?;
        Ok(found.starts_with("problem").then_some(found))
    })?;
    assert!(found.contains("55000") && found.contains("function bob.evil() belongs to \"bob\""), "{found}");
    let powers: bool = superuser.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'bob'")?;
    assert!(!powers, "no code of bob ran");
    assert_eq!(superuser.value::<i64>("SELECT count(*) FROM venues WHERE embedding IS NULL")?, 1);
    superuser.batch_execute(
        "DROP TRIGGER t ON venues; REVOKE TRIGGER ON venues FROM bob; SELECT pinterest_retry_tracked('venues')",
    )?;
    settled(&mut superuser)?;
    assert_eq!(superuser.value::<String>(problem)?, "active");
    Ok(())
}

#[test]
fn powerful_roles_are_protected_as_superusers_are() -> Result<()> {
    let (world, mut superuser, mut bob) = world()?;
    for (name, power) in [
        ("files", "GRANT pg_write_server_files TO files"),
        ("programs", "GRANT pg_execute_server_program TO programs"),
        ("roles", "ALTER ROLE roles CREATEROLE"),
        ("wal", "ALTER ROLE wal REPLICATION"),
        ("rls", "ALTER ROLE rls BYPASSRLS"),
        ("deputy", "CREATE ROLE chief SUPERUSER; GRANT chief TO deputy"),
        ("nephew", "CREATE ROLE between NOINHERIT; GRANT pg_read_all_data TO between; GRANT between TO nephew"),
    ] {
        world.cluster.create_role(name)?;
        superuser
            .batch_execute(&format!("SELECT pinterest_grant('{name}'); CREATE SCHEMA {name} AUTHORIZATION {name}"))?;
        let mut owner = world.cluster.connect_as(name)?;
        owner.batch_execute(&format!(
            "{VENUES}; CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION bob.evil(); {TRACK}"
        ))?;
        superuser.batch_execute(power)?;
        owner.refused(TRACK, "55000").says("function bob.evil()");
        // Their own code and the server's may run.
        owner.batch_execute("DROP TRIGGER t ON venues; CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION own()")?;
        owner.batch_execute(TRACK)?;
    }
    // Foreign code is allowed on tables of ordinary roles.
    superuser
        .batch_execute("CREATE ROLE ann LOGIN; SELECT pinterest_grant('ann'); CREATE SCHEMA ann AUTHORIZATION ann")?;
    let mut ann = world.cluster.connect_as("ann")?;
    ann.batch_execute(&format!(
        "{VENUES}; CREATE TRIGGER t BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION bob.evil(); {TRACK}"
    ))?;
    bob.batch_execute("SELECT 1")?;
    Ok(())
}

#[test]
fn code_runs_under_the_owners_search_path() -> Result<()> {
    let (world, mut superuser, _bob) = world()?;
    world.cluster.create_role("ann")?;
    superuser.batch_execute(
        "CREATE SCHEMA ann AUTHORIZATION ann; CREATE SCHEMA tools; CREATE SCHEMA wrong; GRANT USAGE ON SCHEMA tools, wrong TO ann;
         CREATE FUNCTION wrong.which() RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
         CREATE FUNCTION tools.which() RETURNS text LANGUAGE sql AS $$ SELECT 'tools' $$;
         CREATE FUNCTION ann.which() RETURNS text LANGUAGE sql AS $$ SELECT 'own' $$;
         SELECT pinterest_grant('ann'); ALTER ROLE postgres SET search_path = wrong, public; ALTER ROLE ann SET search_path = tools, public",
    )?;
    let mut owner = world.cluster.connect_as("ann")?;
    owner.batch_execute(
        "CREATE TABLE ann.venues (id bigint PRIMARY KEY, description text, other text, embedding vector(512));
         CREATE FUNCTION ann.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.other := which(); RETURN NEW; END';
         CREATE TRIGGER note BEFORE UPDATE OF embedding ON ann.venues FOR EACH ROW EXECUTE FUNCTION ann.note();
         SELECT pinterest_track('ann.venues', text => 'description')",
    )?;
    for (id, setting, found) in [
        (1, "SELECT 1", "tools"),
        (2, "ALTER ROLE ann IN DATABASE postgres SET search_path = ann", "own"),
        (3, "ALTER ROLE ann IN DATABASE postgres RESET search_path; ALTER ROLE ann RESET search_path", "own"),
        (4, "ALTER DATABASE postgres SET search_path = tools", "tools"),
        (5, "ALTER DATABASE postgres RESET search_path; ALTER ROLE ALL SET search_path = tools", "tools"),
    ] {
        superuser.batch_execute(setting)?;
        superuser.batch_execute(&format!("INSERT INTO ann.venues VALUES ({id}, 'barn')"))?;
        settled(&mut superuser)?;
        let other: Option<String> = superuser.value(&format!("SELECT other FROM ann.venues WHERE id = {id}"))?;
        assert_eq!(other.as_deref(), Some(found), "{setting}");
    }
    Ok(())
}
