//! What the operator grants a plugin and sets for it: `<name>.toml` beside `<name>.wasm`.

mod keyed;
mod retry;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::keyed::{MAX_PARTITIONS, PluginClock, StateSettings};
pub use self::retry::{JITTER, ReasonPolicy, Retry};
use crate::breaker::BreakerSettings;
use crate::key::KeySource;
use crate::limits::{DEFAULT_WEIGHT, Limits};
use crate::subject::{Pattern, is_stream_name};

/// A plugin's name: its file's name without the ending. It stands in subjects, consumer names and metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct PluginName(String);

impl PluginName {
    /// The longest name in bytes: consumer names hold it twice over.
    pub const MAX_BYTES: usize = 64;

    /// Checks a name: letters, digits, `-` and `_`, beginning with a letter or digit.
    ///
    /// # Errors
    /// Says what a name may be made of.
    pub fn new(text: impl Into<String>) -> Result<Self, ManifestError> {
        let text = text.into();
        let fits = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(text)) } else { Err(ManifestError::Name(text)) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PluginName {
    type Error = ManifestError;
    fn try_from(text: String) -> Result<Self, ManifestError> {
        Self::new(text)
    }
}

impl From<PluginName> for String {
    fn from(name: PluginName) -> String {
        name.0
    }
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A file name that is no plugin name.
    #[error(
        "{0:?} is no plugin name\n  hint: 1 to 64 letters, digits, '-' and '_', beginning with a letter or digit"
    )]
    Name(String),
    /// Not TOML, an unknown key, a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// Well-formed, but it makes no sense.
    #[error("{0}")]
    Meaning(String),
}

/// The largest weight.
const MAX_WEIGHT: u32 = 10_000;

/// The most tables that a plugin may look things up in.
const MAX_TABLES: usize = 16;

/// The longest wait that a manifest may ask for, in milliseconds: a day. Longer ones are typing errors.
const MAX_WAIT_MS: u64 = 86_400_000;

/// Whether instances are shared between events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A new instance for each event: nothing can leak from one to the next, and a replay is exact.
    #[default]
    Fresh,
    /// An instance serves many events and is thrown away after a trap. For languages whose start is dear.
    Reuse,
}

/// How a plugin is handed its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By calls of its handler.
    #[default]
    Plugin,
    /// As lines of standard input, one event a line: any WASI program. With `fresh` isolation it runs once for each event, with
    /// `reuse` it reads on.
    Command,
}

/// How outputs leave the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputDelivery {
    /// Into a stream, whose answer is awaited before the input is acked.
    #[default]
    Stored,
    /// To whoever listens now: at-most-once.
    Core,
}

/// Where a new durable consumer begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the first message that the stream holds.
    #[default]
    All,
    /// With messages stored from now on.
    New,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The stream to read. Without it, a core NATS subscription: at-most-once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Which subjects; `*` stands for one token, a final `>` for the rest.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub subjects: Vec<Pattern>,
    /// Where a new consumer begins: `all` or `new`.
    #[serde(default)]
    pub start: Start,
    /// The durable consumer's name. Default: `wasmill-<plugin>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<String>,
}

/// Where a plugin may emit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Emit {
    /// Subject patterns with a literal first token.
    #[schemars(with = "Vec<String>")]
    pub subjects: Vec<Pattern>,
    /// Whether it may answer to the event's reply subject.
    pub reply: bool,
    /// `stored` awaits the stream's answer; `core` publishes at-most-once.
    pub delivery: OutputDelivery,
}

/// A plugin's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Whether the plugin runs at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `plugin`, or `command` for a program that reads events from its standard input.
    #[serde(default)]
    pub kind: Kind,
    /// `fresh` (one instance per event) or `reuse`. Default: `fresh` for WebAssembly, `reuse` for source plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// How many of its events may be in flight at once, for each subscription, in this engine.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 8_192))]
    pub concurrency: u32,
    /// What it receives.
    pub subscribe: Vec<Subscribe>,
    /// Where the key of an event stands. With it, events of one key are handled in their order, and the plugin has state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// What a plugin with a key may keep.
    #[serde(default)]
    pub state: StateSettings,
    /// Tables that it may look things up in: a name for the plugin, and the KV bucket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookup: BTreeMap<String, String>,
    /// Where it may emit; without it, nowhere.
    #[serde(default)]
    pub emit: Emit,
    /// What becomes of failed events.
    #[serde(default)]
    pub retry: Retry,
    /// When it is quarantined.
    #[serde(default)]
    pub breaker: BreakerSettings,
    /// Its share of the processor and of what may be in flight, against the weights of the other plugins.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 1, max = 10_000))]
    pub weight: u32,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Values that the plugin reads: strings, numbers, lists, tables.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub config: toml::Table,
}

fn yes() -> bool {
    true
}

fn default_concurrency() -> u32 {
    256
}

fn default_weight() -> u32 {
    DEFAULT_WEIGHT
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Names the line, the key, and for an unknown key the nearest known one.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)
            .map_err(|err| ManifestError::Syntax(crate::hint::with_suggestion(&err.to_string())))?;
        match manifest.fault() {
            Some(fault) => Err(ManifestError::Meaning(fault)),
            None => Ok(manifest),
        }
    }

    /// The `[config]` table as the guest sees it.
    #[must_use]
    pub fn config_json(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(&self.config) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.subscribe.is_empty() {
            return Some("there is no [[subscribe]], so the plugin would receive nothing".into());
        }
        if !(1..=8_192).contains(&self.concurrency) {
            return Some(format!("concurrency is {}, not between 1 and 8192", self.concurrency));
        }
        if !(1..=MAX_WEIGHT).contains(&self.weight) {
            return Some(format!("weight is {}, not between 1 and {MAX_WEIGHT}", self.weight));
        }
        self.retry
            .fault()
            .or_else(|| self.breaker.fault())
            .or_else(|| self.subscribe_fault())
            .or_else(|| self.emit_fault())
            .or_else(|| self.limits.fault())
            .or_else(|| self.key_fault())
            .or_else(|| self.lookup_fault())
    }

    fn key_fault(&self) -> Option<String> {
        let Some(key) = &self.key else {
            let idle = self.state != StateSettings::default();
            return idle.then(|| "[state] needs a key\n  hint: key = { token = 2 }, for example".to_owned());
        };
        if let Some(entry) = self.subscribe.iter().find(|entry| entry.stream.is_none()) {
            let subjects: Vec<_> = entry.subjects.iter().map(Pattern::as_str).collect();
            return Some(format!(
                "the plugin has a key, and its subscription to {} has no stream: without one there is no order to keep\n  \
                 hint: subscribe.stream",
                subjects.join(", ")
            ));
        }
        let mut streams = BTreeSet::new();
        let twice = self.subscribe.iter().find(|entry| !streams.insert(&entry.stream));
        if let Some(stream) = twice.and_then(|entry| entry.stream.as_ref()) {
            return Some(format!(
                "two [[subscribe]] read stream {stream:?}, and the plugin has a key\n  hint: put the subjects into one"
            ));
        }
        if let Some(durable) = self.subscribe.iter().find_map(|entry| entry.durable.as_ref()) {
            return Some(format!(
                "subscribe.durable is {durable:?}, and the plugin has a key: it reads without a durable consumer"
            ));
        }
        key.fault().or_else(|| self.state.fault())
    }

    fn lookup_fault(&self) -> Option<String> {
        if self.lookup.len() > MAX_TABLES {
            return Some(format!(
                "[lookup] names {} tables, over the most of {MAX_TABLES}",
                self.lookup.len()
            ));
        }
        let bad = self.lookup.iter().find(|(_, bucket)| !is_stream_name(bucket))?;
        Some(format!("lookup.{}: {:?} is no bucket name", bad.0, bad.1))
    }

    fn subscribe_fault(&self) -> Option<String> {
        let mut durables = BTreeSet::new();
        for entry in &self.subscribe {
            if entry.subjects.is_empty() {
                return Some("a [[subscribe]] has no subjects".into());
            }
            if let Some(pattern) = entry.subjects.iter().find(|p| p.as_str().starts_with('$')) {
                return Some(format!("subscribe.subjects: {pattern} is reserved for NATS itself"));
            }
            let overlap = entry.subjects.iter().enumerate().find_map(|(index, one)| {
                entry
                    .subjects
                    .iter()
                    .skip(index + 1)
                    .find(|other| one.overlaps(other))
                    .map(|other| (one, other))
            });
            if let Some((one, other)) = overlap {
                return Some(format!(
                    "subscribe.subjects: {one} and {other} overlap\n  hint: keep the wider one"
                ));
            }
            match &entry.stream {
                Some(stream) if !is_stream_name(stream) => {
                    return Some(format!("subscribe.stream: {stream:?} is no stream name"));
                }
                Some(stream) if !durables.insert((stream, entry.durable.as_ref())) => {
                    return Some(format!(
                        "two [[subscribe]] read stream {stream:?} under one durable name\n  hint: put the subjects into one"
                    ));
                }
                None if entry.durable.is_some() => {
                    return Some("subscribe.durable needs subscribe.stream".into());
                }
                _ => {}
            }
            if let Some(durable) = entry.durable.as_ref().filter(|durable| !is_stream_name(durable)) {
                return Some(format!("subscribe.durable: {durable:?} is no consumer name"));
            }
        }
        None
    }

    fn emit_fault(&self) -> Option<String> {
        let open = self.emit.subjects.iter().find(|pattern| pattern.reaches_reserved())?;
        Some(format!(
            "emit.subjects: {open} begins with a wildcard or is reserved for NATS and the engine\n  hint: begin with a literal token, as in alerts.>"
        ))
    }
}

#[cfg(test)]
mod tests;
