//! Timers of the event's key.
//!
//! A timer fires once per setting, at its time on the plugin clock or as soon after as an engine runs, and calls the
//! plugin's timers handler, which has the same effects as the event handler: outputs, state, further timers. Setting a
//! name again replaces the timer of that name. As all effects, they come true only if the call succeeds.
//!
//! ```
//! use std::time::Duration;
//! use wasmill_sdk::{Event, Failure, Output, state::Value, timers::{self, Timer}};
//!
//! const LAST: Value<u64> = Value::new("last");
//!
//! /// Every reading puts the alarm off; one that comes late must not bring it forward.
//! fn handle(event: Event) -> Result<(), Failure> {
//!     if LAST.get()?.is_none_or(|last| last < event.time) {
//!         LAST.set(&event.time)?;
//!         timers::set_after("silence", Duration::from_secs(600), "")?;
//!     }
//!     Ok(())
//! }
//!
//! fn on_timer(timer: Timer) -> Output {
//!     Output::bytes(format!("alerts.silent.{}", timer.key), "")
//! }
//!
//! wasmill_sdk::plugin!(handle, timers = on_timer);
//! # fn main() {}
//! ```

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Failure, Payload, clock, decode, host};

/// A timer that has come due, its data as the handler wants it: the bytes as they were set, or any type that serde
/// reads from JSON. Data that does not decode never reaches the handler: the timer is rejected with what is wrong.
///
/// During the call [`clock::now`] is `due`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer<T = Bytes> {
    /// The name under which it was set.
    pub name: String,
    /// The key it was set for.
    pub key: String,
    /// When it was due, nanoseconds since the Unix epoch.
    pub due: u64,
    /// What was stored with it.
    pub data: T,
}

impl Timer {
    /// Decodes the data from JSON.
    ///
    /// # Errors
    /// A reject that says what is wrong and where.
    pub fn json<'a, D: Deserialize<'a>>(&'a self) -> Result<D, Failure> {
        decode::json(&self.data).map_err(|err| {
            let what = format!("timer `{}`", decode::short(&self.name));
            Failure::reject(decode::explain(&what, &self.data, &err))
        })
    }

    /// The same timer with its data as a handler wants it.
    pub(crate) fn decode<T: Payload>(self) -> Result<Timer<T>, Failure> {
        let Self { name, key, due, data } = self;
        match T::decode(data.into_vec()) {
            Ok((data, _)) => Ok(Timer { name, key, due, data }),
            Err(failure) => {
                let name = decode::short(&name);
                Err(Failure::reject(format!("timer `{name}`: {}", failure.reason())))
            }
        }
    }

    pub(crate) fn of(name: String, key: String, due: u64, data: Vec<u8>) -> Self {
        Self { name, key, due, data: Bytes::new(data) }
    }
}

/// Why the engine refused a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The plugin has no key, so it has no timers.
    NoKey,
    /// The key has as many timers as it may have.
    TooMany {
        /// The timer.
        name: String,
        /// The limit.
        limit: u32,
    },
    /// The name is empty or over 256 bytes.
    BadName {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => {
                f.write_str("the plugin has no key, so it has no timers; set `key` in the plugin's manifest")
            }
            Self::TooMany { name, limit } => write!(
                f,
                "timer `{}` is one more than the {limit} that a key may have; raise `timers` in the [state] table \
                 of the plugin's manifest, or set fewer",
                decode::short(name)
            ),
            Self::BadName { name } => write!(f, "a timer's name has 1 to 256 bytes, not {}", name.len()),
        }
    }
}

impl std::error::Error for Error {}

/// A missing key is the manifest's fault, so the event can be handled once that is corrected; the rest does not get
/// better by waiting.
impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        match err {
            Error::NoKey => Self::retry(err.to_string()),
            Error::TooMany { .. } | Error::BadName { .. } => Self::reject(err.to_string()),
        }
    }
}

/// Sets a timer, in place of one of the same name. `due` is in nanoseconds since the Unix epoch; one that is past fires
/// at once.
///
/// # Errors
/// Any [`Error`]; the timers are then as they were.
pub fn set(name: &str, due: u64, data: impl AsRef<[u8]>) -> Result<(), Error> {
    host::timer_set(name, due, data.as_ref())
}

/// Sets a timer that long after [`clock::now`], in place of one of the same name. In an event's handler that is the event's own
/// time, so an event that comes late sets it earlier than the one before did.
///
/// # Errors
/// As [`set`].
pub fn set_after(name: &str, wait: Duration, data: impl AsRef<[u8]>) -> Result<(), Error> {
    set(name, after(wait), data)
}

/// Sets a timer with this value as JSON, in place of one of the same name. `due` is in nanoseconds since the Unix epoch.
///
/// # Errors
/// As [`set`]; a reject if the value has no JSON form.
pub fn set_json<T: Serialize + ?Sized>(name: &str, due: u64, value: &T) -> Result<(), Failure> {
    let data = serde_json::to_vec(value).map_err(|err| {
        let name = decode::short(name);
        Failure::reject(format!("the data for timer `{name}` has no JSON form: {err}"))
    })?;
    Ok(set(name, due, data)?)
}

/// Sets a timer with this value as JSON that long after [`clock::now`], in place of one of the same name.
///
/// # Errors
/// As [`set_json`].
pub fn set_json_after<T: Serialize + ?Sized>(name: &str, wait: Duration, value: &T) -> Result<(), Failure> {
    set_json(name, after(wait), value)
}

/// Removes a timer; one that is not set is no error.
///
/// # Errors
/// [`Error::NoKey`], [`Error::BadName`].
pub fn cancel(name: &str) -> Result<(), Error> {
    host::timer_cancel(name)
}

/// Keeps a timer at what is due next, where it was set for what was due before.
pub(crate) fn move_to(name: &str, before: Option<u64>, due: Option<u64>) -> Result<(), Error> {
    match due {
        _ if due == before => Ok(()),
        Some(due) => set(name, due, ""),
        None => cancel(name),
    }
}

fn after(wait: Duration) -> u64 {
    clock::now().saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}
