//! What the plugin does with each event, and what must come of it.

use std::time::Duration;

use wasmill::manifest::Retry;

/// How an event is answered. Until when is told in attempts: the answer is a function of the event, as that of a real
/// plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its outputs.
    Emits,
    /// It can never be handled.
    Rejected,
    /// It is to come again, until this attempt; after the given time, if any.
    RetryUntil(u32, Option<Duration>),
    /// The guest traps, until this attempt.
    TrapUntil(u32),
    /// The engine loses the call, until this attempt: nothing that an event is to blame for.
    LostUntil(u32),
    /// One of the outputs goes where the plugin may not emit.
    NotGranted,
    /// One of the outputs has a header that cannot be sent.
    BadHeader,
    /// The message is no event, and never reaches the plugin.
    Malformed,
    /// One of the outputs goes where no stream stores it.
    Nowhere,
}

/// One event that goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    /// When, since the run began.
    pub at: Duration,
    /// How it is answered.
    pub kind: Kind,
    /// How many outputs it has.
    pub outputs: u32,
    /// Whether they all go to one stream.
    pub together: bool,
    /// How long the plugin takes over it.
    pub takes: Duration,
    /// How many plugins it has been through.
    pub hops: u32,
}

/// What must come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All its outputs are stored, and it is acked.
    Done,
    /// It is a dead letter with this reason.
    Letter(&'static str),
}

impl Input {
    pub fn fate(&self, retry: &Retry) -> Fate {
        match self.kind {
            Kind::Emits | Kind::LostUntil(_) => Fate::Done,
            Kind::RetryUntil(attempt, _) if attempt > retry.attempts_for("retry") => Fate::Letter("retry"),
            Kind::TrapUntil(attempt) if attempt > retry.attempts_for("trap") => Fate::Letter("trap"),
            Kind::RetryUntil(..) | Kind::TrapUntil(_) => Fate::Done,
            Kind::Rejected => Fate::Letter("rejected"),
            Kind::NotGranted => Fate::Letter("not-granted"),
            Kind::BadHeader => Fate::Letter("bad-header"),
            Kind::Malformed => Fate::Letter("malformed"),
            Kind::Nowhere => Fate::Letter("unstorable"),
        }
    }

    /// Whether any of its outputs may be handed to the bus at all: those of a refused event may not, good or bad.
    pub fn may_publish(&self) -> bool {
        !matches!(self.kind, Kind::Rejected | Kind::NotGranted | Kind::BadHeader | Kind::Malformed)
    }

    /// The deliveries that it takes if nothing but the event itself stands in the way.
    pub fn deliveries(&self, retry: &Retry) -> u32 {
        match self.kind {
            Kind::Emits | Kind::Rejected | Kind::NotGranted | Kind::BadHeader | Kind::Malformed => 1,
            Kind::RetryUntil(attempt, _) | Kind::TrapUntil(attempt) => {
                attempt.min(self.least_attempts(retry))
            }
            Kind::LostUntil(attempt) => attempt,
            Kind::Nowhere => self.least_attempts(retry),
        }
    }

    /// The least attempts that its dead letter must tell of.
    pub fn least_attempts(&self, retry: &Retry) -> u32 {
        match self.kind {
            Kind::RetryUntil(..) => retry.attempts_for("retry"),
            Kind::TrapUntil(_) => retry.attempts_for("trap"),
            Kind::Nowhere => retry.attempts_for("unstorable"),
            _ => 1,
        }
    }

    /// The name under which it fails by the plugin's fault, if it does.
    pub fn failure(&self) -> Option<&'static str> {
        match self.kind {
            Kind::TrapUntil(_) => Some("trap"),
            Kind::NotGranted => Some("not-granted"),
            Kind::BadHeader => Some("bad-header"),
            Kind::Nowhere => Some("unstorable"),
            _ => None,
        }
    }
}
