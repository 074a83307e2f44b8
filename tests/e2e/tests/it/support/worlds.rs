//! Worlds that many tests use, and changes to them.

use sandbox::config::{ImageRules, Tier};
use serde_json::{Map, Value};

use crate::support::imports::{import, queue};
use crate::support::prelude::*;

/// A Pinterest with one board of single images that are cheap to serve, for tests that do not depend on their content.
pub fn quick_board(name: &str, pins: u64) -> Config {
    let config = Config::with_board(name, &[Family::Beach, Family::Barn], pins);
    Config { images: ImageRules { pool: Some(1), ..config.images.clone() }, ..config }
}

/// A board of single images of beaches.
pub fn beach_board(name: impl Into<String>, pins: u64) -> BoardSpec {
    BoardSpec::new(name, &[Family::Beach], pins).media(MediaMix::images_only())
}

/// A preloaded world with one board of [`quick_board`], connected.
pub fn quick_world(name: &str, pins: u64) -> Result<World> {
    World::of(quick_board(name, pins))
}

/// Serves the first `passing` images and holds back the others until `faults().release(GATE)`, which keeps an import in
/// progress.
pub fn hold_pictures_after(world: &World, passing: u64) {
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).skip(passing));
}

/// The gate of [`hold_pictures_after`].
pub const GATE: &str = "pictures";

/// Imports a board while the CDN refuses every image. Returns pins and paths of their best images, for which tests can
/// add faults before the next import.
pub fn pins_without_pictures(world: &World, client: &mut Client, board: &str) -> Result<Vec<(String, String)>> {
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let row = import(client, board)?;
    assert_eq!(row.failed, row.total, "{row:?}");
    world.sandbox.faults().remove(closed);
    let rows = client.query(
        "SELECT pin_id, regexp_replace(candidates -> 0 ->> 'url', '^https://[^/]*', '') FROM pinterest.pin_image
          ORDER BY pin_id",
        &[],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Sets members of some pins in every response that contains them; of all pins if `ids` is empty.
pub fn set_pin_members(world: &World, ids: &[String], members: Value) {
    let set: Map<String, Value> = members.as_object().cloned().unwrap_or_default();
    for kind in [Kind::BoardPins, Kind::Pin] {
        let fault = Fault::EditItems { ids: ids.to_vec(), set: set.clone(), remove: Vec::new() };
        world.sandbox.faults().add(Rule::on(kind, fault));
    }
}

/// The kinds of requests that count against a quota.
pub const API: [Kind; 7] =
    [Kind::UserAccount, Kind::Boards, Kind::Board, Kind::BoardPins, Kind::Sections, Kind::SectionPins, Kind::Pin];

/// Two users with boards of five pins (`Amy 1` and so on), listed in three pages, connected by one app. Returns their
/// accounts.
pub fn two_people(tier: Tier, boards: usize) -> Result<(World, Client, [i64; 2])> {
    let person = |name: &str| {
        let board = |number: usize| beach_board(format!("{name} {number}"), 5);
        (1..=boards).map(board).fold(AccountSpec::new(format!("example_{name}").to_lowercase()), AccountSpec::board)
    };
    let config = Config {
        accounts: vec![person("Amy"), person("Ben")],
        faults: vec![Rule::on(Kind::BoardPins, Fault::ShortPage { items: 2 })],
        tier,
        ..quick_board("Beach", 0)
    };
    let (world, mut client) = World::of(config)?.with_session()?;
    world.sandbox.sign_in("example_ben")?;
    let ben = world.connect_account(&mut client)?;
    let amy = world.account();
    Ok((world, client, [amy, ben]))
}

/// Queues an import of a board of one account.
pub fn queue_for(client: &mut Client, account: i64, board: &str) -> Result<i64> {
    queue(client, &format!("'{board}', {account}"))
}

/// Requests that have arrived and count against a quota.
pub fn asked(world: &World) -> i64 {
    API.iter().map(|kind| world.sandbox.requests().count(*kind)).sum::<u64>() as i64
}
