//! What the manifest says of a plugin with a key: `[state]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{KIB, MIB};

/// The most partitions that a plugin may have. Each has a bucket of its own and reads the whole of its streams.
pub const MAX_PARTITIONS: u32 = 64;
/// The largest record in KiB: with its outputs it has to fit into one message, of which servers take 1 MiB by default.
const MAX_RECORD_KIB: u32 = 8 * 1_024;
/// The shortest lease: three renewals have to fit into it, each a round trip on a bad day.
const MIN_LEASE_MS: u64 = 1_000;
/// The longest lease: so long nobody takes over.
const MAX_LEASE_MS: u64 = 300_000;

/// Which clock timers and expiry go by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PluginClock {
    /// The time of day; while the plugin catches up, when the events that it reads were stored.
    #[default]
    Wall,
    /// The latest time that any event so far bears: the same effects whenever the events are read.
    Event,
}

/// What a plugin with a key may keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateSettings {
    /// Into how many parts its keys are divided, each owned by one engine at a time. Not to be changed while there is state.
    #[schemars(range(min = 1, max = 64))]
    pub partitions: u32,
    /// How many seconds a key's state and timers are kept after its last event; none means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub ttl_s: Option<u64>,
    /// The most KiB of one key's record: fields, timers, and outputs on their way.
    #[schemars(range(min = 1, max = 8_192))]
    pub record_kib: u32,
    /// MiB of records held in memory, for each partition.
    #[schemars(range(min = 1))]
    pub cache_mib: u32,
    /// The most timers of one key.
    #[schemars(range(max = 100_000))]
    pub timers: u32,
    /// After how many milliseconds without a sign of life another engine takes a partition over.
    #[schemars(range(min = 1_000, max = 300_000))]
    pub lease_ms: u64,
    /// `wall` or `event`.
    pub clock: PluginClock,
    /// How many seconds an event's time may be later than the time at which its stream stored it: what is later does not move
    /// a clock that goes by the events any further.
    #[schemars(range(max = 4_294_967_295u64))]
    pub max_ahead_s: u64,
    /// The most events of one key that are handled in one go and committed with one write.
    #[schemars(range(min = 1, max = 1_024))]
    pub batch: u32,
    /// How many servers keep a copy of the state, where the engine makes its buckets.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: u32,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self {
            partitions: 1,
            ttl_s: None,
            record_kib: 256,
            cache_mib: 64,
            timers: 1_000,
            lease_ms: 10_000,
            clock: PluginClock::Wall,
            max_ahead_s: 300,
            batch: 128,
            replicas: 1,
        }
    }
}

impl StateSettings {
    /// The largest record in bytes.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record_kib as usize * KIB
    }

    /// What may be held in memory for each partition, in bytes.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mib) * MIB as u64
    }

    /// What is wrong with the figures, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        let ranges = [
            ("partitions", self.partitions.into(), 1, MAX_PARTITIONS.into()),
            ("ttl_s", self.ttl_s.unwrap_or(1), 1, u64::from(u32::MAX)),
            ("record_kib", self.record_kib.into(), 1, MAX_RECORD_KIB.into()),
            ("cache_mib", self.cache_mib.into(), 1, 1_048_576),
            ("timers", self.timers.into(), 0, 100_000),
            ("lease_ms", self.lease_ms, MIN_LEASE_MS, MAX_LEASE_MS),
            ("max_ahead_s", self.max_ahead_s, 0, u64::from(u32::MAX)),
            ("batch", self.batch.into(), 1, 1_024),
            ("replicas", self.replicas.into(), 1, 5),
        ];
        let (name, value, least, most) =
            ranges.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value))?;
        Some(format!("state.{name} is {value}, not between {least} and {most}"))
    }
}
