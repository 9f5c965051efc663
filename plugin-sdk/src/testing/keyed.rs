//! A keyed plugin as an engine runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::handled::{Cause, Handled, Step};
use super::{Delivery, Line, Test, fail};
use crate::host::{self, Call, Record};
use crate::migrate::{Field, Migrated};
use crate::timers::Timer;
use crate::{Event, Failure, IntoOutputs, Output, Payload, RawEvent, answer};

/// The most timers that one call fires: a timer that sets itself again without moving on would never end.
const FIRINGS_MAX: usize = 100_000;
/// The most bytes of a key, as the contract has it.
const KEY_MAX_BYTES: usize = 256;

type Handler<I> = Box<dyn FnMut(I) -> Result<Vec<Output>, Failure>>;

/// A keyed plugin in a native test, run as an engine runs it: state and timers for each key, effects that come true
/// together or not at all, and a clock that the test moves.
///
/// ```
/// use std::time::Duration;
/// use wasmill_sdk::testing::{Delivery, Keyed, json};
/// # use wasmill_sdk::{Event, Failure, Output, state::Counter, timers::{self, Timer}};
/// # const READINGS: Counter = Counter::new("readings");
/// # fn handle(_: Event) -> Result<(), Failure> {
/// #     READINGS.add(1)?;
/// #     Ok(timers::set_after("silence", Duration::from_secs(600), "")?)
/// # }
/// # fn on_timer(timer: Timer) -> Output { Output::bytes(format!("alerts.silent.{}", timer.key), "") }
///
/// let mut engine = Keyed::new(handle).on_timer(on_timer);
/// engine.deliver(Delivery::json(json!({"celsius": 21})).key("pump-1"));
/// assert_eq!(engine.get::<i64>("pump-1", "readings"), Some(1));
///
/// let fired = engine.advance(Duration::from_secs(600));
/// assert_eq!(fired.outputs()[0].subject, "alerts.silent.pump-1");
/// ```
///
/// The clock begins at 2026-01-01T00:00:00Z. An event that happened later moves it on, one that happened earlier does not
/// move it back, and [`advance`](Self::advance) is an idle time. Timers that are due by then fire first, of all keys, in
/// order of their time, then key, then setting. During a call [`clock::now`](crate::clock::now) is the event's time, or
/// the time the timer was due.
///
/// What an engine ends for its record's size, a timer that does not fit, is an exception here.
///
/// Nothing is delivered again by itself. A timer that asks for a retry stays set, and fires again with the next call; one
/// that fails otherwise is gone.
pub struct Keyed {
    handler: Handler<RawEvent>,
    on_timer: Option<Handler<Timer>>,
    migrate: Option<Box<dyn FnMut(Field) -> Migrated>>,
    records: BTreeMap<String, Record>,
    /// By key, the version that wrote the record, where it is not the present one.
    stale: BTreeMap<String, String>,
    clock: u64,
}

impl Keyed {
    /// A plugin with this handler, nothing stored, an empty config and a fixed time.
    pub fn new<T, R>(mut handler: impl FnMut(Event<T>) -> R + 'static) -> Self
    where
        T: Payload,
        R: IntoOutputs,
    {
        let _: Test = Test::new();
        Self {
            handler: Box::new(move |event| answer::call(&mut handler, event)),
            on_timer: None,
            migrate: None,
            records: BTreeMap::new(),
            stale: BTreeMap::new(),
            clock: host::now(),
        }
    }

    /// Sets the plugin's timers handler.
    #[must_use]
    pub fn on_timer<T, R>(mut self, mut on_timer: impl FnMut(Timer<T>) -> R + 'static) -> Self
    where
        T: Payload,
        R: IntoOutputs,
    {
        self.on_timer = Some(Box::new(move |timer| answer::fire(&mut on_timer, timer)));
        self
    }

    /// Sets the plugin's migrate function.
    #[must_use]
    pub fn migrate(mut self, migrate: impl FnMut(Field) -> Migrated + 'static) -> Self {
        self.migrate = Some(Box::new(migrate));
        self
    }

    /// Sets the `[config]` table.
    ///
    /// # Panics
    /// If the value is no JSON object.
    #[must_use]
    #[track_caller]
    pub fn config(self, table: serde_json::Value) -> Self {
        let _: Test = Test {}.config(table);
        self
    }

    /// Grants a lookup table with these rows.
    #[must_use]
    pub fn table<K, V>(self, name: &str, rows: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<Vec<u8>>,
    {
        let _: Test = Test {}.table(name, rows);
        self
    }

    /// Sets how much a key may have, as [`Test::limits`].
    #[must_use]
    pub fn limits(self, record_kib: u32, timers: u32) -> Self {
        let _: Test = Test {}.limits(record_kib, timers);
        self
    }

    /// Sets the clock, nanoseconds since the Unix epoch; no timer fires.
    #[must_use]
    pub fn now(mut self, nanos: u64) -> Self {
        self.move_clock(nanos);
        self
    }

    /// Stores a field, as if the plugin had.
    pub fn set(&mut self, key: &str, name: &str, value: impl Into<Vec<u8>>) {
        let record = self.records.entry(key.to_owned()).or_default();
        record.fields.insert(name.to_owned(), value.into());
    }

    /// Says that this older version wrote what is stored now. Each key's fields go through the migrate function, where
    /// there is one, before the key's next event or timer.
    pub fn upgraded_from(&mut self, version: &str) {
        self.stale = self.records.keys().map(|key| (key.clone(), version.to_owned())).collect();
    }

    /// Delivers an event, after the timers that are due by its time.
    ///
    /// # Panics
    /// If it has no key of 1 to 256 bytes, or a timer comes due and the plugin has no timers handler.
    #[track_caller]
    pub fn deliver(&mut self, delivery: Delivery) -> Handled {
        let event = delivery.event;
        let key = event.key.clone().unwrap_or_default();
        if !(1..=KEY_MAX_BYTES).contains(&key.len()) {
            fail("an event of a keyed plugin has a key of 1 to 256 bytes; set it with Delivery::key");
        }
        let mut handled = self.advance_to(self.clock.max(event.time));
        let cause = Cause::Event { id: event.id.clone() };
        if self.migrated(&key, &mut handled.steps) {
            let record = self.records.get(&key).cloned().unwrap_or_default();
            let (answer, record) = self.call(event.time, record, |this| (this.handler)(event));
            if answer.is_ok() {
                self.records.insert(key.clone(), record);
            }
            handled.steps.push(Step { cause, key, answer });
        }
        handled
    }

    /// Lets time pass, and fires the timers that are due by then.
    ///
    /// # Panics
    /// As [`advance_to`](Self::advance_to).
    #[track_caller]
    pub fn advance(&mut self, time: Duration) -> Handled {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.advance_to(self.clock.saturating_add(nanos))
    }

    /// Moves the clock on to this time, nanoseconds since the Unix epoch, and fires the timers that are due by then. A
    /// time that is past moves nothing, and fires what is due.
    ///
    /// # Panics
    /// If a timer comes due and the plugin has no timers handler, or timers go on without end.
    #[track_caller]
    pub fn advance_to(&mut self, nanos: u64) -> Handled {
        self.move_clock(self.clock.max(nanos));
        let mut steps = Vec::new();
        // The lane of what asks for a retry waits for the next call.
        let mut waiting = Vec::new();
        while let Some((key, name)) = self.earliest(&waiting) {
            if steps.len() >= FIRINGS_MAX {
                fail(&format!(
                    "{FIRINGS_MAX} timers fired, the last {name:?} of key {key:?}: does it set itself without end?"
                ));
            }
            let fired = self.migrated(&key, &mut steps) && self.fire(&key, &name, &mut steps);
            if !fired {
                waiting.push(key);
            }
        }
        Handled { steps }
    }

    /// One field, decoded from JSON; `None` if it is not set.
    ///
    /// # Panics
    /// If it is not JSON of a `T`.
    #[must_use]
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, key: &str, name: &str) -> Option<T> {
        let bytes = self.bytes(key, name)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(err) => fail(&format!("field {name:?} of key {key:?}: {err}")),
        }
    }

    /// One field's bytes; `None` if it is not set.
    #[must_use]
    pub fn bytes(&self, key: &str, name: &str) -> Option<Vec<u8>> {
        self.records.get(key)?.fields.get(name).cloned()
    }

    /// The names of a key's fields, sorted.
    #[must_use]
    pub fn names(&self, key: &str) -> Vec<String> {
        self.records.get(key).map(|record| record.names("")).unwrap_or_default()
    }

    /// The timers of a key, by name, with their time in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn timers(&self, key: &str) -> BTreeMap<String, u64> {
        self.records.get(key).map(Record::due).unwrap_or_default()
    }

    /// The clock, nanoseconds since the Unix epoch.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// The lines logged.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        Test {}.lines()
    }

    fn move_clock(&mut self, nanos: u64) {
        self.clock = nanos;
        host::with(|world| world.now = nanos);
    }

    /// The timer that is due first, of all keys but these.
    fn earliest(&self, waiting: &[String]) -> Option<(String, String)> {
        let lanes = self.records.iter().filter(|(key, _)| !waiting.contains(key));
        let due =
            lanes.flat_map(|(key, record)| record.timers.iter().map(move |(name, timer)| (key, name, timer)));
        let due = due.filter(|(_, _, timer)| timer.due <= self.clock);
        let first = due.min_by_key(|(key, _, timer)| (timer.due, *key, timer.number));
        first.map(|(key, name, _)| (key.clone(), name.clone()))
    }

    /// Fires a timer; false if it asks for a retry.
    #[track_caller]
    fn fire(&mut self, key: &str, name: &str, steps: &mut Vec<Step>) -> bool {
        let Some(mut record) = self.records.get(key).cloned() else { return true };
        let Some(timer) = record.timers.remove(name) else { return true };
        if self.on_timer.is_none() {
            fail(&format!(
                "timer {name:?} of key {key:?} is due, and the plugin has no timers handler: Keyed::on_timer"
            ));
        }
        let cause = Cause::Timer { name: name.to_owned(), due: timer.due };
        let spent = record.clone();
        let timer = Timer::of(name.to_owned(), key.to_owned(), timer.due, timer.data);
        let (answer, record) = self.call(timer.due, record, |this| match &mut this.on_timer {
            Some(on_timer) => on_timer(timer),
            None => Ok(Vec::new()),
        });
        let again = answer.as_ref().is_err_and(Failure::is_retry);
        if !again {
            self.records.insert(key.to_owned(), if answer.is_ok() { record } else { spent });
        }
        steps.push(Step { cause, key: key.to_owned(), answer });
        !again
    }

    /// Migrates what an older version stored for a key; false if that fails.
    fn migrated(&mut self, key: &str, steps: &mut Vec<Step>) -> bool {
        if self.migrate.is_none() {
            return true;
        }
        let Some(from_version) = self.stale.get(key).cloned() else { return true };
        let answer = self.migrate_fields(key, &from_version);
        let migrated = answer.is_ok();
        if migrated {
            self.stale.remove(key);
        }
        steps.push(Step { cause: Cause::Migration { from_version }, key: key.to_owned(), answer });
        migrated
    }

    fn migrate_fields(&mut self, key: &str, from_version: &str) -> Result<Vec<Output>, Failure> {
        let (Some(migrate), Some(record)) = (&mut self.migrate, self.records.get(key)) else {
            return Ok(Vec::new());
        };
        let limits = host::with(|world| world.limits);
        let mut migrated = record.clone();
        for (name, value) in record.fields.clone() {
            match migrate(Field { from_version: from_version.to_owned(), name: name.clone(), value })? {
                Some(value) => migrated.set(&name, &value, limits)?,
                None => migrated.delete(&name)?,
            }
        }
        self.records.insert(key.to_owned(), migrated);
        Ok(Vec::new())
    }

    /// Calls a handler over a record at a time, and answers the record as it has become.
    fn call(
        &mut self,
        now: u64,
        record: Record,
        handler: impl FnOnce(&mut Self) -> Result<Vec<Output>, Failure>,
    ) -> (Result<Vec<Output>, Failure>, Record) {
        host::with(|world| {
            world.now = now;
            world.record = Some(record);
            world.call = Call::Told;
        });
        let answer = handler(self);
        let clock = self.clock;
        let (record, call) = host::with(|world| {
            world.now = clock;
            (world.record.take(), mem::take(&mut world.call))
        });
        let answer = match call {
            Call::Ended(fault) => Err(Failure::exception(fault, "")),
            Call::Untold | Call::Told => answer,
        };
        (answer, record.unwrap_or_default())
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("clock", &self.clock)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}
