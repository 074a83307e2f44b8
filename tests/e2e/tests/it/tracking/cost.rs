//! What tracking costs a bulk load. Prints the figures, with `--nocapture`.

use std::time::Instant;

use e2e::Result;

use crate::support::Sql;
use crate::support::tracking::{VENUES, server, settle};

const ROWS: u32 = 100_000;

#[test]
fn a_hundred_thousand_rows() -> Result<()> {
    let (_cluster, mut client) = server()?;
    let statements = [
        ("INSERT", format!("INSERT INTO venues SELECT n, 'venue ' || n FROM generate_series(1, {ROWS}) n")),
        ("UPDATE of another column", "UPDATE venues SET photo = 'x'".to_owned()),
        ("UPDATE of the source", "UPDATE venues SET description = 'v' || id".to_owned()),
        ("DELETE", "DELETE FROM venues".to_owned()),
    ];
    let mut seconds = Vec::new();
    for tracked in [false, true] {
        client.batch_execute(&format!("DROP TABLE IF EXISTS venues; {VENUES}"))?;
        if tracked {
            client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        }
        for (what, statement) in &statements {
            client.batch_execute("VACUUM ANALYZE venues")?;
            let begin = Instant::now();
            client.batch_execute(statement)?;
            seconds.push(begin.elapsed().as_secs_f64());
            if tracked && *what != "DELETE" {
                let queued = "SELECT count(*) FROM pinterest.tracked_row WHERE state = 'pending'";
                assert_eq!(client.value::<i64>(queued)?, i64::from(ROWS), "{what}");
            }
        }
    }
    let (without, with) = seconds.split_at(statements.len());
    for (((what, _), without), with) in statements.iter().zip(without).zip(with) {
        let microseconds = |seconds: &f64| seconds / f64::from(ROWS) * 1e6;
        println!("{what}: {:.1} µs a row, {:.1} µs without tracking", microseconds(with), microseconds(without));
    }
    client.batch_execute(&statements[0].1)?;
    let begin = Instant::now();
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, i64::from(ROWS));
    println!("pinterest_track() again: {:.1} s", begin.elapsed().as_secs_f64());
    settle(&mut client, "venues")?;
    client.batch_execute("TRUNCATE venues")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row")?, 0);
    Ok(())
}
