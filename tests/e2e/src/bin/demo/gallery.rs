//! The gallery page of the board and the venues.

use std::path::Path;

use anyhow::{Context, ensure};
use e2e::Result;
use postgres::Client;

use crate::ranking;

/// The statement, shortened to the width of the terminal.
pub const SQL: &str = "SELECT pinterest_gallery('…', rows => (SELECT json_agg(v) FROM (…) AS v), embed => true)";

/// The page is to be below this number of bytes.
const MAILABLE: usize = 2_000_000;

/// Writes the page and returns its size in bytes.
pub fn write(client: &mut Client, board: &str, path: &Path) -> Result<usize> {
    let page: String = client
        .query_one(
            "SELECT pinterest_gallery($1, embed => true, rows => (SELECT json_agg(v) FROM (
                 SELECT rank, name, kind, photo AS image, distance, theme, because
                   FROM pinterest_recommend($1, 'venues', k => $2, explain => true) AS picked
                   JOIN venues ON id::text = picked.key
                  ORDER BY rank) AS v))",
            &[&board, &ranking::SHOWN],
        )?
        .get(0);
    ensure!(page.len() < MAILABLE, "the page has {} bytes, too many for a mail", page.len());
    std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(page.len())
}
