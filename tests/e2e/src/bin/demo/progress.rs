//! The progress of an import.

use anyhow::bail;
use e2e::Result;
use postgres::Client;

/// Prints a line whenever the import's figures have changed; returns a summary.
pub fn watch(client: &mut Client, import: i64) -> Result<(String, ())> {
    let mut last = String::new();
    loop {
        // Returns early when the import ends.
        client.execute("SELECT pinterest_wait_for_import($1, interval '500 milliseconds')", &[&import])?;
        let row = client.query_one(
            "SELECT state, phase, pins_listed, images_total, images_embedded, images_reused, images_skipped,
                    images_failed, reason, hint
               FROM pinterest.imports WHERE import_id = $1",
            &[&import],
        )?;
        let count = |column: usize| row.get::<_, i32>(column);
        let (state, phase): (String, String) = (row.get(0), row.get(1));
        let (pins, images, embedded, reused, skipped, failed) =
            (count(2), count(3), count(4), count(5), count(6), count(7));
        match state.as_str() {
            "completed" => {
                return Ok((
                    format!(
                        "{pins} pins, {embedded} images embedded, {reused} reused, {skipped} skipped, {failed} failed"
                    ),
                    (),
                ));
            }
            "failed" | "cancelled" | "needs_reauth" => {
                let reason = row.get::<_, Option<String>>(8).unwrap_or_default();
                let hint = row.get::<_, Option<String>>(9).map(|hint| format!(" ({hint})")).unwrap_or_default();
                bail!("import {import} is {state}: {reason}{hint}");
            }
            _ => {
                let done = embedded + reused + skipped + failed;
                let line = format!("      {phase:<10} {pins:>4} pins {done:>5} of {images} images");
                if line != last {
                    println!("{line}");
                    last = line;
                }
            }
        }
    }
}
