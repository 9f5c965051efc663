//! The engine's own configuration: `wasmill.toml`, the environment, flags.
//!
//! Later sources win: defaults, then the file, then `WASMILL_<TABLE>__<KEY>` variables, then flags. A setting that nobody
//! knows is an error wherever it stands. [`layers`] merges, [`checks`] turns the result into [`Settings`], of which the
//! engine takes nothing back.

pub mod checks;
pub mod layers;
pub mod manifests;
pub mod show;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bus::nats::NatsSettings;
use crate::bus::{Retention, StreamSpec};
use crate::flow::Load;
use crate::limits::{DEFAULT_IN_FLIGHT_EVENTS, DEFAULT_IN_FLIGHT_MIB, MIB};
use crate::subject::Pattern;
use crate::supervisor::DeliverySettings;

/// The file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "wasmill.toml";

/// What `wasmill.toml` may say. Every key has a default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "wasmill.toml")]
pub struct Config {
    /// The NATS server and how to log in to it.
    pub bus: NatsSettings,
    /// Where the plugins are.
    pub plugins: Plugins,
    /// The HTTP API for health, metrics and `wasmill plugin`.
    pub admin: Admin,
    /// Where the engine keeps files of its own.
    pub data: Data,
    /// Streams to create if they are absent. Existing ones are never altered.
    pub streams: Vec<Stream>,
    /// What may be in flight, and what is refused.
    pub delivery: Delivery,
    /// What the engine logs, to stderr.
    pub log: Log,
    /// How it stops.
    pub stop: Stop,
}

/// `[plugins]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// The watched folder of `<name>.wasm`, `<name>.py` or `<name>.js`, each with `<name>.toml` beside it. In the file, relative to the file's folder.
    pub dir: PathBuf,
    /// The folder of the runners of source plugins, `<language>.wasm`. Unset: `runners` beside the program or one above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runners: Option<PathBuf>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self { dir: PathBuf::from("plugins"), runners: None }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port to listen on; `off` or an empty text for none. The API has no login: keep it on loopback.
    pub listen: String,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".into() }
    }
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The folder of compiled components and kept versions. Only the engine may write there. In the file, relative to the
    /// file's folder.
    pub dir: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from(".wasmill") }
    }
}

/// `[[streams]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Its name, as in `PAYMENTS`.
    pub name: String,
    /// The subjects that it stores, as in `payments.>`.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub subjects: Vec<Pattern>,
    /// How long it remembers message ids to drop repeats, in seconds.
    #[serde(default = "Stream::default_window")]
    #[schemars(range(min = 1))]
    pub duplicate_window_s: u64,
    /// The most bytes that it keeps, the oldest going first. Unset: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// How long it keeps a message, in seconds. Unset: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// How many servers keep a copy.
    #[serde(default = "Stream::default_replicas")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: usize,
    /// Whether the outputs of one event that go there are stored together or not at all. It takes the server longer: small
    /// batches are dear.
    #[serde(default)]
    pub atomic: bool,
}

impl Stream {
    /// The server's own default.
    fn default_window() -> u64 {
        120
    }

    fn default_replicas() -> usize {
        1
    }

    fn spec(&self) -> StreamSpec {
        StreamSpec {
            name: self.name.clone(),
            subjects: self.subjects.clone(),
            retention: Retention::Limits,
            duplicate_window: Duration::from_secs(self.duplicate_window_s),
            max_bytes: self.max_bytes,
            max_age: self.max_age_s.map(Duration::from_secs),
            replicas: self.replicas,
            atomic: self.atomic,
        }
    }
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Refuse a plugin, rather than warn, if a stream that it emits to forgets message ids before an event can have been
    /// delivered for the last time: its outputs might be stored twice.
    pub strict: bool,
    /// The most events in flight, of all plugins together.
    #[schemars(range(min = 1))]
    pub in_flight_events: u64,
    /// The most MiB of events in flight, of all plugins together.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub in_flight_mib: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        let in_flight_mib = DEFAULT_IN_FLIGHT_MIB as u64;
        Self { strict: false, in_flight_events: DEFAULT_IN_FLIGHT_EVENTS, in_flight_mib }
    }
}

impl Delivery {
    fn settings(&self) -> DeliverySettings {
        let bytes = self.in_flight_mib * MIB as u64;
        DeliverySettings { strict: self.strict, in_flight: Load { events: self.in_flight_events, bytes } }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`; exceptions follow, as in `info,async_nats=warn`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info,async_nats=warn".into(), format: LogFormat::Text }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[stop]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// How long events in flight may take to finish after a request to stop, in seconds. What is not done by then is
    /// delivered again later.
    pub grace_s: u64,
}

impl Default for Stop {
    fn default() -> Self {
        Self { grace_s: 30 }
    }
}

/// The configuration, checked and with every path resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The NATS server and how to log in to it.
    pub bus: NatsSettings,
    /// The watched folder.
    pub plugins_dir: PathBuf,
    /// The folder of the runners of source plugins, if it is not where the program looks by itself.
    pub runners_dir: Option<PathBuf>,
    /// Where the HTTP API listens, if it does.
    pub admin: Option<SocketAddr>,
    /// The folder of the engine's own files.
    pub data_dir: PathBuf,
    /// Streams to create if absent.
    pub streams: Vec<StreamSpec>,
    /// What may be in flight, and what is refused.
    pub delivery: DeliverySettings,
    /// What to log.
    pub log: Log,
    /// How long a graceful stop may take.
    pub stop_grace: Duration,
}

/// All that is wrong with a configuration, one finding each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);
