//! Successful answers.

use std::collections::HashSet;

use pinterest::model::{Board, Pin, Section};
use pinterest::{Error, Page, fuzzing};

use crate::input::{SECRET, assert_all_storable, assert_clean, assert_storable, contains, split, with_secret};

/// The parser's limits: items per page, and bytes of a bookmark.
const MAX_ITEMS: usize = 1_000;
const MAX_BOOKMARK: usize = 4_096;

/// A page of a listing; the first byte selects the listing.
pub fn listing(input: &[u8]) {
    let ([which], body) = split(input);
    let Some(body) = with_secret(body) else { return };
    match which % 3 {
        0 => page(fuzzing::boards(&body), check_board),
        1 => page(fuzzing::sections(&body), check_section),
        _ => page(fuzzing::pins(&body), check_pin),
    }
}

fn page<T>(read: Result<Page<T>, Error>, check: fn(&T)) {
    match read {
        Ok(page) => {
            assert!(page.items.len() + page.tiles + page.unreadable <= MAX_ITEMS);
            if let Some(bookmark) = &page.bookmark {
                assert!((1..=MAX_BOOKMARK).contains(&bookmark.len()));
                assert_storable(bookmark);
            }
            page.items.iter().for_each(check);
        }
        Err(error) => check_error(&error),
    }
}

fn check_error(error: &Error) {
    assert_clean(&error.to_string());
    assert_clean(&format!("{error:?}"));
}

/// A single object; the first byte selects its type.
pub fn account(input: &[u8]) {
    let ([which], body) = split(input);
    let Some(body) = with_secret(body) else { return };
    let outcome = match which % 4 {
        0 => fuzzing::account(&body).map(|account| {
            assert_all_storable([&account.id, &account.username]);
        }),
        1 => fuzzing::board(&body).map(|board| check_board(&board)),
        2 => fuzzing::section(&body).map(|section| check_section(&section)),
        _ => fuzzing::pin(&body).map(|pin| check_pin(&pin)),
    };
    if let Err(error) = outcome {
        check_error(&error);
    }
}

fn check_id(id: &str) {
    assert!((1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit()), "invalid id: {id:?}");
}

/// The stored JSON of an item can be parsed again, with the same result.
fn check_raw(id: &str, raw: &str, again: Result<(String, String), Error>) {
    assert_storable(raw);
    assert!(raw.trim_start().starts_with('{'));
    let again = again.expect("the stored JSON of an item cannot be parsed");
    assert_eq!((id, raw.trim()), (again.0.as_str(), again.1.trim()));
}

fn check_board(board: &Board) {
    check_id(&board.id);
    assert_all_storable([&board.name, &board.description, &board.privacy]);
    assert_all_storable(board.owner.as_ref().map(|owner| &owner.username));
    let again = fuzzing::board(board.raw.as_bytes());
    check_raw(&board.id, &board.raw, again.map(|again| (again.id, again.raw)));
}

fn check_section(section: &Section) {
    check_id(&section.id);
    assert_all_storable([&section.name]);
    let again = fuzzing::section(section.raw.as_bytes());
    check_raw(&section.id, &section.raw, again.map(|again| (again.id, again.raw)));
}

fn check_pin(pin: &Pin) {
    check_id(&pin.id);
    assert_all_storable([
        &pin.board_id,
        &pin.board_section_id,
        &pin.title,
        &pin.description,
        &pin.link,
        &pin.alt_text,
        &pin.dominant_color,
        &pin.parent_pin_id,
        &pin.creative_type,
    ]);
    match pin.images() {
        Ok(images) => {
            assert!(!images.is_empty());
            for (position, image) in (0..).zip(&images) {
                assert_eq!(image.position, position);
                let mut seen = HashSet::new();
                for candidate in &image.candidates {
                    assert!(!candidate.url.is_empty() && seen.insert(&candidate.url), "{candidate:?}");
                    assert_storable(&candidate.url);
                    assert_storable(&candidate.size);
                    if let Some(hash) = &candidate.content_hash {
                        assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
                    }
                }
            }
        }
        // The reason is stored in a table.
        Err(reason) => assert_storable(&reason.to_string()),
    }
    let again = fuzzing::pin(pin.raw.as_bytes());
    check_raw(&pin.id, &pin.raw, again.map(|again| (again.id, again.raw)));
}

/// A grant of tokens.
pub fn grant(input: &[u8]) {
    let Some(body) = with_secret(input) else { return };
    match fuzzing::grant(&body) {
        Ok(grant) => {
            let (access, refresh) = (&grant.access_token, grant.refresh_token.as_ref());
            for token in std::iter::once(access).chain(refresh) {
                assert!(!token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            }
            for lifetime in std::iter::once(grant.expires_in).chain(grant.refresh_token_expires_in) {
                assert!((1..=400 * 86_400).contains(&lifetime.as_secs()), "{lifetime:?}");
            }
            grant.scopes.iter().for_each(|scope| assert_storable(scope));
            // A scope may contain any text of the answer, a token must not be shown.
            if !grant.scopes.iter().any(|scope| contains(scope.as_bytes(), SECRET.as_bytes())) {
                assert!(!format!("{grant:?}").contains(SECRET));
            }
            assert_eq!(access.to_string(), "[redacted]");
        }
        Err(error) => {
            check_error(&error);
            assert!(error.may_have_been_processed(), "a grant that cannot be parsed may have been issued");
        }
    }
}
