//! Boards and query results as one HTML page: a single file that needs nothing beside it but the pictures it links to.
//!
//! Everything shown is somebody else's text, so all of it is escaped by the template engine; addresses are https or left
//! out ([`Address`]), bytes become `data:` URIs only where they begin like a picture ([`Picture`]), and the page forbids
//! itself scripts, frames, forms and requests for anything but pictures by a Content-Security-Policy.
//!
//! The page is pure ASCII, other characters are written as references: it reads right whatever encoding a client
//! saves it in.
//!
//! Rows are somebody's, too, and may be large: what is not shown is skipped unread, what is shown is cut, and the memory for
//! it is asked for first, so that a lack of it is an [`Error`].
//!
//! [`render`] is pure and takes a `check` that it calls between pieces of work, for callers that can be cancelled.

mod address;
mod board;
mod budget;
mod card;
mod error;
mod json;
mod left_out;
mod memory;
mod page;
mod picture;
mod references;
mod rows;
mod style;

pub use address::Address;
pub use board::{Board, Pin, Theme};
pub use budget::{Budget, PAGE_BYTES};
pub use card::{Because, Card};
pub use error::{Error, ErrorKind};
pub use left_out::LeftOut;
pub use page::{Page, render};
pub use picture::Picture;
pub use rows::{MOST_ROWS, Rows};

/// Characters of a value that are shown.
const LONGEST_TEXT: usize = 160;
