//! What the one who made a pin has disclosed about the use of AI.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::lenient::lenient;

/// Disclosures kept of a pin at most. Pinterest knows two.
const MOST: usize = 100;

/// `ai_disclosures` of a pin, which Pinterest describes as an object with a list of `values`.
///
/// Known values are `AI_MODIFIED` (made or changed with AI) and `SYNTHETIC_PERFORMER` (a person in the picture is
/// generated). The list is open: each value in it is a declaration that AI was used, whatever its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AiDisclosures {
    /// The answer does not have the member, or it is null.
    #[default]
    NotTold,
    /// The member is there and could not be read: what was known before holds.
    Unreadable,
    /// The values as Pinterest wrote them; empty: nothing is disclosed.
    Told(Vec<String>),
}

impl AiDisclosures {
    /// Whether anything is disclosed.
    pub fn discloses(&self) -> bool {
        matches!(self, Self::Told(values) if !values.is_empty())
    }

    fn of(member: &Value) -> Self {
        match member {
            Value::Null => Self::NotTold,
            Value::Object(members) => match members.get("values") {
                Some(values) => Self::listed(values),
                None if members.is_empty() => Self::Told(Vec::new()),
                None => Self::Unreadable,
            },
            bare => Self::listed(bare),
        }
    }

    /// A list, or one value without a list around it. What is neither text nor a number is left out of a list; a list of
    /// which nothing is left is unreadable.
    fn listed(values: &Value) -> Self {
        let elements = match values {
            Value::Null => return Self::Told(Vec::new()),
            Value::Array(elements) => elements.as_slice(),
            one => std::slice::from_ref(one),
        };
        let text = |element: &Value| match element {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let told: Vec<String> = elements.iter().filter_map(text).take(MOST).collect();
        let says_nothing =
            |element: &Value| element.is_null() || element.as_str().is_some_and(|it| it.trim().is_empty());
        if told.is_empty() && !elements.iter().all(says_nothing) { Self::Unreadable } else { Self::Told(told) }
    }
}

/// Deserializes the member; what is no JSON that a value can hold is unreadable.
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
    fn every_shape_is_read_or_leaves_what_is_known() {
        let told = |values: &[&str]| AiDisclosures::Told(values.iter().map(|value| (*value).to_owned()).collect());
        for (member, expected) in [
            (r#"{"values": ["AI_MODIFIED"]}"#, told(&["AI_MODIFIED"])),
            (r#"{"values": ["AI_MODIFIED", "SYNTHETIC_PERFORMER"]}"#, told(&["AI_MODIFIED", "SYNTHETIC_PERFORMER"])),
            (r#"{"values": ["HOLOGRAM"], "more": {}}"#, told(&["HOLOGRAM"])),
            (r#"{"values": []}"#, told(&[])),
            (r#"{"values": null}"#, told(&[])),
            (r#"{"values": ["", null, " "]}"#, told(&[])),
            ("{}", told(&[])),
            (r#"{"values": "AI_MODIFIED"}"#, told(&["AI_MODIFIED"])),
            (r#"["AI_MODIFIED", {}]"#, told(&["AI_MODIFIED"])),
            (r#"{"values": [1]}"#, told(&["1"])),
            ("null", AiDisclosures::NotTold),
            ("true", AiDisclosures::Unreadable),
            (r#"{"values": [{}]}"#, AiDisclosures::Unreadable),
            (r#"{"values": [1e999]}"#, AiDisclosures::Unreadable),
            (r#"{"items": ["AI_MODIFIED"]}"#, AiDisclosures::Unreadable),
        ] {
            let pin: Pin = read_item(format!(r#"{{"id": "1", "ai_disclosures": {member}}}"#).as_bytes()).unwrap();
            assert_eq!(pin.ai_disclosures, expected, "{member}");
            assert!(!pin.odd, "{member}: nothing else of the pin is in doubt");
        }
        let pin: Pin = read_item(br#"{"id": "1"}"#).unwrap();
        assert_eq!(pin.ai_disclosures, AiDisclosures::NotTold);
    }
}
