//! Lenient reading of untrusted JSON: a member that is absent, null or of an unexpected type has no value.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Timestamp;

/// Deserializes an optional member; a value of another type counts as absent, and the rest of the object is still read.
/// Use together with `#[serde(default)]`, which covers absence.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A JSON text as a value. A number out of range becomes the largest one, so that the kind of every value can be
/// determined.
pub(crate) fn tolerant(raw: &str) -> Option<Value> {
    let read = |raw: Box<RawValue>| tolerant(raw.get());
    serde_json::from_str(raw).ok().or_else(|| match raw.trim_start().as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).ok()?;
            members
                .into_iter()
                .map(|(name, member)| Some((name, read(member)?)))
                .collect::<Option<_>>()
                .map(Value::Object)
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(raw).ok()?;
            elements.into_iter().map(read).collect::<Option<_>>().map(Value::Array)
        }
        b'-' | b'0'..=b'9' => Some(Value::from(f64::MAX)),
        _ => None,
    })
}

/// The JSON text of a list; `None` for anything else.
pub(crate) fn raw_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    Ok(raw.starts_with('[').then(|| raw.to_owned()))
}

/// As [`lenient`], for a time written as Pinterest writes it.
pub(crate) fn lenient_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = lenient(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// As [`lenient`], for a list: an element of another type becomes an empty one, so that the others keep their positions;
/// anything that is not a list becomes an empty list.
pub(crate) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let elements: Option<Vec<Box<RawValue>>> = lenient(deserializer)?;
    Ok(elements.unwrap_or_default().iter().map(|raw| serde_json::from_str(raw.get()).unwrap_or_default()).collect())
}

/// As [`lenient`], for an open map: entries of another type are left out.
pub(crate) fn lenient_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let entries: Option<BTreeMap<String, Box<RawValue>>> = lenient(deserializer)?;
    let read = |(name, raw): (String, Box<RawValue>)| Some((name, serde_json::from_str(raw.get()).ok()?));
    Ok(entries.unwrap_or_default().into_iter().filter_map(read).collect())
}
