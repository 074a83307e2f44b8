//! Timestamps in Pinterest's format, without an offset.

use chrono::DateTime;

/// `2024-03-17T18:04:09`, with a fraction of a second if given.
pub(crate) fn timestamp(unix_seconds: u64, microseconds: Option<u32>) -> String {
    let nanoseconds = microseconds.unwrap_or(0) * 1000;
    let time = i64::try_from(unix_seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, nanoseconds));
    let time = time.unwrap_or(DateTime::UNIX_EPOCH);
    time.format(if microseconds.is_some() { "%FT%T%.6f" } else { "%FT%T" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(timestamp(0, None), "1970-01-01T00:00:00");
        assert_eq!(timestamp(951_827_696, None), "2000-02-29T12:34:56");
        assert_eq!(timestamp(crate::world::EPOCH, Some(715_000)), "2024-03-01T09:00:00.715000");
        assert_eq!(timestamp(1_735_689_599, None), "2024-12-31T23:59:59");
    }
}
