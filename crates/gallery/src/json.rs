//! The shown parts of a JSON document. All other parts are skipped: values that are not shown take no memory, however deep or
//! long they are.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::memory;
use crate::{Error, LONGEST_TEXT};

/// Bytes between two calls of `check`.
const STRIDE: usize = 1 << 20;

/// Requests the memory that the parser itself takes for the document: it unescapes a string before its reader can refuse
/// it, and remembers each array and object around a skipped one.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn ask_for_parser(json: &str, check: &mut dyn FnMut()) -> Result<(), Error> {
    let (mut longest, mut deepest) = (0, 0);
    let (mut string, mut depth) = (None, 0usize);
    let mut escaped = false;
    for (index, byte) in json.bytes().enumerate() {
        if index.is_multiple_of(STRIDE) {
            check();
        }
        match (string, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(start), b'"') => {
                longest = longest.max(index - start);
                string = None;
            }
            (Some(_), _) => {}
            (None, b'"') => string = Some(index),
            (None, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, b']' | b'}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    // The parser's memory grows by doubling.
    memory::ask(2 * (longest + deepest))
}

/// A value, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown<T> {
    /// null.
    Null,
    /// A string, as its reader returned it.
    String(T),
    /// A number or a boolean, as text.
    Scalar(String),
    /// An array or an object, skipped.
    Nested,
}

/// Reads a value; the function reads strings, without a copy if they have no escapes.
pub struct Value<F>(pub F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Value<F> {
    type Value = Shown<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shown<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T, F: FnOnce(&str) -> T> Visitor<'de> for Value<F> {
    type Value = Shown<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Shown<T>, E> {
        Ok(Shown::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shown<T>, E> {
        Ok(Shown::Scalar(if value { "yes" } else { "no" }.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Shown<T>, E> {
        Ok(Shown::Scalar(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shown<T>, E> {
        Ok(Shown::Scalar(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Shown<T>, E> {
        Ok(Shown::Scalar(rounded(number)))
    }

    fn visit_str<E>(self, string: &str) -> Result<Shown<T>, E> {
        Ok(Shown::String((self.0)(string)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Shown<T>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shown::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Shown<T>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shown::Nested)
    }
}

/// Skips an object; refuses anything else.
pub struct SkippedObject;

impl<'de> DeserializeSeed<'de> for SkippedObject {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SkippedObject {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// The name of a member, truncated if it is too long to be shown.
pub struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<String, E> {
        Ok(cut(name))
    }
}

/// A string as text to be shown; `None` if it is empty.
pub fn text(string: &str) -> Option<String> {
    let string = string.trim();
    (!string.is_empty()).then(|| cut(string))
}

/// The characters that are shown.
fn cut(string: &str) -> String {
    match string.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}\u{2026}", string[..end].trim_end()),
        None => string.to_owned(),
    }
}

/// At most four digits after the point, except for very small and very large numbers.
fn rounded(float: f64) -> String {
    let whole = float.to_string();
    if whole.len() <= 8 || float.abs() < 1e-3 || float.abs() >= 1e15 {
        format!("{float:?}")
    } else {
        format!("{float:.4}")
    }
}

/// Whether a string is not for readers: bytes as `bytea` is written, or a long vector as pgvector writes it.
pub fn is_data(string: &str) -> bool {
    string.starts_with("\\x") || (string.len() > LONGEST_TEXT && string.starts_with('[') && string.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> Shown<Option<String>> {
        serde_json::Deserializer::from_str(json).deserialize_any(Value(text)).unwrap()
    }

    #[test]
    fn values_are_written_for_readers() {
        for (json, expected) in [
            ("12", "12"),
            ("9007199254740993", "9007199254740993"),
            ("-5", "-5"),
            ("0.25", "0.25"),
            ("0.123456789", "0.1235"),
            ("1234.5", "1234.5"),
            ("3.0", "3.0"),
            ("0.0000123456789", "1.23456789e-5"),
            ("true", "yes"),
        ] {
            assert_eq!(shown(json), Shown::Scalar(expected.to_owned()), "{json}");
        }
        assert_eq!(shown("\"  a barn \""), Shown::String(Some("a barn".to_owned())));
        assert_eq!(shown("\" \""), Shown::String(None));
        assert_eq!(shown("null"), Shown::Null);
        assert_eq!(shown("[1, {\"a\": \"b\"}]"), Shown::Nested);
        assert_eq!(shown("{\"a\": [[]]}"), Shown::Nested);
        let Shown::String(Some(long)) = shown(&format!("\"{}\"", "ä".repeat(500))) else { panic!("no string") };
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
    }

    #[test]
    fn data_is_distinguished_from_words() {
        assert!(is_data("\\x00ff") && is_data(&format!("[{}]", "0.125,".repeat(512))));
        assert!(!is_data("[sic]") && !is_data(&"words ".repeat(100)) && !is_data("1"));
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(shown(&deep), Shown::Nested);
        let mut checks = 0;
        ask_for_parser(&deep, &mut || checks += 1).unwrap();
        assert_eq!(checks, 2);
    }
}
