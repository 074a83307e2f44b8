//! Whether a listing of a board is complete, and whether it proves that pins are gone.
//!
//! A wrong answer from Pinterest may look like a valid one: an empty page, a lost bookmark, items of another shape. Each of
//! these hides pins that still exist. So a listing is trusted only if Pinterest's own pin count of the board confirms it,
//! and many pins are never removed at once because of one listing.

use std::time::Duration;

/// One listing may remove this many pins, however small the board.
pub const FEW: u32 = 5;
/// On larger boards it may remove one in this many of the known pins: a tenth.
pub const FEW_SHARE: u32 = 10;
/// Missing pins that are requested one by one before any is considered gone. This limits the requests of a listing with
/// missing pins; if no more pins are missing, each of them is checked.
pub const ASKED_FOR: usize = 10;
/// For how long listings must be short by the same number of pins before these count as pins that the app cannot see. A
/// trial app does not see all pins; a listing that ends early looks the same for a while.
pub const SETTLED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of a finished listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Pinterest's count of the board's pins; `None` if it is absent or invalid.
    pub reported: Option<u32>,
    /// Different pins in the listing.
    pub listed: u32,
    /// Items in the listing that could not be read.
    pub unreadable: u32,
    /// Pins that Pinterest is known to count but not to list.
    pub unlisted: u32,
    /// Pins known before the listing.
    pub known: u32,
    /// Known pins that are not in the listing.
    pub missing: u32,
    /// Of the missing pins, those that the previous listing did not have either.
    pub missing_again: u32,
    /// The number of pins that all listings so far were short by, with no known pin missing, and for how long that has
    /// been so.
    pub gap: Option<(u32, Duration)>,
}

/// How complete a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is complete, and no known pin is missing.
    Whole,
    /// It is complete. The missing pins are gone, unless requests for the pins themselves show otherwise.
    WholeWithoutMissing,
    /// It looks complete, but so many pins are missing that another listing must confirm it.
    Unconfirmed,
    /// It is incomplete.
    Incomplete(Cause),
}

/// Why a listing is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Items could not be read: any missing pin may be one of them.
    Unreadable,
    /// Pinterest gives no count to compare the listing with.
    NotCounted,
    /// Pinterest counts more pins than are listed or known to be unlisted.
    Short,
}

impl Listed {
    /// Whether the count should be requested again: the board may have changed while it was listed, and pins should not be
    /// removed because of a single number.
    pub fn should_recount(&self) -> bool {
        self.unreadable == 0 && (self.missing > 0 || self.is_short())
    }

    /// How complete the listing is.
    pub fn completeness(&self) -> Completeness {
        match self.reported {
            _ if self.unreadable > 0 => Completeness::Incomplete(Cause::Unreadable),
            None => Completeness::Incomplete(Cause::NotCounted),
            Some(_) if self.is_short() && !self.gap_has_settled() => Completeness::Incomplete(Cause::Short),
            Some(_) if self.missing == 0 => Completeness::Whole,
            Some(_) if self.looks_like_a_mass_removal() => Completeness::Unconfirmed,
            Some(_) => Completeness::WholeWithoutMissing,
        }
    }

    /// The same after each missing pin has been found not to be on the board.
    pub fn without_missing(&self) -> Self {
        Listed { missing: 0, missing_again: 0, ..*self }
    }

    /// By how many pins the listing is short of Pinterest's count; `None` if it is not short, or if a known pin is missing,
    /// which may be one of them.
    pub fn gap(&self) -> Option<u32> {
        let gap = self.reported?.saturating_sub(self.listed);
        (self.missing == 0 && self.unreadable == 0 && gap > self.unlisted).then_some(gap)
    }

    /// Pins that Pinterest counts but does not list, after the missing ones have been removed.
    pub fn unlisted_now(&self) -> u32 {
        self.reported.unwrap_or_default().saturating_sub(self.listed)
    }

    fn is_short(&self) -> bool {
        self.reported.is_none_or(|reported| self.listed.saturating_add(self.unlisted) < reported)
    }

    fn gap_has_settled(&self) -> bool {
        match (self.gap(), self.gap) {
            (Some(now), Some((before, since))) => now == before && since >= SETTLED_AFTER,
            _ => false,
        }
    }

    /// Only pins that are missing for the first time count: two listings in a row confirm the others.
    fn looks_like_a_mass_removal(&self) -> bool {
        let first_missed = self.missing.saturating_sub(self.missing_again);
        first_missed > 0 && (first_missed >= self.known || first_missed > FEW.max(self.known / FEW_SHARE))
    }
}

#[cfg(test)]
mod tests;
