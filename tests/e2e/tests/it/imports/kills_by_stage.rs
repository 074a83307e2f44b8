//! The worker is killed or terminated, or the server is stopped immediately, in each stage of an import: the import
//! continues from there, and nothing is lost or done twice.

use std::collections::BTreeSet;

use sandbox::Selector;

use crate::support::oauth::kill_worker;
use crate::support::prelude::*;

const PINS: u64 = 12;
const PAGES: u64 = 3;
const WORKER: &str = "pg_pinterest worker";

/// A stage of an import, which is held at one of its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Resolving,
    Sections,
    Listing,
    Images,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Resolving, Stage::Sections, Stage::Listing, Stage::Images];

    /// The requests to hold, and how many of them pass before.
    fn held(self, board: &str) -> (Selector, u64) {
        match self {
            Stage::Resolving => (format!("/v5/boards/{board}").into(), 0),
            Stage::Sections => (format!("/v5/boards/{board}/sections").into(), 0),
            Stage::Listing => (format!("/v5/boards/{board}/pins").into(), 1),
            Stage::Images => (Kind::Image.into(), 5),
        }
    }

    /// Whether the import has got as far as it can while it is held.
    fn is_reached(self, row: &Row) -> bool {
        match self {
            Stage::Resolving => row.phase == "resolving" && row.state == "running",
            Stage::Sections => row.phase == "listing",
            Stage::Listing => row.pins_listed == 4 && row.embedded == 4,
            Stage::Images => row.pins_listed == PINS as i32 && row.embedded == 5,
        }
    }
}

/// A board for each stage, listed with four pins per page.
fn world() -> Result<World> {
    let board = |stage: &Stage| beach_board(format!("{stage:?}"), PINS);
    let config = Config {
        accounts: vec![Stage::ALL.iter().map(board).fold(AccountSpec::new("example_user"), AccountSpec::board)],
        faults: vec![Rule::on(Kind::BoardPins, Fault::ShortPage { items: 4 })],
        ..quick_board("Beach", 0)
    };
    World::of(config)
}

/// Interrupts an import in one stage. `interrupt` returns after the interruption.
fn interrupted(world: &World, stage: Stage, interrupt: impl Fn(&World) -> Result<()>) -> Result<()> {
    let connected = || wait_for("the server to accept connections", SOON, || Ok(world.connect().ok()));
    let mut client = connected()?;
    let name = format!("{stage:?}");
    let board = world.sandbox.board_id(&name)?;
    let (on, passing) = stage.held(&board);
    let rule = Rule { on, ..Rule::on(Selector::any(), Fault::Hold { gate: name.clone() }) };
    let rule = world.sandbox.faults().add(rule.skip(passing));
    world.sandbox.requests().reset();
    let import = queue_board(&mut client, &board)?;
    until_row(&mut client, import, &name, |row| stage.is_reached(row))?;
    until("a request to be held", || Ok(world.sandbox.faults().fired(rule) > 0))?;
    drop(client);
    interrupt(world)?;
    world.sandbox.faults().release(&name);
    let mut client = connected()?;
    let row = until_row(&mut client, import, "the import's end", |row| row.phase == "finished")?;
    check(&mut client, world, stage, &board, &row)?;
    world.sandbox.faults().remove(rule);
    Ok(())
}

fn check(client: &mut Client, world: &World, stage: Stage, board: &str, row: &Row) -> Result<()> {
    let pins = PINS as i32;
    assert_eq!(
        (row.state.as_str(), row.pins_listed, row.total, row.embedded),
        ("completed", pins, pins, pins),
        "{stage:?}: {row:?}"
    );
    let images = "SELECT count(*) FILTER (WHERE state = 'embedded') FROM pinterest.pin_image JOIN pinterest.pin USING (account_id, pin_id)
              WHERE board_id = $1";
    assert_eq!(client.value_with::<i64>(images, &[&board])?, PINS as i64, "{stage:?}");
    let report = "SELECT count(*) FROM pinterest.import_report WHERE outcome = 'pending'";
    assert_eq!(client.value::<i64>(report)?, 0, "{stage:?}");

    // No stored page is requested again; the outstanding one is.
    let pages = format!("/v5/boards/{board}/pins");
    let asked = |row: &&sandbox::Request| row.path == pages;
    let (latest, arrived) = (world.sandbox.requests().latest(), world.sandbox.requests().count(Kind::BoardPins));
    let distinct: BTreeSet<_> = latest.iter().filter(asked).map(|request| &request.query).collect();
    assert_eq!(distinct.len() as u64, PAGES, "{stage:?}");
    assert!(arrived <= PAGES + u64::from(stage == Stage::Listing), "{stage:?}: {arrived} pages were requested");
    // No embedded image is downloaded again; the outstanding ones are.
    let pictures = world.sandbox.requests().pictures();
    let in_before = if stage == Stage::Images { 5 } else { 0 };
    assert!((PINS..=2 * PINS - in_before).contains(&pictures), "{stage:?}: {pictures} images were requested");
    Ok(())
}

#[test]
fn imports_survive_a_killed_worker() -> Result<()> {
    let world = world()?;
    for stage in Stage::ALL {
        interrupted(&world, stage, |world| kill_worker(world).map(drop))?;
    }
    Ok(())
}

#[test]
fn imports_and_sessions_survive_a_terminated_worker() -> Result<()> {
    for stage in Stage::ALL {
        // A new world, as the launcher delays the restart of workers that repeatedly end soon after their start.
        let world = world()?;
        interrupted(&world, stage, |world| {
            let mut bystander = world.connect()?;
            bystander.batch_execute("BEGIN; CREATE TEMPORARY TABLE kept AS SELECT 1")?;
            let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
            let ended = "SELECT pg_terminate_backend($1, 10000)";
            assert!(bystander.value_with::<bool>(ended, &[&worker.pid])?, "the worker has not ended");
            bystander.batch_execute("INSERT INTO kept VALUES (2); COMMIT")?;
            Ok(())
        })?;
        assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    }
    Ok(())
}

#[test]
fn imports_survive_an_immediate_stop_of_the_server() -> Result<()> {
    let world = world()?;
    for stage in Stage::ALL {
        interrupted(&world, stage, |world| world.cluster.restart(Stop::Immediate))?;
    }
    Ok(())
}
