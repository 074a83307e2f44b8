//! The one query that all of this is for.

use e2e::Result;
use postgres::Client;

/// As a user types it; the board's name stands in for `…`.
pub const SQL: &str = "SELECT * FROM pinterest_recommend('…', 'venues', k => 8, explain => true)";

/// Rows shown, on the terminal and on the page.
pub const SHOWN: i32 = 8;

/// A venue that suits the board, and why.
pub struct Ranked {
    pub name: String,
    pub kind: String,
    /// Cosine distance to the theme it suits, 0 (the same direction) to 2.
    pub distance: f64,
    /// Which of the board's themes that is.
    pub theme: i32,
    /// The pin nearest to it.
    pub because: String,
}

/// The venues that suit the board best, and are not too much alike.
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

/// As a table.
pub fn print(ranked: &[Ranked]) {
    println!("\n      rank  venue                 kind       theme  distance  because of");
    println!("      ────  ────────────────────  ─────────  ─────  ────────  ──────────────────────");
    for (place, venue) in ranked.iter().enumerate() {
        let Ranked { name, kind, distance, theme, because } = venue;
        println!("      {:>4}  {name:<20}  {kind:<9}  {theme:>5}  {distance:>8.4}  {because}", place + 1);
    }
    println!();
}
