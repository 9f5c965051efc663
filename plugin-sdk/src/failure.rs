//! Why a handler did not finish an event.

use std::fmt;
use std::time::Duration;

/// Why a handler did not finish an event, and so what the engine does with it next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work later: the event is delivered again.
    Retry {
        /// The wait before the next delivery, in whole milliseconds; `None` means the backoff of the manifest. The
        /// engine holds it within the manifest's bounds.
        after: Option<Duration>,
        /// Why, for people.
        reason: String,
    },
    /// It will never work: the event becomes a dead letter.
    Reject {
        /// Why, for people.
        reason: String,
    },
    /// The handler is at fault: the engine treats it as it does a panic, but keeps the instance. This is for plugins that
    /// run code in another language, whose errors it tells.
    Exception {
        /// What went wrong, for people.
        message: String,
        /// Where, innermost call first, one a line; may be empty.
        trace: String,
    },
}

impl Failure {
    /// Asks for another delivery after the backoff of the manifest.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// Asks for another delivery, not before `after` has passed.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// Sets the event aside as a dead letter.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }

    /// Says that the handler is at fault, and where; `trace` names the innermost call first, one a line.
    pub fn exception(message: impl Into<String>, trace: impl Into<String>) -> Self {
        Self::Exception { message: message.into(), trace: trace.into() }
    }

    /// The reason given.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Reject { reason } => reason,
            Self::Exception { message, .. } => message,
        }
    }

    /// Whether another delivery is asked for.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry { .. } => "retry: ",
            Self::Reject { .. } => "reject: ",
            Self::Exception { .. } => "exception: ",
        })?;
        f.write_str(self.reason())
    }
}

impl std::error::Error for Failure {}

/// Bad JSON does not get better by waiting.
impl From<serde_json::Error> for Failure {
    fn from(err: serde_json::Error) -> Self {
        Self::reject(err.to_string())
    }
}

/// An `Err` that asks for another delivery: `return retry("the rates are not loaded yet")`.
///
/// # Errors
/// Always: that is its use.
pub fn retry<T>(reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::retry(reason))
}

/// An `Err` that sets the event aside: `return reject("the amount is negative")`.
///
/// # Errors
/// Always: that is its use.
pub fn reject<T>(reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::reject(reason))
}

/// Turns a missing value or a foreign error into a [`Failure`].
pub trait OrFail<T> {
    /// Sets the event aside where there is no value.
    ///
    /// # Errors
    /// A reject, with the reason and the error it stands for.
    fn or_reject(self, reason: &str) -> Result<T, Failure>;

    /// Asks for another delivery where there is no value.
    ///
    /// # Errors
    /// A retry, with the reason and the error it stands for.
    fn or_retry(self, reason: &str) -> Result<T, Failure>;
}

impl<T> OrFail<T> for Option<T> {
    fn or_reject(self, reason: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(reason))
    }

    fn or_retry(self, reason: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::retry(reason))
    }
}

impl<T, E: fmt::Display> OrFail<T> for Result<T, E> {
    fn or_reject(self, reason: &str) -> Result<T, Failure> {
        self.map_err(|err| Failure::reject(format!("{reason}: {err}")))
    }

    fn or_retry(self, reason: &str) -> Result<T, Failure> {
        self.map_err(|err| Failure::retry(format!("{reason}: {err}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_keep_kind_and_reason() {
        let wait = Duration::from_secs(3);
        assert_eq!(
            Failure::retry_after(wait, "busy"),
            Failure::Retry { after: Some(wait), reason: "busy".into() }
        );
        assert_eq!(retry::<()>("busy").unwrap_err().to_string(), "retry: busy");
        assert_eq!(reject::<()>("bad").unwrap_err().to_string(), "reject: bad");
        assert_eq!(Failure::exception("1 / 0", "rule:3").to_string(), "exception: 1 / 0");
        assert_eq!(None::<u8>.or_reject("no id").unwrap_err(), Failure::reject("no id"));
        let err = "x".parse::<u8>().or_retry("count").unwrap_err();
        assert_eq!(err, Failure::retry("count: invalid digit found in string"));
    }

    #[test]
    fn bad_json_is_a_reject() {
        let failure = Failure::from(serde_json::from_str::<u8>("{").unwrap_err());
        assert!(!failure.is_retry());
        assert!(failure.reason().contains("line 1"), "{failure}");
    }
}
