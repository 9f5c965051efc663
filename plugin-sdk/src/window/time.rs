//! Times inside windows: whole milliseconds, as a stored window holds them.

use std::time::Duration;

use super::Error;

/// Nanoseconds in a millisecond.
const MS_NS: u64 = 1_000_000;
/// The longest length: ten years, so that no sum of lengths and times comes near the range of an `i64`.
const MOST_MS: i64 = 10 * 366 * 86_400_000;

/// A time in nanoseconds since the Unix epoch, rounded down to the millisecond.
#[expect(clippy::cast_possible_wrap, reason = "a 2^64th of a nanosecond over a million is far below 2^63")]
pub fn to_ms(nanos: u64) -> i64 {
    (nanos / MS_NS) as i64
}

/// A time in nanoseconds since the Unix epoch; what is before it is the epoch.
pub fn to_ns(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(MS_NS)
}

/// A length in milliseconds.
pub fn length(name: &'static str, length: Duration) -> Result<i64, Error> {
    if !length.as_nanos().is_multiple_of(u128::from(MS_NS)) {
        return Err(Error::NotWholeMs(name));
    }
    i64::try_from(length.as_millis()).ok().filter(|ms| *ms <= MOST_MS).ok_or(Error::TooLong(name))
}

/// A length in milliseconds that may not be zero.
pub fn some_length(name: &'static str, duration: Duration) -> Result<i64, Error> {
    match length(name, duration)? {
        0 => Err(Error::Zero(name)),
        ms => Ok(ms),
    }
}

/// The last multiple of `step` from `offset` that is not after `time`.
pub fn floor(time: i64, step: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(step)
}
