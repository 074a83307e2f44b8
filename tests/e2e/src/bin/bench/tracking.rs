//! The cost of tracking in statements on many rows.

use std::time::Instant;

use anyhow::ensure;
use e2e::tracking::{VENUES, start};
use e2e::{Cluster, Result};

use crate::figure;

const ROWS: u32 = 100_000;
const TRACK: &str = "SELECT pinterest_track('venues', text => 'description')";

/// Times each kind of statement on a table without tracking and on a tracked one, then `pinterest_track()` itself.
pub fn measure() -> Result<()> {
    let (_cluster, mut client) = start(Cluster::builder())?;
    let statements = [
        ("INSERT", format!("INSERT INTO venues SELECT n, 'venue ' || n FROM generate_series(1, {ROWS}) n")),
        ("UPDATE of another column", "UPDATE venues SET photo = 'x'".to_owned()),
        ("UPDATE of the source", "UPDATE venues SET description = 'v' || id".to_owned()),
        ("DELETE", "DELETE FROM venues".to_owned()),
    ];
    let mut microseconds = Vec::new();
    for tracked in [false, true] {
        client.batch_execute(&format!("DROP TABLE IF EXISTS venues; {VENUES}"))?;
        if tracked {
            client.batch_execute(TRACK)?;
        }
        for (_, statement) in &statements {
            client.batch_execute("VACUUM ANALYZE venues")?;
            let begun = Instant::now();
            client.batch_execute(statement)?;
            microseconds.push(begun.elapsed().as_secs_f64() / f64::from(ROWS) * 1e6);
        }
    }
    let (without, with) = microseconds.split_at(statements.len());
    for (((what, _), without), with) in statements.iter().zip(without).zip(with) {
        figure(what, format!("{with:.1} µs per row, {without:.1} µs without tracking"));
    }
    client.batch_execute(&statements[0].1)?;
    let begun = Instant::now();
    let rows: i64 = client.query_one(TRACK, &[])?.get(0);
    ensure!(rows == i64::from(ROWS), "{rows} rows are queued");
    figure("pinterest_track() again", format!("{:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}
