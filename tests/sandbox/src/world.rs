//! Accounts, boards and pins. A pin is derived from the seed and its number when it is requested; only changed boards
//! have a list.

mod board;
mod identity;
mod picture;
mod pin;
mod text;
mod timestamp;

pub(crate) use board::{Board, World};
pub(crate) use identity::{Identities, PictureKey, PinKey};
pub(crate) use picture::Picture;
pub(crate) use pin::{Pin, Variant, hit, salt};
pub(crate) use timestamp::timestamp;

/// When the world's first pins were saved: 2024-03-01T09:00:00.
pub(crate) const EPOCH: u64 = 1_709_283_600;
