//! What a window is, as code or a config table says it.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Windows;
use super::time::{length, some_length};
use crate::Failure;

/// The most pieces (panes or sessions) that one key may have open at once.
pub const MOST_PIECES: i64 = 10_000;

/// What is wrong with the definition of a window, a rolling aggregate or a join. As a [`Failure`] it is a retry: the
/// event is sound, and can be handled once the definition is put right, or is again the one that the state was stored for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This length is zero.
    Zero(&'static str),
    /// This length is no whole number of milliseconds.
    NotWholeMs(&'static str),
    /// This length is over ten years.
    TooLong(&'static str),
    /// The windows would begin further apart than they are long, so that some events are in none.
    Gaps,
    /// More than 10,000 pieces may be open at once: the lengths are too long for a slide, gap or bucket so short.
    TooFine(i64),
    /// The length of a bucket does not divide the span of a rolling aggregate.
    Uneven,
    /// The stored windows were cut for another definition: its shape and the present one.
    Changed {
        /// What they were stored for.
        stored: String,
        /// What the definition says.
        now: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero(name) => write!(f, "the {name} of a window is zero"),
            Self::NotWholeMs(name) => write!(f, "the {name} of a window is no whole number of milliseconds"),
            Self::TooLong(name) => write!(f, "the {name} of a window is over ten years"),
            Self::Gaps => {
                f.write_str("the slide of a window is over its size, so that some events are in none")
            }
            Self::TooFine(pieces) => write!(
                f,
                "a window may have {pieces} pieces open at once, over {MOST_PIECES}\nmake its slide, gap or bucket \
                 longer, or its size, disorder or lateness shorter"
            ),
            Self::Uneven => f.write_str("the bucket of a rolling aggregate does not divide its span"),
            Self::Changed { stored, now } => write!(
                f,
                "the stored windows are of `{stored}`, the definition is `{now}`\nhint: give the field another name, or \
                 delete it in migrate"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::retry(err.to_string())
    }
}

/// What a window is. In a config it is a table of whole milliseconds:
///
/// ```toml
/// [config.window]
/// kind = "sliding"      # or "tumbling", "session"
/// size_ms = 600_000     # tumbling, sliding
/// slide_ms = 60_000     # sliding
/// # gap_ms = 30_000     # session
/// # offset_ms = 0       # tumbling, sliding: where windows begin, from the Unix epoch
/// disorder_ms = 5_000   # how far out of order events come: a window stays open that much longer
/// lateness_ms = 60_000  # how long after its close a window still takes late events, as corrections
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    shape: Shape,
    disorder: Duration,
    lateness: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Sliding { size: Duration, slide: Duration, offset: Duration },
    Session { gap: Duration },
}

impl Spec {
    /// Windows of one size, one after the other: each event is in one.
    #[must_use]
    pub fn tumbling(size: Duration) -> Self {
        Self::sliding(size, size)
    }

    /// Windows of one size of which one begins every `slide` (hopping windows): each event is in `size / slide` of them.
    #[must_use]
    pub fn sliding(size: Duration, slide: Duration) -> Self {
        Self::of_shape(Shape::Sliding { size, slide, offset: Duration::ZERO })
    }

    /// Windows that last for as long as events follow each other within less than `gap`: one that comes `gap` after the last
    /// is the first of the next session.
    #[must_use]
    pub fn session(gap: Duration) -> Self {
        Self::of_shape(Shape::Session { gap })
    }

    fn of_shape(shape: Shape) -> Self {
        Self { shape, disorder: Duration::ZERO, lateness: Duration::ZERO }
    }

    /// Where tumbling and sliding windows begin, from the Unix epoch: days of a time zone an hour east of UTC have an offset
    /// of 23 hours. Sessions begin with an event.
    #[must_use]
    pub fn offset(mut self, from_epoch: Duration) -> Self {
        if let Shape::Sliding { offset, .. } = &mut self.shape {
            *offset = from_epoch;
        }
        self
    }

    /// How far out of order events come: a window closes only when time is that far past its end.
    #[must_use]
    pub fn disorder(mut self, disorder: Duration) -> Self {
        self.disorder = disorder;
        self
    }

    /// How long a closed window still takes late events; each makes a correction. Zero takes none.
    #[must_use]
    pub fn lateness(mut self, lateness: Duration) -> Self {
        self.lateness = lateness;
        self
    }

    /// Windows over this aggregate; `empty` is what each begins with.
    ///
    /// # Errors
    /// The lengths do not make windows, or too many pieces of them could be open at once.
    pub fn of<A>(self, empty: A) -> Result<Windows<A>, Error> {
        let disorder = length("disorder", self.disorder)?;
        let lateness = length("lateness", self.lateness)?;
        let (cut, span, piece) = match self.shape {
            Shape::Sliding { size, slide, offset } => {
                let (size, slide) = (some_length("size", size)?, some_length("slide", slide)?);
                if slide > size {
                    return Err(Error::Gaps);
                }
                let offset = length("offset", offset)?;
                let pane = greatest_divisor(size, slide);
                (Cut::Panes(Panes { size, slide, offset, pane }), size, pane)
            }
            Shape::Session { gap } => {
                let gap = some_length("gap", gap)?;
                (Cut::Sessions { gap }, gap, gap)
            }
        };
        // What lies between the watermark less what is kept behind it, and the latest event; one more at either end.
        let pieces = (span + disorder + lateness) / piece + 2;
        if pieces > MOST_PIECES {
            return Err(Error::TooFine(pieces));
        }
        Ok(Windows { cut, disorder, lateness, empty })
    }
}

/// How events fall into windows; all in milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    Panes(Panes),
    Sessions { gap: i64 },
}

impl Cut {
    /// As text, the same in every language: what is stored belongs to it.
    pub fn shape(&self) -> String {
        match self {
            Self::Panes(Panes { size, slide, offset, .. }) => format!("{size}/{slide}+{offset}"),
            Self::Sessions { gap } => format!("gap {gap}"),
        }
    }
}

/// Tumbling and sliding windows share panes: each event is in one pane, each window is a run of whole panes (Li et al., "No
/// Pane, No Gain", 2005). A pane is as long as the greatest common divisor of size and slide.
#[derive(Debug, Clone, Copy)]
pub struct Panes {
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
    pub pane: i64,
}

fn greatest_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kind: Kind,
    size_ms: Option<u64>,
    slide_ms: Option<u64>,
    gap_ms: Option<u64>,
    offset_ms: Option<u64>,
    #[serde(default)]
    disorder_ms: u64,
    #[serde(default)]
    lateness_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Tumbling,
    Sliding,
    Session,
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let ms = Duration::from_millis;
        let spec = match (table.kind, table.size_ms, table.slide_ms, table.gap_ms) {
            (Kind::Tumbling, Some(size), None, None) => Self::tumbling(ms(size)),
            (Kind::Sliding, Some(size), Some(slide), None) => Self::sliding(ms(size), ms(slide)),
            (Kind::Session, None, None, Some(gap)) if table.offset_ms.is_none() => Self::session(ms(gap)),
            (kind, ..) => {
                return Err(D::Error::custom(match kind {
                    Kind::Tumbling => "a tumbling window has a size_ms, and neither slide_ms nor gap_ms",
                    Kind::Sliding => "a sliding window has a size_ms and a slide_ms, and no gap_ms",
                    Kind::Session => "a session window has a gap_ms, and no size_ms, slide_ms or offset_ms",
                }));
            }
        };
        let spec = spec.offset(ms(table.offset_ms.unwrap_or(0)));
        Ok(spec.disorder(ms(table.disorder_ms)).lateness(ms(table.lateness_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn refused(spec: Spec) -> Error {
        spec.of(()).unwrap_err()
    }

    #[test]
    fn lengths_that_make_no_window_are_named() {
        assert_eq!(refused(Spec::tumbling(Duration::ZERO)), Error::Zero("size"));
        assert_eq!(refused(Spec::sliding(S, Duration::ZERO)), Error::Zero("slide"));
        assert_eq!(refused(Spec::session(Duration::ZERO)), Error::Zero("gap"));
        assert_eq!(refused(Spec::sliding(S, 2 * S)), Error::Gaps);
        assert_eq!(refused(Spec::tumbling(Duration::from_micros(1_500))), Error::NotWholeMs("size"));
        assert_eq!(refused(Spec::session(S).lateness(Duration::MAX)), Error::NotWholeMs("lateness"));
        assert_eq!(refused(Spec::session(S).lateness(S * 86_400 * 366 * 11)), Error::TooLong("lateness"));
        assert_eq!(refused(Spec::sliding(S * 86_400, S)), Error::TooFine(86_402));
        assert_eq!(refused(Spec::session(S).disorder(S * 20_000)), Error::TooFine(20_003));
        let failure = Failure::from(Error::Zero("gap"));
        assert_eq!(failure, Failure::retry("the gap of a window is zero"));
    }

    #[test]
    fn a_config_says_the_same_as_code() {
        let spec = |text: &str| serde_json::from_str::<Spec>(text);
        assert_eq!(
            spec(r#"{"kind":"sliding","size_ms":10000,"slide_ms":2000,"offset_ms":500,"disorder_ms":1000}"#)
                .unwrap(),
            Spec::sliding(10 * S, 2 * S).offset(S / 2).disorder(S)
        );
        assert_eq!(spec(r#"{"kind":"tumbling","size_ms":1000}"#).unwrap(), Spec::tumbling(S));
        assert_eq!(
            spec(r#"{"kind":"session","gap_ms":1000,"lateness_ms":2000}"#).unwrap(),
            Spec::session(S).lateness(2 * S)
        );
        for (text, said) in [
            (r#"{"kind":"tumbling","size_ms":1,"slide_ms":1}"#, "neither slide_ms"),
            (r#"{"kind":"sliding","size_ms":1}"#, "a slide_ms"),
            (r#"{"kind":"session","gap_ms":1,"offset_ms":1}"#, "no size_ms"),
            (r#"{"kind":"session","gap_ms":1,"late_ms":1}"#, "late_ms"),
            (r#"{"kind":"global"}"#, "global"),
        ] {
            let err = spec(text).unwrap_err().to_string();
            assert!(err.contains(said), "{text}: {err}");
        }
    }
}
