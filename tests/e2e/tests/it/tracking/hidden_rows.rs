//! Tables whose policies hide rows from their own owner (`FORCE ROW LEVEL SECURITY`). Workers must see every row: they
//! would take a hidden row for a deleted one.

use crate::support::prelude::*;
use crate::support::tracking_work::{settled, small_world};

const FORCE: &str = "ALTER TABLE venues ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;";
const TRACK: &str = "SELECT pinterest_track('venues', text => 'description')";

/// The owner of `ann.venues`, which has three rows of two tenants.
fn owner(cluster: &Cluster, client: &mut Client) -> Result<Client> {
    cluster.create_role("ann")?;
    client.batch_execute("SELECT pinterest_grant('ann'); CREATE SCHEMA ann AUTHORIZATION ann")?;
    let mut owner = cluster.connect_as("ann")?;
    fill(&mut owner)?;
    Ok(owner)
}

fn fill(owner: &mut Client) -> Result<()> {
    Ok(owner.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, tenant text, description text, embedding vector(512));
         INSERT INTO venues VALUES (1, 'a', 'barn'), (2, 'a', 'beach'), (3, 'b', 'castle')",
    )?)
}

/// Waits until the queue is empty. Then the table and `pinterest.tracked` must show `rows` rows with their embeddings.
fn assert_embedded(client: &mut Client, rows: i64, policy: &str) -> Result<()> {
    settled(client)?;
    let right: i64 =
        client.value("SELECT count(*) FROM ann.venues WHERE embedding <=> pinterest_embed_text(description) < 1e-6")?;
    let counts: String = client.value(
        "SELECT concat_ws(' ', rows, embedded, pending, failed, progress, state, problem) FROM pinterest.tracked",
    )?;
    assert_eq!((right, counts), (rows, format!("{rows} {rows} 0 0 1 active")), "{policy}");
    Ok(())
}

#[test]
fn rows_are_embedded_under_every_policy() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    let mut owner = owner(&world.cluster, &mut client)?;
    client.batch_execute(
        "CREATE FUNCTION ann.tenant() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.tenant') $$;
         CREATE FUNCTION ann.never() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'asked'; END $$;
         GRANT EXECUTE ON FUNCTION ann.tenant(), ann.never() TO ann",
    )?;
    for policy in [
        "",
        "CREATE POLICY p ON venues USING (tenant = current_setting('app.tenant', true))",
        "CREATE POLICY p ON venues USING (tenant = current_setting('app.tenant'))",
        "CREATE POLICY p ON venues USING (tenant = ann.tenant())",
        "CREATE POLICY p ON venues USING (ann.never())",
        "CREATE POLICY p ON venues TO pg_monitor USING (true)",
        "CREATE POLICY p ON venues FOR SELECT USING (tenant = current_setting('app.tenant', true));
         CREATE POLICY q ON venues FOR INSERT WITH CHECK (true)",
        "CREATE POLICY p ON venues USING (true); CREATE POLICY q ON venues AS RESTRICTIVE USING (id < 2)",
        "CREATE POLICY p ON venues USING (true) WITH CHECK (embedding IS NULL)",
        "CREATE POLICY p ON venues FOR SELECT USING (true); CREATE POLICY q ON venues FOR UPDATE USING (false)",
        "CREATE POLICY p ON venues USING (embedding IS NOT NULL)",
    ] {
        owner.batch_execute(
            "DROP TABLE venues; RESET app.tenant; SELECT pinterest_untrack('venues') FROM pinterest.tracked",
        )?;
        fill(&mut owner)?;
        owner.batch_execute(&format!("{FORCE} {policy}"))?;
        assert_eq!(owner.value::<i64>(TRACK)?, 3, "{policy}");
        // The superuser, who is not subject to policies, inserts the row if the owner cannot.
        owner.batch_execute("SET app.tenant = 'a'")?;
        let written = owner.batch_execute("INSERT INTO venues VALUES (4, 'a', 'tent')").is_ok();
        if !written {
            client.batch_execute("INSERT INTO ann.venues VALUES (4, 'a', 'tent')")?;
        }
        assert_embedded(&mut client, 4, policy)?;
        client.batch_execute("UPDATE ann.venues SET description = 'a red barn' WHERE id IN (1, 3)")?;
        assert_embedded(&mut client, 4, policy)?;
        client.batch_execute("DELETE FROM ann.venues WHERE id = 2; UPDATE ann.venues SET description = NULL, embedding = NULL WHERE id = 4")?;
        assert_embedded(&mut client, 2, policy)?;
    }
    Ok(())
}

#[test]
fn policies_created_later_hide_no_row_from_workers() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    let mut owner = owner(&world.cluster, &mut client)?;
    owner.batch_execute(TRACK)?;
    assert_embedded(&mut client, 3, "none")?;
    owner.batch_execute("CREATE POLICY tenant ON venues USING (tenant = current_setting('app.tenant', true))")?;
    owner.batch_execute(FORCE)?;
    assert_eq!(owner.value::<i64>("SELECT count(*) FROM venues")?, 0, "policies apply to the owner's sessions");
    let versions = "SELECT string_agg(xmin::text, ' ' ORDER BY id) FROM ann.venues";
    let before: String = client.value(versions)?;
    // Declaring again finds the hidden rows and keeps their vectors.
    assert_eq!(owner.value::<i64>(TRACK)?, 3);
    assert_embedded(&mut client, 3, "declared again")?;
    assert_eq!(client.value::<String>(versions)?, before);
    owner.batch_execute("SET app.tenant = 'b'; UPDATE venues SET description = 'a white castle'")?;
    assert_embedded(&mut client, 3, "changed")?;
    // Failed rows are tried again although a policy hides them.
    client.batch_execute(
        "UPDATE pinterest.tracked_row SET state = 'failed', reason = 'x' WHERE key = '{1}'; UPDATE ann.venues SET embedding = NULL WHERE id = 1",
    )?;
    assert_eq!(owner.value::<i64>("SELECT pinterest_retry_tracked('venues')")?, 1);
    assert_embedded(&mut client, 3, "tried again")?;
    Ok(())
}

#[test]
fn policies_of_partitions_and_parents_hide_no_row_from_workers() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    let mut owner = owner(&world.cluster, &mut client)?;
    owner.batch_execute(&format!(
        "DROP TABLE venues;
         CREATE TABLE venues (id bigint PRIMARY KEY, tenant text, description text, embedding vector(512)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF venues FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF venues FOR VALUES FROM (10) TO (20);
         INSERT INTO venues VALUES (1, 'a', 'barn'), (11, 'b', 'beach');
         CREATE POLICY tenant ON venues USING (tenant = current_setting('app.tenant', true)); {FORCE}
         ALTER TABLE low ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    ))?;
    assert_eq!(owner.value::<i64>(TRACK)?, 2);
    assert_embedded(&mut client, 2, "partitioned")?;
    client.batch_execute("UPDATE ann.venues SET description = 'tent'; INSERT INTO ann.low VALUES (2, 'b', 'lake')")?;
    assert_embedded(&mut client, 3, "partitioned, changed")?;
    Ok(())
}

/// A worker bypasses the policies of the owner's tables only.
#[test]
fn other_owners_tables_keep_their_policies() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    let mut owner = owner(&world.cluster, &mut client)?;
    client.batch_execute(
        "CREATE TABLE secret (word text); INSERT INTO secret VALUES ('x'); GRANT SELECT ON secret TO ann;
         ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    )?;
    owner.batch_execute(&format!(
        "{FORCE} CREATE TABLE seen (n bigint);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO ann.seen SELECT count(*) FROM public.secret; RETURN NEW; END $$;
         CREATE TRIGGER look BEFORE UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION look()"
    ))?;
    owner.batch_execute(TRACK)?;
    assert_embedded(&mut client, 3, "")?;
    assert_eq!(client.value::<String>("SELECT string_agg(n::text, ' ') FROM ann.seen")?, "0 0 0");
    Ok(())
}

/// A worker's write bypasses the policies; the triggers that it fires do not.
#[test]
fn triggers_obey_the_policies_of_their_owners_tables() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    let mut owner = owner(&world.cluster, &mut client)?;
    owner.batch_execute(&format!(
        "ALTER TABLE venues ADD first boolean NOT NULL DEFAULT true;
         CREATE POLICY tenant ON venues USING (tenant = current_setting('app.tenant', true)); {FORCE}
         CREATE FUNCTION only_one() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN UPDATE ann.venues SET first = false WHERE id <> NEW.id; RETURN NEW; END $$;
         CREATE TRIGGER only_one BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION only_one()"
    ))?;
    owner.batch_execute(TRACK)?;
    assert_embedded(&mut client, 3, "")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM ann.venues WHERE first")?, 3);
    Ok(())
}
