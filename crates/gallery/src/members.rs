//! JSON objects with their members in the order they came in, and values as text to be shown.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Characters of a value that are shown.
const LONGEST: usize = 160;

/// The members of an object. serde_json's own map sorts them, a query's columns have an order.
pub struct Members(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A scalar as text; `None` for null, arrays, objects and empty strings.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() => rounded(float),
            _ => number.to_string(),
        }),
        Value::String(string) => shortened(string),
    }
}

/// At most four digits behind the point, where that leaves anything of the number.
fn rounded(float: f64) -> String {
    let whole = float.to_string();
    if whole.len() <= 8 || float.abs() < 1e-3 || float.abs() >= 1e15 {
        format!("{float:?}")
    } else {
        format!("{float:.4}")
    }
}

fn shortened(string: &str) -> Option<String> {
    let string = string.trim();
    match string.char_indices().nth(LONGEST) {
        _ if string.is_empty() => None,
        Some((end, _)) => Some(format!("{}\u{2026}", string[..end].trim_end())),
        None => Some(string.to_owned()),
    }
}

/// A string that says nothing to a reader: bytes as `bytea` writes them, a vector as pgvector does.
pub fn is_data(value: &Value) -> bool {
    value.as_str().is_some_and(|string| {
        string.starts_with("\\x") || (string.len() > LONGEST && string.starts_with('[') && string.ends_with(']'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_keep_their_order() {
        let Members(members) = serde_json::from_str(r#"{"b": 1, "a": 2, "c": null}"#).unwrap();
        assert_eq!(members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
    }

    #[test]
    fn values_as_a_reader_wants_them() {
        for (value, expected) in [
            (json!(12), "12"),
            (json!(9_007_199_254_740_993_i64), "9007199254740993"),
            (json!(0.25), "0.25"),
            (json!(0.123_456_789), "0.1235"),
            (json!(1_234.5), "1234.5"),
            (json!(3.0), "3.0"),
            (json!(0.000_012_345_678_9), "1.23456789e-5"),
            (json!(true), "yes"),
            (json!("  a barn "), "a barn"),
        ] {
            assert_eq!(text(&value).as_deref(), Some(expected));
        }
        for nothing in [json!(null), json!([1]), json!({"a": 1}), json!(" ")] {
            assert_eq!(text(&nothing), None);
        }
        let long = text(&json!("ä".repeat(500))).unwrap();
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn data_is_told_from_words() {
        assert!(is_data(&json!("\\x00ff")) && is_data(&json!(format!("[{}]", "0.125,".repeat(512)))));
        assert!(!is_data(&json!("[sic]")) && !is_data(&json!("words ".repeat(100))) && !is_data(&json!(1)));
    }
}
