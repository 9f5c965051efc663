//! One delivery as the plugin is to see it: which event it is, whoever delivers it and however often.

use crate::bus::Delivery;
use crate::clock::Clock;
use crate::event::Origin;
use crate::faults::mutant;

/// Names an event's place on the bus: stream, the stream's incarnation, sequence. The ids of its outputs are made of it.
pub(super) fn name(delivery: &Delivery) -> String {
    match &delivery.position {
        Some(at) => format!("{}@{:x}:{}", at.stream, at.incarnation_ms, at.sequence),
        // Without a stream nothing is ever delivered twice, so any name that is not used twice will do.
        None => format!("core:{:016x}", fastrand::u64(..)),
    }
}

/// What the event is taken to be where its message does not say.
pub(super) fn origin(delivery: &Delivery, clock: &dyn Clock) -> Origin {
    match &delivery.position {
        Some(at) => Origin {
            id: format!("{}:{}", at.stream, at.sequence),
            source: format!("nats:{}", at.stream),
            time_ns: at.stored_ns,
            attempt: at.attempt,
        },
        None => Origin {
            id: format!("core-{:016x}", fastrand::u64(..)),
            source: format!("nats:{}", delivery.message.subject.as_str()),
            time_ns: u64::try_from(clock.now().as_nanosecond()).unwrap_or_default(),
            attempt: 1,
        },
    }
}

/// Which delivery of the event this is, from 1. The server counts, so that an engine which dies over an event does not
/// begin anew.
pub(super) fn attempt(delivery: &Delivery) -> u32 {
    if mutant!("attempts-not-counted") {
        return 1;
    }
    delivery.position.as_ref().map_or(1, |position| position.attempt)
}
