//! How an event can end, and the name of every way to fail.

mod handled;
mod text;

use std::time::Duration;

pub use handled::{Handled, Trouble};
pub use text::{cut, one_line};

use crate::event::EventError;
use crate::key::KeyError;
use crate::limits::MAX_REASON_BYTES;

/// What became of one delivery. There is no fifth way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Handled, its outputs stored, acked.
    Done,
    /// Given back to be delivered again.
    Retried,
    /// Stored as a dead letter.
    DeadLettered,
    /// Lost, and counted: core subscriptions only.
    Dropped,
}

impl Outcome {
    /// The outcome as metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::DeadLettered => "dead-lettered",
            Self::Dropped => "dropped",
        }
    }
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Deliver again after the backoff, as often as the manifest allows.
    Retry,
    /// Another try would end the same way: dead letter at once.
    GiveUp,
    /// The event is not at fault, the engine's surroundings are: deliver again without end.
    Wait,
}

/// Why one event was not handled. [`Failure::name`] is stable: metrics, dead letters and tests use it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The handler asked to see the event again.
    #[error("the handler asks for a retry: {reason}")]
    Retry {
        /// When, if it said.
        after: Option<Duration>,
        /// Why, in its words.
        reason: String,
    },
    /// The handler says that the event can never be handled.
    #[error("the handler rejects the event: {0}")]
    Rejected(String),
    /// The message claims to be a CloudEvent and is not.
    #[error("{0}")]
    Malformed(EventError),
    /// The event has no key, and the plugin needs one.
    #[error("{0}")]
    BadKey(KeyError),
    /// The key's record would be over `state.record_kib`, or over what the server takes.
    #[error(
        "the record of key {key:?} would have {bytes} bytes, over the limit of {limit}\n  hint: state.record_kib"
    )]
    RecordSize {
        /// The key.
        key: String,
        /// Fields, timers and outputs together.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The handler raised an error that nobody caught.
    #[error("the handler failed: {0}")]
    Exception(String),
    /// A timer of a plugin that has no handler for timers.
    #[error(
        "timer {name:?} came due, and the plugin does not export wasmill:plugin/timers@0.1.0\n  hint: a version that follows \
         one which sets timers has to handle them too"
    )]
    NoTimers {
        /// The timer.
        name: String,
    },
    /// A timer that sets itself again, never later than it was.
    #[error(
        "timer {name:?} came due when {fired} had fired one after the other without getting later\n  hint: a timer that its own handler sets again has to be due later than it was"
    )]
    TimerLoop {
        /// The timer.
        name: String,
        /// How many.
        fired: u32,
    },
    /// The plugin could not upgrade what an older version of it stored.
    #[error("field {field:?}, written by version {from:?}, could not be migrated: {reason}")]
    Migrate {
        /// The field.
        field: String,
        /// The version that wrote it.
        from: String,
        /// Why, in the plugin's words.
        reason: String,
    },
    /// The guest trapped.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// The guest ended its own process.
    #[error("the guest called exit({0}) in the middle of an event")]
    Exit(i32),
    /// Over `limits.cpu_ms`.
    #[error("the call used more than {limit_ms} ms of CPU time\n  hint: limits.cpu_ms")]
    CpuTime {
        /// The limit.
        limit_ms: u64,
    },
    /// Over `limits.wall_ms`.
    #[error("the call took longer than {limit_ms} ms\n  hint: limits.wall_ms")]
    WallTime {
        /// The limit.
        limit_ms: u64,
    },
    /// Over `limits.memory_mib`.
    #[error(
        "the guest wanted {wanted_bytes} bytes of memory, its limit is {limit_mib} MiB\n  hint: limits.memory_mib"
    )]
    Memory {
        /// What it would have had.
        wanted_bytes: usize,
        /// The limit.
        limit_mib: u32,
    },
    /// Tables over [`crate::limits::MAX_TABLE_ELEMENTS`].
    #[error("the guest wanted a table of {wanted} elements, the limit is {limit}")]
    Table {
        /// What it would have had.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// The call stack ran out.
    #[error("the guest's call stack ran out (512 KiB)")]
    Stack,
    /// Over `limits.host_calls`.
    #[error("the call made more than {limit} calls into the engine\n  hint: limits.host_calls")]
    HostCalls {
        /// The limit.
        limit: u32,
    },
    /// Twice over `limits.log_bytes`.
    #[error("the call logged more than twice its {limit} bytes\n  hint: limits.log_bytes")]
    Log {
        /// The limit.
        limit: u32,
    },
    /// What the guest handed over is larger than all its limits together allow.
    #[error("what the guest handed over is larger than {limit_bytes} bytes\n  hint: limits.event_bytes")]
    Answer {
        /// The limit.
        limit_bytes: usize,
    },
    /// Over `limits.outputs`.
    #[error("{count} outputs are over the limit of {limit}\n  hint: limits.outputs")]
    OutputCount {
        /// How many there were.
        count: usize,
        /// The limit.
        limit: u32,
    },
    /// Over `limits.output_bytes`.
    #[error("output {index} has {bytes} bytes, over the limit of {limit}\n  hint: limits.output_bytes")]
    OutputSize {
        /// Which, from 0.
        index: usize,
        /// Subject, headers and payload.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Over `limits.event_bytes`.
    #[error("the outputs have {bytes} bytes together, over the limit of {limit}\n  hint: limits.event_bytes")]
    EventSize {
        /// How many there were.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Text that is not UTF-8 or a value outside its type.
    #[error("the guest handed over a value that is none of its type: {0}")]
    InvalidValue(String),
    /// An output's subject is none.
    #[error("output {index}: {error}")]
    BadSubject {
        /// Which, from 0.
        index: usize,
        /// The rule it breaks.
        error: crate::subject::SubjectError,
    },
    /// An output's subject is outside the grants.
    #[error("output {index}: subject {subject:?} is not granted\n  hint: emit.subjects of the manifest")]
    NotGranted {
        /// Which, from 0.
        index: usize,
        /// The subject.
        subject: String,
    },
    /// An output has a header that cannot be sent.
    #[error("output {index}: {error}")]
    BadHeader {
        /// Which, from 0.
        index: usize,
        /// The rule it breaks.
        error: crate::message::HeaderError,
    },
    /// An output sets a header of the server's or the engine's.
    #[error("output {index}: header {name:?} is not a plugin's to set")]
    ReservedHeader {
        /// Which, from 0.
        index: usize,
        /// The header.
        name: String,
    },
    /// No instance could be had.
    #[error("no instance could be made: {0}")]
    Instance(String),
    /// The worker thread ended under the call: a defect of the engine.
    #[error("the engine lost the call: {0}")]
    Engine(String),
    /// An output could not be stored, for now.
    #[error("output {index} was not stored: {reason}")]
    Publish {
        /// Which, from 0.
        index: usize,
        /// What the bus says.
        reason: String,
    },
    /// An output can never be stored as things stand.
    #[error("output {index} cannot be stored: {reason}")]
    Unstorable {
        /// Which, from 0.
        index: usize,
        /// What the bus says.
        reason: String,
    },
}

/// The names of the failures that are tried again as the manifest says.
pub const RETRIED: &[&str] = &[
    "retry",
    "exception",
    "migrate",
    "trap",
    "exit",
    "cpu-limit",
    "wall-limit",
    "memory-limit",
    "table-limit",
    "stack-limit",
    "host-call-limit",
    "log-limit",
    "unstorable",
];

impl Failure {
    /// Its stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Rejected(_) => "rejected",
            Self::Malformed(EventError::Hops(_)) => "hop-limit",
            Self::Malformed(_) => "malformed",
            Self::BadKey(_) => "bad-key",
            Self::RecordSize { .. } => "record-limit",
            Self::Exception(_) => "exception",
            Self::NoTimers { .. } => "no-timers",
            Self::TimerLoop { .. } => "timer-loop",
            Self::Migrate { .. } => "migrate",
            Self::Trap(_) => "trap",
            Self::Exit(_) => "exit",
            Self::CpuTime { .. } => "cpu-limit",
            Self::WallTime { .. } => "wall-limit",
            Self::Memory { .. } => "memory-limit",
            Self::Table { .. } => "table-limit",
            Self::Stack => "stack-limit",
            Self::HostCalls { .. } => "host-call-limit",
            Self::Log { .. } => "log-limit",
            Self::Answer { .. } => "answer-limit",
            Self::OutputCount { .. } => "output-count-limit",
            Self::OutputSize { .. } => "output-size-limit",
            Self::EventSize { .. } => "event-size-limit",
            Self::InvalidValue(_) => "invalid-value",
            Self::BadSubject { .. } => "bad-subject",
            Self::NotGranted { .. } => "not-granted",
            Self::BadHeader { .. } => "bad-header",
            Self::ReservedHeader { .. } => "reserved-header",
            Self::Instance(_) => "instance-limit",
            Self::Engine(_) => "engine",
            Self::Publish { .. } => "publish",
            Self::Unstorable { .. } => "unstorable",
        }
    }

    /// What follows.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Retry { .. }
            | Self::Exception(_)
            | Self::Migrate { .. }
            | Self::Trap(_)
            | Self::Exit(_)
            | Self::CpuTime { .. }
            | Self::WallTime { .. }
            | Self::Memory { .. }
            | Self::Table { .. }
            | Self::Stack
            | Self::HostCalls { .. }
            | Self::Log { .. } => Remedy::Retry,
            Self::Rejected(_)
            | Self::Malformed(_)
            | Self::BadKey(_)
            | Self::RecordSize { .. }
            | Self::NoTimers { .. }
            | Self::TimerLoop { .. }
            | Self::Answer { .. }
            | Self::OutputCount { .. }
            | Self::OutputSize { .. }
            | Self::EventSize { .. }
            | Self::InvalidValue(_)
            | Self::BadSubject { .. }
            | Self::NotGranted { .. }
            | Self::BadHeader { .. }
            | Self::ReservedHeader { .. } => Remedy::GiveUp,
            Self::Unstorable { .. } => Remedy::Retry,
            Self::Instance(_) | Self::Engine(_) | Self::Publish { .. } => Remedy::Wait,
        }
    }

    /// Whether the plugin did wrong, rather than the event or the engine's surroundings: what a breaker counts.
    #[must_use]
    pub fn is_plugins_fault(&self) -> bool {
        !matches!(
            self,
            Self::Retry { .. }
                | Self::Rejected(_)
                | Self::Malformed(_)
                | Self::BadKey(_)
                | Self::Instance(_)
                | Self::Engine(_)
                | Self::Publish { .. }
        )
    }

    /// The text as it is kept: one bounded string, cut at a character's border.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        cut(&mut text, MAX_REASON_BYTES);
        text
    }

    /// The text on one line, for logs.
    #[must_use]
    pub fn line(&self) -> String {
        one_line(self.text())
    }
}

#[cfg(test)]
mod tests;
