//! Streams: looking them up, creating those that are missing.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Core;
use super::api::{STREAM_EXISTS, STREAM_NOT_FOUND, refused};
use crate::bus::{BusError, Retention, StreamInfo, StreamSpec, check_name};
use crate::subject::{OWN_FIRST_TOKEN, Pattern};

#[derive(Deserialize)]
struct Info {
    config: Config,
    created: String,
    state: State,
}

#[derive(Deserialize)]
struct Config {
    name: String,
    #[serde(default)]
    subjects: Vec<String>,
    /// Nanoseconds.
    #[serde(default)]
    duplicate_window: u64,
    #[serde(default)]
    allow_atomic: bool,
    /// -1 means no limit.
    #[serde(default)]
    max_msg_size: i64,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    last_seq: u64,
}

/// One page of a listing.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    streams: Option<Vec<Info>>,
}

impl Info {
    fn read(self, core: &Core, operation: &str) -> Result<StreamInfo, BusError> {
        let created: jiff::Timestamp = self.created.parse().map_err(|error| BusError::Refused {
            operation: operation.to_owned(),
            reason: format!("the server's time of creation {:?} cannot be read: {error}", self.created),
        })?;
        Ok(StreamInfo {
            name: self.config.name,
            // A subject that our own rules do not know cannot be asked for through us either.
            subjects: self.config.subjects.into_iter().filter_map(|text| Pattern::new(text).ok()).collect(),
            duplicate_window: Duration::from_nanos(self.config.duplicate_window),
            incarnation_ms: u64::try_from(created.as_millisecond()).unwrap_or(0),
            messages: self.state.messages,
            last_sequence: self.state.last_seq,
            atomic: self.config.allow_atomic && core.link.takes_ids_in_batches(),
            max_message_bytes: usize::try_from(self.config.max_msg_size).ok().filter(|bytes| *bytes > 0),
        })
    }
}

/// Looks one up.
pub(super) async fn lookup(core: &Core, name: &str) -> Result<StreamInfo, BusError> {
    let operation = format!("look up stream {name:?}");
    check_name(&operation, name)?;
    let verb = format!("STREAM.INFO.{name}");
    match core.api.request::<Info>(&core.link, &operation, &verb, None).await? {
        Ok(info) => info.read(core, &operation),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(name.to_owned())),
        Err(error) => Err(refused(&operation, &error)),
    }
}

/// Creates one if there is none of that name.
pub(super) async fn ensure(core: &Core, spec: &StreamSpec) -> Result<StreamInfo, BusError> {
    match lookup(core, &spec.name).await {
        Err(BusError::StreamMissing(_)) => {}
        found => return found,
    }
    let operation = format!("create stream {:?}", spec.name);
    let verb = format!("STREAM.CREATE.{}", spec.name);
    match core.api.request::<Info>(&core.link, &operation, &verb, Some(&config(spec))).await? {
        Ok(info) => info.read(core, &operation),
        // Somebody was faster: theirs is the one that exists.
        Err(error) if error.err_code == STREAM_EXISTS => lookup(core, &spec.name).await,
        Err(error) => Err(refused(&operation, &error)),
    }
}

fn config(spec: &StreamSpec) -> Value {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut config = json!({
        "name": spec.name,
        "subjects": spec.subjects,
        "retention": match spec.retention {
            Retention::Limits => "limits",
            Retention::WorkQueue => "workqueue",
        },
        "discard": if is_own(spec) { "new" } else { "old" },
        "storage": "file",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": spec.max_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        "max_age": spec.max_age.map_or(0, nanos),
        "num_replicas": spec.replicas.max(1),
        "duplicate_window": nanos(spec.duplicate_window),
        "allow_direct": true,
    });
    // Left out rather than false: servers before 2.12 do not know it.
    if let Some(config) = config.as_object_mut().filter(|_| spec.atomic) {
        config.insert("allow_atomic".to_owned(), json!(true));
    }
    config
}

/// Those that store some subject under a pattern.
pub(super) async fn matching(core: &Core, pattern: &Pattern) -> Result<Vec<StreamInfo>, BusError> {
    let operation = format!("list streams for {:?}", pattern.as_str());
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let body = json!({ "offset": offset, "subject": pattern });
        let page = core.api.request::<Page>(&core.link, &operation, "STREAM.LIST", Some(&body)).await?;
        let page = page.map_err(|error| refused(&operation, &error))?;
        let streams = page.streams.unwrap_or_default();
        offset += streams.len();
        let last = streams.is_empty() || offset >= page.total;
        for info in streams {
            let info = info.read(core, &operation)?;
            if info.subjects.iter().any(|subject| subject.overlaps(pattern)) {
                found.push(info);
            }
        }
        if last {
            return Ok(found);
        }
    }
}
/// Whether a stream is the engine's own: then it refuses what is too much for it, since nothing may get lost there in silence.
fn is_own(spec: &StreamSpec) -> bool {
    spec.subjects.iter().all(|pattern| pattern.as_str().split('.').next() == Some(OWN_FIRST_TOKEN))
}
