//! A partition owned to change what is stored of it: as an engine owns it, without working on its events.
//!
//! Whoever owned it before is fenced off, even in the middle of its work: what it has committed stays, what it has not is
//! done by the next owner. The outputs of what was committed are seen to first. When the steward lets go, or is gone for the
//! length of the lease, an engine goes on from the cursor.

mod error;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

pub use self::error::StewardError;
use super::bucket::{Bucket, Owner};
use super::intake::{self, Found};
use super::journal::{Fenced, Journal, fence};
use super::left::{add_streams_of, drop_stored};
use super::survey::{self, Filed, Records};
use crate::bus::{Bus, BusError, OnlyIf, StoredMessage};
use crate::clock::{Clock as _, SystemClock};
use crate::manifest::{OutputDelivery, PluginName};
use crate::message::Message;
use crate::record::Record;

/// How often the owner's value is written: an engine with the shortest lease, a second, must not take a steward for dead.
const RENEWAL: Duration = Duration::from_millis(250);
/// How long the bus may not answer before the steward gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait before a partition that was renewed under our hands is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// The header that says which sequence a bucket must end with, with room to spare: no record's message counts it.
const CONDITION_BYTES: usize = 128;
/// Records written at once, and records whose outputs are published at once.
const AT_ONCE: usize = 128;

/// Owns one partition.
pub struct Steward {
    bus: Arc<dyn Bus>,
    partition: u32,
    name: String,
    bucket: Bucket,
    /// The most that a record may take as a message.
    max_bytes: usize,
    held: Arc<Held>,
    writes: FuturesUnordered<BoxFuture<'static, Result<(), Fenced>>>,
    renewing: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<Option<Fenced>>,
}

/// What a steward shares with the task that renews its lease.
struct Held {
    bucket: Bucket,
    journal: Journal,
    /// Locked while it is written, so that none that is older overtakes one that is newer.
    owner: Mutex<Owner>,
}

impl Held {
    async fn renew(&self, change: impl FnOnce(&mut Owner) + Send) -> Result<(), Fenced> {
        let mut owner = self.owner.lock().await;
        change(&mut owner);
        owner.settled = self.journal.settled().cursor();
        let Ok(message) = owner.message(&self.bucket) else { return Err(Fenced) };
        self.journal.renew(owner.clone(), message).await.map(|_| ())
    }
}

impl Steward {
    /// Takes a partition over, whoever owns it, and sees to it that all outputs of what was committed are stored.
    ///
    /// `name` is who we are: it must be nobody else's. A partition that nobody ever owned is taken for one of `partitions`.
    ///
    /// # Errors
    /// [`StewardError`]; then the partition is left to whoever wants it.
    pub async fn take_over(
        bus: &Arc<dyn Bus>,
        plugin: &PluginName,
        partition: u32,
        partitions: u32,
        name: &str,
    ) -> Result<Self, StewardError> {
        let bucket = Bucket::new(plugin, partition);
        let taken = take(&**bus, &bucket, partitions, name);
        let (owner, last, largest) = in_time("take a partition over", taken).await??;
        let unsettled = intake::since(&**bus, &bucket, owner.settled, last).await?;
        let (journal, writer) = Journal::new(Arc::clone(bus), bucket.clone(), owner.clone(), last);
        for found in &unsettled {
            journal.settled().written(found.sequence);
        }
        let writer = AbortOnDropHandle::new(tokio::spawn(writer));
        let held = Arc::new(Held { bucket: bucket.clone(), journal, owner: Mutex::new(owner) });
        let renewing = tokio::spawn(renew(Arc::clone(&held)));
        let steward = Self {
            bus: Arc::clone(bus),
            partition,
            name: name.to_owned(),
            bucket,
            max_bytes: largest.saturating_sub(CONDITION_BYTES),
            held,
            writes: FuturesUnordered::new(),
            renewing: AbortOnDropHandle::new(renewing),
            _writer: writer,
        };
        match steward.settle(unsettled).await {
            Ok(()) => Ok(steward),
            Err(err) => {
                // The lease runs out by itself if this fails.
                let _released = steward.release().await;
                Err(err)
            }
        }
    }

    /// The partition, from 0.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// What the owner's value says.
    pub async fn owner(&self) -> Owner {
        self.held.owner.lock().await.clone()
    }

    /// Changes what the owner's value says: when this returns, it is stored.
    ///
    /// # Errors
    /// [`StewardError::Fenced`].
    pub async fn set(&self, change: impl FnOnce(&mut Owner) + Send) -> Result<(), StewardError> {
        let renewed = in_time("write the owner's value", self.held.renew(change)).await?;
        self.checked(renewed).await
    }

    /// All records, read one after the other. What is written from now on does not come.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn records(&self) -> Result<Records, BusError> {
        // Everything is settled here.
        Records::open(&self.bus, self.partition, &self.bucket, u64::MAX).await?.until_now().await
    }

    /// The record of a key, if it has one.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn record(&self, key: &str) -> Result<Option<Filed>, BusError> {
        survey::record(&*self.bus, self.partition, &self.bucket, u64::MAX, key).await
    }

    /// Writes a record whose outputs are stored. It may be on its way when this returns: see [`Steward::flush`].
    ///
    /// # Errors
    /// [`StewardError::TooLarge`]; [`StewardError::Fenced`], for this one or one before it.
    pub async fn put(&mut self, record: &Record, ttl_s: Option<u64>) -> Result<(), StewardError> {
        let message = self.bucket.message(&record.key, record.encode(), ttl_s)?;
        let (bytes, limit) = (message.wire_bytes(), self.max_bytes);
        if bytes > limit {
            // The journal would try for ever.
            let (key, bucket) = (record.key.clone(), self.bucket.name().to_owned());
            return Err(StewardError::TooLarge { key, bytes, bucket, limit });
        }
        self.write(message).await
    }

    /// Takes a record away, as [`Steward::put`] writes one.
    ///
    /// # Errors
    /// [`StewardError::Fenced`], for this one or one before it.
    pub async fn remove(&mut self, key: &str) -> Result<(), StewardError> {
        let message = self.bucket.removal(key)?;
        self.write(message).await
    }

    /// Has stored what records emit, each in order, unless it is: the outboxes are empty then. The oldest of them may have been
    /// published at `since_ns`, nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StewardError::Output`].
    pub async fn emit(&self, mut records: Vec<&mut Record>, since_ns: u64) -> Result<(), StewardError> {
        let mut streams = Vec::new();
        add_streams_of(&*self.bus, records.iter().flat_map(|record| &record.outbox), &mut streams).await?;
        let outboxes = records.iter_mut().map(|record| &mut record.outbox).collect();
        let now_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or_default();
        drop_stored(&*self.bus, &streams, outboxes, (since_ns, now_ns)).await?;
        let each = |record| publish(&*self.bus, record);
        stream::iter(records).map(each).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    async fn write(&mut self, message: Message) -> Result<(), StewardError> {
        if self.writes.len() >= AT_ONCE {
            self.one_written().await?;
        }
        let journal = self.held.journal.clone();
        let begun = journal.begin(message).await;
        let written = match begun {
            Ok(written) => written,
            Err(fenced) => return self.checked(Err(fenced)).await,
        };
        self.writes.push(Box::pin(async move {
            let sequence = written.await?;
            journal.settled().settle(sequence);
            Ok(())
        }));
        Ok(())
    }

    async fn one_written(&mut self) -> Result<(), StewardError> {
        match in_time("write the state", self.writes.next()).await? {
            Some(written) => self.checked(written).await,
            None => Ok(()),
        }
    }

    /// Waits until all that was written is stored.
    ///
    /// # Errors
    /// [`StewardError::Fenced`].
    pub async fn flush(&mut self) -> Result<(), StewardError> {
        while !self.writes.is_empty() {
            self.one_written().await?;
        }
        Ok(())
    }

    /// Lets go of the partition, so that an engine takes it at once.
    ///
    /// # Errors
    /// [`StewardError::Fenced`].
    pub async fn release(mut self) -> Result<(), StewardError> {
        let flushed = self.flush().await;
        self.renewing.abort();
        self.set(|owner| owner.released = true).await?;
        flushed
    }

    /// Has the outputs of records stored that the owner before wrote last.
    async fn settle(&self, unsettled: Vec<Found>) -> Result<(), StewardError> {
        let settled = self.held.journal.settled();
        let mut left = Vec::new();
        let mut oldest_ns = u64::MAX;
        for found in unsettled {
            match Record::decode(&found.message.payload) {
                Ok(record) if !record.outbox.is_empty() => {
                    oldest_ns = oldest_ns.min(found.stored_ns);
                    left.push((found.sequence, record));
                }
                // Whoever needs one that cannot be read tells why.
                Ok(_) | Err(_) => settled.settle(found.sequence),
            }
        }
        self.emit(left.iter_mut().map(|(_, record)| record).collect(), oldest_ns).await?;
        for (sequence, _) in left {
            settled.settle(sequence);
        }
        Ok(())
    }

    async fn checked(&self, done: Result<(), Fenced>) -> Result<(), StewardError> {
        let Err(Fenced) = done else { return Ok(()) };
        let owner = match found(&*self.bus, &self.bucket).await {
            Ok(Some((_, owner))) if owner.engine != self.name => owner.engine,
            Ok(_) | Err(_) => "another engine".to_owned(),
        };
        Err(StewardError::Fenced { partition: self.partition, owner })
    }
}

async fn renew(held: Arc<Held>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if held.renew(|_| ()).await.is_err() {
            // Whoever writes next is told.
            return;
        }
    }
}

async fn found(bus: &dyn Bus, bucket: &Bucket) -> Result<Option<(StoredMessage, Owner)>, StewardError> {
    let Some(found) = bus.last(&bucket.stream(), &bucket.owner()?).await? else { return Ok(None) };
    match Owner::read(&found.message.payload) {
        Some(owner) => Ok(Some((found, owner))),
        None => Err(StewardError::Unreadable { bucket: bucket.name().to_owned() }),
    }
}

/// Takes a bucket over; answers the sequence that its stream ends with then, and the largest message that it stores.
///
/// An owner that is at work moves the stream's last sequence on all the time, so the first blow is held to its own value,
/// which it writes once a second at most. That one write makes its next one fail; then it looks, and steps back.
async fn take(
    bus: &dyn Bus,
    bucket: &Bucket,
    partitions: u32,
    name: &str,
) -> Result<(Owner, u64, usize), StewardError> {
    let subject = bucket.owner()?;
    loop {
        let (revision, mut owner) = match found(bus, bucket).await? {
            Some((found, owner)) => (found.sequence, owner),
            None => (0, Owner { partitions, ..Owner::default() }),
        };
        if owner.engine != name {
            owner = Owner { engine: name.to_owned(), epoch: owner.epoch + 1, released: false, ..owner };
            let only_if = OnlyIf::last_of(subject.clone(), revision);
            match bus.post(owner.message(bucket)?, only_if).await?.await {
                Ok(_) => {}
                Err(BusError::Overtaken { .. }) => continue,
                Err(err) => return Err(err.into()),
            }
        }
        let info = bus.stream(&bucket.stream()).await?;
        match fence(bus, &owner.message(bucket)?, info.last_sequence).await {
            Ok(last) => return Ok((owner, last, info.largest_message(bus.max_message_bytes()))),
            Err(BusError::Overtaken { .. }) => tokio::time::sleep(AGAIN).await,
            Err(err) => return Err(err.into()),
        }
    }
}

async fn publish(bus: &dyn Bus, record: &mut Record) -> Result<(), StewardError> {
    for output in std::mem::take(&mut record.outbox) {
        let published = match output.delivery {
            OutputDelivery::Stored => bus.publish(output.message).await.map(|_| ()),
            OutputDelivery::Core => bus.publish_core(output.message).await,
        };
        published.map_err(|error| StewardError::Output { key: record.key.clone(), error })?;
    }
    Ok(())
}

async fn in_time<T>(operation: &str, future: impl Future<Output = T>) -> Result<T, BusError> {
    let late = |_| BusError::TimedOut { operation: operation.to_owned(), after: PATIENCE };
    tokio::time::timeout(PATIENCE, future).await.map_err(late)
}
