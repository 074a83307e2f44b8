//! Disclosures about the use of AI in a pin.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::lenient::lenient;

/// Disclosures kept per pin. Pinterest describes two.
const MOST: usize = 100;

/// A pin's `ai_disclosures`, which Pinterest describes as an object with a list of `values`.
///
/// Known values are `AI_MODIFIED` (made or changed with AI) and `SYNTHETIC_PERFORMER` (a person in the image is generated).
/// The list is open: every value in it declares that AI was used, whatever its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AiDisclosures {
    /// The member is absent or null.
    #[default]
    Absent,
    /// The member is present but could not be read: the stored value remains.
    Unreadable,
    /// The values as Pinterest wrote them; empty if nothing is disclosed.
    Disclosed(Vec<String>),
}

impl AiDisclosures {
    /// Whether anything is disclosed.
    pub fn discloses(&self) -> bool {
        matches!(self, Self::Disclosed(values) if !values.is_empty())
    }

    fn of(member: &Value) -> Self {
        match member {
            Value::Null => Self::Absent,
            Value::Object(members) => match members.get("values") {
                Some(values) => Self::listed(values),
                None if members.is_empty() => Self::Disclosed(Vec::new()),
                None => Self::Unreadable,
            },
            bare => Self::listed(bare),
        }
    }

    /// A list, or a single value. Elements that are neither text nor a number are left out; a list of such elements alone is
    /// unreadable.
    fn listed(values: &Value) -> Self {
        let elements = match values {
            Value::Null => return Self::Disclosed(Vec::new()),
            Value::Array(elements) => elements.as_slice(),
            one => std::slice::from_ref(one),
        };
        let text = |element: &Value| match element {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let found: Vec<String> = elements.iter().filter_map(text).take(MOST).collect();
        let is_blank = |element: &Value| element.is_null() || element.as_str().is_some_and(|it| it.trim().is_empty());
        if found.is_empty() && !elements.iter().all(is_blank) { Self::Unreadable } else { Self::Disclosed(found) }
    }
}

/// Deserializes the member; JSON that cannot be represented as a value is unreadable.
pub(super) fn ai_disclosures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AiDisclosures, D::Error> {
    Ok(lenient::<D, Read>(deserializer)?.map_or(AiDisclosures::Unreadable, |Read(read)| read))
}

struct Read(AiDisclosures);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|member| Self(AiDisclosures::of(&member)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pin, read_item};

    #[test]
    fn every_shape_is_read_or_counts_as_unreadable() {
        let disclosed =
            |values: &[&str]| AiDisclosures::Disclosed(values.iter().map(|value| (*value).to_owned()).collect());
        for (member, expected) in [
            (r#"{"values": ["AI_MODIFIED"]}"#, disclosed(&["AI_MODIFIED"])),
            (
                r#"{"values": ["AI_MODIFIED", "SYNTHETIC_PERFORMER"]}"#,
                disclosed(&["AI_MODIFIED", "SYNTHETIC_PERFORMER"]),
            ),
            (r#"{"values": ["HOLOGRAM"], "more": {}}"#, disclosed(&["HOLOGRAM"])),
            (r#"{"values": []}"#, disclosed(&[])),
            (r#"{"values": null}"#, disclosed(&[])),
            (r#"{"values": ["", null, " "]}"#, disclosed(&[])),
            ("{}", disclosed(&[])),
            (r#"{"values": "AI_MODIFIED"}"#, disclosed(&["AI_MODIFIED"])),
            (r#"["AI_MODIFIED", {}]"#, disclosed(&["AI_MODIFIED"])),
            (r#"{"values": [1]}"#, disclosed(&["1"])),
            ("null", AiDisclosures::Absent),
            ("true", AiDisclosures::Unreadable),
            (r#"{"values": [{}]}"#, AiDisclosures::Unreadable),
            (r#"{"values": [1e999]}"#, AiDisclosures::Unreadable),
            (r#"{"items": ["AI_MODIFIED"]}"#, AiDisclosures::Unreadable),
        ] {
            let pin: Pin = read_item(format!(r#"{{"id": "1", "ai_disclosures": {member}}}"#).as_bytes()).unwrap();
            assert_eq!(pin.ai_disclosures, expected, "{member}");
            assert!(!pin.odd, "{member}: the rest of the pin is readable");
        }
        let pin: Pin = read_item(br#"{"id": "1"}"#).unwrap();
        assert_eq!(pin.ai_disclosures, AiDisclosures::Absent);
    }
}
