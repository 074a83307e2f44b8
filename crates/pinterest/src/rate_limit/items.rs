//! Lists in header fields, read leniently as structured fields (RFC 9651): an invalid member is ignored. A strict parser
//! refuses the whole field for one invalid member.

use http::{HeaderMap, HeaderValue};

/// Most members that are read of one field.
const MOST_ITEMS: usize = 64;

/// The value of a member or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
}

/// A member of a list or dictionary, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The key, in a dictionary.
    key: Option<String>,
    value: Option<Value>,
    parameters: Vec<(String, Option<Value>)>,
}

impl Item {
    /// A number with a name, from parts of another member.
    pub(super) fn new(number: u64, name: Option<&str>) -> Self {
        Item { key: name.map(str::to_owned), value: Some(Value::Number(number)), parameters: Vec::new() }
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn parameter(&self, names: &[&str]) -> Option<&Value> {
        let named = |(name, _): &&(String, Option<Value>)| names.contains(&name.as_str());
        self.parameters.iter().find(named)?.1.as_ref()
    }

    pub(super) fn number_of(&self, names: &[&str]) -> Option<u64> {
        match self.parameter(names)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.parameters.iter().any(|(name, _)| names.contains(&name.as_str()))
    }

    /// The name, in whichever way it is given.
    pub(super) fn name(&self) -> Option<&str> {
        let named = match self.parameter(&["name", "policy"]) {
            Some(Value::Text(name)) => Some(name.as_str()),
            _ => None,
        };
        named.or(self.text()).or(self.key())
    }
}

/// All members of the fields of these names, in the order of the names and of the lines of each.
pub(super) fn items(headers: &HeaderMap, names: &[&str]) -> Vec<Item> {
    let lines = names.iter().flat_map(|name| headers.get_all(*name));
    let mut items = Vec::new();
    for line in lines.map(HeaderValue::as_bytes) {
        // The numbers are read even if a name is not ASCII.
        let line = String::from_utf8_lossy(line);
        items.extend(split(&line, b',').into_iter().filter_map(item).take(MOST_ITEMS));
    }
    items.truncate(MOST_ITEMS);
    items
}

fn item(text: &str) -> Option<Item> {
    let mut parts = split(text, b';').into_iter();
    let first = parts.next()?;
    let (key, value) = match pair(first) {
        (key, Some(value)) => (Some(key), value),
        (_, None) => (None, first),
    };
    let value = Some(read(value)?);
    let parameters = parts.map(pair).map(|(name, value)| (name, value.and_then(read))).collect();
    Some(Item { key, value, parameters })
}

/// `key=value` with the key in lower case, or the whole text as a key.
fn pair(text: &str) -> (String, Option<&str>) {
    let text = text.trim();
    match text.split_once('=') {
        // A quote before the equals sign: the sign belongs to a text.
        Some((key, value)) if !key.contains('"') => (key.trim().to_ascii_lowercase(), Some(value)),
        _ => (text.to_ascii_lowercase(), None),
    }
}

fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(inner) = unquoted {
        let mut unescaped = String::with_capacity(inner.len());
        let mut escaped = false;
        for character in inner.chars() {
            escaped = character == '\\' && !escaped;
            if !escaped {
                unescaped.push(character);
            }
        }
        return number(&unescaped).map(Value::Number).or(Some(Value::Text(unescaped)));
    }
    match number(text) {
        Some(number) => Some(Value::Number(number)),
        // A number that is not allowed, such as -1, has no value.
        None if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => None,
        None if text.is_empty() => None,
        None => Some(Value::Text(text.to_owned())),
    }
}

/// Whole numbers, also with a zero fraction (`60.0`) or a unit (`60 s`).
fn number(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, rest) = text.split_at(digits);
    let whole = rest.strip_prefix('.').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte == b'0'));
    let fits = rest.is_empty() || whole || rest.starts_with(' ');
    digits.parse().ok().filter(|_| fits)
}

/// Splits at a separator outside of quoted texts. An unclosed quote is an ordinary character.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at = closing(bytes, at).unwrap_or(at);
        } else if bytes[at] == separator {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts.push(&text[start..]);
    parts
}

/// The position of the quote that closes the one at `open`: a text ends with its member or parameter.
fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let next = bytes[at + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
                return next.is_none_or(|next| matches!(next, b',' | b';')).then_some(at);
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}
