//! Timestamps as Pinterest writes them: without an offset, unlike the documented type.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime};

use crate::bounds::{YEARS, within};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Microseconds since the Unix epoch; negative before it.
    pub fn as_microseconds(self) -> i64 {
        self.0
    }
}

/// The text is not a date with a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a date and time such as 2021-06-08T09:37:30")
    }
}

impl std::error::Error for TimestampError {}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads `2021-06-08T09:37:30`, with or without a fraction, as UTC, and also the same with `Z` or an offset.
    /// A fraction finer than a microsecond is truncated.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let instant = match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.to_utc(),
            Err(_) => {
                NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map_err(|_| TimestampError)?.and_utc()
            }
        };
        // The library accepts years with a sign and up to six digits; RFC 3339 allows four digits.
        match within(instant.year(), &YEARS) {
            Some(_) => Ok(Self(instant.timestamp_micros())),
            None => Err(TimestampError),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_pinterest_sends_and_what_it_declares() {
        for (text, microseconds) in [
            ("1970-01-01T00:00:00", 0),
            ("2021-06-08T09:37:30", 1_623_145_050_000_000),
            ("2021-10-25T11:17:56.715000", 1_635_160_676_715_000),
            ("2021-06-08T09:37:30Z", 1_623_145_050_000_000),
            ("2021-06-08T11:37:30+02:00", 1_623_145_050_000_000),
            ("2021-06-08T09:37:30.5-00:00", 1_623_145_050_500_000),
            ("1969-12-31T23:59:59.999999", -1),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().as_microseconds(), microseconds, "{text}");
        }
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "yesterday",
            "2021-13-01T00:00:00",
            "2021-06-08T25:00:00",
            "1623145050",
            "2021-06-08T09:37:30+99:00",
            "0000-01-01T00:00:00",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }

        #[test]
        fn a_time_without_offset_is_the_same_time_with_z(
            (year, month, day) in (1970i32..9000, 1u32..13, 1u32..29),
            (hour, minute, second, micro) in (0u32..24, 0u32..60, 0u32..60, 0u32..1_000_000),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}");
            let local: Timestamp = text.parse().unwrap();
            let zulu: Timestamp = format!("{text}Z").parse().unwrap();
            let east: Timestamp = format!("{text}+01:00").parse().unwrap();
            prop_assert_eq!(local, zulu);
            prop_assert_eq!(local.as_microseconds() - east.as_microseconds(), 3_600_000_000);
        }
    }
}
