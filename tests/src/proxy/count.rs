//! What the proxy did.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a proxy has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Connections made.
    pub connections: u64,
    /// Connections reset by a cut.
    pub cut: u64,
    /// Connections reset as soon as they were made.
    pub refused: u64,
    /// What happened on the way to the server.
    pub to_server: LaneEvidence,
    /// What happened on the way to the client.
    pub to_client: LaneEvidence,
}

/// What happened to the bytes of one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneEvidence {
    /// Bytes that arrived.
    pub bytes: u64,
    /// Writes that they arrived in.
    pub writes: u64,
    /// Bytes that never arrived.
    pub swallowed: u64,
    /// Bytes that had to wait for the lane to open.
    pub held: u64,
    /// Bytes that arrived late.
    pub delayed: u64,
    /// Bytes that had to wait for others because of the bound on bytes a second.
    pub throttled: u64,
    /// Bits flipped.
    pub flipped: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: Counter,
    pub(super) cut: Counter,
    pub(super) refused: Counter,
    pub(super) to_server: LaneCounts,
    pub(super) to_client: LaneCounts,
}

#[derive(Debug, Default)]
pub(super) struct LaneCounts {
    pub(super) bytes: Counter,
    pub(super) writes: Counter,
    pub(super) swallowed: Counter,
    pub(super) held: Counter,
    pub(super) delayed: Counter,
    pub(super) throttled: Counter,
    pub(super) flipped: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(super) fn evidence(&self) -> Evidence {
        Evidence {
            connections: self.connections.get(),
            cut: self.cut.get(),
            refused: self.refused.get(),
            to_server: self.to_server.evidence(),
            to_client: self.to_client.evidence(),
        }
    }
}

impl LaneCounts {
    fn evidence(&self) -> LaneEvidence {
        LaneEvidence {
            bytes: self.bytes.get(),
            writes: self.writes.get(),
            swallowed: self.swallowed.get(),
            held: self.held.get(),
            delayed: self.delayed.get(),
            throttled: self.throttled.get(),
            flipped: self.flipped.get(),
        }
    }
}
