//! A consumer without acks that lives no longer than who reads from it.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Core;
use super::api::{STREAM_NOT_FOUND, refused};
use crate::bus::{Begin, BusError, FollowSpec};

/// How long the server keeps one that nobody pulls from: what is left behind by who could not delete it goes by itself.
const INACTIVE: Duration = Duration::from_secs(60);

/// The consumer, deleted when this is dropped.
pub(super) struct Ephemeral {
    core: Arc<Core>,
    stream: String,
    /// Its name.
    pub(super) name: String,
    /// The first sequence that it may deliver.
    pub(super) first: u64,
    /// How many messages it had to deliver when it was made.
    pub(super) pending: u64,
}

#[derive(Deserialize)]
struct Info {
    delivered: Reached,
    #[serde(default)]
    num_pending: u64,
}

#[derive(Deserialize)]
struct Reached {
    #[serde(default)]
    stream_seq: u64,
}

impl Ephemeral {
    /// Makes one.
    pub(super) async fn create(core: &Arc<Core>, spec: &FollowSpec, begin: Begin) -> Result<Self, BusError> {
        let operation = format!("follow stream {:?}", spec.stream);
        let name = format!("wasmill-{:016x}", fastrand::u64(..));
        let verb = format!("CONSUMER.CREATE.{}.{name}", spec.stream);
        let body = json!({
            "stream_name": spec.stream,
            "config": config(spec, begin, &name),
            "action": "create",
        });
        match core.api.request::<Info>(&core.link, &operation, &verb, Some(&body)).await? {
            Ok(info) => Ok(Self {
                core: Arc::clone(core),
                stream: spec.stream.clone(),
                name,
                first: info.delivered.stream_seq + 1,
                pending: info.num_pending,
            }),
            Err(error) if error.err_code == STREAM_NOT_FOUND => {
                Err(BusError::StreamMissing(spec.stream.clone()))
            }
            Err(error) => Err(refused(&operation, &error)),
        }
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        // Without a runtime or a connection the server finds out by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.core.link.is_connected() {
            return;
        }
        let core = Arc::clone(&self.core);
        let verb = format!("CONSUMER.DELETE.{}.{}", self.stream, self.name);
        let delete = async move {
            let deleted = core.api.request::<Value>(&core.link, "delete a consumer", &verb, None).await;
            if let Err(error) = deleted {
                tracing::debug!(verb, %error, "a consumer is left to the server to remove");
            }
        };
        self.core.tasks.spawn_on(delete, &runtime);
    }
}

fn config(spec: &FollowSpec, begin: Begin, name: &str) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
    set("name", json!(name));
    set("ack_policy", json!("none"));
    set("replay_policy", json!("instant"));
    set("mem_storage", json!(true));
    set("num_replicas", json!(1));
    set("inactive_threshold", json!(u64::try_from(INACTIVE.as_nanos()).unwrap_or(u64::MAX)));
    set("headers_only", json!(spec.headers_only));
    match begin {
        Begin::At(sequence) => {
            set("deliver_policy", json!("by_start_sequence"));
            set("opt_start_seq", json!(sequence.max(1)));
        }
        Begin::Time(time_ns) => {
            set("deliver_policy", json!("by_start_time"));
            set("opt_start_time", json!(timestamp(time_ns)));
        }
        Begin::LastPerSubject => {
            set("deliver_policy", json!("last_per_subject"));
            if spec.filters.is_empty() {
                // The server wants to be told of which subjects.
                set("filter_subject", json!(">"));
            }
        }
        Begin::New => {
            set("deliver_policy", json!("new"));
        }
    }
    match spec.filters.as_slice() {
        [] => {}
        [one] => {
            set("filter_subject", json!(one));
        }
        several => {
            set("filter_subjects", json!(several));
        }
    }
    config
}

fn timestamp(time_ns: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}
