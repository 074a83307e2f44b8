//! What the tests of tracked columns share. On their servers workers wait for ever before they look at a tracked column:
//! the queue stays as the triggers left it.

use crate::support::Sql;
use e2e::{Cluster, Result, cluster};
use postgres::{Client, GenericClient};

/// Has every tracked column look as if its time had not come.
const NO_WORKERS: &str = "
    CREATE FUNCTION wait_for_ever() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.next_attempt_at := 'infinity'; RETURN NEW; END $$;
    CREATE TRIGGER wait_for_ever BEFORE INSERT OR UPDATE ON pinterest.tracked_column
        FOR EACH ROW EXECUTE FUNCTION wait_for_ever();";

/// A server with the extension, and nobody who works on tracked columns.
pub fn server() -> Result<(Cluster, Client)> {
    start(Cluster::builder())
}

/// The same with further settings.
pub fn start(builder: cluster::Builder) -> Result<(Cluster, Client)> {
    let cluster = builder.preload(true).start()?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    client.batch_execute(NO_WORKERS)?;
    Ok((cluster, client))
}

/// A table of venues with a description to follow.
pub const VENUES: &str =
    "CREATE TABLE venues (id bigint PRIMARY KEY, description text, photo bytea, embedding vector(512));";

/// A server with that table, and its description tracked.
pub fn tracked_venues() -> Result<(Cluster, Client)> {
    let (cluster, mut client) = server()?;
    client.batch_execute(&format!("{VENUES} SELECT pinterest_track('venues', text => 'description')"))?;
    Ok((cluster, client))
}

/// The queue of the one tracked column there is: keys in their order, with commas in a key and spaces between keys; a star
/// behind those that are pending.
pub fn queue(client: &mut impl GenericClient) -> Result<String> {
    client.value(
        "SELECT COALESCE(string_agg(array_to_string(key, ',') || CASE state WHEN 'pending' THEN '*' ELSE '' END, ' '
                    ORDER BY key COLLATE \"C\"), '') FROM pinterest.tracked_row",
    )
}

/// Does what workers would: every row in the queue becomes embedded, in the table too.
pub fn settle(client: &mut impl GenericClient, table: &str) -> Result<()> {
    client.batch_execute(&format!(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('\\x01', 'test', '', 'f32', 'test', 512) ON CONFLICT DO NOTHING;
         UPDATE pinterest.tracked_row SET state = 'embedded', source_sha256 = '\\x00', embedded_at = now(),
             model_id = (SELECT model_id FROM pinterest.model);
         UPDATE {table} SET embedding = array_fill(1, '{{512}}')::vector"
    ))?;
    Ok(())
}

/// Keys of rows that have an embedding.
pub fn embedded(client: &mut impl GenericClient, table: &str) -> Result<String> {
    client.value(&format!(
        "SELECT COALESCE(string_agg(id::text, ' ' ORDER BY id), '') FROM {table} WHERE embedding IS NOT NULL"
    ))
}
