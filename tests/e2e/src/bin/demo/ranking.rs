//! The recommendation of venues.

use e2e::Result;
use postgres::Client;

/// The statement, with `…` for the board's name.
pub const SQL: &str = "SELECT * FROM pinterest_recommend('…', 'venues', k => 8, explain => true)";

/// Rows shown on the terminal and on the page.
pub const SHOWN: i32 = 8;

/// A recommended venue and the reason.
pub struct Ranked {
    pub name: String,
    pub kind: String,
    /// Cosine distance to the nearest theme, from 0 (the same direction) to 2.
    pub distance: f64,
    /// Number of that theme.
    pub theme: i32,
    /// The pin nearest to the venue.
    pub because: String,
}

/// The best venues for the board, with some diversity.
pub fn query(client: &mut Client, board: &str) -> Result<Vec<Ranked>> {
    let rows = client.query(
        "SELECT name, kind, distance, theme, coalesce(because -> 0 ->> 'title', 'pin ' || (because -> 0 ->> 'pin_id'))
           FROM pinterest_recommend($1, 'venues', k => $2, explain => true) AS picked JOIN venues ON id::text = picked.key
          ORDER BY rank",
        &[&board, &SHOWN],
    )?;
    Ok(rows
        .iter()
        .map(|row| Ranked {
            name: row.get(0),
            kind: row.get(1),
            distance: row.get(2),
            theme: row.get(3),
            because: row.get(4),
        })
        .collect())
}

/// Prints a table.
pub fn print(ranked: &[Ranked]) {
    println!("\n      rank  venue                 kind       theme  distance  because of");
    println!("      ────  ────────────────────  ─────────  ─────  ────────  ──────────────────────");
    for (place, venue) in ranked.iter().enumerate() {
        let Ranked { name, kind, distance, theme, because } = venue;
        println!("      {:>4}  {name:<20}  {kind:<9}  {theme:>5}  {distance:>8.4}  {because}", place + 1);
    }
    println!();
}
