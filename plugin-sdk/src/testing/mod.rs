//! The engine in native unit tests.
//!
//! ```
//! use wasmill_sdk::testing::{self, Test, json};
//! # fn handle(event: wasmill_sdk::Event) -> Option<wasmill_sdk::Output> {
//! #     (event.data["amount"].as_f64() > Some(220.0)).then(|| wasmill_sdk::Output::bytes("alerts", "!"))
//! # }
//! Test::new().config(json!({"threshold": 220}));
//! let output = handle(testing::event(json!({"amount": 221}))).unwrap();
//! assert_eq!(output.subject, "alerts");
//! ```
//!
//! Each thread has its own engine, as each test has its own thread; [`Test::new`] starts it anew. A plugin with a key is
//! run as a whole by [`Keyed`], with its state, its timers and a clock that the test moves.

mod handled;
mod keyed;

use std::collections::BTreeMap;

use serde::Serialize;
pub use serde_json::json;

pub use handled::{Cause, Handled, Step};
pub use keyed::Keyed;

use crate::log::Level;
use crate::{Event, Failure, IntoOutputs, Output, Payload, RawEvent, answer, host};

/// The time of a test that sets none: 2026-01-01T00:00:00Z.
const DEFAULT_NOW: u64 = 1_767_225_600_000_000_000;

/// One line that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its named values.
    pub fields: Vec<(String, String)>,
}

/// What the host functions answer on this thread.
#[derive(Debug)]
#[non_exhaustive]
pub struct Test {}

impl Default for Test {
    fn default() -> Self {
        Self::new()
    }
}

impl Test {
    /// An engine with an empty config, a fixed time, a fixed seed, and no lines.
    pub fn new() -> Self {
        host::reset();
        Self {}.now(DEFAULT_NOW)
    }

    /// Sets the `[config]` table.
    ///
    /// # Panics
    /// If the value is no JSON object.
    #[track_caller]
    pub fn config(self, table: serde_json::Value) -> Self {
        let serde_json::Value::Object(config) = table else {
            fail(&format!("the config of a plugin is a table, not {table}"))
        };
        host::with(|world| world.config = config);
        self
    }

    /// Sets the plugin clock, nanoseconds since the Unix epoch.
    pub fn now(self, nanos: u64) -> Self {
        host::with(|world| world.now = nanos);
        self
    }

    /// Sets where the random numbers begin.
    pub fn seed(self, seed: u64) -> Self {
        host::with(|world| world.random = seed);
        self
    }

    /// Gives state, timers and so a key, with nothing stored yet, to what the test calls. To run a whole plugin over
    /// several keys, use [`Keyed`].
    pub fn key(self) -> Self {
        host::with(|world| world.record = Some(host::Record::default()));
        self
    }

    /// Grants a lookup table with these rows.
    pub fn table<K, V>(self, name: &str, rows: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<Vec<u8>>,
    {
        let rows: BTreeMap<_, _> = rows.into_iter().map(|(key, row)| (key.into(), row.into())).collect();
        host::with(|world| world.tables.insert(name.to_owned(), Some(rows)));
        self
    }

    /// Grants a lookup table that is not loaded yet.
    pub fn table_not_ready(self, name: &str) -> Self {
        host::with(|world| world.tables.insert(name.to_owned(), None));
        self
    }

    /// Sets how much a key may have: the bytes of its fields and timers in KiB, as an engine counts them (with their names,
    /// 8 bytes more for a field and 32 for a timer), and the number of its timers. It begins as a manifest that sets none has it: 256 KiB and 1,000 timers.
    pub fn limits(self, record_kib: u32, timers: u32) -> Self {
        host::with(|world| world.limits = host::Limits { record_bytes: record_kib as usize * 1_024, timers });
        self
    }

    /// The timers that are set, by name, with their time in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn timers(&self) -> BTreeMap<String, u64> {
        host::with(|world| world.record.as_ref().map(host::Record::due).unwrap_or_default())
    }

    /// The lines logged since the engine started anew.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        host::with(|world| world.lines.clone())
    }
}

/// An event with this value as its JSON payload, decoded as the handler under test wants it. Its attributes are
/// plausible, and public to be set.
///
/// # Panics
/// If the value does not decode; to test that, use [`Delivery`].
#[track_caller]
pub fn event<T: Payload>(data: impl Serialize) -> Event<T> {
    match Delivery::json(data).event.decode() {
        Ok(event) => event,
        Err(failure) => fail(&format!("the test's event does not decode: {failure}")),
    }
}

/// A message on its way to a handler, with any bytes at all: what the engine does with it, decoding included.
///
/// ```
/// # use wasmill_sdk::{Event, testing::Delivery};
/// # fn handle(_: Event) {}
/// let failure = Delivery::bytes("{\"amount\":").to(handle).unwrap_err();
/// assert!(failure.reason().contains("EOF"));
/// ```
#[derive(Debug, Clone)]
pub struct Delivery {
    event: RawEvent,
}

impl Delivery {
    /// A message with these bytes.
    pub fn bytes(data: impl Into<Vec<u8>>) -> Self {
        let mut event = RawEvent::of(data.into());
        event.id = "test-1".into();
        event.source = "nats:TEST".into();
        event.kind = "nats.message".into();
        event.subject = "test.subject".into();
        event.time = host::now();
        Self { event }
    }

    /// A message with this value as JSON.
    ///
    /// # Panics
    /// If the value has no JSON form.
    #[track_caller]
    pub fn json(data: impl Serialize) -> Self {
        match serde_json::to_vec(&data) {
            Ok(bytes) => Self::bytes(bytes),
            Err(err) => fail(&format!("the test's event has no JSON form: {err}")),
        }
    }

    /// Sets the subject it was published to.
    #[must_use]
    pub fn subject(mut self, subject: &str) -> Self {
        self.event.subject = subject.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.event.headers.push((name.into(), value.into()));
        self
    }

    /// Sets when it happened, nanoseconds since the Unix epoch; it begins as the time of the test's clock.
    #[must_use]
    pub fn time(mut self, nanos: u64) -> Self {
        self.event.time = nanos;
        self
    }

    /// Sets the event's id.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.event.id = id.into();
        self
    }

    /// Sets the event's key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.event.key = Some(key.into());
        self
    }

    /// Sets which delivery it is, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.event.attempt = attempt;
        self
    }

    /// Delivers it.
    ///
    /// # Errors
    /// A reject if the payload does not decode, else what the handler says.
    pub fn to<T: Payload, R: IntoOutputs>(
        self,
        handler: impl FnOnce(Event<T>) -> R,
    ) -> Result<Vec<Output>, Failure> {
        answer::call(handler, self.event)
    }
}

/// A test's own mistake ends the test.
#[track_caller]
#[expect(clippy::panic, reason = "tests assert by panicking, and this module is no part of a component")]
pub(crate) fn fail(message: &str) -> ! {
    panic!("{message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, log, random};

    #[test]
    fn a_test_sets_what_the_host_answers() {
        let test = Test::new().now(7).seed(1);
        let drawn = (random::next(), random::bytes(70_000));
        assert_eq!(clock::now(), 7);
        assert_eq!(drawn.1.len(), 70_000);
        assert!(test.lines().is_empty());
        let again = Test::new().seed(1);
        assert_eq!((random::next(), random::bytes(70_000)), drawn);
        log::warn!(amount = 3, rule = "x", "over {}", 2);
        log::debug!("plain {drawn}", drawn = 1,);
        assert_eq!(
            again.lines(),
            [
                Line {
                    level: Level::Warn,
                    message: "over 2".into(),
                    fields: vec![("amount".into(), "3".into()), ("rule".into(), "x".into())]
                },
                Line { level: Level::Debug, message: "plain 1".into(), fields: vec![] },
            ]
        );
    }

    #[test]
    fn deliveries_decode_like_the_engine_does() {
        let seen = |event: Event| {
            assert_eq!((event.subject.as_str(), event.key.as_deref(), event.attempt), ("a.b", Some("k"), 2));
            Output::bytes(event.header("X").unwrap().to_owned(), event.into_raw())
        };
        let delivery = Delivery::json(json!({"a": 1})).subject("a.b").key("k").attempt(2).header("x", "out");
        assert_eq!(delivery.to(seen).unwrap(), [Output::bytes("out", "{\"a\":1}")]);
        assert!(Delivery::bytes("").to(|_: Event| ()).is_err());
        assert_eq!(Delivery::bytes(b"\xFF").to(|_: RawEvent| ()), Ok(vec![]));
    }

    #[test]
    #[should_panic(expected = "does not decode")]
    fn an_event_that_does_not_decode_fails_the_test() {
        let _: Event<u8> = event("x");
    }
}
