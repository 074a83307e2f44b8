//! Helpers of the tests in which workers embed tracked columns.

use std::io::Cursor;

use image::ImageFormat;
use sandbox::scene;

use crate::support::prelude::*;

/// A preloaded world. Its Pinterest has a board of `pictures` different images for the tests' tables: tracked URLs may
/// name the CDN.
pub fn world(pictures: u64) -> Result<World> {
    let config = sandbox::Config::with_board("Beach", &[Family::Beach, Family::Barn], pictures);
    let world = World::of(config)?;
    world.cluster.set("pinterest.tracked_image_hosts", &world.sandbox.host())?;
    world.cluster.restart(Stop::Fast)?;
    Ok(world)
}

/// URLs of the board's images.
pub fn urls(world: &World, client: &mut Client) -> Result<Vec<String>> {
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    import(client, "Beach")?;
    world.sandbox.faults().remove(closed);
    world.sandbox.requests().reset();
    client.column("SELECT candidates -> 0 ->> 'url' FROM pinterest.pin_image ORDER BY pin_id, position")
}

/// A small world for tests that need no images of Pinterest.
pub fn small_world() -> Result<World> {
    World::of(quick_board("Beach", 1))
}

/// A photo.
pub fn photo(family: Family, seed: u64) -> Result<Vec<u8>> {
    let mut photo = Cursor::new(Vec::new());
    scene::draw(family, seed, 160, 120).write_to(&mut photo, ImageFormat::Jpeg)?;
    Ok(photo.into_inner())
}

/// Creates a table of an ordinary role. Returns a superuser's session and the role's.
pub fn table_of(world: &World, role: &str) -> Result<(Client, Client)> {
    world.cluster.create_role(role)?;
    let mut superuser = world.connect()?;
    superuser.batch_execute(&format!("SELECT pinterest_grant('{role}'); CREATE SCHEMA {role} AUTHORIZATION {role}"))?;
    let mut owner = world.cluster.connect_as(role)?;
    owner.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         CREATE TABLE seen (who text, what text);
         SELECT pinterest_track('venues', text => 'description')",
    )?;
    Ok((superuser, owner))
}

/// Creates the table `name (id bigint, description text, embedding vector(512))` and tracks its texts.
pub fn texts(client: &mut Client, name: &str) -> Result<()> {
    client.batch_execute(&format!(
        "CREATE TABLE {name} (id bigint PRIMARY KEY, description text, embedding vector(512));
         SELECT pinterest_track('{name}', text => 'description')"
    ))?;
    Ok(())
}

/// Number of rows of all tracked columns in a state.
pub fn count(client: &mut Client, state: &str) -> Result<i64> {
    client.value_with("SELECT count(*) FROM pinterest.tracked_row WHERE state = $1", &[&state])
}

/// Waits until no row is pending.
pub fn settled(client: &mut Client) -> Result<()> {
    let waited = until("no row to be pending", || Ok(count(client, "pending")? == 0));
    waited.map_err(|error| match states(client) {
        Ok(states) => error.context(states),
        Err(_) => error,
    })
}

/// The queue, for the message of a test that fails.
fn states(client: &mut Client) -> Result<String> {
    let rows = client.query(
        "SELECT format('%s %s: %s, %s attempts, %s, claimed by %s; %s', tracked_column_id, r.key, state, attempts, reason,
                claimed_by, problem)
           FROM pinterest.tracked_row r JOIN pinterest.tracked_column USING (tracked_column_id) LIMIT 20",
        &[],
    )?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
}

/// Number of rows of the table whose embedding is not that of their text.
pub fn wrong_texts(client: &mut Client, table: &str) -> Result<i64> {
    let sql = format!(
        "SELECT count(*) FROM {table}
          WHERE CASE WHEN description IS NULL THEN embedding IS NOT NULL
                     ELSE COALESCE(embedding <=> pinterest_embed_text(description) > 1e-6, true) END"
    );
    client.value(&sql)
}

/// State, reason and SQLSTATE of the row with this key in any tracked column.
pub fn state(client: &mut Client, key: &str) -> Result<(String, String, String)> {
    let row = client.query_one(
        "SELECT state, COALESCE(reason, ''), COALESCE(reason_code, '') FROM pinterest.tracked_row WHERE key = ARRAY[$1]",
        &[&key],
    )?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// Waits until the row with this key is in a state, and returns reason and SQLSTATE.
pub fn until_state(client: &mut Client, key: &str, wanted: &str) -> Result<(String, String)> {
    wait_for(wanted, SOON, || {
        let (state, reason, code) = state(client, key)?;
        Ok((state == wanted).then_some((reason, code)))
    })
}
