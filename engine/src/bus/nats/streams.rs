//! Streams: looking them up, creating those that are missing.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Core;
use super::api::{STREAM_EXISTS, STREAM_NOT_FOUND, refused};
use crate::bus::stream::BUCKET_DUPLICATE_WINDOW;
use crate::bus::{BucketSpec, BusError, Retention, StreamInfo, StreamSpec, check_name};
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
    /// -1 means no limit.
    #[serde(default)]
    max_msgs_per_subject: i64,
    #[serde(default)]
    allow_direct: bool,
    #[serde(default)]
    num_replicas: usize,
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
    /// As [`Info::read`], if it is a bucket.
    fn bucket(self, core: &Core, operation: &str) -> Result<StreamInfo, BusError> {
        if self.config.max_msgs_per_subject == 1 {
            return self.read(core, operation);
        }
        Err(BusError::Refused {
            operation: operation.to_owned(),
            reason: format!("stream {:?} exists and keeps more than one message a subject", self.config.name),
        })
    }

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
    match fetch(core, &operation, name).await? {
        Some(info) => info.read(core, &operation),
        None => Err(BusError::StreamMissing(name.to_owned())),
    }
}

/// Whether a message may be asked for of any server that keeps the stream, and is then sure to be the last.
///
/// With several copies one of them may be behind, so that only the leader knows.
pub(super) async fn answers_directly(core: &Core, name: &str) -> Result<bool, BusError> {
    let operation = format!("look up stream {name:?}");
    let info = fetch(core, &operation, name).await?;
    info.map(|info| info.config.allow_direct && info.config.num_replicas <= 1)
        .ok_or_else(|| BusError::StreamMissing(name.to_owned()))
}

async fn fetch(core: &Core, operation: &str, name: &str) -> Result<Option<Info>, BusError> {
    check_name(operation, name)?;
    let verb = format!("STREAM.INFO.{name}");
    match core.api.request::<Info>(&core.link, operation, &verb, None).await? {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Ok(None),
        Err(error) => Err(refused(operation, &error)),
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn config(spec: &StreamSpec) -> Value {
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

/// Creates a bucket if there is none of that name.
pub(super) async fn ensure_bucket(core: &Core, spec: &BucketSpec) -> Result<StreamInfo, BusError> {
    let operation = format!("create bucket {:?}", spec.name);
    let (name, subjects) = (spec.stream(), spec.subjects()?);
    // Asked first: one that has other settings would be refused, and a full server refuses to make any.
    if let Some(info) = fetch(core, &operation, &name).await? {
        return info.bucket(core, &operation);
    }
    let verb = format!("STREAM.CREATE.{name}");
    let config = bucket_config(spec, &name, &subjects);
    match core.api.request::<Info>(&core.link, &operation, &verb, Some(&config)).await? {
        Ok(info) => info.read(core, &operation),
        // Somebody was faster: theirs is the one that exists.
        Err(error) if error.err_code == STREAM_EXISTS => match fetch(core, &operation, &name).await? {
            Some(info) => info.bucket(core, &operation),
            None => Err(BusError::StreamMissing(name)),
        },
        Err(error) => Err(refused(&operation, &error)),
    }
}

/// As ADR-8 has it.
fn bucket_config(spec: &BucketSpec, name: &str, subjects: &Pattern) -> Value {
    json!({
        "name": name,
        "subjects": [subjects],
        "retention": "limits",
        "discard": "new",
        "storage": "file",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": -1,
        "max_msgs_per_subject": 1,
        "num_replicas": spec.replicas.max(1),
        "duplicate_window": nanos(BUCKET_DUPLICATE_WINDOW),
        "allow_direct": true,
        "allow_rollup_hdrs": true,
        "allow_msg_ttl": true,
        "deny_delete": true,
    })
}

/// Takes messages out of a stream; says how many.
pub(super) async fn purge(core: &Core, name: &str, filter: Option<&Pattern>) -> Result<u64, BusError> {
    #[derive(Deserialize)]
    struct Purged {
        #[serde(default)]
        purged: u64,
    }
    let operation = format!("purge stream {name:?}");
    check_name(&operation, name)?;
    let body = filter.map(|filter| json!({ "filter": filter }));
    let verb = format!("STREAM.PURGE.{name}");
    match core.api.request::<Purged>(&core.link, &operation, &verb, body.as_ref()).await? {
        Ok(purged) => Ok(purged.purged),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(name.to_owned())),
        Err(error) => Err(refused(&operation, &error)),
    }
}

/// Deletes a stream; says whether it was there.
pub(super) async fn delete(core: &Core, name: &str) -> Result<bool, BusError> {
    #[derive(Deserialize)]
    struct Deleted {
        #[serde(default)]
        success: bool,
    }
    let operation = format!("delete stream {name:?}");
    check_name(&operation, name)?;
    let verb = format!("STREAM.DELETE.{name}");
    match core.api.request::<Deleted>(&core.link, &operation, &verb, None).await? {
        Ok(deleted) => Ok(deleted.success),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Ok(false),
        Err(error) => Err(refused(&operation, &error)),
    }
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
