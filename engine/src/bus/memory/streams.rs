//! Streams and buckets: made, looked up, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::log::{self, Log};
use super::{Inner, State, Stream};
use crate::bus::stream::BUCKET_DUPLICATE_WINDOW;
use crate::bus::{BucketSpec, BusError, Retention, StreamInfo, StreamSpec, check_name};
use crate::subject::Pattern;

/// What a bucket takes at most: it refuses what is over rather than drop what is in it. 1 GiB.
const BUCKET_MAX_BYTES: u64 = 1_024 * 1_024 * 1_024;

impl Inner {
    pub(super) fn ensure_stream(&self, spec: &StreamSpec) -> Result<StreamInfo, BusError> {
        let operation = format!("create stream {:?}", spec.name);
        check_name(&operation, &spec.name)?;
        let mut state = self.open(&operation)?;
        if let Some(stream) = state.streams.get(&spec.name) {
            return Ok(stream.log.info(&spec.name));
        }
        log::check(spec)?;
        self.add(&mut state, operation, spec, false)
    }

    pub(super) fn ensure_bucket(&self, spec: &BucketSpec) -> Result<StreamInfo, BusError> {
        let operation = format!("create bucket {:?}", spec.name);
        let (name, subjects) = (spec.stream(), spec.subjects()?);
        let mut state = self.open(&operation)?;
        match state.streams.get(&name) {
            Some(stream) if stream.log.is_bucket() => return Ok(stream.log.info(&name)),
            Some(_) => {
                return Err(BusError::Refused {
                    operation,
                    reason: format!("stream {name:?} exists and is no bucket"),
                });
            }
            None => {}
        }
        let spec = StreamSpec {
            name,
            subjects: vec![subjects],
            retention: Retention::Limits,
            duplicate_window: BUCKET_DUPLICATE_WINDOW,
            max_bytes: Some(BUCKET_MAX_BYTES),
            max_age: None,
            replicas: spec.replicas,
            atomic: false,
        };
        self.add(&mut state, operation, &spec, true)
    }

    fn add(
        &self,
        state: &mut State,
        operation: String,
        spec: &StreamSpec,
        bucket: bool,
    ) -> Result<StreamInfo, BusError> {
        let overlaps =
            |log: &Log| log.subjects.iter().any(|have| spec.subjects.iter().any(|new| have.overlaps(new)));
        if let Some((other, _)) = state.streams.iter().find(|(_, stream)| overlaps(&stream.log)) {
            return Err(BusError::Refused {
                operation,
                reason: format!("subjects overlap with an existing stream: {other:?}"),
            });
        }
        let now_ms = u64::try_from(self.since_epoch(Instant::now()).as_millis()).unwrap_or(u64::MAX);
        // Two of one name, one after the other while the clock stands, are still two.
        state.newest_incarnation_ms = now_ms.max(state.newest_incarnation_ms.saturating_add(1));
        let log = Log::new(spec, state.newest_incarnation_ms, bucket);
        let info = log.info(&spec.name);
        let stream = Stream { log, consumers: BTreeMap::new(), bell: Arc::default() };
        state.streams.insert(spec.name.clone(), stream);
        Ok(info)
    }

    pub(super) fn stream(&self, name: &str) -> Result<StreamInfo, BusError> {
        check_name("look up a stream", name)?;
        let mut state = self.open("look up a stream")?;
        let stream = state.streams.get_mut(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        stream.log.trim(Instant::now());
        Ok(stream.log.info(name))
    }

    pub(super) fn streams_for(&self, pattern: &Pattern) -> Result<Vec<StreamInfo>, BusError> {
        let state = self.open("list streams")?;
        let stores = |stream: &Stream| stream.log.subjects.iter().any(|subject| subject.overlaps(pattern));
        Ok(state
            .streams
            .iter()
            .filter(|(_, stream)| stores(stream))
            .map(|(name, stream)| stream.log.info(name))
            .collect())
    }

    pub(super) fn delete_stream(&self, name: &str) -> Result<bool, BusError> {
        check_name("delete a stream", name)?;
        let mut state = self.open("delete a stream")?;
        let deleted = state.streams.remove(name);
        if let Some(stream) = &deleted {
            stream.bell.notify_waiters();
        }
        Ok(deleted.is_some())
    }

    pub(super) fn purge(&self, name: &str, filter: Option<&Pattern>) -> Result<u64, BusError> {
        check_name("purge a stream", name)?;
        let mut state = self.open("purge a stream")?;
        let stream = state.streams.get_mut(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        stream.log.trim(Instant::now());
        let wanted = |subject: &str| filter.is_none_or(|filter| filter.matches(subject));
        let doomed: Vec<u64> = stream
            .log
            .from(0)
            .filter(|entry| wanted(entry.message.subject.as_str()))
            .map(|entry| entry.sequence)
            .collect();
        for sequence in &doomed {
            stream.log.erase(*sequence);
        }
        Ok(doomed.len() as u64)
    }
}
