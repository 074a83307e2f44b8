//! `pinterest_sizing()`: the arithmetic of docs/scale.md.

use std::collections::BTreeMap;

use crate::support::prelude::*;
use crate::support::tracking::server;

fn sizing(client: &mut Client, arguments: &str) -> Result<BTreeMap<String, Option<f64>>> {
    let rows = client.query(&format!("SELECT item, value FROM pinterest_sizing({arguments})"), &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn close(found: &BTreeMap<String, Option<f64>>, item: &str, expected: f64) {
    let value = found.get(item).copied().flatten().unwrap_or_else(|| panic!("no value of {item:?} in {found:#?}"));
    assert!((value - expected).abs() <= expected.abs() * 1e-9, "{item}: {value}, expected {expected}");
}

#[test]
fn the_lines_follow_from_the_arguments() -> Result<()> {
    let (_cluster, mut client) = server()?;
    let found = sizing(
        &mut client,
        "1000, 500, boards_per_account => 2, sync_every => '2 days', new_pins_per_day => 0.25, images_per_second => 25,
         image_bytes => 100000, keep_images => 'originals', venues => 1000000",
    )?;
    close(&found, "pins", 500_000.0);
    close(&found, "imports a day", 1_000.0);
    // 250 boards have new pins: two more requests each.
    close(&found, "requests a day", 1_500.0);
    close(&found, "requests that Pinterest allows a day", 1_440_000_000.0);
    close(&found, "first imports: requests", 2.0 * 2_000.0 + 500_000.0 / 250.0);
    close(&found, "first imports: downloads", 50.0);
    close(&found, "first imports: time of one core", 500_000.0 / 25.0 / 86_400.0);
    close(&found, "new pins: cores of embedders", 250.0 / 86_400.0 / 25.0);
    close(&found, "refreshes a day", 50.0);
    close(&found, "memory: index of venues", 2.7);
    close(&found, "disk: kept images", 500_000.0 * (14_000.0 + 105_000.0) / 1e9);
    let trial = sizing(&mut client, "100, 500, tier => 'trial'")?;
    close(&trial, "requests that Pinterest allows a day", 1_000.0);
    // 400 imports a day, and 100 boards with new pins.
    close(&trial, "share of the quota", 0.6);
    close(&trial, "first imports: days of quota", (400.0 * 2.0 + 50_000.0 / 250.0) / 1_000.0);
    Ok(())
}

#[test]
fn unknown_words_and_nulls_give_nulls() -> Result<()> {
    let (_cluster, mut client) = server()?;
    let found = sizing(&mut client, "10, 10, keep_images => 'all', tier => 'gold'")?;
    for item in ["disk: kept images", "requests that Pinterest allows a day", "share of the quota"] {
        assert_eq!(found.get(item), Some(&None), "{item}");
    }
    close(&found, "pins", 100.0);
    // Nothing is divided by zero.
    for arguments in ["0, 0", "1, 1, sync_every => '0'", "1, 1, images_per_second => 0", "NULL, NULL"] {
        let lines = sizing(&mut client, arguments)?.len();
        assert_eq!(lines, found.len(), "{arguments}");
    }
    Ok(())
}
