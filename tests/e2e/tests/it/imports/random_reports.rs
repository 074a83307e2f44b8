//! Property: after random calls and faults in any order, the report of each import adds up at every moment.

use fastrand::Rng;

use crate::support::prelude::*;
use crate::support::random::{BOARDS, any_world, mishap};

const STEPS: usize = 40;

/// A random walk through calls and faults, with a trace of its steps.
struct Walk {
    random: Rng,
    world: World,
    client: Client,
    imports: Vec<i64>,
    trace: Vec<String>,
}

#[test]
fn reports_add_up_with_seed_1() -> Result<()> {
    walk(1)
}

#[test]
fn reports_add_up_with_seed_2() -> Result<()> {
    walk(2)
}

#[test]
fn reports_add_up_with_seed_3() -> Result<()> {
    walk(3)
}

/// `$WALK` replaces the seed.
fn walk(seed: u64) -> Result<()> {
    let seed = std::env::var("WALK").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
    let mut random = Rng::with_seed(seed);
    let world = World::of(any_world(&mut random))?;
    let client = world.connect()?;
    let mut walk = Walk { random, world, client, imports: Vec::new(), trace: vec![format!("seed {seed}")] };
    walk.import()?;
    for _ in 0..STEPS {
        walk.step()?;
        walk.check()?;
    }
    walk.finish()
}

impl Walk {
    fn step(&mut self) -> Result<()> {
        match self.random.u8(0..20) {
            0..6 => self.import(),
            6..10 => self.change_a_board(),
            10..13 => self.go_wrong(),
            13 => {
                self.trace.push("faults removed".into());
                // The first rule, which makes pages short, stays.
                self.world.sandbox.faults().rules().iter().skip(1).for_each(|(rule, _, _)| {
                    self.world.sandbox.faults().remove(*rule);
                });
                Ok(())
            }
            14 => self.ask("SELECT pinterest_cancel_import(%)"),
            15..17 => self.ask("SELECT pinterest_retry_failed(%)"),
            17 => {
                self.trace.push("pause and resume".into());
                let account = self.world.account();
                self.client.execute("SELECT pinterest_pause_account($1)", &[&account])?;
                self.world.sandbox.expire_bookmarks();
                self.client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
                Ok(())
            }
            _ => self.settle(),
        }
    }

    fn pick(&mut self) -> &'static str {
        BOARDS[self.random.usize(..BOARDS.len())]
    }

    fn import(&mut self) -> Result<()> {
        let arguments = match self.random.u8(0..9) {
            0 => "'Mixed', sections => '{two}'".into(),
            1 => "'Mixed', sections => '{One,Two}', max_images => 4".into(),
            2 => format!("'{}', max_images => {}", self.pick(), self.random.u8(1..25)),
            3 => format!("'{}', keep_images => 'originals'", self.pick()),
            4 => format!("'{}', keep_images => 'thumbnails'", self.pick()),
            _ => format!("'{}'", self.pick()),
        };
        let import = queue(&mut self.client, &arguments)?;
        self.trace.push(format!("import {import} of {arguments}"));
        self.imports.push(import);
        Ok(())
    }

    /// Calls a function for a random import, which may be in a state in which the call is refused.
    fn ask(&mut self, call: &str) -> Result<()> {
        let import = self.imports[self.random.usize(..self.imports.len())];
        let call = call.replace('%', &import.to_string());
        let result = self.client.execute(&call, &[]);
        self.trace.push(format!("{call}: {}", if result.is_ok() { "done" } else { "refused" }));
        if let Err(error) = result {
            assert_eq!(error.code().map(|code| code.code()), Some("55000"), "{:#?}\n{error:?}", self.trace);
        }
        Ok(())
    }

    fn change_a_board(&mut self) -> Result<()> {
        let sandbox = &self.world.sandbox;
        let (name, other) = (BOARDS[self.random.usize(..2)], BOARDS[self.random.usize(..2)]);
        let board = sandbox.board_id(name)?;
        let pins = sandbox.pin_ids(&board)?;
        let pin = (!pins.is_empty()).then(|| pins[self.random.usize(..pins.len())].clone());
        match (self.random.u8(0..4), pin) {
            (0, Some(pin)) => {
                self.trace.push(format!("{pin} leaves {name}"));
                sandbox.remove_pin(&pin)?;
            }
            (1, Some(pin)) if name != other => {
                self.trace.push(format!("{pin} moves from {name} to {other}"));
                sandbox.move_pin(&pin, &sandbox.board_id(other)?)?;
            }
            _ => {
                self.trace.push(format!("new pins on {name}"));
                sandbox.add_pins(&board, self.random.u64(1..4))?;
            }
        }
        Ok(())
    }

    fn go_wrong(&mut self) -> Result<()> {
        let mishap = mishap(&mut self.random);
        self.trace.push(format!("from now on {mishap:?}"));
        self.world.sandbox.faults().add(mishap);
        Ok(())
    }

    /// Every report adds up, including those of running imports.
    fn check(&mut self) -> Result<()> {
        for import in self.imports.clone() {
            let checked =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Report::of(&mut self.client, import)));
            match checked {
                Ok(report) => drop(report?),
                Err(_) => panic!("import {import} does not add up after {:#?}", self.trace),
            }
        }
        Ok(())
    }

    /// Waits until every import has ended, and ends all pauses early.
    fn settle(&mut self) -> Result<()> {
        self.trace.push("settle".into());
        let account = self.world.account();
        let ended = until("all imports to end", || {
            self.client.batch_execute(
                "UPDATE pinterest.import SET wake_at = clock_timestamp()
                  WHERE state IN ('queued', 'waiting_quota', 'waiting_access') AND wake_at > clock_timestamp();
                 UPDATE pinterest.pin_image SET next_attempt_at = clock_timestamp()
                  WHERE state = 'pending' AND next_attempt_at > clock_timestamp();
                 UPDATE pinterest.quota_ledger SET reset_at = clock_timestamp() WHERE remaining <= 0",
            )?;
            // Wakes the worker.
            self.client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
            self.check()?;
            let open = "SELECT count(*) FROM pinterest.imports WHERE finished_at IS NULL";
            Ok(self.client.query_one(open, &[])?.get::<_, i64>(0) == 0)
        });
        let Err(error) = ended else { return Ok(()) };
        let open = "SELECT string_agg(concat_ws(' ', i, p), E'\\n') FROM pinterest.import i LEFT JOIN LATERAL
                        (SELECT count(*), count(claimed_by), min(next_attempt_at), max(lease_until) FROM pinterest.pin_image p
                          WHERE (p.account_id, p.import_id) = (i.account_id, i.import_id) AND state = 'pending') AS p ON true
                     WHERE finished_at IS NULL";
        let open: Option<String> = self.client.query_one(open, &[])?.get(0);
        Err(error.context(open.unwrap_or_default()).context(format!("{:#?}", self.trace)))
    }

    /// Without faults, each board is imported whole.
    fn finish(mut self) -> Result<()> {
        self.settle()?;
        self.world.sandbox.faults().clear();
        for board in BOARDS {
            // Otherwise, it may be unchanged since an incomplete listing.
            self.world.sandbox.add_pins(&self.world.sandbox.board_id(board)?, u64::from(board != "Twin"))?;
            let import = queue(&mut self.client, &format!("'{board}'"))?;
            self.imports.push(import);
            self.settle()?;
            let report = Report::completed(&mut self.client, import)?;
            let pins = self.world.sandbox.pin_ids(&self.world.sandbox.board_id(board)?)?.len();
            let row = self.client.query_one(
                "SELECT count(*) FROM pinterest.pin p JOIN pinterest.board b USING (account_id, board_id)
                  WHERE b.name = $1 AND p.removed_at IS NULL",
                &[&board],
            )?;
            assert_eq!(row.get::<_, i64>(0), i64::try_from(pins)?, "{board}: {report:?} {:#?}", self.trace);
        }
        self.check()
    }
}
