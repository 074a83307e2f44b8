use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const DAY: Duration = SETTLED_AFTER;

#[test]
fn an_empty_page_of_a_full_board_is_incomplete() {
    let listed = Listed { reported: Some(13), known: 12, missing: 12, ..Listed::default() };
    assert!(listed.should_recount());
    assert_eq!(listed.completeness(), Completeness::Incomplete(Cause::Short));
}

#[test]
fn pins_that_were_never_listed_are_not_missing() {
    let listed = Listed { reported: Some(13), listed: 12, unlisted: 1, known: 12, ..Listed::default() };
    assert_eq!((listed.completeness(), listed.should_recount()), (Completeness::Whole, false));
    // One of the listed pins is gone, and the count confirms it.
    let listed = Listed { reported: Some(12), listed: 11, missing: 1, ..listed };
    assert_eq!((listed.completeness(), listed.should_recount()), (Completeness::WholeWithoutMissing, true));
    // As above, but the count shows that it is not gone.
    let listed = Listed { reported: Some(13), ..listed };
    assert_eq!(listed.completeness(), Completeness::Incomplete(Cause::Short));
}

#[test]
fn a_lost_bookmark_is_incomplete() {
    let listed = Listed { reported: Some(320), listed: 250, known: 316, missing: 70, ..Listed::default() };
    assert_eq!((listed.completeness(), listed.gap()), (Completeness::Incomplete(Cause::Short), None));
}

#[test]
fn unreadable_items_and_missing_counts_prove_nothing() {
    let whole = Listed { reported: Some(10), listed: 10, known: 10, ..Listed::default() };
    assert_eq!(whole.completeness(), Completeness::Whole);
    assert_eq!(Listed { unreadable: 1, ..whole }.completeness(), Completeness::Incomplete(Cause::Unreadable));
    assert_eq!(Listed { reported: None, ..whole }.completeness(), Completeness::Incomplete(Cause::NotCounted));
}

#[test]
fn few_pins_go_at_once_and_many_after_two_listings() {
    let without = |known, missing, again| {
        let listed = known - missing;
        Listed { reported: Some(listed), listed, known, missing, missing_again: again, ..Listed::default() }
            .completeness()
    };
    for (known, missing, again, expected) in [
        (20, 5, 0, Completeness::WholeWithoutMissing),
        (20, 6, 0, Completeness::Unconfirmed),
        (20, 6, 6, Completeness::WholeWithoutMissing),
        (20, 6, 1, Completeness::WholeWithoutMissing),
        (20, 20, 8, Completeness::Unconfirmed),
        (200, 20, 0, Completeness::WholeWithoutMissing),
        (200, 21, 0, Completeness::Unconfirmed),
        (1, 1, 0, Completeness::Unconfirmed),
        (1, 1, 1, Completeness::WholeWithoutMissing),
        (3, 3, 0, Completeness::Unconfirmed),
        (3, 2, 0, Completeness::WholeWithoutMissing),
    ] {
        assert_eq!(without(known, missing, again), expected, "{missing} of {known}, {again} again");
    }
}

#[test]
fn a_gap_settles_after_a_day_of_the_same_answer() {
    let first = Listed { reported: Some(13), listed: 12, ..Listed::default() };
    assert_eq!((first.completeness(), first.gap()), (Completeness::Incomplete(Cause::Short), Some(1)));
    for (gap, expected) in [
        (Some((1, DAY / 2)), Completeness::Incomplete(Cause::Short)),
        (Some((2, DAY)), Completeness::Incomplete(Cause::Short)),
        (Some((1, DAY)), Completeness::Whole),
    ] {
        assert_eq!(Listed { known: 12, gap, ..first }.completeness(), expected, "{gap:?}");
    }
    // A known pin is missing: this is not a gap.
    let missing = Listed { known: 13, missing: 1, gap: Some((1, DAY)), ..first };
    assert_eq!(missing.completeness(), Completeness::Incomplete(Cause::Short));
}

/// A board and the known pins, updated as an import does.
#[derive(Clone, Debug, Default)]
struct World {
    board: BTreeSet<u16>,
    known: BTreeSet<u16>,
    missed: BTreeSet<u16>,
    unlisted: u32,
    closed: bool,
}

/// How a listing shows the board's pins.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Good,
    /// The first n.
    Truncated(u8),
    Empty,
    /// Every n-th item cannot be read.
    OddItems(u8),
    /// The first n, with a count that agrees.
    Lying(u8),
    NotCounted,
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Good),
        2 => any::<u8>().prop_map(Answer::Truncated),
        1 => Just(Answer::Empty),
        2 => (1u8..9).prop_map(Answer::OddItems),
        2 => any::<u8>().prop_map(Answer::Lying),
        1 => Just(Answer::NotCounted),
    ]
}

impl World {
    /// Imports the board; a request for a single pin shows the truth, whatever the listing shows.
    fn import(&mut self, answer: Answer) {
        let number = |count: usize| u32::try_from(count).unwrap();
        let first = |most: u8| self.board.iter().rev().take(most.into()).copied().collect::<BTreeSet<_>>();
        let (shown, unreadable) = match answer {
            Answer::Good | Answer::NotCounted => (self.board.clone(), 0),
            Answer::Truncated(most) | Answer::Lying(most) => (first(most), 0),
            Answer::Empty => (BTreeSet::new(), 0),
            Answer::OddItems(step) => {
                let shown: BTreeSet<u16> = self
                    .board
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| n % usize::from(step) != 0)
                    .map(|(_, p)| *p)
                    .collect();
                let unreadable = number(self.board.len() - shown.len());
                (shown, unreadable)
            }
        };
        let missing: BTreeSet<u16> = self.known.difference(&shown).copied().collect();
        let listed = Listed {
            reported: match answer {
                Answer::NotCounted => None,
                Answer::Lying(_) => Some(number(shown.len())),
                _ => Some(number(self.board.len())),
            },
            listed: number(shown.len()),
            unreadable,
            unlisted: self.unlisted,
            known: number(self.known.len()),
            missing: number(missing.len()),
            missing_again: number(missing.intersection(&self.missed).count()),
            gap: None,
        };
        self.missed.retain(|pin| !shown.contains(pin));
        self.known.extend(&shown);
        self.closed = false;
        match listed.completeness() {
            Completeness::Whole => (self.closed, self.unlisted) = (true, listed.unlisted_now()),
            Completeness::WholeWithoutMissing => {
                let still_there = missing.iter().take(ASKED_FOR).any(|pin| self.board.contains(pin));
                if !still_there {
                    self.known.retain(|pin| !missing.contains(pin));
                    (self.closed, self.unlisted) = (true, listed.unlisted_now());
                }
            }
            Completeness::Unconfirmed => self.missed.extend(&missing),
            Completeness::Incomplete(_) => {}
        }
    }
}

proptest! {
    /// On boards with no more missing pins than are requested one by one, whatever the listing and the count show.
    #[test]
    fn existing_pins_stay_and_a_good_listing_repairs_all(
        pins in 0u16..10,
        steps in prop::collection::vec((answers(), prop::collection::vec((any::<bool>(), 0u16..12), 0..4)), 1..12),
    ) {
        let mut world = World { board: (0..pins).collect(), ..World::default() };
        for (answer, changes) in steps {
            for (added, pin) in changes {
                // Never more pins than are requested one by one.
                if added && world.board.len() < ASKED_FOR { world.board.insert(pin); } else { world.board.remove(&pin); }
            }
            let there: BTreeSet<u16> = world.known.intersection(&world.board).copied().collect();
            world.import(answer);
            prop_assert!(there.is_subset(&world.known), "{:?}: {:?} of {:?}", answer, world.known, there);
        }
        world.import(Answer::Good);
        world.import(Answer::Good);
        prop_assert_eq!(&world.known, &world.board);
        prop_assert!(world.closed);
    }

    /// On boards of any size, if the count is true.
    #[test]
    fn a_listing_that_contradicts_the_count_removes_no_pin(known in 0u32..5_000, shown in 0u32..5_000, unlisted in 0u32..3) {
        let listed = Listed {
            reported: Some(known + unlisted),
            listed: shown.min(known),
            unlisted,
            known,
            missing: known.saturating_sub(shown),
            missing_again: known.saturating_sub(shown),
            ..Listed::default()
        };
        let expected = if shown < known { Completeness::Incomplete(Cause::Short) } else { Completeness::Whole };
        prop_assert_eq!(listed.completeness(), expected);
    }
}
