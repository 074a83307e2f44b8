//! The objects in Pinterest's answers, read leniently.
//!
//! Unknown members are ignored, unknown enumeration values are kept as text, and every member but an item's `id` may
//! be absent, null or of another type, which all mean `None`. The types are not generated from the API description: its
//! closed enumerations and strict timestamps do not match the answers.

mod account;
mod board;
mod disclosures;
mod item;
mod ladder;
mod media;
mod pin;
mod pin_image;
mod read;
mod size;

pub use account::UserAccount;
pub use board::{Board, Owner, Section};
pub use disclosures::AiDisclosures;
pub(crate) use item::is_id;
pub use ladder::{Ladder, ListedSize, SUFFICIENT};
pub use media::{Media, MediaItem, SizedImage};
pub use pin::Pin;
pub use pin_image::{ImageCandidate, NoImage, PinImage, PinImageKind};
pub(crate) use read::{read_account, read_item, read_page};
