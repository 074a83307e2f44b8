//! Items of a listing: recognised by their id, and kept with their JSON text.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::lenient::{lenient, tolerant};

/// The members of an item as JSON texts: a number out of range makes one member unreadable, not the item.
pub(crate) type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// An item of a listing.
pub(crate) trait Item: DeserializeOwned {
    /// Stores the text that the item was read from.
    fn set_raw(&mut self, raw: String);

    /// Records whether members are present that could not be read.
    fn note_odd_members(&mut self, _members: &Members<'_>) {}

    /// Whether an object without an id is a tile between the items, and not an item that has lost its id.
    fn is_tile(_members: &Members<'_>) -> bool {
        false
    }

    /// Reads one item.
    fn read(raw: &str) -> Read<Self> {
        // A derived reader would read the elements of a list as members in order.
        if !is_object(raw) || nesting(raw) > MAX_NESTING {
            return Read::Unreadable;
        }
        let raw = replace_unstorable_escapes(raw);
        let Ok(members) = serde_json::from_str::<Members<'_>>(&raw) else { return Read::Unreadable };
        if !members.contains_key("id") && Self::is_tile(&members) {
            return Read::Tile;
        }
        let Ok(mut item) = serde_json::from_str::<Self>(&raw) else { return Read::Unreadable };
        item.note_odd_members(&members);
        item.set_raw(raw.into_owned());
        Read::Item(item)
    }
}

/// An entry of a listing.
pub(crate) enum Read<T> {
    /// An item.
    Item(T),
    /// Not an item: a "more ideas" tile of a board listing.
    Tile,
    /// An entry without a usable id, or not an object: it may be an item.
    Unreadable,
}

/// Whether a member is present, not null, and not of the expected type.
pub(super) fn is_odd(members: &Members<'_>, name: &str, fits: impl Fn(&Value) -> bool) -> bool {
    members.get(name).is_some_and(|raw| !tolerant(raw.get()).is_some_and(|value| value.is_null() || fits(&value)))
}

/// Levels of lists and objects in an item. Pinterest's items have six. The text is stored, and other JSON readers fail or
/// crash at depths that this crate could read.
const MAX_NESTING: usize = 64;

/// Most digits of an id; current ids have 18 or 19.
const MAX_ID: usize = 32;

/// Whether the text is an id as used in Pinterest's paths.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a valid JSON text is an object.
pub(super) fn is_object(raw: &str) -> bool {
    raw.trim_start().starts_with('{')
}

/// The deepest nesting of lists and objects in a valid JSON text.
fn nesting(raw: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in raw.bytes() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Deserializes the one required member: text, or a number with the same digits.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    // As text: a floating-point number cannot represent 18 digits.
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    let text = if raw.starts_with('"') { serde_json::from_str(raw).map_err(D::Error::custom)? } else { raw.to_owned() };
    if is_id(&text) { Ok(text) } else { Err(D::Error::custom("an id must have 1 to 32 digits")) }
}

/// Deserializes an optional member that is an id; anything else counts as absent.
pub(crate) fn maybe_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "id")] String);
    Ok(lenient::<D, Id>(deserializer)?.map(|Id(text)| text))
}

/// Whether the value is an id, as text or as a number.
pub(super) fn is_id_value(value: &Value) -> bool {
    match value {
        Value::String(text) => is_id(text),
        Value::Number(number) => is_id(&number.to_string()),
        _ => false,
    }
}

/// Replaces `\u0000` and unpaired surrogates by the escape of U+FFFD. All texts of Pinterest's answers pass here, so that
/// no text from this crate contains U+0000, which PostgreSQL's `text` cannot store.
///
/// JSON allows both escapes, and one such title must not make a page unreadable.
pub(super) fn replace_unstorable_escapes(raw: &str) -> Cow<'_, str> {
    const REPLACEMENT: &str = "\\ufffd";
    let mut replaced = String::new();
    let mut copied = 0;
    let mut position = 0;
    while let Some(backslash) = raw[position..].find('\\').map(|offset| position + offset) {
        let Some(unit) = escaped_unit(raw, backslash) else {
            // A short escape. Its second character is ASCII in valid JSON; any other ends the search.
            position = backslash + 2;
            if !raw.is_char_boundary(position) || position > raw.len() {
                break;
            }
            continue;
        };
        let after = backslash + 6;
        position = match unit {
            0xd800..=0xdbff if matches!(escaped_unit(raw, after), Some(0xdc00..=0xdfff)) => after + 6,
            0 | 0xd800..=0xdfff => {
                replaced.push_str(&raw[copied..backslash]);
                replaced.push_str(REPLACEMENT);
                copied = after;
                after
            }
            _ => after,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(raw);
    }
    replaced.push_str(&raw[copied..]);
    Cow::Owned(replaced)
}

/// The UTF-16 unit of a `\uXXXX` that starts at this byte.
fn escaped_unit(raw: &str, start: usize) -> Option<u16> {
    let digits = raw.get(start..start + 6)?.strip_prefix("\\u")?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unstorable_escapes_are_replaced() {
        for (raw, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""a\u0000b""#, r#""a\ufffdb""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\n\ude00""#, r#""\ufffd\n\ufffd""#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
            (r#""\u00e4ä\"""#, r#""\u00e4ä\"""#),
        ] {
            assert_eq!(replace_unstorable_escapes(raw), expected, "{raw}");
        }
    }

    #[test]
    fn nesting_counts_outside_strings() {
        for (raw, expected) in
            [("1", 0), ("{}", 1), (r#"{"a": [{}, [[]]]}"#, 4), (r#"{"[[[": "{\"[[[\\"}"#, 1), (r#"["\\", [1]]"#, 2)]
        {
            assert_eq!(nesting(raw), expected, "{raw}");
        }
    }

    #[test]
    fn ids_are_digits() {
        assert!(is_id("813744226420795884"));
        for text in ["", "12a", "-1", " 1", "../1", "１", &"1".repeat(33)] {
            assert!(!is_id(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_result_parses_and_contains_no_nul(text in "\"([a-zä]|\\\\[\\\\\"n]|\\\\u(0000|d83d|ude00|de00|00e4)){0,12}\"") {
            let replaced = replace_unstorable_escapes(&text);
            if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() {
                let read: String = serde_json::from_str(&replaced).unwrap();
                prop_assert!(!read.contains('\0'));
            }
        }

        #[test]
        fn no_text_panics(text in "(\\\\|\\\\u|d83d|0000|ä|\\PC){0,20}") {
            let _ = replace_unstorable_escapes(&text);
        }
    }
}
