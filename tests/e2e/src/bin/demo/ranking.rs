//! The one query that all of this is for.

use e2e::Result;
use postgres::Client;

/// As a user types it; the board's name stands in for `$1`.
pub const SQL: &str = "SELECT name FROM venues ORDER BY embedding <=> pinterest_board_embedding('…')";

/// Rows shown.
const SHOWN: i64 = 10;

/// A venue and how far its photo is from the board's taste.
pub struct Ranked {
    pub name: String,
    pub kind: String,
    /// Cosine distance, 0 (the same direction) to 2.
    pub distance: f64,
}

/// The venues nearest to the board.
pub fn query(client: &mut Client, board: &str) -> Result<Vec<Ranked>> {
    let rows = client.query(
        "SELECT name, kind, embedding <=> pinterest_board_embedding($1) AS distance
           FROM venues ORDER BY embedding <=> pinterest_board_embedding($1) LIMIT $2",
        &[&board, &SHOWN],
    )?;
    Ok(rows.iter().map(|row| Ranked { name: row.get(0), kind: row.get(1), distance: row.get(2) }).collect())
}

/// As a table.
pub fn print(ranked: &[Ranked]) {
    println!("\n      rank  venue                 kind       distance");
    println!("      ────  ────────────────────  ─────────  ────────");
    for (place, venue) in ranked.iter().enumerate() {
        println!("      {:>4}  {:<20}  {:<9}  {:>8.4}", place + 1, venue.name, venue.kind, venue.distance);
    }
    println!();
}
