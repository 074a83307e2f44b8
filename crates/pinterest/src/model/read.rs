//! Reads bodies: first whether a body is JSON, then whether it is the expected JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::UserAccount;
use super::item::{Item, Read, is_object, replace_unstorable_escapes};
use crate::error::{Error, ErrorKind};
use crate::page::Page;

/// Most items of a page. 250 are requested; the rest allows for tiles between the pins.
const MAX_ITEMS: usize = 1_000;

/// Most bytes of a bookmark, which becomes part of a URL.
const MAX_BOOKMARK: usize = 4_096;

/// Reads a page of a listing. Entries that cannot be read are counted.
pub(crate) fn read_page<T: Item>(body: &[u8]) -> Result<Page<T>, Error> {
    let envelope: Envelope<'_> = parse(body)?;
    let bookmark = envelope.bookmark.filter(|bookmark| !bookmark.is_empty());
    if let Some(length) = bookmark.as_ref().map(String::len).filter(|&length| length > MAX_BOOKMARK) {
        return Err(invalid(format!("the page's bookmark has {length} bytes, at most {MAX_BOOKMARK} are allowed")));
    }
    // It cannot be stored, and replacing the character would make it another bookmark.
    if bookmark.as_ref().is_some_and(|bookmark| bookmark.contains('\0')) {
        return Err(invalid("the page's bookmark contains U+0000".to_owned()));
    }
    let mut page = Page { items: Vec::new(), bookmark, tiles: 0, unreadable: 0 };
    for raw in envelope.items.0 {
        match T::read(raw.get()) {
            Read::Item(item) => page.items.push(item),
            Read::Tile => page.tiles += 1,
            Read::Unreadable => page.unreadable += 1,
        }
    }
    Ok(page)
}

/// Reads a single item, which must have an id.
pub(crate) fn read_item<T: Item>(body: &[u8]) -> Result<T, Error> {
    let raw: &RawValue = parse(body)?;
    match T::read(raw.get()) {
        Read::Item(item) => Ok(item),
        Read::Tile | Read::Unreadable => Err(invalid("the answer is not an object with an id".to_owned())),
    }
}

/// Reads the account, in which nothing is required.
pub(crate) fn read_account(body: &[u8]) -> Result<UserAccount, Error> {
    let raw: &RawValue = parse(body)?;
    if !is_object(raw.get()) {
        return Err(invalid("the answer is not an object".to_owned()));
    }
    parse(replace_unstorable_escapes(raw.get()).as_bytes())
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    items: Items<'a>,
    /// Null, absent and empty end a listing. A number is read as its digits. A value of any other type must not be mistaken
    /// for the end.
    #[serde(default, deserialize_with = "bookmark")]
    bookmark: Option<String>,
}

fn bookmark<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    // As text: a bookmark is opaque, and 10 differs from 10.0.
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    match raw.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(Some(raw.to_owned())),
        _ => serde_json::from_str(raw).map_err(|_| D::Error::custom("a bookmark must be text")),
    }
}

/// The items' texts, counted while they are read.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;

        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    if items.len() == MAX_ITEMS {
                        return Err(A::Error::custom("too many items"));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(ItemsVisitor).map(Items)
    }
}

/// Parses a body. A body that is not JSON comes from a server in between, so a retry may help; JSON of another shape comes
/// from Pinterest itself. The parser's message is not used: it may quote the body.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let not_json = |place: String| Error::new(ErrorKind::Transient, format!("the answer is not JSON{place}"));
    let text = std::str::from_utf8(body)
        .map_err(|error| not_json(format!(": byte {} is not valid UTF-8", error.valid_up_to())))?;
    serde_json::from_str(text).map_err(|error| {
        let place = format!(" at line {}, column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => invalid(format!("the answer has an unexpected shape{place}")),
            _ => not_json(place),
        }
    })
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::Protocol, detail)
}

#[cfg(test)]
mod tests;
