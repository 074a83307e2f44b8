//! The rows of a query, as `json_agg()` makes them, as cards.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::{Name, Shown, SkippedObject, Value, ask_for_parser, is_data, text};
use crate::{Address, Because, Budget, Card, Error, LeftOut, Picture, memory};

/// The greatest number of rows that a page shows; each may have pictures.
pub const MOST_ROWS: usize = 500;
/// Pins that a card gives as its reasons.
const MOST_REASONS: usize = 6;
/// Other members of a row that its card shows.
const MOST_FACTS: usize = 12;
/// The greatest number of bytes of all cards, without embedded pictures.
const CARDS_BYTES: usize = 48 << 20;

/// Cards, and counts of what they do not contain.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// In the order of the rows.
    pub cards: Vec<Card>,
    /// The parts of the rows that are not shown.
    pub left_out: LeftOut,
}

impl Rows {
    /// Reads an array of objects. Recognised members are `title` or `name` or `key`, `image` (an https address, or bytes
    /// as `bytea` is written, `\x…`), `link`, `rank`, `score`, `distance`, `theme` and `because`; other scalars except for
    /// bytes and vectors become small facts, in their order. The bytes of pictures are taken from the budget.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::ErrorKind::Malformed) if `json` is not an array of objects, an `image` or `link` not a string,
    /// or a `because` not an array of objects; the message names the place.
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if there is no memory for the cards or a picture.
    pub fn parse(json: &str, budget: &mut Budget, check: &mut dyn FnMut()) -> Result<Self, Error> {
        ask_for_parser(json, check)?;
        // A card takes several times the bytes of its text, up to a limit.
        memory::ask(json.len().saturating_mul(4).min(CARDS_BYTES))?;
        let mut reader = Reader { rows: Rows::default(), budget, check, place: "rows".to_owned(), refused: None };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let result = (&mut reader).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match (reader.refused, result) {
            (Some(refused), _) => Err(refused),
            (None, Err(error)) => Err(Error::at(reader.place, error)),
            (None, Ok(())) => Ok(reader.rows),
        }
    }
}

/// Turns the rows into cards one by one, so that at most one of them is in memory as JSON.
struct Reader<'a> {
    rows: Rows,
    budget: &'a mut Budget,
    check: &'a mut dyn FnMut(),
    /// The part that is being read, as an error names it.
    place: String,
    /// The error of a row that is well-formed JSON.
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
            self.place = format!("rows[{index}]");
            if index >= MOST_ROWS {
                if rows.next_element_seed(SkippedObject)?.is_none() {
                    break;
                }
                self.rows.left_out.rows += 1;
                continue;
            }
            let Some(card) = rows.next_element_seed(RowReader(&mut *self))? else { break };
            self.rows.cards.push(card);
        }
        self.place = "rows".to_owned();
        Ok(())
    }
}

impl Reader<'_> {
    /// Stores the error, and ends the reading.
    fn refuse<E: serde::de::Error>(&mut self, refused: Error) -> E {
        self.refused = Some(refused);
        E::custom("refused")
    }

    /// The string of a member; None if it is null or empty.
    fn string<T, E: serde::de::Error>(&mut self, value: Shown<Option<T>>, member: &str) -> Result<Option<T>, E> {
        match value {
            Shown::Null => Ok(None),
            Shown::String(read) => Ok(read),
            Shown::Scalar(_) | Shown::Nested => {
                Err(self.refuse(Error::at(format!("{}.{member}", self.place), "is not a string")))
            }
        }
    }

    /// Reads the value of a member that is a picture.
    fn image<'de, A: MapAccess<'de>>(&mut self, members: &mut A, member: &str) -> Result<Option<Picture>, A::Error> {
        let image = members.next_value_seed(Value(|text: &str| trimmed(text).map(|text| self.picture(text))))?;
        let image = self.string(image, member)?.transpose().map_err(|refused| self.refuse::<A::Error>(refused))?;
        Ok(image.flatten())
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

/// The text of a string, if it is not empty.
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
struct RowReader<'a, 'b>(&'a mut Reader<'b>);

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
        let Self(reader) = self;
        let mut card = Card::default();
        let (mut title, mut name, mut key) = (None, None, None);
        let (mut scores, mut others) = (Vec::new(), Vec::new());
        while let Some(member) = members.next_key_seed(Name)? {
            match member.as_str() {
                "title" => title = scalar(members.next_value_seed(Value(text))?),
                "name" => name = scalar(members.next_value_seed(Value(text))?),
                "key" => key = scalar(members.next_value_seed(Value(text))?),
                "rank" => card.rank = scalar(members.next_value_seed(Value(text))?),
                "link" => {
                    let link = members.next_value_seed(Value(|text: &str| trimmed(text).map(|t| reader.address(t))))?;
                    card.link = reader.string::<_, A::Error>(link, &member)?.flatten();
                }
                "image" => card.picture = reader.image(&mut members, &member)?,
                "because" => card.because = members.next_value_seed(BecauseReader(&mut *reader))?,
                "score" | "distance" | "theme" => {
                    let value = scalar(members.next_value_seed(Value(text))?);
                    if scores.len() < MOST_FACTS {
                        scores.extend(value.map(|text| (member, text)));
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
        // Of these the first is the heading, and the others are facts.
        for (member, value) in [("title", title), ("name", name), ("key", key)] {
            match value {
                Some(value) if card.title.is_none() => card.title = Some(value),
                Some(value) if card.title.as_ref() != Some(&value) => others.insert(0, (member.to_owned(), value)),
                _ => {}
            }
        }
        others.truncate(MOST_FACTS);
        scores.append(&mut others);
        card.facts = scores;
        Ok(card)
    }
}

/// Reads the pins that a row resembles.
struct BecauseReader<'a, 'b>(&'a mut Reader<'b>);

impl<'de> DeserializeSeed<'de> for BecauseReader<'_, '_> {
    type Value = Vec<Because>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Because>, D::Error> {
        let place = self.0.place.clone();
        self.0.place = format!("{place}.because");
        let Self(reader) = self;
        let pins = deserializer.deserialize_any(BecauseReader(&mut *reader))?;
        reader.place = place;
        Ok(pins)
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut pins: A) -> Result<Vec<Because>, A::Error> {
        let Self(reader) = self;
        let place = reader.place.clone();
        let mut reasons = Vec::new();
        for number in 0.. {
            reader.place = format!("{place}[{number}]");
            let is_read = if number < MOST_REASONS {
                pins.next_element_seed(PinReader(&mut *reader))?.map(|reason| reasons.push(reason))
            } else {
                pins.next_element_seed(SkippedObject)?
            };
            if is_read.is_none() {
                break;
            }
        }
        Ok(reasons)
    }
}

/// Reads one of these pins.
struct PinReader<'a, 'b>(&'a mut Reader<'b>);

impl<'de> DeserializeSeed<'de> for PinReader<'_, '_> {
    type Value = Because;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Because, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PinReader<'_, '_> {
    type Value = Because;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Because, A::Error> {
        let Self(reader) = self;
        let mut reason = Because::default();
        let mut link = None;
        while let Some(member) = members.next_key_seed(Name)? {
            match member.as_str() {
                "account_id" => reason.account_id = integer(members.next_value_seed(Value(|_: &str| None))?),
                "position" => reason.position = integer(members.next_value_seed(Value(|_: &str| None))?),
                "pin_id" => reason.pin_id = scalar(members.next_value_seed(Value(text))?),
                "title" => reason.title = scalar(members.next_value_seed(Value(text))?),
                "board" => reason.board = scalar(members.next_value_seed(Value(text))?),
                "distance" => reason.distance = scalar(members.next_value_seed(Value(text))?),
                "link" => {
                    let read = members.next_value_seed(Value(|text: &str| trimmed(text).map(Address::parse)))?;
                    link = reader.string::<_, A::Error>(read, &member)?;
                }
                "image_url" => reason.picture = reader.image(&mut members, &member)?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        // A pin with an id always leads to its page.
        reason.link = match (&reason.pin_id, link) {
            (Some(pin_id), _) => Address::of_pin(pin_id),
            (None, Some(link)) => {
                reader.rows.left_out.addresses += usize::from(link.is_none());
                link
            }
            (None, None) => None,
        };
        Ok(reason)
    }
}

/// A whole number of this type, if the value is one.
fn integer<T: std::str::FromStr>(value: Shown<Option<String>>) -> Option<T> {
    match value {
        Shown::Scalar(number) => number.parse().ok(),
        _ => None,
    }
}

/// Reads pairs of hexadecimal digits; `None` for anything else.
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
