//! The rows of a query, as `json_agg()` makes them, as cards.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;

use crate::members::{Members, is_data, text};
use crate::{Address, Because, Budget, Card, Error, LeftOut, Picture};

/// Rows that a page shows; nobody looks at more, and every one may have pictures.
pub const MOST_ROWS: usize = 500;
/// Pins that a card gives as its reasons.
const MOST_REASONS: usize = 6;
/// Other members of a row that its card shows.
const MOST_FACTS: usize = 12;

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
    /// objects; the message names the place.
    pub fn parse(json: &str, budget: &mut Budget, check: &mut dyn FnMut()) -> Result<Self, Error> {
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
            let Some(members) = rows.next_element::<Members>()? else { break };
            if index >= MOST_ROWS {
                self.rows.left_out.rows += 1;
                continue;
            }
            match self.card(index, members) {
                Ok(card) => self.rows.cards.push(card),
                Err(refused) => {
                    self.refused = Some(refused);
                    return Err(A::Error::custom("refused"));
                }
            }
        }
        self.place = None;
        Ok(())
    }
}

impl Reader<'_> {
    fn card(&mut self, index: usize, Members(members): Members) -> Result<Card, Error> {
        let mut card = Card::default();
        let (mut title, mut name, mut key) = (None, None, None);
        let (mut judged, mut others) = (Vec::new(), Vec::new());
        for (member, value) in members {
            let place = || format!("rows[{index}].{member}");
            match member.as_str() {
                "title" => title = text(&value),
                "name" => name = text(&value),
                "key" => key = text(&value),
                "rank" => card.rank = text(&value),
                "link" => card.link = self.address(string(&value, place)?),
                "image" => card.picture = self.picture(string(&value, place)?),
                "because" => card.because = self.because(&value, place)?,
                "score" | "distance" | "theme" => judged.extend(text(&value).map(|text| (member, text))),
                _ if is_data(&value) => {}
                _ => others.extend(text(&value).map(|text| (member, text))),
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

    fn because(&mut self, value: &Value, place: impl Fn() -> String) -> Result<Vec<Because>, Error> {
        let pins = match value {
            Value::Null => return Ok(Vec::new()),
            Value::Array(pins) => pins,
            _ => return Err(Error::at(place(), "is no array of objects")),
        };
        let mut reasons = Vec::new();
        for (number, pin) in pins.iter().enumerate() {
            let place = || format!("{}[{number}]", place());
            let Value::Object(pin) = pin else { return Err(Error::at(place(), "is no object")) };
            if number >= MOST_REASONS {
                continue;
            }
            let member = |name: &str| pin.get(name).and_then(text);
            let address = |name: &str| string(pin.get(name).unwrap_or(&Value::Null), || format!("{}.{name}", place()));
            let pin_id = member("pin_id");
            let link = match (&pin_id, address("link")?) {
                (Some(pin_id), _) => Address::of_pin(pin_id),
                (None, link) => self.address(link),
            };
            reasons.push(Because {
                account_id: pin.get("account_id").and_then(Value::as_i64),
                position: pin.get("position").and_then(Value::as_i64).and_then(|position| position.try_into().ok()),
                title: member("title"),
                board: member("board"),
                distance: member("distance"),
                picture: self.picture(address("image_url")?),
                pin_id,
                link,
            });
        }
        Ok(reasons)
    }

    fn address(&mut self, text: Option<&str>) -> Option<Address> {
        let address = Address::parse(text?);
        self.rows.left_out.addresses += usize::from(address.is_none());
        address
    }

    fn picture(&mut self, text: Option<&str>) -> Option<Picture> {
        let Some(digits) = text?.strip_prefix("\\x") else { return self.address(text).map(Picture::Linked) };
        if !self.budget.take(digits.len() / 2) {
            self.rows.left_out.beyond_budget += 1;
            return None;
        }
        let picture = bytes(digits).and_then(Picture::embedded);
        self.rows.left_out.not_pictures += usize::from(picture.is_none());
        picture
    }
}

/// A string that is not empty.
fn string(value: &Value, place: impl FnOnce() -> String) -> Result<Option<&str>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::String(string) => Ok(Some(string.trim()).filter(|string| !string.is_empty())),
        _ => Err(Error::at(place(), "is no string")),
    }
}

/// Reads pairs of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests;
