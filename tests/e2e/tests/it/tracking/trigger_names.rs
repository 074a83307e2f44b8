//! Declarations and triggers are matched by a UUID: the ids of declarations start again in a copy of the schema.

use crate::support::prelude::*;
use crate::support::tracking::{queue, server, settle};

/// Copies only the schema of the database into the database `copy`.
fn copy_schema(cluster: &Cluster, client: &mut Client) -> Result<Client> {
    client.batch_execute("CREATE DATABASE copy")?;
    let file = cluster.directory().join("schema");
    for (program, arguments) in [
        ("pg_dump", &["--schema-only", "--format=custom", "--dbname=postgres", "--file"][..]),
        ("pg_restore", &["--exit-on-error", "--dbname=copy"][..]),
    ] {
        let output = cluster.program(program)?.args(arguments).arg(&file).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    cluster.connect_to("postgres", "copy")
}

const TWO: &str = "
    CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
    CREATE TABLE halls (id bigint PRIMARY KEY, description text, embedding vector(512));
    SELECT pinterest_track('venues', text => 'description');
    SELECT pinterest_track('halls', text => 'description');";

#[test]
fn a_copy_of_the_schema_may_be_tracked_in_another_order() -> Result<()> {
    let (cluster, mut client) = server()?;
    client.batch_execute(TWO)?;
    let mut copy = copy_schema(&cluster, &mut client)?;
    assert_eq!(copy.value::<i64>("SELECT count(*) FROM pinterest.tracked_column")?, 0);
    // The copied triggers have no declaration here.
    copy.batch_execute("INSERT INTO venues VALUES (1, 'barn'); INSERT INTO halls VALUES (2, 'hall')")?;
    assert_eq!(queue(&mut copy)?, "");
    copy.batch_execute("SELECT pinterest_track('halls', text => 'description')")?;
    let id: i64 = copy.value("SELECT tracked_column_id FROM pinterest.tracked_column")?;
    assert_eq!(id, 1, "the id that the triggers of the other table have in their names");
    // `state` is left out: workers report a missing model here.
    let named =
        "SELECT string_agg(concat_ws(' ', \"table\", rows), ', ' ORDER BY tracked_column_id) FROM pinterest.tracked";
    assert_eq!(copy.value::<String>(named)?, "public.halls 1, public.venues");
    copy.batch_execute("INSERT INTO venues VALUES (3, 'x'); UPDATE venues SET description = 'y'; DELETE FROM venues WHERE id = 3; TRUNCATE venues")?;
    assert_eq!(queue(&mut copy)?, "2*", "the other table's triggers write nothing");
    copy.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'); SELECT pinterest_track('venues', text => 'description')",
    )?;
    assert_eq!(copy.value::<String>(named)?, "public.halls 1, public.venues 1");
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pinterest_track_%'";
    assert_eq!(copy.value::<i64>(triggers)?, 10, "the old triggers are gone");
    settle(&mut copy, "halls")?;
    copy.batch_execute("UPDATE venues SET description = 'castle'")?;
    assert_eq!(queue(&mut copy)?, "1* 2");
    Ok(())
}

#[test]
fn a_wrong_stored_oid_does_no_harm() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(TWO)?;
    let named =
        "SELECT string_agg(concat_ws(' ', \"table\", state), ', ' ORDER BY tracked_column_id) FROM pinterest.tracked";
    // A dump may contain the oid of another table, an unused one or none.
    for oid in ["'halls'::regclass::oid", "4294967295", "NULL"] {
        client.batch_execute(&format!(
            "UPDATE pinterest.tracked_column SET table_oid = {oid} WHERE tracked_column_id = 1; TRUNCATE venues"
        ))?;
        assert_eq!(client.value::<String>(named)?, "public.venues active, public.halls active", "{oid}");
        client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'); DELETE FROM venues WHERE id = 2")?;
        assert_eq!(queue(&mut client)?, "1*", "{oid}");
    }
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    let remembered = "SELECT table_oid = 'venues'::regclass FROM pinterest.tracked_column WHERE tracked_column_id = 1";
    assert!(client.value::<bool>(remembered)?);
    Ok(())
}

#[test]
fn a_trigger_on_another_table_of_the_owner_writes_nothing() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(TWO)?;
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column WHERE tracked_column_id = 1")?;
    client.batch_execute(&format!(
        "INSERT INTO venues VALUES (1, 'barn');
         CREATE TRIGGER other AFTER INSERT OR DELETE ON halls FOR EACH ROW EXECUTE FUNCTION pinterest.track_change('{tie}', 'description', 'id');
         CREATE TRIGGER none AFTER TRUNCATE ON halls EXECUTE FUNCTION pinterest.track_change('{tie}', 'description', 'id');
         INSERT INTO halls VALUES (1, 'x'), (5, 'y'); DELETE FROM halls WHERE id = 1; TRUNCATE halls"
    ))?;
    assert_eq!(queue(&mut client)?, "1*");
    Ok(())
}

/// The statements of claims and triggers use an index of pg_trigger.
#[test]
fn pg_trigger_is_never_read_whole() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE big (id bigint, description text, embedding vector(512), PRIMARY KEY (id)) PARTITION BY RANGE (id);
         DO $$ BEGIN FOR n IN 1..400 LOOP
             EXECUTE format('CREATE TABLE big_%s PARTITION OF big FOR VALUES FROM (%s) TO (%s)', n, n * 10, n * 10 + 10);
         END LOOP; END $$;
         SELECT pinterest_track('big', text => 'description');
         CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         SELECT pinterest_track('venues', text => 'description'); ANALYZE pg_trigger; ANALYZE pinterest.tracked_column",
    )?;
    let scans = "SELECT pg_stat_clear_snapshot()::text || seq_scan FROM pg_stat_all_tables WHERE relid = 'pg_trigger'::regclass";
    let mut reader = _cluster.connect()?;
    client.batch_execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()")?;
    let before: String = reader.value(scans)?;
    for n in 1..20 {
        client.batch_execute(&format!(
            "INSERT INTO venues VALUES ({n}, 'x'); UPDATE venues SET description = 'y'; SELECT * FROM pinterest.tracked WHERE tracked_column_id = 2"
        ))?;
    }
    client.batch_execute("SELECT pg_stat_force_next_flush()")?;
    client.batch_execute("SELECT 1")?;
    let after: String = reader.value(scans)?;
    assert_eq!(before, after, "pg_trigger was read by a sequential scan");
    Ok(())
}
