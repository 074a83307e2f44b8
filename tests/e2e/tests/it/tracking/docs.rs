//! The statements of docs/tracking.md run as written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::anyhow;
use e2e::{checkout, runtime_directory};

use crate::support::doc_pages::{blocks, statements};
use crate::support::prelude::*;
use crate::support::tracking_work::{photo, settled};

/// The photo that the page reads.
const SHOWN: &str = "/srv/photos/long-barn.jpg";

#[test]
fn statements_of_the_page_run() -> Result<()> {
    let (_world, mut client) = World::of(quick_board("Barn wedding", 3))?.with_session()?;
    import(&mut client, "Barn wedding")?;
    let file = runtime_directory("photos")?.join("long-barn.jpg");
    fs::write(&file, photo(Family::Barn, 1)?)?;
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;

    let text = fs::read_to_string(checkout().join("docs/tracking.md"))?;
    assert!(text.contains(SHOWN));
    let text = text.replace(SHOWN, &file.display().to_string());
    let mut run = 0;
    for (_, body) in blocks(&text).iter().filter(|(language, _)| *language == "sql") {
        for statement in statements(body) {
            let rows = client.query(&statement, &[]).map_err(|error| anyhow!("{statement}\n{error:?}"))?;
            if statement.starts_with("INSERT") {
                settled(&mut client)?;
            }
            // The page inserts into one table, whose rows do not fail.
            let empty = statement.contains("FROM venue_photos") || statement.contains("tracked_failures");
            let expected = usize::from(statement.starts_with("SELECT") && !empty);
            assert_eq!(rows.len(), expected, "{statement}");
            run += 1;
        }
    }
    assert!(run > 10, "{run} statements");
    Ok(())
}
