//! Points in time as Pinterest writes them: without an offset.

/// `2024-03-17T18:04:09`, with a fraction of a second where one is given.
pub(crate) fn timestamp(unix_seconds: u64, microseconds: Option<u32>) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = microseconds.map_or_else(String::new, |micros| format!(".{micros:06}"));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
}

/// Year, month and day of a day number from 1970-01-01 on, in the Gregorian calendar.
/// The year begins in March, so that the leap day comes last (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
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
