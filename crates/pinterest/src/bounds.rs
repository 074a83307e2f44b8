//! Bounds of the numbers in an answer. A number outside its bounds counts as absent, so that the documented default or
//! the stored value is used instead.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserializer;

use crate::lenient::lenient;

/// The longest quota window that Pinterest documents is a day. No reset is further away.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Requests allowed in a window. Pinterest documents 1,000.
pub(crate) const REQUESTS: RangeInclusive<u64> = 1..=1_000_000;
/// Numbers of pins, boards and people: the range of an `integer` column.
pub(crate) const COUNT: RangeInclusive<i64> = 0..=i32::MAX as i64;
/// Width or height of an image in pixels.
pub(crate) const SIDE: RangeInclusive<u32> = 1..=1_000_000;
/// Years of a timestamp: those that RFC 3339 can represent.
pub(crate) const YEARS: RangeInclusive<i32> = 1..=9999;
/// Parts of a pin. A carousel has five, an idea pin twenty.
pub(crate) const PARTS: usize = 500;

/// The value, if it is within its bounds.
pub(crate) fn within<T: PartialOrd>(value: T, bounds: &RangeInclusive<T>) -> Option<T> {
    bounds.contains(&value).then_some(value)
}

/// Deserializes a count.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(lenient(deserializer)?.and_then(|value| within(value, &COUNT)))
}

/// Deserializes the width or height of an image.
pub(crate) fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(lenient(deserializer)?.and_then(|value| within(value, &SIDE)))
}

#[cfg(test)]
mod tests {
    use crate::model::{Board, SizedImage};

    #[test]
    fn numbers_out_of_bounds_count_as_absent() {
        for (number, expected) in [
            ("0", Some(0)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("-1", None),
            ("9223372036854775808", None),
            ("1e9", None),
            ("1.5", None),
            ("\"12\"", None),
            ("null", None),
        ] {
            let board: Board = serde_json::from_str(&format!(r#"{{"id": "1", "pin_count": {number}}}"#)).unwrap();
            assert_eq!(board.pin_count, expected, "{number}");
        }
        for (number, expected) in [("600", Some(600)), ("0", None), ("-600", None), ("4294967295", None)] {
            let image: SizedImage = serde_json::from_str(&format!(r#"{{"width": {number}}}"#)).unwrap();
            assert_eq!(image.width, expected, "{number}");
        }
    }
}
