//! Lines in the engine's log, marked by the engine with the plugin and the event.
//!
//! Fields come first, then a format string and its arguments:
//!
//! ```
//! # let (amount, limit) = (230.0, 220.0);
//! wasmill_sdk::log::info!(amount = amount, rule = "large", "over {limit}");
//! wasmill_sdk::log::warn!("no rule matched");
//! ```

#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step, for the author.
    Trace,
    /// For the author.
    Debug,
    /// For the operator, when all is well.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line with named values that belong to it. The macros of this module call it.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    crate::host::log(level, message, fields);
}
