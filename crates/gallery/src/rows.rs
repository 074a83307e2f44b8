//! The rows of a query, as `json_agg()` makes them, as cards.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::{Name, Shown, SkippedObject, Value, ask_for_parser, is_data, text};
use crate::{Address, Because, Budget, Card, Error, LeftOut, Picture, memory};

/// Rows that a page shows; nobody looks at more, and every one may have pictures.
pub const MOST_ROWS: usize = 500;
/// Pins that a card gives as its reasons.
const MOST_REASONS: usize = 6;
/// Other members of a row that its card shows.
const MOST_FACTS: usize = 12;
/// What all cards take at most, their pictures by bytes aside.
const CARDS_BYTES: usize = 48 << 20;

/// Cards, and what of the rows did not become part of one.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// In the order of the rows.
    pub cards: Vec<Card>,
    /// What is missing.
    pub left_out: LeftOut,
}

impl Rows {
    /// Reads an array of objects. Recognised members are `title` or `name` or `key`, `image` (an https address or bytes
    /// as `bytea` is written, `\x…`), `link`, `rank`, `score`, `distance`, `theme` and `because`; other scalars become
    /// small facts, in their order, save bytes and vectors. Pictures by bytes are taken off the budget.
    ///
    /// # Errors
    /// Where it is not an array of objects, an `image` or `link` no string, or a `because` not itself an array of
    /// objects; the message names the place. [`OutOfMemory`](crate::ErrorKind::OutOfMemory) where the cards, or a picture,
    /// find no room.
    pub fn parse(json: &str, budget: &mut Budget, check: &mut dyn FnMut()) -> Result<Self, Error> {
        ask_for_parser(json, check)?;
        // A card holds several times the text that it was made of, and an end.
        memory::ask(json.len().saturating_mul(4).min(CARDS_BYTES))?;
        let mut reader = Reader { rows: Rows::default(), budget, check, place: None, refused: None };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let outcome = (&mut reader).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        let place = reader.place.map_or_else(|| "rows".to_owned(), |index| format!("rows[{index}]"));
        match (reader.refused, outcome) {
            (Some(refused), _) => Err(refused),
            (None, Err(error)) => Err(Error::at(place, error)),
            (None, Ok(())) => Ok(reader.rows),
        }
    }
}

/// Turns one row after the other into its card, so that never more than one stands there as JSON.
struct Reader<'a> {
    rows: Rows,
    budget: &'a mut Budget,
    check: &'a mut dyn FnMut(),
    /// The row being read.
    place: Option<usize>,
    /// What is wrong in a row that is well-formed JSON.
    refused: Option<Error>,
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        for index in 0.. {
            (self.check)();
            self.place = Some(index);
            if index >= MOST_ROWS {
                if rows.next_element_seed(SkippedObject)?.is_none() {
                    break;
                }
                self.rows.left_out.rows += 1;
                continue;
            }
            let Some(card) = rows.next_element_seed(RowReader { reader: &mut *self, index })? else { break };
            self.rows.cards.push(card);
        }
        self.place = None;
        Ok(())
    }
}

impl Reader<'_> {
    /// Remembers what is wrong, and ends the reading.
    fn refuse<E: serde::de::Error>(&mut self, refused: Error) -> E {
        self.refused = Some(refused);
        E::custom("refused")
    }

    /// A string that is not empty, read by `read`.
    fn string<T>(&mut self, value: Shown<Option<T>>, place: impl FnOnce() -> String) -> Result<Option<T>, Error> {
        match value {
            Shown::Null => Ok(None),
            Shown::String(read) => Ok(read),
            Shown::Scalar(_) | Shown::Nested => Err(Error::at(place(), "is no string")),
        }
    }

    fn address(&mut self, text: &str) -> Option<Address> {
        let address = Address::parse(text);
        self.rows.left_out.addresses += usize::from(address.is_none());
        address
    }

    fn picture(&mut self, text: &str) -> Result<Option<Picture>, Error> {
        let Some(digits) = text.strip_prefix("\\x") else { return Ok(self.address(text).map(Picture::Linked)) };
        if !self.budget.take(digits.len() / 2) {
            self.rows.left_out.beyond_budget += 1;
            return Ok(None);
        }
        let picture = bytes(digits)?.and_then(Picture::embedded);
        self.rows.left_out.not_pictures += usize::from(picture.is_none());
        Ok(picture)
    }
}

/// The text of a string, where it is not empty.
fn trimmed(string: &str) -> Option<&str> {
    Some(string.trim()).filter(|string| !string.is_empty())
}

/// A scalar as text.
fn scalar(value: Shown<Option<String>>) -> Option<String> {
    match value {
        Shown::String(text) => text,
        Shown::Scalar(text) => Some(text),
        Shown::Null | Shown::Nested => None,
    }
}

/// Reads one row.
struct RowReader<'a, 'b> {
    reader: &'a mut Reader<'b>,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for RowReader<'_, '_> {
    type Value = Card;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Card, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowReader<'_, '_> {
    type Value = Card;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Card, A::Error> {
        let Self { reader, index } = self;
        let mut card = Card::default();
        let (mut title, mut name, mut key) = (None, None, None);
        let (mut judged, mut others) = (Vec::new(), Vec::new());
        while let Some(member) = members.next_key_seed(Name)? {
            let place = || format!("rows[{index}].{member}");
            match member.as_str() {
                "title" => title = scalar(members.next_value_seed(Value(text))?),
                "name" => name = scalar(members.next_value_seed(Value(text))?),
                "key" => key = scalar(members.next_value_seed(Value(text))?),
                "rank" => card.rank = scalar(members.next_value_seed(Value(text))?),
                "link" => {
                    let link = members.next_value_seed(Value(|text: &str| trimmed(text).map(|t| reader.address(t))))?;
                    card.link = reader.string(link, place).map_err(|refused| reader.refuse(refused))?.flatten();
                }
                "image" => {
                    let image =
                        members.next_value_seed(Value(|text: &str| trimmed(text).map(|t| reader.picture(t))))?;
                    let image = reader.string(image, place).and_then(Option::transpose);
                    card.picture = image.map_err(|refused| reader.refuse(refused))?.flatten();
                }
                "because" => card.because = members.next_value_seed(BecauseReader { reader, index })?,
                "score" | "distance" | "theme" => {
                    let value = scalar(members.next_value_seed(Value(text))?);
                    if judged.len() < MOST_FACTS {
                        judged.extend(value.map(|text| (member, text)));
                    }
                }
                _ => {
                    let read = |string: &str| if is_data(string) { None } else { text(string) };
                    let value = scalar(members.next_value_seed(Value(read))?);
                    if others.len() < MOST_FACTS {
                        others.extend(value.map(|text| (member, text)));
                    }
                }
            }
        }
        // What did not become the heading is a fact like others.
        for (member, value) in [("title", title), ("name", name), ("key", key)] {
            match value {
                Some(value) if card.title.is_none() => card.title = Some(value),
                Some(value) if card.title.as_ref() != Some(&value) => others.insert(0, (member.to_owned(), value)),
                _ => {}
            }
        }
        others.truncate(MOST_FACTS);
        judged.append(&mut others);
        card.facts = judged;
        Ok(card)
    }
}

/// Reads the pins that speak for a row.
struct BecauseReader<'a, 'b> {
    reader: &'a mut Reader<'b>,
    index: usize,
}

impl BecauseReader<'_, '_> {
    /// What is neither null nor an array.
    fn no_array<E: serde::de::Error>(self) -> E {
        let place = format!("rows[{}].because", self.index);
        self.reader.refuse(Error::at(place, "is no array of objects"))
    }
}

impl<'de> DeserializeSeed<'de> for BecauseReader<'_, '_> {
    type Value = Vec<Because>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Because>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BecauseReader<'_, '_> {
    type Value = Vec<Because>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of objects")
    }

    fn visit_unit<E>(self) -> Result<Vec<Because>, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Vec<Because>, E> {
        Err(self.no_array())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Vec<Because>, E> {
        Err(self.no_array())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Vec<Because>, E> {
        Err(self.no_array())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Vec<Because>, E> {
        Err(self.no_array())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Vec<Because>, E> {
        Err(self.no_array())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Vec<Because>, A::Error> {
        Err(self.no_array())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pins: A) -> Result<Vec<Because>, A::Error> {
        let Self { reader, index } = self;
        let mut reasons = Vec::new();
        for number in 0.. {
            let pin = PinReader { reader: &mut *reader, index, number };
            let Some(reason) = pins.next_element_seed(pin)? else { break };
            reasons.extend(reason);
        }
        Ok(reasons)
    }
}

/// Reads one of these pins, as far as it is shown.
struct PinReader<'a, 'b> {
    reader: &'a mut Reader<'b>,
    index: usize,
    number: usize,
}

impl PinReader<'_, '_> {
    fn place(&self) -> String {
        format!("rows[{}].because[{}]", self.index, self.number)
    }

    fn no_object<E: serde::de::Error>(self) -> E {
        let place = self.place();
        self.reader.refuse(Error::at(place, "is no object"))
    }
}

impl<'de> DeserializeSeed<'de> for PinReader<'_, '_> {
    type Value = Option<Because>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Because>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PinReader<'_, '_> {
    type Value = Option<Because>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Option<Because>, E> {
        Err(self.no_object())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Option<Because>, A::Error> {
        Err(self.no_object())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Because>, A::Error> {
        if self.number >= MOST_REASONS {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let place = self.place();
        let reader = self.reader;
        let mut reason = Because::default();
        let mut link = None;
        while let Some(member) = members.next_key_seed(Name)? {
            let place = || format!("{place}.{member}");
            match member.as_str() {
                "account_id" => reason.account_id = integer(members.next_value_seed(Value(|_: &str| None))?),
                "position" => reason.position = integer(members.next_value_seed(Value(|_: &str| None))?),
                "pin_id" => reason.pin_id = scalar(members.next_value_seed(Value(text))?),
                "title" => reason.title = scalar(members.next_value_seed(Value(text))?),
                "board" => reason.board = scalar(members.next_value_seed(Value(text))?),
                "distance" => reason.distance = scalar(members.next_value_seed(Value(text))?),
                "link" => {
                    let read = members.next_value_seed(Value(|text: &str| trimmed(text).map(Address::parse)))?;
                    link = reader.string(read, place).map_err(|refused| reader.refuse(refused))?;
                }
                "image_url" => {
                    let image =
                        members.next_value_seed(Value(|text: &str| trimmed(text).map(|t| reader.picture(t))))?;
                    let image = reader.string(image, place).and_then(Option::transpose);
                    reason.picture = image.map_err(|refused| reader.refuse(refused))?.flatten();
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        // A pin leads to its page, whatever else is said.
        reason.link = match (&reason.pin_id, link) {
            (Some(pin_id), _) => Address::of_pin(pin_id),
            (None, Some(link)) => {
                reader.rows.left_out.addresses += usize::from(link.is_none());
                link
            }
            (None, None) => None,
        };
        Ok(Some(reason))
    }
}

/// A whole number, where it is one of the kind that is wanted.
fn integer<T: std::str::FromStr>(value: Shown<Option<String>>) -> Option<T> {
    match value {
        Shown::Scalar(number) => number.parse().ok(),
        _ => None,
    }
}

/// Reads pairs of hexadecimal digits; `None` where they are none.
fn bytes(digits: &str) -> Result<Option<Vec<u8>>, Error> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = memory::reserved(digits.len() / 2)?;
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Ok(None);
    }
    for &[high, low] in pairs {
        match (digit(high), digit(low)) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Ok(None),
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
