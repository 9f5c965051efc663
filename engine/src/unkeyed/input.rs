//! One delivery as the plugin is to see it: which event it is, whoever delivers it and however often.

use std::borrow::Cow;

use crate::bus::{Bus, BusError, Delivery};
use crate::clock::Clock;
use crate::dead_letter::{REDRIVES, RedriveOf, restore};
use crate::event::{MALFORMED_HEADER, Origin};
use crate::faults::mutant;
use crate::message::Message;

/// The event of a delivery.
pub(super) struct Input<'a> {
    /// Names its place on the bus: stream, the stream's incarnation, sequence. The ids of its outputs are made of it.
    pub(super) name: String,
    /// What it is taken to be where its message does not say, and which delivery of it this is, from 1. The server counts,
    /// so that an engine which dies over an event does not begin anew.
    pub(super) origin: Origin,
    /// The message: the delivery's own, or the one that a redrive brings back.
    pub(super) message: Cow<'a, Message>,
    /// The redrive that it comes by, if it does.
    redrive: Option<Redrive>,
    /// What brought it.
    pub(super) delivery: &'a Delivery,
}

struct Redrive {
    of: RedriveOf,
    /// Where the event came from before it failed.
    position: Option<String>,
    /// The message of the redrive stream that holds the second half of it.
    rest: Option<u64>,
}

impl<'a> Input<'a> {
    /// The event of a delivery.
    ///
    /// # Errors
    /// What the bus says: a redriven event that was too large for one message has to be fetched.
    pub(super) async fn of(
        delivery: &'a Delivery,
        bus: &dyn Bus,
        clock: &dyn Clock,
    ) -> Result<Self, BusError> {
        let mut input = Self::delivered(delivery, clock);
        if delivery.position.as_ref().is_none_or(|position| position.stream != REDRIVES) {
            return Ok(input);
        }
        match restore(bus, delivery).await? {
            Ok(redriven) => Ok(Self {
                name: redriven.event.input,
                origin: redriven.event.origin,
                message: Cow::Owned(redriven.event.message),
                redrive: Some(Redrive {
                    of: redriven.of,
                    position: redriven.event.position,
                    rest: redriven.rest,
                }),
                delivery,
            }),
            Err(fault) => {
                let fault = format!("it stands among the redrives and is none: {fault}");
                input.message.to_mut().headers.push(MALFORMED_HEADER, fault);
                Ok(input)
            }
        }
    }

    fn delivered(delivery: &'a Delivery, clock: &dyn Clock) -> Self {
        let (name, origin) = match &delivery.position {
            Some(at) => (
                format!("{}@{:x}:{}", at.stream, at.incarnation_ms, at.sequence),
                Origin {
                    id: format!("{}:{}", at.stream, at.sequence),
                    source: format!("nats:{}", at.stream),
                    time_ns: at.stored_ns,
                    attempt: if mutant!("attempts-not-counted") { 1 } else { at.attempt },
                },
            ),
            // Without a stream nothing is ever delivered twice, so any name that is not used twice will do.
            None => (
                format!("core:{:016x}", fastrand::u64(..)),
                Origin {
                    id: format!("core-{:016x}", fastrand::u64(..)),
                    source: format!("nats:{}", delivery.message.subject.as_str()),
                    time_ns: u64::try_from(clock.now().as_nanosecond()).unwrap_or_default(),
                    attempt: 1,
                },
            ),
        };
        Self { name, origin, message: Cow::Borrowed(&delivery.message), redrive: None, delivery }
    }

    /// The stream and sequence that the event came from, if from one.
    pub(super) fn position(&self) -> Option<&str> {
        match (&self.redrive, &self.delivery.position) {
            (Some(redrive), _) => redrive.position.as_deref(),
            (None, Some(_)) => Some(&self.origin.id),
            (None, None) => None,
        }
    }

    /// The redrive that it comes by, if it does.
    pub(super) fn redrive_of(&self) -> Option<RedriveOf> {
        self.redrive.as_ref().map(|redrive| redrive.of)
    }

    /// Takes away what lies about for this event alone, once it is settled for good.
    pub(super) async fn clean_up(&self, bus: &dyn Bus) {
        let Some(rest) = self.redrive.as_ref().and_then(|redrive| redrive.rest) else { return };
        if let Err(err) = bus.erase(REDRIVES, rest).await {
            tracing::debug!(event = self.name, "half of a redriven event stays in {REDRIVES}: {err}");
        }
    }
}
