//! The points at which a trial strikes.

use std::time::Duration;

use anyhow::Result;
use wasmill_tests::nats::NatsServer;

use crate::load::{Load, Pace, Sums};
use crate::stage::{Ended, Fired, Stage, Surroundings};
use crate::{failpoints, kills, network};

/// Events of one trial, at least: they come until the strike is over.
const EVENTS: usize = 300;
/// About 370 events a second, so that they come in for most of a second.
const PACE: Pace = Pace { batch: 10, pause: Duration::from_millis(25) };

/// Where and how a trial strikes.
pub struct Point {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether the server is killed, so that the next trial gets another.
    pub spends_server: bool,
    strike: Strike,
}

#[derive(Clone, Copy)]
enum Strike {
    /// The engine kills itself when it comes by the failpoint of the same name, for the so-many-th time of as many as
    /// the events make sure of.
    Failpoint(failpoints::Cause, fn(Sums) -> u64),
    /// Something else happens. Whoever does it starts the engines too, and leaves at least one at work.
    Other(fn(&mut Stage<'_>, &mut NatsServer) -> Result<Fired>),
}

const fn failpoint(
    name: &'static str,
    about: &'static str,
    cause: failpoints::Cause,
    hits: fn(Sums) -> u64,
) -> Point {
    Point { name, about, spends_server: false, strike: Strike::Failpoint(cause, hits) }
}

const fn other(
    name: &'static str,
    about: &'static str,
    strike: fn(&mut Stage<'_>, &mut NatsServer) -> Result<Fired>,
) -> Point {
    Point { name, about, spends_server: false, strike: Strike::Other(strike) }
}

use failpoints::Cause::{Events, Resubscription, Swap, Term};

/// Every point.
pub const POINTS: &[Point] = &[
    failpoint("received", "SIGKILL as a delivery comes in", Events, |sums| sums.events),
    failpoint("before-call", "SIGKILL before the guest is called", Events, |sums| sums.events),
    failpoint("called", "SIGKILL after the guest has answered", Events, |sums| sums.events),
    failpoint("checked", "SIGKILL with checked outputs, none sent", Events, |sums| sums.handled),
    failpoint("output-sent", "SIGKILL with an output sent and not acked", Events, |sums| sums.outputs),
    failpoint("output-stored", "SIGKILL with an output stored, others perhaps not", Events, |sums| {
        sums.outputs
    }),
    failpoint("all-stored", "SIGKILL with all outputs stored and the event not acked", Events, |sums| {
        sums.handled
    }),
    failpoint("acked", "SIGKILL as the ack has been handed over", Events, |sums| sums.handled),
    failpoint("retrying", "SIGKILL before a failed event is given back", Events, |sums| sums.retried),
    failpoint("retried", "SIGKILL after a failed event was given back", Events, |sums| sums.retried),
    failpoint("dead-lettering", "SIGKILL before a dead letter is stored", Events, |sums| sums.letters),
    failpoint(
        "dead-letter-stored",
        "SIGKILL with a dead letter stored and its event not given up",
        Events,
        |sums| sums.letters,
    ),
    failpoint("terminated", "SIGKILL after an event was given up", Events, |sums| sums.letters),
    failpoint("swap-loaded", "SIGKILL with a new version loaded", Swap, |_| 4),
    failpoint("swap-kept", "SIGKILL with a new version kept for rollback", Swap, |_| 4),
    failpoint("swapped", "SIGKILL with a new version just in service", Swap, |_| 4),
    failpoint("resubscribing", "SIGKILL before a changed subscription is taken up", Resubscription, |_| 4),
    failpoint("resubscribed", "SIGKILL after a changed subscription was taken up", Resubscription, |_| 4),
    failpoint("stopping", "SIGKILL at the beginning of an orderly stop", Term, |_| 1),
    failpoint("drained", "SIGKILL at the end of an orderly stop", Term, |_| 1),
    other("kill", "SIGKILL of the engine at a random moment", kills::once),
    other("kills", "three to five SIGKILLs of the engine in a row", kills::in_a_row),
    other("zombie", "SIGSTOP past the ack wait while a second engine goes on, then SIGCONT", kills::zombie),
    Point {
        name: "server-kill",
        about: "SIGKILL of nats-server, restarted on the same port and store",
        spends_server: true,
        strike: Strike::Other(kills::server),
    },
    Point {
        name: "both-kill",
        about: "SIGKILL of engine and nats-server at the same moment, both restarted",
        spends_server: true,
        strike: Strike::Other(kills::both),
    },
    other("swap-kill", "SIGKILL of the engine at a random moment of a series of swaps", kills::during_swaps),
    other("swap-cut", "connections reset during a series of swaps", network::cut_during_swaps),
    other("cut", "connections reset, new ones refused for a while", network::cut),
    other("hole-to-server", "what the engine sends vanishes, or arrives late", network::hole_to_server),
    other("hole-to-client", "what the server sends vanishes, or arrives late", network::hole_to_client),
    other("slow", "a delay and a bound on bytes a second, both ways", network::slow),
    other("bytewise", "one to three bytes at a time, both ways", network::bytewise),
];

impl Point {
    /// One trial.
    pub fn run(
        &self,
        around: &Surroundings,
        server: &mut NatsServer,
        name: &str,
        seed: u64,
    ) -> Result<Ended> {
        let mut stage = Stage::new(around, name, seed ^ hash(self.name), vec![server.url()], 1)?;
        let load = Load::new(stage.rng.fork());
        let first: Vec<_> = load.clone().take(EVENTS).collect();
        stage.publish(load, EVENTS, PACE);
        let fired = match self.strike {
            Strike::Failpoint(cause, hits) => {
                failpoints::strike(&mut stage, server, self.name, cause, hits(Sums::of(&first)))?
            }
            Strike::Other(strike) => strike(&mut stage, server)?,
        };
        stage.end(EVENTS as u64, fired)
    }
}

/// Gives each point its own choices under the same seed (FNV-1a).
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Failpoints of the engine that no point strikes at.
#[cfg(feature = "failpoints")]
pub fn uncovered() -> Vec<&'static str> {
    let is_covered = |name: &&str| {
        POINTS.iter().any(|point| point.name == *name && matches!(point.strike, Strike::Failpoint(..)))
    };
    wasmill::faults::POINTS.iter().copied().filter(|name| !is_covered(name)).collect()
}

/// Without the feature nothing is known of them.
#[cfg(not(feature = "failpoints"))]
pub fn uncovered() -> Vec<&'static str> {
    Vec::new()
}
