//! The user's table: venues with a photo each.

use anyhow::ensure;
use e2e::Result;
use postgres::Client;
use sandbox::scene::{self, Family};

use crate::picture;

/// Six names for each kind of place. The images are of the same families as the pins', with different seeds.
const VENUES: [(Family, [&str; 6]); 4] = [
    (
        Family::Beach,
        ["Driftwood Pavilion", "Tidewater Arch", "The Salt House", "Sandpiper Point", "The Boathouse", "Dune Chapel"],
    ),
    (
        Family::Barn,
        ["Alder Hill Barn", "Hollow Creek Barn", "The Hayloft", "Three Rows Barn", "Castello Farm", "The Old Oaks"],
    ),
    (
        Family::Ballroom,
        ["Grand Meridian", "Hotel Aurelia", "The Gilded Room", "Foundry Hall", "The Lantern Room", "Skyline Ballroom"],
    ),
    (
        Family::Garden,
        ["Rosewood Gardens", "Larkspur Walk", "The Walled Garden", "Mossgrove", "Fernhollow", "Stillwater Terrace"],
    ),
];
/// First seed of the images, far from those of any board's pins.
const FIRST_SEED: u64 = 0x0076_656E_7565;

/// Number of venues.
pub fn count() -> usize {
    VENUES.iter().map(|(_, names)| names.len()).sum()
}

/// Creates the table with its photos and an index on the embeddings.
pub fn create(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "CREATE TABLE venues (
             id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             name      text NOT NULL,
             kind      text NOT NULL,
             photo     bytea NOT NULL,
             embedding vector(512)
         )",
    )?;
    let insert = client.prepare("INSERT INTO venues (name, kind, photo) VALUES ($1, $2, $3)")?;
    let places = VENUES.iter().flat_map(|(family, names)| names.iter().map(move |name| (*family, *name)));
    for (seed, (family, name)) in (FIRST_SEED..).zip(places) {
        let photo = picture::jpeg(&scene::draw(family, seed, 800, 1200))?;
        client.execute(&insert, &[&name, &family.name(), &photo])?;
    }
    client.batch_execute("CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops)")?;
    Ok(())
}

/// Tracks the photos and returns the number of rows to embed.
pub fn track(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT pinterest_track('venues', image => 'photo')", &[])?.get(0))
}

/// Waits until all venues are embedded.
pub fn wait(client: &mut Client) -> Result<i64> {
    let left: i64 = client.query_one("SELECT pinterest_wait_for_tracked('venues', '5 minutes')", &[])?.get(0);
    let embedded: i64 = client.query_one("SELECT count(embedding) FROM venues", &[])?.get(0);
    ensure!(left == 0 && usize::try_from(embedded)? == count(), "{embedded} of {} photos are embedded", count());
    Ok(embedded)
}
