//! The plugin clock. It stands still during a call, so that a replay sees the same time.

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;
/// Seconds in a day.
const DAY_S: u64 = 86_400;

/// The time of the event being handled, nanoseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    crate::host::now()
}

/// A time in nanoseconds since the Unix epoch as RFC 3339 in UTC, with as many digits after the second as it needs:
/// none, or nine.
///
/// ```
/// assert_eq!(wasmill_sdk::clock::rfc3339(1_767_225_600_000_000_000), "2026-01-01T00:00:00Z");
/// ```
#[must_use]
pub fn rfc3339(nanos: u64) -> String {
    let (seconds, fraction) = (nanos / SECOND_NS, nanos % SECOND_NS);
    let (days, in_day) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3_600, in_day / 60 % 60, in_day % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        text.push_str(&format!(".{fraction:09}"));
    }
    text.push('Z');
    text
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken from March, so that the leap day is the last; 1970-01-01 is day 719,468 from 0000-03-01. An era is
/// 400 years, 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March: the lengths 31, 30, 31, 30, 31 repeat, 153 days in all.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (nanos, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000_000_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_000_000_001, "2024-02-29T23:59:59.000000001Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(rfc3339(nanos), wanted);
        }
    }
}
