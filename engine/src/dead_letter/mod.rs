//! Events that failed for good: kept whole with the reason, read back, and sent to a plugin once more.
//!
//! In reading order: this file (names), `wrap` (an event inside a message of ours, restored byte for byte), `letter` (what
//! a dead letter says), `store` (the engine keeps one), `archive` (they are read, marked and removed), `search` (they are
//! found), `redrive` (one goes back to a plugin), `edit` (one is corrected).
//!
//! A letter stands under `wasmill.dead-letter.<plugin>`. What belongs to it carries its sequence: `….rest.<sequence>` is
//! the second half of an event that was too large for one message, `….done.<sequence>` marks it as dealt with.

mod archive;
mod edit;
mod letter;
mod redrive;
mod search;
mod store;
mod wrap;

use std::time::Duration;

pub use self::archive::{Archive, ArchiveError, Marks};
pub use self::edit::NotEdited;
pub use self::letter::{Filed, Found, Letter, RedriveOf, UNREADABLE};
pub use self::redrive::{
    Order, REDRIVES, Redriven, Unsent, redrive_durable, redrive_subject, redrives_spec,
    redrives_subscription, restore,
};
pub use self::search::{Search, Selection};
pub use self::store::{DeadLetters, Failed};
pub use self::wrap::{WrapError, Wrapped};
use crate::bus::{BusError, Retention, StreamSpec};
use crate::subject::{Pattern, Subject};

/// The stream that keeps them.
pub const STREAM: &str = "WASMILL_DEAD_LETTERS";
/// Their subjects: this, then the plugin's name.
pub const SUBJECT_PREFIX: &str = "wasmill.dead-letter";
/// What stands before the name of a header that the server would act on if it were kept as it was.
pub const KEPT_PREFIX: &str = "Wasmill-Kept-";
/// The failure's stable name.
pub const REASON_HEADER: &str = "Wasmill-Reason";
/// The failure's text.
pub const DETAIL_HEADER: &str = "Wasmill-Detail";
/// The setting that was exceeded, with its value: `limits.cpu_ms = 100`.
pub const LIMIT_HEADER: &str = "Wasmill-Limit";
/// Deliveries made, the last included.
pub const ATTEMPTS_HEADER: &str = "Wasmill-Attempts";
/// The subject that the event came on.
pub const SUBJECT_HEADER: &str = "Wasmill-Subject";
/// The stream and sequence that it came from.
pub const POSITION_HEADER: &str = "Wasmill-Position";
/// Names its place on the bus as the ids of its outputs do.
pub const INPUT_HEADER: &str = "Wasmill-Input";
/// The id that it has if it says none itself.
pub const ORIGIN_ID_HEADER: &str = "Wasmill-Origin-Id";
/// The source that it has if it says none itself.
pub const ORIGIN_SOURCE_HEADER: &str = "Wasmill-Origin-Source";
/// The time that it has if it says none itself, RFC 3339.
pub const ORIGIN_TIME_HEADER: &str = "Wasmill-Origin-Time";
/// `1/2` and `2/2` where an event was too large for one message.
pub const PART_HEADER: &str = "Wasmill-Part";
/// Where in the guest it ended: functions, innermost first, one after the other with ` < ` between them.
pub const BACKTRACE_HEADER: &str = "Wasmill-Backtrace";
/// How long the guest had it the last time, in microseconds.
pub const TOOK_HEADER: &str = "Wasmill-Took-Us";
/// When it failed for the first time as far as the engine knows, RFC 3339.
pub const FIRST_TIME_HEADER: &str = "Wasmill-First-Time";
/// When it failed for the last time, RFC 3339.
pub const TIME_HEADER: &str = "Wasmill-Time";
/// The sequence of the letter that a redrive or a mark is about.
pub const LETTER_HEADER: &str = "Wasmill-Letter";
/// Which redrive of its letter it is, from 1.
pub const REDRIVE_HEADER: &str = "Wasmill-Redrive";
/// The plugin that a letter was sent to.
pub const TO_HEADER: &str = "Wasmill-To";
/// Which edit of its letter it is, from 1.
pub const EDIT_HEADER: &str = "Wasmill-Edit";
/// The sequence of the letter that this one corrects.
pub const EDITED_FROM_HEADER: &str = "Wasmill-Edited-From";
/// The sequence, in the stream of redrives, of the second half of an event that was too large for one message.
pub const REST_HEADER: &str = "Wasmill-Rest";

/// The stream of dead letters, as it is created if absent.
///
/// # Errors
/// Never, as the pattern is a literal; the type says so because patterns are checked where they are made.
pub fn stream_spec() -> Result<StreamSpec, BusError> {
    Ok(StreamSpec {
        name: STREAM.to_owned(),
        subjects: vec![pattern(format!("{SUBJECT_PREFIX}.>"))?],
        retention: Retention::Limits,
        duplicate_window: Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
        atomic: false,
    })
}

fn pattern(text: String) -> Result<Pattern, BusError> {
    Pattern::new(text).map_err(|error| BusError::Settings(error.to_string()))
}

fn subject(text: String) -> Result<Subject, BusError> {
    Subject::new(text).map_err(|error| BusError::Settings(error.to_string()))
}
