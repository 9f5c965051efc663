//! Outputs that an owner before left behind. It may have published some of them, and a stream forgets ids: what it stored
//! longer ago than it remembers is looked up before it is published once more.

use std::collections::HashSet;
use std::time::Duration;

use super::ground::Ground;
use super::intake::Found;
use super::journal::Fenced;
use super::turn::Held;
use crate::bus::{Begin, Bus, BusError, FollowSpec, StreamInfo};
use crate::effects::Output;
use crate::event::MSG_ID_HEADER;
use crate::faults::mutant;
use crate::limits::{PREFETCH_BYTES, PREFETCH_MESSAGES};
use crate::subject::Pattern;

/// How far the clocks of servers and engines may be apart.
const SKEW: Duration = Duration::from_secs(5);
/// The wait before a lookup that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a reading waits for a message that was counted.
const QUIET: Duration = Duration::from_secs(10);

impl Ground {
    /// The records among those that an owner before wrote last whose outputs may not be stored. What is found to be stored
    /// is not in their outboxes any more. The journal knows of all of them as written.
    pub async fn left(&self, found: Vec<Found>) -> Result<Vec<Held>, Fenced> {
        let settled = self.journal.settled();
        let mut left = Vec::new();
        let mut oldest_ns = u64::MAX;
        for found in found {
            settled.written(found.sequence);
            match self.held(&found.message.payload, found.sequence) {
                Ok(held) if !held.record.outbox.is_empty() && !mutant!("outbox-not-republished") => {
                    oldest_ns = oldest_ns.min(found.stored_ns);
                    left.push(Held { settled: false, sent_ns: found.stored_ns, ..held });
                }
                // What cannot be read is told by whoever needs it.
                Ok(_) | Err(_) => settled.settle(found.sequence),
            }
        }
        while let Err(problem) = self.drop_stored(&mut left, oldest_ns).await {
            tracing::warn!(
                plugin = self.keyed.plugin.name.as_str(),
                "what the owner before emitted last waits: it is not known whether it is stored: {problem}"
            );
            self.stopped()?;
            tokio::time::sleep(AGAIN).await;
        }
        Ok(left)
    }

    /// Drops outputs that are stored, and that their stream may have forgotten. The oldest may have been sent at `since_ns`.
    pub(super) async fn drop_stored(&self, left: &mut [Held], since_ns: u64) -> Result<(), String> {
        let keyed = &self.keyed;
        let outputs = || left.iter().flat_map(|held| &held.record.outbox);
        if !outputs().any(Output::is_stored) {
            return Ok(());
        }
        let version = keyed.plugin.version.load_full();
        let known = keyed.plugin.sinks.known(&*keyed.plugin.bus, &version.manifest.emit).await;
        let mut streams = Vec::clone(&*known.map_err(|err| err.to_string())?);
        // The version that emitted them may have had other grants.
        match add_streams_of(&*keyed.plugin.bus, outputs(), &mut streams).await {
            Err(err) if err.is_transient() => return Err(err.to_string()),
            // Whoever may not ask is told by publishing.
            Ok(()) | Err(_) => {}
        }
        let outboxes = left.iter_mut().map(|held| &mut held.record.outbox);
        let done =
            drop_stored(&*keyed.plugin.bus, &streams, outboxes.collect(), (since_ns, keyed.now_ns())).await;
        done.map_err(|err| err.to_string())
    }
}

/// Drops outputs that are stored, and that their stream may have forgotten. The oldest may have been sent at `since_ns`, and
/// it is `now_ns`.
pub(super) async fn drop_stored(
    bus: &dyn Bus,
    streams: &[StreamInfo],
    mut outboxes: Vec<&mut Vec<Output>>,
    (since_ns, now_ns): (u64, u64),
) -> Result<(), BusError> {
    let age = Duration::from_nanos(now_ns.saturating_sub(since_ns)) + SKEW;
    let since_ns = since_ns.saturating_sub(u64::try_from(SKEW.as_nanos()).unwrap_or_default());
    for stream in streams.iter().filter(|stream| stream.duplicate_window < age) {
        let theirs = |output: &Output| output.is_stored() && stream.stores(output.message.subject.as_str());
        let id = |output: &Output| output.message.headers.get(MSG_ID_HEADER).map(str::to_owned);
        let outputs = outboxes.iter().flat_map(|outbox| outbox.iter());
        let wanted: HashSet<_> = outputs.filter(|output| theirs(output)).filter_map(id).collect();
        if wanted.is_empty() {
            continue;
        }
        let ids = ids_since(bus, stream, since_ns, &wanted).await?;
        for outbox in &mut outboxes {
            outbox.retain(|output| {
                let id = output.message.headers.get(MSG_ID_HEADER);
                !theirs(output) || id.is_none_or(|id| !ids.contains(id))
            });
        }
    }
    Ok(())
}

/// Looks up the streams that store outputs, unless they are among those that are known. Of an output that none stores,
/// publishing tells.
pub(super) async fn add_streams_of<'a>(
    bus: &dyn Bus,
    outputs: impl Iterator<Item = &'a Output>,
    known: &mut Vec<StreamInfo>,
) -> Result<(), BusError> {
    let mut asked = HashSet::new();
    for output in outputs.filter(|output| output.is_stored()) {
        let subject = output.message.subject.as_str();
        if known.iter().any(|stream| stream.stores(subject)) || !asked.insert(subject) {
            continue;
        }
        if let Ok(pattern) = Pattern::new(subject) {
            known.extend(bus.streams_for(&pattern).await?);
        }
    }
    Ok(())
}

/// Which of the wanted ids are those of messages that a stream stored since a time.
async fn ids_since(
    bus: &dyn Bus,
    stream: &StreamInfo,
    since_ns: u64,
    wanted: &HashSet<String>,
) -> Result<HashSet<String>, BusError> {
    let spec = FollowSpec {
        stream: stream.name.clone(),
        filters: Vec::new(),
        begin: Begin::Time(since_ns),
        headers_only: true,
        prefetch: PREFETCH_MESSAGES,
        prefetch_bytes: PREFETCH_BYTES,
    };
    let mut follow = bus.follow(&spec).await?;
    let mut ids = HashSet::new();
    let mut through = follow.pending() == 0;
    while !through {
        let late = |_| BusError::TimedOut { operation: "read ids".to_owned(), after: QUIET };
        match tokio::time::timeout(QUIET, follow.next()).await.map_err(late)? {
            Some(Ok(followed)) => {
                through = followed.pending == 0;
                let id = followed.message.headers.get(MSG_ID_HEADER).filter(|id| wanted.contains(*id));
                ids.extend(id.map(str::to_owned));
            }
            Some(Err(err)) if err.is_transient() => {}
            Some(Err(err)) => return Err(err),
            None => break,
        }
    }
    Ok(ids)
}
