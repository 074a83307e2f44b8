//! Searches during an import.

use crate::support::prelude::*;

/// Searches that must finish while images are queued.
const SEARCHES: usize = 5;

/// Images that are found but not finished.
fn pending(row: &Row) -> i32 {
    row.total - row.done()
}

fn search(client: &mut Client, number: usize) -> Result<()> {
    // A new text each time, so that none is cached.
    client.query_one("SELECT pinterest_embed_text($1)::text", &[&format!("barn {number}")])?;
    Ok(())
}

#[test]
fn a_search_does_not_wait_for_queued_images() -> Result<()> {
    let (world, mut client) = World::of(Config::with_board("Beach", &Family::ALL, 150))?.with_session()?;
    search(&mut client, SEARCHES)?;
    let import = queue_board(&mut client, "Beach")?;
    let first = until_row(&mut client, import, "work on the images", |row| row.embedded > 0 && pending(row) > 20)?;
    for number in 0..SEARCHES {
        search(&mut client, number)?;
    }
    let row = Row::of(&mut client, import)?;
    assert!(pending(&row) > 0, "all images were embedded before {SEARCHES} texts: {first:?}, then {row:?}");
    complete(&mut client, import)?;
    assert!(world.sandbox.requests().count(Kind::Image) > 0);
    Ok(())
}
