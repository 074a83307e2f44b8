//! The events of a run, a pure function of the seed.

use std::fmt;

use fastrand::Rng;

/// Users of a run. A user, its role, its Pinterest account and its tracked table have the same number.
pub const USERS: usize = 3;
/// Boards of each user.
pub const BOARDS: usize = 2;
/// Databases: the last user has one, the others share the other.
pub const DATABASES: usize = 2;

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Nothing happens for this many milliseconds.
    Breathe(u64),
    /// A user calls a function.
    Call(usize, Call),
    /// A user writes into the tracked table.
    Write(usize, Write),
    /// A user changes the tracked table's shape.
    Shape(usize, Shape),
    /// A session takes locks and keeps them.
    Hold(Hold),
    /// All kept locks are released.
    Release,
    /// A process is ended.
    End(Victim, Signal),
    /// The server stops and starts.
    Restart {
        /// Whether it stops as in a power cut.
        crash: bool,
    },
    /// A setting changes by a reload.
    Reload(usize),
    /// The key file gets a new active key, and all secrets are sealed again.
    RotateKey,
    /// Pinterest's clock advances by this many seconds.
    Advance(u64),
    /// The tokens of a user's accounts become due for a refresh.
    TokensDue(usize),
    /// Pinterest forgets a user's access tokens.
    ExpireAccess(usize),
    /// The board of a user changes at Pinterest.
    Board(usize, usize, Change),
    /// Pinterest fails for some requests.
    Fault(usize),
    /// All issued bookmarks expire.
    ExpireBookmarks,
}

/// Calls of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the functions")]
pub enum Call {
    Import(usize),
    ImportRolledBack(usize),
    Sync(usize),
    NoSync(usize),
    Cancel,
    Pause,
    Resume,
    Disconnect,
    Reconnect,
    Refresh,
    RetryFailed,
    Reembed(usize),
    Recommend(usize),
    Themes(usize),
    EmbedText,
    Gallery(usize),
    Export,
    Doctor,
    ListBoards,
    Purge(usize),
    RetryTracked,
    WaitForTracked,
}

/// Writes into a tracked table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Write {
    Insert(u32),
    Update(u32),
    Upsert(u32),
    Delete(u32),
    Truncate,
    MoveKeys,
    EmptySources,
    RolledBack,
    Bulk,
}

/// Changes of a tracked table's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Shape {
    RenameTable,
    RenameColumn,
    AddColumn,
    DropAndTrackAgain,
    Untrack,
    Track,
    Vacuum,
    Reindex,
    SlowTrigger,
    FailingTrigger,
    NoTriggers,
}

/// Locks that a session keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Hold {
    ImportTable,
    PinImages,
    PausedAccount(usize),
    TrackedTable(usize),
    TrackedRows(usize),
    Snapshot,
}

/// Processes that are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Victim {
    Worker,
    Launcher,
    Supervisor,
    Embedder,
    Backend,
}

/// The signal that ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Signal {
    Term,
    Kill,
}

/// Changes of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the names")]
pub enum Change {
    Add(u64),
    Remove,
    Move,
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// All events of a seed, without end.
#[derive(Debug)]
pub struct Events {
    random: Rng,
}

impl Events {
    /// The events of this seed.
    pub fn of(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    fn call(&mut self) -> Call {
        let random = &mut self.random;
        let board = random.usize(..BOARDS);
        match random.u32(..60) {
            0..=15 => Call::Import(board),
            16 => Call::ImportRolledBack(board),
            17..=18 => Call::Sync(board),
            19 => Call::NoSync(board),
            20..=22 => Call::Cancel,
            23..=24 => Call::Pause,
            25..=28 => Call::Resume,
            29 => Call::Disconnect,
            30..=33 => Call::Reconnect,
            34..=37 => Call::Refresh,
            38..=39 => Call::RetryFailed,
            40 => Call::Reembed(board),
            41..=43 => Call::Recommend(board),
            44..=45 => Call::Themes(board),
            46..=47 => Call::EmbedText,
            48 => Call::Gallery(board),
            49 => Call::Export,
            50..=52 => Call::Doctor,
            53..=54 => Call::ListBoards,
            55 => Call::Purge(board),
            56..=57 => Call::RetryTracked,
            _ => Call::WaitForTracked,
        }
    }

    fn write(&mut self) -> Write {
        let random = &mut self.random;
        match random.u32(..30) {
            0..=8 => Write::Insert(random.u32(1..12)),
            9..=15 => Write::Update(random.u32(1..12)),
            16..=19 => Write::Upsert(random.u32(1..12)),
            20..=22 => Write::Delete(random.u32(1..6)),
            23 => Write::Truncate,
            24..=25 => Write::MoveKeys,
            26 => Write::EmptySources,
            27 => Write::RolledBack,
            _ => Write::Bulk,
        }
    }

    fn shape(&mut self) -> Shape {
        match self.random.u32(..20) {
            0..=2 => Shape::RenameTable,
            3..=4 => Shape::RenameColumn,
            5..=6 => Shape::AddColumn,
            7..=8 => Shape::DropAndTrackAgain,
            9 => Shape::Untrack,
            10..=12 => Shape::Track,
            13..=14 => Shape::Vacuum,
            15 => Shape::Reindex,
            16 => Shape::SlowTrigger,
            17 => Shape::FailingTrigger,
            _ => Shape::NoTriggers,
        }
    }

    fn hold(&mut self) -> Hold {
        let user = self.random.usize(..USERS);
        match self.random.u32(..6) {
            0 => Hold::ImportTable,
            1 => Hold::PinImages,
            2 => Hold::PausedAccount(user),
            3 => Hold::TrackedTable(user),
            4 => Hold::TrackedRows(user),
            _ => Hold::Snapshot,
        }
    }

    fn end(&mut self) -> Event {
        match self.random.u32(..20) {
            0..=5 => Event::End(Victim::Worker, Signal::Term),
            6..=7 => Event::End(Victim::Worker, Signal::Kill),
            8..=12 => Event::End(Victim::Embedder, Signal::Kill),
            13..=14 => Event::End(Victim::Launcher, Signal::Term),
            15 => Event::End(Victim::Launcher, Signal::Kill),
            16 => Event::End(Victim::Supervisor, Signal::Term),
            17 => Event::End(Victim::Supervisor, Signal::Kill),
            18 => Event::End(Victim::Backend, Signal::Term),
            _ => Event::End(Victim::Backend, Signal::Kill),
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let user = self.random.usize(..USERS);
        Some(match self.random.u32(..100) {
            0..=19 => Event::Breathe(self.random.u64(20..600)),
            20..=44 => Event::Call(user, self.call()),
            45..=62 => Event::Write(user, self.write()),
            63..=66 => Event::Shape(user, self.shape()),
            67..=70 => Event::Hold(self.hold()),
            71..=74 => Event::Release,
            75..=80 => self.end(),
            81 => Event::Restart { crash: self.random.bool() },
            82..=83 => Event::Reload(self.random.usize(..)),
            84 => Event::RotateKey,
            85..=86 => Event::Advance(self.random.u64(1..7_200)),
            87..=88 => Event::TokensDue(user),
            89 => Event::ExpireAccess(user),
            90..=93 => {
                let change = match self.random.u32(..4) {
                    0 | 1 => Change::Add(self.random.u64(1..4)),
                    2 => Change::Remove,
                    _ => Change::Move,
                };
                Event::Board(user, self.random.usize(..BOARDS), change)
            }
            94..=98 => Event::Fault(self.random.usize(..)),
            _ => Event::ExpireBookmarks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_events() {
        let some = |seed| Events::of(seed).take(500).collect::<Vec<_>>();
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }
}
