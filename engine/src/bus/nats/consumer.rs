//! Durable consumers on the server: created if absent, brought up to date, refused where they cannot be.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Core;
use super::api::{CONSUMER_EXISTS, CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, refused};
use crate::bus::{BusError, DurableSpec, Start, check_name};

/// Where a consumer begins that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// As the subscription says.
    AsSpecified,
    /// At this sequence: it existed before, and what came since must not be missed.
    At(u64),
}

/// What the operator allows one pull request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PullLimits {
    /// Messages; none means no limit.
    pub(super) batch: Option<usize>,
    /// Bytes; none means no limit.
    pub(super) bytes: Option<usize>,
    /// How long it may stand; none means no limit.
    pub(super) expires: Option<Duration>,
}

#[derive(Deserialize)]
struct Info {
    config: Map<String, Value>,
}

/// Sees to it that the consumer exists and is as the subscription says.
pub(super) async fn ensure(core: &Core, spec: &DurableSpec, begin: Begin) -> Result<PullLimits, BusError> {
    check_name("consume", &spec.stream)?;
    check_name("consume", &spec.durable)?;
    let existing = match lookup(core, &spec.stream, &spec.durable).await? {
        Some(config) => config,
        None => match create(core, spec, begin).await? {
            Some(config) => return Ok(pull_limits(&config)),
            // Another engine was faster: from here on it is one that exists.
            None => lookup(core, &spec.stream, &spec.durable).await?.ok_or_else(|| BusError::Refused {
                operation: operation(spec),
                reason: "the consumer comes and goes; does something delete it?".to_owned(),
            })?,
        },
    };
    if let Some(difference) = conflict(&existing) {
        return Err(BusError::ConsumerConflict {
            stream: spec.stream.clone(),
            durable: spec.durable.clone(),
            difference,
        });
    }
    let limits = pull_limits(&existing);
    if let Some(config) = updated(existing, spec) {
        submit(core, spec, config, "update").await?.map_err(|error| refused(&operation(spec), &error))?;
    }
    Ok(limits)
}

fn operation(spec: &DurableSpec) -> String {
    format!("consume stream {:?} as {:?}", spec.stream, spec.durable)
}

/// The configuration of a consumer, if there is one of the name.
pub(super) async fn lookup(
    core: &Core,
    stream: &str,
    durable: &str,
) -> Result<Option<Map<String, Value>>, BusError> {
    let operation = format!("look up consumer {durable:?} of stream {stream:?}");
    check_name(&operation, stream)?;
    check_name(&operation, durable)?;
    let verb = format!("CONSUMER.INFO.{stream}.{durable}");
    match core.api.request::<Info>(&core.link, &operation, &verb, None).await? {
        Ok(info) => Ok(Some(info.config)),
        Err(error) if error.err_code == CONSUMER_NOT_FOUND => Ok(None),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(stream.to_owned())),
        Err(error) => Err(refused(&operation, &error)),
    }
}

async fn create(
    core: &Core,
    spec: &DurableSpec,
    begin: Begin,
) -> Result<Option<Map<String, Value>>, BusError> {
    match submit(core, spec, new_config(spec, begin), "create").await? {
        Ok(info) => Ok(Some(info.config)),
        Err(error) if CONSUMER_EXISTS.contains(&error.err_code) => Ok(None),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(spec.stream.clone())),
        Err(error) => Err(refused(&operation(spec), &error)),
    }
}

async fn submit(
    core: &Core,
    spec: &DurableSpec,
    config: Map<String, Value>,
    action: &str,
) -> Result<Result<Info, super::api::ApiError>, BusError> {
    let verb = format!("CONSUMER.CREATE.{}.{}", spec.stream, spec.durable);
    let body = json!({ "stream_name": spec.stream, "config": config, "action": action });
    core.api.request(&core.link, &operation(spec), &verb, Some(&body)).await
}

fn new_config(spec: &DurableSpec, begin: Begin) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
    set("durable_name", json!(spec.durable));
    set("name", json!(spec.durable));
    set("ack_policy", json!("explicit"));
    set("replay_policy", json!("instant"));
    match begin {
        Begin::AsSpecified => {
            set("deliver_policy", json!(policy(spec.start)));
        }
        Begin::At(sequence) => {
            set("deliver_policy", json!("by_start_sequence"));
            set("opt_start_seq", json!(sequence));
        }
    }
    write_changeable(&mut config, spec);
    config
}

fn policy(start: Start) -> &'static str {
    match start {
        Start::All => "all",
        Start::New => "new",
    }
}

/// What the server lets be changed on a consumer that exists.
fn write_changeable(config: &mut Map<String, Value>, spec: &DurableSpec) {
    // The server takes one filter or several, under two names, never both.
    config.remove("filter_subject");
    config.remove("filter_subjects");
    match spec.filters.as_slice() {
        [] => {}
        [one] => {
            config.insert("filter_subject".to_owned(), json!(one));
        }
        several => {
            config.insert("filter_subjects".to_owned(), json!(several));
        }
    }
    let ack_wait_ns = u64::try_from(spec.ack_wait.as_nanos()).unwrap_or(u64::MAX);
    config.insert("ack_wait".to_owned(), json!(ack_wait_ns));
    config.insert("max_ack_pending".to_owned(), json!(spec.max_ack_pending));
    // The engine counts attempts and sets events aside itself; the server's limit would lose them without a word.
    config.insert("max_deliver".to_owned(), json!(-1));
    // A backoff of the server's would take the place of the ack wait.
    config.remove("backoff");
    config.remove("headers_only");
}

/// The configuration to submit, or none if it is up to date.
fn updated(existing: Map<String, Value>, spec: &DurableSpec) -> Option<Map<String, Value>> {
    let mut wanted = existing.clone();
    write_changeable(&mut wanted, spec);
    let rest = |config: &Map<String, Value>| {
        let mut config = config.clone();
        config.retain(|name, value| {
            !name.starts_with("filter_subject") && value != &json!(false) && value != &json!([])
        });
        config
    };
    let same = filters(&existing) == filters(&wanted) && rest(&existing) == rest(&wanted);
    (!same).then_some(wanted)
}

fn filters(config: &Map<String, Value>) -> BTreeSet<&str> {
    let one = config.get("filter_subject").and_then(Value::as_str).filter(|text| !text.is_empty());
    let several = config.get("filter_subjects").and_then(Value::as_array).into_iter().flatten();
    let all: BTreeSet<&str> = one.into_iter().chain(several.filter_map(Value::as_str)).collect();
    if all.is_empty() { BTreeSet::from([">"]) } else { all }
}

/// What stands in the way and cannot be changed, in words.
fn conflict(existing: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| existing.get(name).and_then(Value::as_str).unwrap_or_default();
    if !text("deliver_subject").is_empty() {
        return Some("it is a push consumer, and a pull consumer is needed".to_owned());
    }
    if text("ack_policy") != "explicit" {
        return Some(format!("its ack policy is {:?}, and \"explicit\" is needed", text("ack_policy")));
    }
    if text("replay_policy") == "original" {
        return Some("its replay policy is \"original\", which holds messages back".to_owned());
    }
    let groups =
        existing.get("priority_groups").and_then(Value::as_array).is_some_and(|groups| !groups.is_empty());
    groups.then(|| "it has priority groups".to_owned())
}

fn pull_limits(config: &Map<String, Value>) -> PullLimits {
    let positive = |name: &str| config.get(name).and_then(Value::as_u64).filter(|value| *value > 0);
    let count = |name: &str| positive(name).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    PullLimits {
        batch: count("max_batch"),
        bytes: count("max_bytes"),
        expires: positive("max_expires").map(Duration::from_nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Pattern;

    fn spec(filters: &[&str]) -> DurableSpec {
        DurableSpec {
            stream: "S".into(),
            durable: "d".into(),
            filters: filters.iter().map(|text| Pattern::new(*text).unwrap()).collect(),
            start: Start::All,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 100,
            prefetch: 10,
            prefetch_bytes: 1_000,
        }
    }

    fn edited(change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
        let mut config = new_config(&spec(&["a.*"]), Begin::AsSpecified);
        change(&mut config);
        config
    }

    #[test]
    fn what_is_up_to_date_is_left_alone() {
        assert_eq!(updated(edited(|_| {}), &spec(&["a.*"])), None);
        let filled_in = edited(|config| {
            config.insert("headers_only".into(), json!(false));
            config.insert("num_replicas".into(), json!(0));
        });
        assert_eq!(updated(filled_in, &spec(&["a.*"])), None);
        assert_eq!(updated(new_config(&spec(&["b", "a"]), Begin::AsSpecified), &spec(&["a", "b"])), None);
    }

    #[test]
    fn what_can_be_changed_is_and_the_rest_is_kept() {
        let mut other = spec(&["a.*", "b"]);
        other.ack_wait = Duration::from_secs(1);
        let existing = edited(|config| {
            config.insert("field_of_the_future".into(), json!(1));
            config.insert("max_deliver".into(), json!(5));
            config.insert("backoff".into(), json!([1]));
        });
        let config = updated(existing, &other).unwrap();
        assert_eq!(config.get("filter_subjects"), Some(&json!(["a.*", "b"])));
        assert_eq!(config.get("filter_subject"), None);
        assert_eq!(config.get("ack_wait"), Some(&json!(1_000_000_000_u64)));
        assert_eq!(config.get("max_deliver"), Some(&json!(-1)));
        assert_eq!(config.get("backoff"), None);
        assert_eq!(config.get("field_of_the_future"), Some(&json!(1)));
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        for (name, value, wanted) in [
            ("deliver_subject", json!("x"), "push"),
            ("ack_policy", json!("none"), "ack policy"),
            ("replay_policy", json!("original"), "replay policy"),
            ("priority_groups", json!(["g"]), "priority groups"),
        ] {
            let existing = edited(|config| {
                config.insert(name.to_owned(), value);
            });
            let difference = conflict(&existing).unwrap();
            assert!(difference.contains(wanted), "{difference}");
        }
        // Where it began is past: another start is for consumers that are yet to be made.
        for begin in [Begin::At(7), Begin::AsSpecified] {
            assert_eq!(conflict(&new_config(&spec(&["a.*"]), begin)), None);
        }
    }
}
