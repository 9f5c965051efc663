//! The columns of the table: events, and what must come of each.
//!
//! - `values`: what goes through a handler and comes out again.
//! - `ends`: how a call can end otherwise, and what the next one sees of it.
//! - `surroundings`: what the engine offers a handler, and that it is the same at every replay.
//! - `keyed`: what a plugin with a key has beside: state, timers, lookup tables, and fields of older versions.

mod ends;
mod keyed;
mod surroundings;
mod values;

use bytes::Bytes;
use serde_json::Value;
use tracing::Level;
use wasmill::event::Event;
use wasmill::manifest::Isolation;
use wasmill::sandbox::About;

use super::play::Told;
use super::rows::Row;
use super::turn::Turn;

/// When the events of the checks happened. Its digits are more than a floating-point number holds.
pub const TIME_NS: u64 = 1_700_000_000_123_456_789;

/// What a check is made under.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The language.
    pub row: &'a Row,
    /// Whether events share an instance.
    pub isolation: Isolation,
}

/// One column of the table.
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Lines of `[limits]` that replace those of the suite.
    pub limits: &'static str,
    /// The isolations in which it is made.
    pub isolations: &'static [Isolation],
    /// What is done, one step after the other, with one caller.
    pub steps: fn(Case<'_>) -> Vec<Step>,
}

impl Check {
    const fn new(name: &'static str, steps: fn(Case<'_>) -> Vec<Step>) -> Self {
        Self { name, limits: "", isolations: &[Isolation::Fresh, Isolation::Reuse], steps }
    }

    const fn limits(mut self, lines: &'static str) -> Self {
        self.limits = lines;
        self
    }

    const fn only(mut self, isolations: &'static [Isolation]) -> Self {
        self.isolations = isolations;
        self
    }
}

/// One step of a check.
pub enum Step {
    /// Hands over an event.
    Call {
        /// The event.
        event: Box<Event>,
        /// All that must hold of what comes of it.
        wanted: Vec<Wanted>,
    },
    /// Looks at what the component says about itself.
    Describes(About),
    /// Hands over events of one key.
    Turn(Turn),
}

/// What must come of an event.
pub enum Wanted {
    /// These outputs, in this order.
    Outputs(Vec<WantedOutput>),
    /// A retry after so many milliseconds, for this reason.
    Retry(Option<u64>, &'static str),
    /// A rejection for exactly this reason.
    Rejected(String),
    /// A rejection whose reason holds one of each of these groups of words, whatever their case.
    RejectedNaming(&'static [&'static [&'static str]]),
    /// A failure of one of these names.
    Fails(&'static [&'static str]),
    /// Any failure that is laid at the plugin's door.
    FailsSomehow,
    /// A rejection, or any failure that is laid at the plugin's door.
    Declines,
    /// The failure's text or a log line holds this.
    Says(&'static str),
    /// The failure's trace holds one of these.
    Traces(Vec<&'static str>),
    /// Exactly these log lines. A call that succeeds and asks for none must log none.
    Logs(Vec<WantedLine>),
    /// One log line that holds this.
    Prints(&'static str),
    /// The same effects as those of the step of this index, bit for bit.
    AsStep(usize),
    /// Other effects than those of the step of this index.
    UnlikeStep(usize),
    /// Whatever a function finds no fault with.
    Judged(fn(&Told) -> Result<(), String>),
}

/// One log line that must come.
#[derive(Debug)]
pub struct WantedLine {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub message: &'static str,
    /// Its fields, in any order.
    pub fields: Vec<(&'static str, String)>,
}

/// One output that must come.
pub struct WantedOutput {
    /// Its subject.
    pub subject: String,
    /// Its type.
    pub kind: Option<String>,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub data: Data,
    /// Whether the output may say that it is JSON, though the headers above do not have it.
    pub may_be_json: bool,
}

/// A payload that must come.
pub enum Data {
    /// These bytes.
    Bytes(Vec<u8>),
    /// JSON of this value: numbers compare by value, objects whatever the order of their members.
    Json(Value),
}

impl WantedOutput {
    /// An output to `conformance.out` without type and headers.
    pub(crate) fn of(data: impl Into<Vec<u8>>) -> Self {
        Self {
            subject: "conformance.out".to_owned(),
            kind: None,
            headers: Vec::new(),
            data: Data::Bytes(data.into()),
            may_be_json: false,
        }
    }

    fn to(mut self, subject: String) -> Self {
        self.subject = subject;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Step {
    fn new(event: Event) -> Self {
        Self::Call { event: Box::new(event), wanted: Vec::new() }
    }

    fn wants(mut self, more: Wanted) -> Self {
        if let Self::Call { wanted, .. } = &mut self {
            wanted.push(more);
        }
        self
    }

    /// The only output, to `conformance.out` and with nothing but data.
    fn answers(self, data: impl Into<Vec<u8>>) -> Self {
        self.wants(Wanted::Outputs(vec![WantedOutput::of(data)]))
    }
}

/// An event for the handler of a token.
#[must_use]
pub fn event(token: &str) -> Event {
    Event {
        id: "e-1".to_owned(),
        source: "nats:CONFORMANCE".to_owned(),
        kind: "test.kind".to_owned(),
        subject: format!("conformance.in.{token}"),
        time_ns: TIME_NS,
        key: None,
        headers: Vec::new(),
        data: Bytes::new(),
        attempt: 1,
        reply_to: None,
        hops: 0,
    }
}

/// The same with data.
#[must_use]
pub fn event_with(token: &str, data: impl Into<Vec<u8>>) -> Event {
    Event { data: Bytes::from(data.into()), ..event(token) }
}

/// Every column.
pub const CHECKS: &[Check] = &[
    Check::new("echo", values::echo),
    Check::new("bare event", values::bare),
    Check::new("extremes", values::extremes),
    Check::new("unicode", values::unicode),
    Check::new("any bytes", values::any_bytes),
    Check::new("64 KiB", values::kib_64),
    Check::new("1 MiB", values::mib_1).limits("output_bytes = 2_097_152"),
    Check::new("60 headers", values::many_headers),
    Check::new("transform", values::transform),
    Check::new("large JSON", values::large_json),
    Check::new("bad JSON", values::bad_json),
    Check::new("nested JSON", values::nested_json),
    Check::new("missing field", values::missing_field),
    Check::new("many", values::many),
    Check::new("none", values::none),
    Check::new("plain", values::plain),
    Check::new("retry", ends::retry),
    Check::new("retry default", ends::retry_default),
    Check::new("reject", ends::reject),
    Check::new("unknown token", ends::unknown),
    Check::new("raise", ends::raise),
    Check::new("after raise", ends::after_raise),
    Check::new("trap", ends::trap),
    Check::new("after trap", ends::after_trap),
    Check::new("loop", ends::endless).limits("cpu_ms = 200"),
    Check::new("after loop", ends::after_endless).limits("cpu_ms = 200"),
    Check::new("hog", ends::hog),
    Check::new("after hog", ends::after_hog),
    Check::new("deep", ends::deep),
    Check::new("after deep", ends::after_deep),
    Check::new("config", surroundings::config),
    Check::new("log", surroundings::log),
    Check::new("print", surroundings::print),
    Check::new("clock", surroundings::clock),
    Check::new("random", surroundings::random),
    Check::new("count", surroundings::count),
    Check::new("description", surroundings::description),
    Check::new("replay", surroundings::replay).only(&[Isolation::Fresh]),
    Check::new("no key", keyed::no_key),
    Check::new("state", keyed::state),
    Check::new("state bytes", keyed::state_bytes).limits("output_bytes = 2_097_152"),
    Check::new("state limits", keyed::state_limits),
    Check::new("state undone", keyed::state_undone),
    Check::new("batch", keyed::batch),
    Check::new("counter", keyed::counter),
    Check::new("typed fields", keyed::typed_fields),
    Check::new("timers", keyed::timers),
    Check::new("timer fails", keyed::timer_fails),
    Check::new("many timers", keyed::many_timers),
    Check::new("lookup", keyed::lookup),
    Check::new("migrate", keyed::migrate),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::ROWS;

    #[test]
    fn every_check_has_its_own_name_and_does_something() {
        for (at, check) in CHECKS.iter().enumerate() {
            assert!(
                !CHECKS.iter().skip(at + 1).any(|other| other.name == check.name),
                "{} twice",
                check.name
            );
            for isolation in check.isolations {
                let steps = (check.steps)(Case { row: &ROWS[0], isolation: *isolation });
                let asks = |step: &Step| match step {
                    Step::Call { wanted, .. } => !wanted.is_empty(),
                    Step::Turn(turn) => !turn.wanted.is_empty(),
                    Step::Describes(_) => true,
                };
                assert!(!steps.is_empty() && steps.iter().all(asks), "{}", check.name);
            }
        }
    }
}
