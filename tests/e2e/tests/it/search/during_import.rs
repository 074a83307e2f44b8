//! Searches while an import is under way.

use crate::support::prelude::*;

/// Searches that have to come back while pictures wait.
const SEARCHES: usize = 5;

/// Images found and not yet at their end.
fn pending(row: &Row) -> i32 {
    row.total - row.done()
}

fn search(client: &mut Client, number: usize) -> Result<()> {
    // Each another text, so that none is answered from memory.
    client.query_one("SELECT pinterest_embed_text($1)::text", &[&format!("barn {number}")])?;
    Ok(())
}

#[test]
fn a_text_does_not_wait_for_the_pictures_before_it() -> Result<()> {
    let (world, mut client) = World::of(Config::with_board("Beach", &Family::ALL, 150))?.with_session()?;
    search(&mut client, SEARCHES)?;
    let import = queue_board(&mut client, "Beach")?;
    let first = until_row(&mut client, import, "work on the images", |row| row.embedded > 0 && pending(row) > 20)?;
    for number in 0..SEARCHES {
        search(&mut client, number)?;
    }
    let row = Row::of(&mut client, import)?;
    assert!(pending(&row) > 0, "all pictures went before {SEARCHES} texts: {first:?}, then {row:?}");
    complete(&mut client, import)?;
    assert!(world.sandbox.requests().count(Kind::Image) > 0);
    Ok(())
}
