//! Listings with random faults, over several imports of two boards: no pin that is still on its board is removed, no
//! embedding of one is lost, and correct listings repair everything.
//!
//! `LISTING_WALK=17` uses that seed only, `LISTING_WALKS=100` that many seeds per test.

use std::collections::BTreeMap;

use fastrand::Rng;
use sandbox::OddShape;

use crate::support::oauth::USER;
use crate::support::prelude::*;

const BOARDS: [&str; 2] = ["One", "Two"];
/// As many pins as are verified one by one, so that changes hidden by the count are detected too.
const PINS: u64 = 9;
const STEPS: usize = 12;

/// A random walk, with a trace of its steps.
struct Walk {
    random: Rng,
    world: World,
    client: Client,
    trace: Vec<String>,
}

#[test]
fn pins_survive_listing_faults_of_seed_1() -> Result<()> {
    walks(1)
}

#[test]
fn pins_survive_listing_faults_of_seed_2() -> Result<()> {
    walks(2)
}

#[test]
fn pins_survive_listing_faults_of_seed_3() -> Result<()> {
    walks(3)
}

fn walks(seed: u64) -> Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("LISTING_WALK") {
        return walk(seed);
    }
    (0..number("LISTING_WALKS").unwrap_or(1)).try_for_each(|more| walk(seed + 10 * more))
}

fn walk(seed: u64) -> Result<()> {
    let board = |name: &str| beach_board(name, PINS);
    let account = AccountSpec::new(USER).board(board(BOARDS[0])).board(board(BOARDS[1]));
    let world = World::of(Config { accounts: vec![account], ..quick_board("One", 1) })?;
    let client = world.connect()?;
    let mut walk = Walk { random: Rng::with_seed(seed), world, client, trace: vec![format!("seed {seed}")] };
    for _ in 0..STEPS {
        walk.step()?;
    }
    walk.finish()
}

impl Walk {
    fn step(&mut self) -> Result<()> {
        self.change_a_board()?;
        let faults: Vec<_> = (0..self.random.usize(0..3)).map(|_| fault(&mut self.random)).collect();
        let pages = Rule::on(Kind::BoardPins, Fault::ShortPage { items: self.random.u64(2..12) });
        let rules: Vec<_> = faults.into_iter().chain([pages]).collect();
        let added: Vec<_> = rules.iter().map(|rule| self.world.sandbox.faults().add(rule.clone())).collect();
        let board = BOARDS[self.random.usize(..2)];
        self.trace.push(format!("import of {board} with {rules:?}"));
        self.import(board)?;
        for rule in added {
            self.world.sandbox.faults().remove(rule);
        }
        Ok(())
    }

    fn change_a_board(&mut self) -> Result<()> {
        let sandbox = &self.world.sandbox;
        let (name, other) = (BOARDS[self.random.usize(..2)], BOARDS[self.random.usize(..2)]);
        let board = sandbox.board_id(name)?;
        let pins = sandbox.pin_ids(&board)?;
        let pin = (!pins.is_empty()).then(|| pins[self.random.usize(..pins.len())].clone());
        match (self.random.u8(0..5), pin) {
            (0, _) => {}
            (1 | 2, Some(pin)) => {
                self.trace.push(format!("{pin} leaves {name}"));
                sandbox.remove_pin(&pin)?;
            }
            (3, Some(pin)) if name != other && sandbox.pin_ids(&sandbox.board_id(other)?)?.len() < PINS as usize => {
                self.trace.push(format!("{pin} moves from {name} to {other}"));
                sandbox.move_pin(&pin, &sandbox.board_id(other)?)?;
            }
            _ if pins.len() < PINS as usize => {
                self.trace.push(format!("new pin on {name}"));
                sandbox.add_pins(&board, 1)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The imported pins that are still on their boards, with their numbers of embeddings.
    fn safe(&mut self) -> Result<BTreeMap<String, i64>> {
        let mut safe = BTreeMap::new();
        for board in BOARDS {
            let board = self.world.sandbox.board_id(board)?;
            let rows = self.client.query(
                "SELECT p.pin_id, count(i.embedding) FROM pinterest.pin p LEFT JOIN pinterest.pin_image i USING (account_id, pin_id)
                  WHERE p.board_id = $1 AND p.removed_at IS NULL AND p.pin_id = ANY ($2) GROUP BY p.pin_id",
                &[&board, &self.world.sandbox.pin_ids(&board)?],
            )?;
            safe.extend(rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, i64>(1))));
        }
        Ok(safe)
    }

    /// Imports a board and checks that no pin and no embedding is lost. Returns the coverage.
    fn import(&mut self, board: &str) -> Result<String> {
        let before = self.safe()?;
        let import = queue(&mut self.client, &format!("'{board}'"))?;
        let report = Report::completed(&mut self.client, import)?;
        self.trace.push(format!("{} {report:?}", report.coverage));
        let after = self.safe()?;
        for (pin, vectors) in before {
            let now = after.get(&pin).copied();
            assert!(
                now.is_some_and(|now| now >= vectors),
                "{pin} had {vectors} vectors, now {now:?}: {:#?}",
                self.trace
            );
        }
        Ok(report.coverage)
    }

    /// Correct listings: the second one at the latest removes missing pins and reads doubtful ones again.
    fn finish(mut self) -> Result<()> {
        for _ in 0..3 {
            for board in BOARDS {
                self.import(board)?;
            }
        }
        for board in BOARDS {
            assert_eq!(self.import(board)?, "unchanged", "{:#?}", self.trace);
            let board = self.world.sandbox.board_id(board)?;
            let row = self.client.query_one(
                "SELECT array_agg(p.pin_id ORDER BY p.pin_id) FILTER (WHERE p.removed_at IS NULL),
                        bool_and(p.removed_at IS NOT NULL OR EXISTS (SELECT FROM pinterest.pin_image i
                            WHERE i.account_id = p.account_id AND i.pin_id = p.pin_id AND i.embedding IS NOT NULL))
                   FROM pinterest.pin p WHERE p.board_id = $1",
                &[&board],
            )?;
            let (present, embedded): (Option<Vec<String>>, Option<bool>) = (row.get(0), row.get(1));
            let mut pins = self.world.sandbox.pin_ids(&board)?;
            pins.sort();
            assert_eq!(present.unwrap_or_default(), pins, "{:#?}", self.trace);
            assert!(embedded.unwrap_or(true), "{:#?}", self.trace);
        }
        Ok(())
    }
}

fn fault(random: &mut Rng) -> Rule {
    let shapes = [OddShape::Null, OddShape::WithoutId, OddShape::NullId, OddShape::List, OddShape::OddMembers];
    let fault = match random.u8(0..10) {
        0 => Fault::EmptyPage,
        1 | 2 => Fault::LostBookmark,
        3 | 4 => Fault::TruncatedPage { items: random.u64(0..8) },
        5 => Fault::OddItems { every: random.u64(1..5), shape: shapes[random.usize(..shapes.len())] },
        6 => Fault::NumericIds { every: random.u64(1..3) },
        7 => Fault::WithoutMedia { every: random.u64(1..4) },
        8 => Fault::DuplicateItems,
        _ => return Rule::on(Kind::Board, Fault::PinCount { difference: random.i64(-9..4) }),
    };
    Rule::on(Kind::BoardPins, fault).skip(random.u64(0..2)).times(random.u64(1..3))
}
