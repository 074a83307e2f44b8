//! References to boards and sections: by id, by title, or by the address in a browser.

mod address;
mod closest;
mod reference;
mod slug;
mod title;

pub use address::{BoardAddress, LeadsTo, NotABoard};
pub use closest::{Closest, Likeness};
pub use reference::{BoardReference, SectionReference};
