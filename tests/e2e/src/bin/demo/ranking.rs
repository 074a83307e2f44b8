//! The one query that all of this is for.

use e2e::Result;
use postgres::Client;

/// As a user types it; the board's name stands in for `$1`.
pub const SQL: &str = "SELECT name FROM venues ORDER BY embedding <=> pinterest_board_embedding('…')";

/// Rows shown on the terminal; the page has them all.
const SHOWN: usize = 10;

/// A venue and how far its photo is from the board's taste.
pub struct Ranked {
    pub name: String,
    pub kind: String,
    /// Cosine distance, 0 (the same direction) to 2.
    pub distance: f64,
    pub photo: Vec<u8>,
}

/// All venues, the nearest first.
pub fn query(client: &mut Client, board: &str) -> Result<Vec<Ranked>> {
    let rows = client.query(
        "SELECT name, kind, embedding <=> pinterest_board_embedding($1) AS distance, photo
           FROM venues ORDER BY embedding <=> pinterest_board_embedding($1) LIMIT 24",
        &[&board],
    )?;
    Ok(rows
        .iter()
        .map(|row| Ranked { name: row.get(0), kind: row.get(1), distance: row.get(2), photo: row.get(3) })
        .collect())
}

/// The first of them as a table.
pub fn print(ranked: &[Ranked]) {
    println!("\n      rank  venue                 kind       distance");
    println!("      ────  ────────────────────  ─────────  ────────");
    for (place, venue) in ranked.iter().take(SHOWN).enumerate() {
        println!("      {:>4}  {:<20}  {:<9}  {:>8.4}", place + 1, venue.name, venue.kind, venue.distance);
    }
    println!();
}
