//! What the engine tells about its plugins: the shape of the HTTP API and of `wasmill plugin ls -o json`.

use crate::artifact::Artifact;
use serde::{Deserialize, Serialize};

/// Where a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// Being compiled and tried out; nothing of it runs yet.
    Starting,
    /// It takes events.
    Running,
    /// A component without a manifest, or a manifest without a component.
    Incomplete,
    /// Its manifest says `enabled = false`.
    Disabled,
    /// Its files were refused and no good version is left to run.
    Refused,
    /// It is good, but its subscription cannot be set up at the moment; the engine keeps trying.
    Waiting,
    /// Most of its events failed by its own fault, so they wait in their stream while it is tried with one now and then.
    Quarantined,
    /// Its outputs, or the dead letters of events that failed for good, are refused by their stream, so nothing is given up
    /// and those events come again and again.
    Blocked,
}

impl PluginState {
    /// The state as the API and the metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Incomplete => "incomplete",
            Self::Disabled => "disabled",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Quarantined => "quarantined",
            Self::Blocked => "blocked",
        }
    }
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStatus {
    /// What its code came as.
    #[serde(default)]
    pub artifact: Artifact,
    /// SHA-256 of the component or source, in hexadecimal.
    pub digest: String,
    /// The version that the component states; empty if it has no description.
    pub version: String,
    /// When this engine put it into service, RFC 3339.
    pub since: String,
}

/// How many events ended how, since this engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Deliveries taken from the bus.
    pub received: u64,
    /// Handled, outputs stored, acked.
    pub done: u64,
    /// Given back to be delivered again.
    pub retried: u64,
    /// Stored as dead letters.
    pub dead_lettered: u64,
    /// Dropped: core subscriptions only.
    pub dropped: u64,
    /// Outputs stored, repeats not counted.
    pub outputs: u64,
    /// Deliveries being worked on now.
    pub in_flight: u64,
}

/// How an event failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureStatus {
    /// The failure's stable name.
    pub reason: String,
    /// What happened, and what to do about it.
    pub detail: String,
    /// The event: its stream, incarnation and sequence.
    pub event: String,
    /// When, RFC 3339.
    pub time: String,
}

/// Why a plugin is kept from its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineStatus {
    /// Since when, RFC 3339.
    pub since: String,
    /// What was wrong.
    pub reason: String,
    /// When it is tried again, RFC 3339. A new version is tried at once.
    pub next_probe: String,
}

/// Everything about one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: PluginState,
    /// The version in service, if one is.
    pub running: Option<VersionStatus>,
    /// The version that a rollback would bring back, if one is kept.
    pub previous: Option<VersionStatus>,
    /// Whether the version in service was brought back by a rollback and the files in the directory wait for a change.
    pub rolled_back: bool,
    /// Why its files, or its subscription, are not in service as they stand.
    pub problem: Option<String>,
    /// Why it is kept from its events, if it is.
    pub quarantine: Option<QuarantineStatus>,
    /// The last failure of an event, if there was one since this engine started.
    pub last_failure: Option<FailureStatus>,
    /// What may go wrong as things are set up: promises that the surroundings do not keep.
    pub warnings: Vec<String>,
    /// How it stands with the partitions of its keys, if it has a key: `0: owned`, or who else owns it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<String>,
    /// What it receives, as `STREAM: subject` or `subject`.
    pub subscriptions: Vec<String>,
    /// Where it may emit.
    pub emits: Vec<String>,
    /// `fresh` or `reuse`.
    pub isolation: String,
    /// How its events ended.
    pub counters: Counters,
}

/// The answer of `GET /api/plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginList {
    /// All plugins, by name.
    pub plugins: Vec<PluginStatus>,
}
