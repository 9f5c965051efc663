//! Stateful delivery: a log reader per partition, lanes per key, and one record per key whose writing is the commit.
//!
//! read → lane → call → check → write the record → publish what it emits → done. The record holds which events are in it, the
//! state they left, the timers they set and the outputs they caused; it is written by compare-and-set, so after any crash the
//! next owner skips what is in it and publishes what it emits once more, under the same ids.
//!
//! In reading order: this file (a partition is waited for, owned and let go), `lease` (how it is owned), `partition` (events
//! come in and turns are given) with its `arrivals`, `lanes` and `renewal`, `turn` (one key's events are brought through) with
//! `checked` (what came of them) and `setback` (those that fail), `ground` (what turns stand on), `journal` (the one writer of
//! the bucket), `bucket` (what is where), `intake` and `source` (streams are read), `redrives`, `left` (outputs of an owner
//! before), `memory` (what is kept at hand), `timers` (as events). Bus, clock and plugin are parameters: a simulation brings its own.
//!
//! Beside the engine, for the command line: [`survey`] reads what is stored, [`steward`] owns a partition to
//! change it, [`rewind`] is what becomes of records then.

mod arrivals;
pub mod bucket;
mod checked;
mod ground;
mod intake;
mod journal;
mod lanes;
mod lease;
mod left;
mod memory;
mod partition;
mod queued;
mod redrives;
mod renewal;
pub mod rewind;
mod setback;
mod source;
pub mod steward;
pub mod survey;
mod timers;
mod turn;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::bucket::{Bucket, Owner};
use self::ground::{Ground, StreamAt};
use self::intake::{READ_AHEAD, Reading};
use self::journal::Journal;
use self::lease::{Held, Lease, Look};
pub use self::lease::{LeaseError, partitions};
use self::partition::{Ended, Partition};
use self::renewal::renewed_meanwhile;
use self::source::Source;
use crate::bus::{Begin, BusError, Start, StreamInfo};
use crate::dead_letter::redrives_subscription;
use crate::effects::Emitter;
use crate::manifest::Manifest;
use crate::outcome::Failure;
use crate::record::Reached;
use crate::sandbox::{Batch, BatchHandled, Workers};
use crate::unkeyed::in_service::{self, InService};

/// The wait before a partition that could not be worked on is tried again, first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// What hands a key's events to a plugin and brings its answers back.
pub trait Handler: Send + Sync {
    /// Hands a batch over. Dropping the future gives up what has not begun. An error means that nothing is known of it.
    fn handle(&self, batch: Batch) -> BoxFuture<'_, Result<BatchHandled, Failure>>;
}

impl Handler for Workers {
    fn handle(&self, batch: Batch) -> BoxFuture<'_, Result<BatchHandled, Failure>> {
        self.handle_batch(batch).boxed()
    }
}

/// One version of a plugin in service.
pub type Version = in_service::Version<dyn Handler>;

/// How it stands with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// This engine owns it.
    Owned,
    /// Another engine does; this one waits.
    Standby {
        /// The other.
        owner: String,
    },
    /// It cannot be worked on.
    Problem(String),
}

/// Who is told how it stands.
pub trait Witness: Send + Sync {
    /// How it stands with a partition, from 0.
    fn partition(&self, partition: u32, standing: Standing);

    /// A version could not bring the state of a key into its shape. It must make way for the version before it.
    fn migration_failed(&self, emitter: &Emitter, why: String);
}

/// Delivers events to one plugin that has a key, whichever version is in service.
pub struct Keyed {
    /// The plugin. A turn that has begun stays with the version that took it.
    pub plugin: InService<dyn Handler>,
    /// Names this run of the engine alone.
    pub engine: String,
    /// Who is told how it stands.
    pub witness: Box<dyn Witness>,
}

impl Keyed {
    /// Works on a partition, from 0, whenever this engine owns it, until told to stop.
    pub async fn serve(self: Arc<Self>, partition: u32, stop: CancellationToken) {
        let mut wait = AGAIN.0;
        while !stop.is_cancelled() {
            let started = Instant::now();
            let problem = match self.own(partition, &stop).await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Fenced) => {
                    tracing::warn!(
                        plugin = self.plugin.name.as_str(),
                        partition,
                        "another engine has taken it over"
                    );
                    // Should it be nobody else, this must not become a hot loop.
                    tokio::time::sleep(AGAIN.0).await;
                    continue;
                }
                Ok(Ended::Broken(err)) => err.to_string(),
                Err(err) => err.to_string(),
            };
            if started.elapsed() > AGAIN.1 {
                wait = AGAIN.0;
            }
            tracing::warn!(
                plugin = self.plugin.name.as_str(),
                partition,
                "{problem}; trying again in {wait:?}"
            );
            self.witness.partition(partition, Standing::Problem(problem));
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(AGAIN.1),
            }
        }
    }

    /// Waits for the lease, and works until that ends.
    async fn own(self: &Arc<Self>, partition: u32, stop: &CancellationToken) -> Result<Ended, LeaseError> {
        let manifest = self.plugin.manifest();
        let bucket = Bucket::new(&self.plugin.name, partition);
        let info = self.plugin.bus.ensure_bucket(&bucket.spec(manifest.state.replicas)).await?;
        let since = Instant::now();
        let Some(held) = self.wait_for_lease(partition, &bucket, &manifest, stop).await? else {
            return Ok(Ended::Stopped);
        };
        let sent = Instant::now();
        tracing::info!(
            plugin = self.plugin.name.as_str(),
            partition,
            epoch = held.owner.epoch,
            "owned after {:?}",
            since.elapsed()
        );
        self.work(partition, &manifest, (bucket, info), (held, sent), stop).await
    }

    async fn wait_for_lease(
        &self,
        partition: u32,
        bucket: &Bucket,
        manifest: &Manifest,
        stop: &CancellationToken,
    ) -> Result<Option<Held>, LeaseError> {
        let settings = &manifest.state;
        let length = Duration::from_millis(settings.lease_ms);
        let first = (partition != 0).then_some(&self.plugin.name);
        let mut lease =
            Lease::new(&*self.plugin.bus, bucket, first, &self.engine, settings.partitions, length);
        loop {
            match lease.look().await {
                Ok(Look::Taken(held)) => return Ok(Some(held)),
                Ok(Look::Owned(owner)) => self.witness.partition(partition, Standing::Standby { owner }),
                Err(LeaseError::Bus(err)) if err.is_transient() => {}
                Err(err) => return Err(err),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(lease.pause()) => {}
            }
        }
    }

    async fn work(
        self: &Arc<Self>,
        partition: u32,
        manifest: &Manifest,
        (bucket, bucket_info): (Bucket, StreamInfo),
        (held, sent): (Held, Instant),
        stop: &CancellationToken,
    ) -> Result<Ended, LeaseError> {
        let Held { mut owner, last } = held;
        let sources = self.sources(manifest, &mut owner).await?;
        let (journal, writer) =
            Journal::new(Arc::clone(&self.plugin.bus), bucket.clone(), owner.clone(), last);
        let writer = AbortOnDropHandle::new(tokio::spawn(writer));
        // Where each stream begins is settled before anything of it is handled.
        if journal.renew(owner.clone(), owner.message(&bucket)?).await.is_err() {
            return Ok(Ended::Fenced);
        }
        let ground = Arc::new(Ground {
            keyed: Arc::clone(self),
            bucket: bucket.clone(),
            journal,
            streams: sources.iter().map(|source| source.stream.clone()).collect(),
            resets: owner.resets,
            bucket_info,
            lease: Duration::from_millis(manifest.state.lease_ms),
            renewed: Mutex::new(sent),
            stop: stop.child_token(),
        });
        let taking_up = async {
            let found = intake::since(&*self.plugin.bus, &bucket, owner.settled, last).await?;
            Ok::<_, LeaseError>(ground.left(found).await)
        };
        let Ok(left) = renewed_meanwhile(&ground, &owner, taking_up).await? else {
            return Ok(Ended::Fenced);
        };
        let (to, read) = mpsc::channel(READ_AHEAD);
        let _reading = self.start_reading(manifest, partition, &sources, &to);
        drop(to);
        let (to, found) = mpsc::channel(READ_AHEAD);
        let scan = intake::scan(Arc::clone(&self.plugin.bus), bucket, last, to);
        let _scanning = AbortOnDropHandle::new(tokio::spawn(scan));
        self.witness.partition(partition, Standing::Owned);
        let partition = Partition::new(ground, owner, sources, manifest.state.cache_bytes());
        Ok(partition.run(left, found, read, writer).await)
    }

    /// Where each stream is to be read from. One that is read for the first time begins as its subscription says.
    async fn sources(&self, manifest: &Manifest, owner: &mut Owner) -> Result<Vec<Source>, BusError> {
        let mut sources = Vec::with_capacity(manifest.subscribe.len());
        for entry in &manifest.subscribe {
            let Some(stream) = &entry.stream else { continue };
            let info = self.plugin.bus.stream(stream).await?;
            let incarnation_ms = info.incarnation_ms;
            let known = owner.cursor.get(stream);
            let sequence = match known {
                Some(reached) if reached.incarnation_ms == incarnation_ms => {
                    if info.last_sequence < reached.sequence {
                        let reason = format!(
                            "it ends with {}, and was read up to {}: it has lost messages, and new ones would be taken for those\n  hint: `wasmill plugin reset --to-sequence {}` goes on from there",
                            info.last_sequence,
                            reached.sequence,
                            info.last_sequence + 1
                        );
                        return Err(BusError::StreamReplaced { stream: stream.clone(), reason });
                    }
                    reached.sequence
                }
                // Another stream of the same name: all that it holds is new.
                Some(_) => 0,
                None if entry.start == Start::New => info.last_sequence,
                None => 0,
            };
            owner.cursor.insert(stream.clone(), Reached { incarnation_ms, sequence });
            let at = StreamAt { name: stream.clone(), incarnation_ms };
            sources.push(Source::new(at, sequence, owner.clock_ns));
        }
        Ok(sources)
    }

    fn start_reading(
        &self,
        manifest: &Manifest,
        partition: u32,
        sources: &[Source],
        to: &mpsc::Sender<intake::Told>,
    ) -> Vec<AbortOnDropHandle<()>> {
        let Some(key) = &manifest.key else { return Vec::new() };
        let read = |(at, source): (usize, &Source)| {
            let entry =
                manifest.subscribe.iter().find(|entry| entry.stream.as_ref() == Some(&source.stream.name))?;
            let reading = Reading {
                bus: Arc::clone(&self.plugin.bus),
                source: at,
                unread: source.unread(),
                stream: source.stream.name.clone(),
                filters: entry.subjects.clone(),
                begin: Begin::At(source.progress.cursor() + 1),
                key: key.clone(),
                partition,
                partitions: manifest.state.partitions,
            };
            Some(AbortOnDropHandle::new(tokio::spawn(reading.run(to.clone()))))
        };
        let mut reading: Vec<_> = sources.iter().enumerate().filter_map(read).collect();
        let retry = &manifest.retry;
        if let Some(spec) = redrives_subscription(&self.plugin.name, manifest.concurrency, retry.ack_wait_ms)
        {
            let queue = redrives::Queue {
                bus: Arc::clone(&self.plugin.bus),
                spec,
                key: key.clone(),
                partition,
                partitions: manifest.state.partitions,
            };
            reading.push(AbortOnDropHandle::new(tokio::spawn(queue.run(to.clone()))));
        }
        reading
    }

    /// The time of day in nanoseconds since the Unix epoch.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.plugin.clock.now().as_nanosecond()).unwrap_or_default()
    }

    fn migration_failed(&self, version: &Version, key: &str, failure: &Failure) {
        let why = format!("its migration of the state of key {key:?} failed: {}", failure.line());
        tracing::error!(plugin = self.plugin.name.as_str(), version = version.emitter.version, "{why}");
        self.witness.migration_failed(&version.emitter, why);
    }
}
