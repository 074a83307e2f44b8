//! Boards and query results as one HTML page: a single file that loads nothing but the pictures it links to.
//!
//! All texts are foreign. The template engine escapes them; addresses that are not https are left out ([`Address`]); bytes
//! become `data:` URIs only if they begin like a picture ([`Picture`]); and a Content-Security-Policy forbids scripts, frames,
//! forms, and requests for anything but pictures.
//!
//! The page is pure ASCII and writes other characters as references, so that it is readable in whatever encoding a client
//! saves it.
//!
//! Rows are foreign as well, and may be large. Hidden values are skipped without being read, shown ones are truncated, and
//! the memory is requested first, so that a lack of memory is an [`Error`].
//!
//! [`render`] is pure. It calls its argument `check` between pieces of work, for callers that can be cancelled.

mod address;
mod board;
mod budget;
mod card;
mod error;
mod json;
mod labels;
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
pub use labels::{Words, labels, sample};
pub use left_out::LeftOut;
pub use page::{Page, render};
pub use picture::Picture;
pub use rows::{MOST_ROWS, Rows};

/// Characters of a value that are shown.
const LONGEST_TEXT: usize = 160;
