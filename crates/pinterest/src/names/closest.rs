//! Which of several names is the one that was meant.

/// How closely a board or section is the one that was named; less is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness {
    /// The address names a user, and whose board this is is not known.
    owner_unknown: bool,
    rank: Rank,
}

/// What is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The id.
    Id,
    /// Each character of the title.
    Title,
    /// The title but for blanks, invisible characters and canonical equivalence.
    Spelling,
    /// The title but for case and compatibility equivalence as well.
    Folded,
    /// The title as it stands in addresses.
    Slug,
    /// Its letters and digits.
    Letters,
    /// Its letters without their accents, and its digits.
    BareLetters,
}

impl Likeness {
    pub(super) fn of(rank: Rank) -> Self {
        Likeness { owner_unknown: false, rank }
    }

    pub(super) fn with_owner(self, known: bool) -> Self {
        Likeness { owner_unknown: !known, ..self }
    }

    /// Whether it was named by its id.
    pub fn is_id(self) -> bool {
        self.rank == Rank::Id
    }

    /// Whether its title was given, but for blanks, invisible characters and the Unicode form, and in the same case.
    pub fn is_spelling(self) -> bool {
        matches!(self.rank, Rank::Title | Rank::Spelling)
    }

    /// Whether its title was given, in whatever case and Unicode form, or its id, or its owner's address of it.
    pub fn is_title(self) -> bool {
        self.is_certain() || self.rank == Rank::Folded
    }

    /// Whether no board that is not among the candidates could be closer: its id or its title was given as it is, or the
    /// address of its owner's.
    pub fn is_certain(self) -> bool {
        self.is_id() || self.is_spelling() || (self.rank == Rank::Slug && !self.owner_unknown)
    }
}

/// The candidates that are closest to what was meant: none, one, or several that are equally close.
#[derive(Clone, Debug)]
pub struct Closest<T> {
    likeness: Option<Likeness>,
    found: Vec<T>,
}

impl<T> Default for Closest<T> {
    fn default() -> Self {
        Closest { likeness: None, found: Vec::new() }
    }
}

impl<T> Closest<T> {
    /// Takes one more candidate into account; one without likeness is not meant at all.
    pub fn offer(&mut self, candidate: T, likeness: Option<Likeness>) {
        let Some(likeness) = likeness else { return };
        match self.likeness {
            Some(best) if best < likeness => {}
            Some(best) if best == likeness => self.found.push(candidate),
            _ => (self.likeness, self.found) = (Some(likeness), vec![candidate]),
        }
    }

    /// How close those found are.
    pub fn likeness(&self) -> Option<Likeness> {
        self.likeness
    }

    /// The closest ones, in the order they were offered.
    pub fn into_found(self) -> Vec<T> {
        self.found
    }
}
