//! Is a listing of a board whole, and does it prove that pins are gone?
//!
//! An answer of Pinterest's may be wrong in many ways that look like an answer: an empty page, a bookmark lost in the
//! middle, items of another shape. Each of them makes pins go missing that are still there. So a listing is believed only
//! as far as the count that Pinterest gives for the board bears it out, and nothing that was known goes for one listing's
//! sake alone where much goes at once.

use std::time::Duration;

/// Up to so many pins may go by one listing, however small the board.
pub const FEW: u32 = 5;
/// On larger boards up to this share of the known pins may: a tenth.
pub const FEW_SHARE: u32 = 10;
/// Pins that are asked for one by one before any is taken for gone. So many requests a listing that misses pins costs at
/// most; where no more are missing, each is proved.
pub const ASKED_FOR: usize = 10;
/// How long the same number of pins has to be counted and not listed, by whole series of listings, before that is taken
/// for what this app cannot see. A trial app does not see all; a listing that breaks off looks the same for a while.
pub const SETTLED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a listing that came to its end has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Pins on the board as Pinterest counts them; `None` where it did not say, or said nonsense.
    pub reported: Option<u32>,
    /// Different pins of the board that the listing showed.
    pub listed: u32,
    /// Items that could not be read.
    pub unreadable: u32,
    /// Pins that Pinterest is known to count and not to list.
    pub unlisted: u32,
    /// Pins that stood on the board before the listing.
    pub known: u32,
    /// Of these, pins that the listing did not show.
    pub missing: u32,
    /// Of these, pins that an earlier whole listing did not show either.
    pub missing_again: u32,
    /// By how many pins listings have been short so far, each time the same and with no known pin missing, and for how
    /// long.
    pub gap: Option<(u32, Duration)>,
}

/// What follows from a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is whole, and nothing known is missing.
    Whole,
    /// It is whole, and what is missing is gone unless asking for the pins themselves says otherwise.
    WholeWithoutMissing,
    /// It looks whole, and so much is missing that another listing has to confirm it.
    Unconfirmed,
    /// It is not whole.
    Incomplete(Cause),
}

/// Why a listing is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Items could not be read: any pin that is missing may be one of them.
    Unreadable,
    /// Pinterest gives no count that the listing could be held against.
    NotCounted,
    /// Pinterest counts more pins than it listed and is known not to list.
    Short,
}

impl Listed {
    /// Is the count to be asked for again? A board may have changed while it was listed, and what costs pins should rest
    /// on more than one number.
    pub fn asks_again(&self) -> bool {
        self.unreadable == 0 && (self.missing > 0 || self.is_short())
    }

    /// What follows.
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

    /// The same, once each pin that is missing is proved to be off the board by an answer of its own.
    pub fn without_missing(&self) -> Self {
        Listed { missing: 0, missing_again: 0, ..*self }
    }

    /// How many pins Pinterest counts beside those listed and those known not to be listed; `None` where a known pin is
    /// missing, which may be one of them, and where nothing is short.
    pub fn gap(&self) -> Option<u32> {
        let gap = self.reported?.saturating_sub(self.listed);
        (self.missing == 0 && self.unreadable == 0 && gap > self.unlisted).then_some(gap)
    }

    /// Pins that Pinterest counts and does not list, once the missing ones are gone.
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

    /// Pins that no earlier listing has missed count; what two listings in a row miss is confirmed.
    fn looks_like_a_mass_removal(&self) -> bool {
        let first_missed = self.missing.saturating_sub(self.missing_again);
        first_missed > 0 && (first_missed >= self.known || first_missed > FEW.max(self.known / FEW_SHARE))
    }
}

#[cfg(test)]
mod tests;
