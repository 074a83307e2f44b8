//! The board and the venues as a page.

use std::path::Path;

use anyhow::Context;
use e2e::Result;
use postgres::Client;

/// As a user types it, cut to the width of the terminal.
pub const SQL: &str = "SELECT pinterest_gallery('…', rows => (SELECT json_agg(v) FROM (…) AS v), embed => true)";

/// Venues on the page.
const SHOWN: i64 = 12;

/// Writes the page; how many bytes it has.
pub fn write(client: &mut Client, board: &str, path: &Path) -> Result<usize> {
    let page: String = client
        .query_one(
            "SELECT pinterest_gallery($1, embed => true, rows => (SELECT json_agg(v) FROM (
                 SELECT row_number() OVER (ORDER BY distance) AS rank, name, kind, distance, photo AS image
                   FROM (SELECT *, embedding <=> pinterest_board_embedding($1) AS distance FROM venues) AS near
                  ORDER BY distance LIMIT $2) AS v))",
            &[&board, &SHOWN],
        )?
        .get(0);
    std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(page.len())
}
