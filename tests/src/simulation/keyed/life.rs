//! What is known of one engine's life: its connections, and what it came to own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::life;
use super::wire::Wire;
use super::{Keyed, World};

/// One engine's life.
pub(super) type Life = life::Life<Keyed>;

/// What is known of it.
#[derive(Default)]
pub(super) struct Vital {
    /// Until when it has no connection.
    cut: Option<Instant>,
    /// Its present connection.
    wire: Option<Arc<Wire>>,
    wires: u64,
    /// How often it came to own each partition.
    owned: BTreeMap<u32, u64>,
}

impl Life {
    /// A moment at which it may die, or stands still. Once dead, and when the run is over, nothing follows.
    pub async fn breathe(&self, world: &World) {
        self.stand(world, true).await;
    }

    /// Breaks its connection, for as long as that; `arrive` of the messages that were on their way still arrive.
    pub fn cut(&self, until: Instant, arrive: usize) {
        let mut vital = self.vital();
        vital.cut = Some(until);
        if let Some(wire) = vital.wire.take() {
            wire.cut(arrive);
        }
    }

    /// Has its connection back.
    pub fn mend(&self) {
        self.vital().cut = None;
    }

    /// Until when it has no connection, if it has none.
    pub fn cut_until(&self) -> Option<Instant> {
        self.vital().cut.filter(|until| Instant::now() < *until)
    }

    /// Its connection, made if there is none.
    pub fn wire(&self, make: impl FnOnce(u64) -> Arc<Wire>) -> Arc<Wire> {
        let mut vital = self.vital();
        if let Some(wire) = &vital.wire {
            return Arc::clone(wire);
        }
        vital.wires += 1;
        let wire = make(vital.wires);
        vital.wire = Some(Arc::clone(&wire));
        wire
    }

    /// The number of the connection that there is, or that will be next.
    pub fn posting(&self) -> u64 {
        let vital = self.vital();
        vital.wires + u64::from(vital.wire.is_none())
    }

    /// It owns a partition from now on; says how often it has come to.
    pub fn owns(&self, partition: u32) -> u64 {
        let mut vital = self.vital();
        let times = vital.owned.entry(partition).or_default();
        *times += 1;
        *times
    }

    /// How often it came to own a partition.
    pub fn owned(&self, partition: u32) -> u64 {
        self.vital().owned.get(&partition).copied().unwrap_or_default()
    }
}
