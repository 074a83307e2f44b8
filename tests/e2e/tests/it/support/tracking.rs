//! Servers whose workers leave tracked columns alone: the queue stays as the triggers left it.

pub use e2e::tracking::{VENUES, start};
use postgres::GenericClient;

use crate::support::prelude::*;

/// A server with the extension whose workers leave tracked columns alone.
pub fn server() -> Result<(Cluster, Client)> {
    start(Cluster::builder())
}

/// A server with the table `venues`, whose description is tracked.
pub fn tracked_venues() -> Result<(Cluster, Client)> {
    let (cluster, mut client) = server()?;
    client.batch_execute(&format!("{VENUES} SELECT pinterest_track('venues', text => 'description')"))?;
    Ok((cluster, client))
}

/// The queue of the only tracked column: sorted keys, with commas between the columns of a key, and a star after the
/// keys of pending rows.
pub fn queue(client: &mut impl GenericClient) -> Result<String> {
    client.value(
        "SELECT COALESCE(string_agg(array_to_string(key, ',') || CASE state WHEN 'pending' THEN '*' ELSE '' END, ' '
                    ORDER BY key COLLATE \"C\"), '') FROM pinterest.tracked_row",
    )
}

/// Does the work of workers: every row in the queue becomes embedded, in the table too.
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
