//! What all turns of a partition stand on: its records, its journal, and the way its outputs leave.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bucket::Bucket;
use super::journal::{Fenced, Journal};
use super::lease::RENEWALS;
use super::turn::{Held, splits_commit};
use super::{Keyed, Version};
use crate::bus::{BusError, OnlyIf, StreamInfo};
use crate::effects::Output;
use crate::faults::failpoint;
use crate::manifest::{OutputDelivery, PluginClock};
use crate::record::{Reached, Record};
use crate::state::KeyState;

/// The wait before something that failed for reasons outside of the event is tried again, first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// The longest time between two renewals: they tell how far the partition has come.
const LONGEST_RENEWAL: Duration = Duration::from_secs(1);
/// Outputs that may have been sent so long ago are looked for before they are sent.
const LATE_NS: u64 = 5_000_000_000;
/// How long a wait for the lease's renewal goes between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How much longer the server keeps a record than its manifest says: expiry goes by the plugin clock, which is behind by as
/// long as the plugin was away.
const TTL_MARGIN_S: u64 = 30 * 24 * 3_600;
/// What a record's message may have beyond state and outputs, in bytes: the key in it (256) and escaped in its subject (768),
/// its headers (256), the plugin's version (256), positions of redrives (64 of 64) and of streams (32 of 300).
const HEAD_BYTES: usize = 16_384;

/// One of the plugin's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamAt {
    pub name: String,
    pub incarnation_ms: u64,
}

impl StreamAt {
    /// Its beginning.
    pub fn reached(&self) -> Reached {
        Reached { incarnation_ms: self.incarnation_ms, sequence: 0 }
    }
}

/// What turns share.
pub(super) struct Ground {
    pub keyed: Arc<Keyed>,
    pub bucket: Bucket,
    pub journal: Journal,
    pub streams: Vec<StreamAt>,
    pub resets: u64,
    /// What the bucket's stream is like.
    pub bucket_info: StreamInfo,
    pub lease: Duration,
    /// When the lease was renewed last: the moment its renewal was sent.
    pub renewed: Mutex<Instant>,
    /// Told when the partition is let go.
    pub stop: CancellationToken,
}

/// Waits that grow.
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(AGAIN.0)
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(AGAIN.1);
    }
}

impl Ground {
    /// The record of a key, as it is stored.
    pub async fn load(&self, key: &str) -> Result<Held, Fenced> {
        let mut backoff = Backoff::new();
        loop {
            let problem = match self.stored(key).await {
                Ok(Some(held)) => return Ok(held),
                Ok(None) => return Ok(Held::none(key)),
                Err(problem) => problem,
            };
            tracing::error!(
                plugin = self.keyed.plugin.name.as_str(),
                "the record of key {key:?} cannot be read, its events wait: {problem}"
            );
            self.stopped()?;
            backoff.wait().await;
        }
    }

    async fn stored(&self, key: &str) -> Result<Option<Held>, String> {
        let subject = self.bucket.record(key).map_err(|err| err.to_string())?;
        let found = self.keyed.plugin.bus.last(&self.bucket.stream(), &subject).await;
        let Some(found) = found.map_err(|err| err.to_string())? else { return Ok(None) };
        if found.message.payload.is_empty() {
            // A marker that it was deleted.
            return Ok(None);
        }
        let mut held = self.held(&found.message.payload, found.sequence)?;
        held.record.outbox = Vec::new();
        Ok(Some(held))
    }

    /// A record in memory, from its bytes. What it emits is stored: the few of which that is not sure are dealt with when the
    /// partition is taken over.
    pub fn held(&self, payload: &[u8], sequence: u64) -> Result<Held, String> {
        let record = Record::decode(payload).map_err(|err| err.to_string())?;
        Ok(Held { record, stored: Some(sequence), settled: true, sent_ns: 0 })
    }

    /// Has what a record emits stored, each output after the one before it. A stream that refuses holds the key up until it
    /// takes them: they are part of what was committed.
    pub async fn settle(&self, held: &mut Held) -> Result<(), Fenced> {
        if held.settled {
            return Ok(());
        }
        let mut backoff = Backoff::new();
        let mut late = self.keyed.now_ns().saturating_sub(held.sent_ns) > LATE_NS;
        while !held.record.outbox.is_empty() {
            self.valid().await?;
            let since_ns = held.sent_ns;
            let problem = match late {
                // A stream may have forgotten what it stored at the beginning.
                true => self.drop_stored(std::slice::from_mut(held), since_ns).await.err(),
                false => None,
            };
            let problem = match problem {
                Some(problem) => problem,
                None => {
                    let (stored, problem) = self.publish(&held.record.outbox).await;
                    held.record.outbox.drain(..stored);
                    let Some(err) = problem else { continue };
                    if !err.is_transient() {
                        self.keyed.plugin.sinks.look_again();
                        self.keyed.plugin.guard.output(Err(err.to_string()));
                    }
                    err.to_string()
                }
            };
            tracing::warn!(
                plugin = self.keyed.plugin.name.as_str(),
                "an output was not stored, trying again: {problem}"
            );
            self.stopped()?;
            backoff.wait().await;
            late = true;
        }
        held.settled = true;
        held.record.outbox = Vec::new();
        if let Some(sequence) = held.stored {
            self.journal.settled().settle(sequence);
        }
        Ok(())
    }

    /// Up to which plugin clock what a key holds lasts, if nothing is added to it. What comes to a key that holds nothing comes
    /// at `clock_ns` at the earliest.
    pub fn lasts_ns(&self, version: &Version, record: &Record, clock_ns: u64) -> u64 {
        let Some(ttl_s) = version.manifest.state.ttl_s else { return u64::MAX };
        let since_ns = if record.state.is_empty() { clock_ns } else { record.touched_ns };
        since_ns.saturating_add(ttl_s.saturating_mul(1_000_000_000))
    }

    /// Forgets what a key holds if that is due. What has been applied stays.
    pub fn expire(&self, record: &mut Record, clock_ns: u64, lasts_ns: u64) {
        // A timer that was due by then fires first.
        let timer_before = record.state.earliest().is_some_and(|(_, timer)| timer.due_ns <= lasts_ns);
        if !record.state.is_empty() && clock_ns > lasts_ns && !timer_before {
            // Timers are counted on, so that no two have the same ids.
            record.state = KeyState::new([], [], record.state.settings());
        }
    }

    /// The most bytes that a record may have in state and outputs.
    pub fn record_limit(&self, version: &Version) -> usize {
        let largest = self.bucket_info.largest_message(self.keyed.plugin.bus.max_message_bytes());
        version.manifest.state.record_bytes().min(largest.saturating_sub(HEAD_BYTES))
    }

    /// What a reset adds to the names of inputs: what is emitted after it is no repeat of what was emitted before.
    pub fn resets(&self) -> String {
        if self.resets == 0 { String::new() } else { format!("~{}", self.resets) }
    }

    /// Writes a record: the commit. `held` has it when this returns.
    pub async fn commit(
        &self,
        version: &Version,
        key: &str,
        record: &mut Record,
        held: &mut Held,
    ) -> Result<(), Fenced> {
        record.version.clone_from(&version.emitter.version);
        if splits_commit() {
            let half = Record { applied: held.record.applied.clone(), outbox: Vec::new(), ..record.clone() };
            self.write(version, key, half.encode(), true).await?;
            failpoint!("record-written");
        }
        // The server knows nothing of timers, nor of the clock of the events.
        let settings = &version.manifest.state;
        let keeps = record.state.timer_count() > 0 || settings.clock == PluginClock::Event;
        let sequence = self.write(version, key, record.encode(), keeps).await?;
        let sent_ns = self.keyed.now_ns();
        *held = Held { record: std::mem::take(record), stored: Some(sequence), settled: false, sent_ns };
        Ok(())
    }

    async fn write(&self, version: &Version, key: &str, bytes: Vec<u8>, keeps: bool) -> Result<u64, Fenced> {
        let ttl_s = version
            .manifest
            .state
            .ttl_s
            .filter(|_| !keeps)
            .map(|ttl_s| ttl_s.saturating_mul(2).saturating_add(TTL_MARGIN_S));
        match self.bucket.message(key, bytes, ttl_s) {
            Ok(message) => self.journal.write(message).await,
            Err(err) => {
                tracing::error!(plugin = self.keyed.plugin.name.as_str(), "key {key:?} has no place: {err}");
                Err(Fenced)
            }
        }
    }

    /// Sends outputs one behind the other; says how many of them are stored, and what the next one met.
    pub async fn publish(&self, outputs: &[Output]) -> (usize, Option<BusError>) {
        let bus = &self.keyed.plugin.bus;
        // If the connection breaks, none leaves on the next that stands behind one which was lost.
        let only_here = OnlyIf::on(bus.posting());
        let mut sent = Vec::with_capacity(outputs.len());
        let mut problem = None;
        for output in outputs {
            failpoint!("outbox-post");
            let message = output.message.clone();
            let posted = match output.delivery {
                OutputDelivery::Stored => bus.post(message, only_here.clone()).await.map(Some),
                OutputDelivery::Core => bus.publish_core(message).await.map(|()| None),
            };
            match posted {
                Ok(confirmation) => sent.push(confirmation),
                Err(err) => {
                    problem = Some(err);
                    break;
                }
            }
        }
        let mut stored = 0;
        for confirmation in sent {
            let ended = match confirmation {
                Some(confirmation) => confirmation.await.map(|stored| stored.duplicate),
                None => Ok(false),
            };
            match ended {
                Ok(repeat) => {
                    failpoint!("outbox-stored");
                    self.keyed.plugin.metrics.stored(repeat);
                    self.keyed.plugin.guard.output(Ok(()));
                    stored += 1;
                }
                Err(err) => return (stored, Some(err)),
            }
        }
        (stored, problem)
    }

    /// Waits until the lease is known to hold. Streams forget ids: what an owner that was frozen publishes long after it lost
    /// its lease would be a repeat.
    async fn valid(&self) -> Result<(), Fenced> {
        loop {
            let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            if renewed.elapsed() < self.lease {
                return Ok(());
            }
            self.stopped()?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How often the lease is renewed.
    pub fn renewal(&self) -> Duration {
        (self.lease / RENEWALS).min(LONGEST_RENEWAL)
    }

    /// Takes note that the lease was renewed, by a write that was sent then.
    pub fn renewed(&self, sent: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
    }

    /// Ends what waits for better days when the partition is let go.
    pub fn stopped(&self) -> Result<(), Fenced> {
        if self.stop.is_cancelled() { Err(Fenced) } else { Ok(()) }
    }
}
