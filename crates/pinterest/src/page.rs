//! Pages of a listing, and the guard against endless listings.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind};

/// Items requested per page: Pinterest's maximum, which needs the fewest requests.
pub const PAGE_SIZE: usize = 250;

/// Most pages of one listing. Pinterest ends a listing at 100,000 pins, which is 400 full pages; this allows for short
/// pages, but ends a listing that returns new bookmarks without end.
pub const MAX_PAGES: usize = 10_000;

/// One page of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, in the order of the listing. May be empty although more pages follow.
    pub items: Vec<T>,
    /// The start of the next page; `None` at the end. Valid for this listing and its parameters only.
    pub bookmark: Option<String>,
    /// Entries that are not items, such as "more ideas" tiles between pins.
    pub tiles: usize,
    /// Items that could not be read: without a usable `id`, or of another shape. They are left out, so the page is not
    /// complete.
    pub unreadable: usize,
}

/// Refuses a bookmark that occurred before in the same listing.
///
/// A resumed listing starts with the earlier bookmarks: `seen.into_iter().collect()`.
#[derive(Clone, Debug, Default)]
pub struct BookmarkGuard {
    // Hashes, because bookmarks can be long and only equality matters.
    seen: HashSet<[u8; 32]>,
}

impl BookmarkGuard {
    /// A guard without bookmarks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Admits the bookmark of the next page to fetch.
    ///
    /// # Errors
    /// [`ErrorKind::RepeatedBookmark`] if it was admitted before or the listing has more than [`MAX_PAGES`] pages.
    pub fn admit(&mut self, bookmark: &str) -> Result<(), Error> {
        if self.seen.len() >= MAX_PAGES {
            let detail = format!("the listing has more than {MAX_PAGES} pages");
            return Err(Error::new(ErrorKind::RepeatedBookmark, detail));
        }
        if !self.seen.insert(Sha256::digest(bookmark).into()) {
            let detail = format!("page {} of the listing repeats an earlier bookmark", self.seen.len() + 1);
            return Err(Error::new(ErrorKind::RepeatedBookmark, detail));
        }
        Ok(())
    }
}

impl<S: AsRef<str>> FromIterator<S> for BookmarkGuard {
    fn from_iter<I: IntoIterator<Item = S>>(seen: I) -> Self {
        Self { seen: seen.into_iter().map(|bookmark| Sha256::digest(bookmark.as_ref()).into()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_bookmark_is_refused() {
        let mut guard = BookmarkGuard::new();
        guard.admit("a").unwrap();
        guard.admit("b").unwrap();
        assert_eq!(guard.admit("a").unwrap_err().kind(), ErrorKind::RepeatedBookmark);
    }

    #[test]
    fn a_resumed_listing_remembers() {
        let mut guard: BookmarkGuard = ["a", "b"].into_iter().collect();
        guard.admit("c").unwrap();
        assert_eq!(guard.admit("b").unwrap_err().kind(), ErrorKind::RepeatedBookmark);
    }

    #[test]
    fn an_endless_listing_ends() {
        let mut guard = BookmarkGuard::new();
        for page in 0..MAX_PAGES {
            guard.admit(&page.to_string()).unwrap();
        }
        assert_eq!(guard.admit("one more").unwrap_err().kind(), ErrorKind::RepeatedBookmark);
    }
}
