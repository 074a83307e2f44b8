//! Queues imports and waits for them, for tests, benchmarks and the demo.

use anyhow::Context;
use postgres::Client;

use crate::Result;
use crate::cluster::quote_literal;

/// Queues an import and returns its id; `arguments` are those of `pinterest_import_board()` in SQL, such as
/// `'Beach', max_images => 5`.
pub fn queue(client: &mut Client, arguments: &str) -> Result<i64> {
    let sql = format!("SELECT pinterest_import_board({arguments})");
    Ok(client.query_one(&sql, &[]).with_context(|| sql.clone())?.get(0))
}

/// Queues an import of a whole board.
pub fn queue_board(client: &mut Client, board: &str) -> Result<i64> {
    queue(client, &quote_literal(board))
}

/// Waits up to two minutes for the end of an import and returns its state.
pub fn wait(client: &mut Client, import: i64) -> Result<String> {
    let row = client.query_one("SELECT pinterest_wait_for_import($1, interval '2 minutes')", &[&import]);
    Ok(row.with_context(|| format!("pinterest_wait_for_import({import})"))?.get(0))
}
