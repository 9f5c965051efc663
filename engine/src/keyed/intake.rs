//! Reads one stream for one partition: decodes, finds keys, and passes over what is another partition's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::bucket::Bucket;
use super::redrives::{Redrive, Redriven};
use crate::bus::{Begin, Bus, BusError, Follow, FollowSpec, Followed};
use crate::event::{Event, Origin};
use crate::key::{self, KeySource};
use crate::limits::{KIB, PREFETCH_BYTES, PREFETCH_MESSAGES};
use crate::message::Message;
use crate::outcome::Failure;
use crate::subject::Pattern;

/// Messages that were read and wait for the partition, at most.
pub(super) const READ_AHEAD: usize = 256;
/// The same in KiB, of one reader. One message alone may have more.
const READ_AHEAD_KIB: u32 = 8 * 1_024;

/// How long a reading of records waits for one that was counted.
const QUIET: Duration = Duration::from_secs(10);

/// How often a reader to whom nothing comes looks whether there is anything left to come.
const LOOK: Duration = Duration::from_secs(1);

/// What to read.
pub(super) struct Reading {
    pub bus: Arc<dyn Bus>,
    /// Which of the plugin's streams it is.
    pub source: usize,
    /// Counts what was read and not taken yet.
    pub unread: Arc<AtomicU64>,
    pub stream: String,
    pub filters: Vec<Pattern>,
    pub begin: Begin,
    pub key: KeySource,
    pub partition: u32,
    pub partitions: u32,
}

/// A message that was read.
pub(super) struct Read {
    pub source: usize,
    pub sequence: u64,
    pub incarnation_ms: u64,
    pub stored_ns: u64,
    /// How many the stream had after it.
    pub pending: u64,
    pub what: What,
    _room: OwnedSemaphorePermit,
}

/// What a reader may hold out.
struct Room(Arc<Semaphore>);

impl Room {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(READ_AHEAD_KIB as usize)))
    }

    /// Waits for room for a message.
    async fn take(&self, message: &Message) -> Result<OwnedSemaphorePermit, BusError> {
        let kib = u32::try_from(message.wire_bytes().div_ceil(KIB)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.0).acquire_many_owned(kib.clamp(1, READ_AHEAD_KIB)).await;
        taken.map_err(|_| BusError::Settings("a reader was closed".to_owned()))
    }
}

/// What a message is to this partition.
pub(super) enum What {
    /// Another partition's.
    Passed,
    /// An event.
    Event { key: String, event: Arc<Event>, message: Message, origin: Origin, input: String },
    /// No event, or one without a key.
    Bad(Bad),
}

/// A message that is no event, or has no key.
pub(super) struct Bad {
    pub failure: Failure,
    pub message: Message,
    pub origin: Origin,
    pub input: String,
}

/// What a reader has to say.
pub(super) enum Told {
    /// It stands, with so many messages to read.
    Opened {
        source: usize,
        pending: u64,
    },
    Read(Box<Read>),
    /// An event comes by a redrive.
    Redriven(Box<Redriven>),
    /// A redrive brings no event, or one without a key.
    BadRedrive(Box<(Bad, Redrive)>),
    /// It ended.
    Ended(BusError),
}

impl Reading {
    /// Reads until whoever listens is gone, or an error ends it.
    pub async fn run(self, to: mpsc::Sender<Told>) {
        if let Err(err) = self.read(&to).await {
            let _gone = to.send(Told::Ended(err)).await;
        }
    }

    async fn read(&self, to: &mpsc::Sender<Told>) -> Result<(), BusError> {
        let spec = FollowSpec {
            stream: self.stream.clone(),
            filters: self.filters.clone(),
            begin: self.begin,
            headers_only: false,
            prefetch: PREFETCH_MESSAGES,
            prefetch_bytes: PREFETCH_BYTES,
        };
        let mut follow = self.bus.follow(&spec).await?;
        let opened = Told::Opened { source: self.source, pending: follow.pending() };
        if to.send(opened).await.is_err() {
            return Ok(());
        }
        let mut behind = follow.pending();
        let room = Room::new();
        loop {
            let followed = match tokio::time::timeout(LOOK, next(&mut *follow)).await {
                Ok(followed) => followed,
                // What was still to be read may have been taken out of the stream; and without a connection nobody knows.
                Err(_) => {
                    let pending = follow.pending().max(u64::from(!self.bus.is_connected()));
                    if (pending > 0) != (behind > 0) {
                        behind = pending;
                        let opened = Told::Opened { source: self.source, pending };
                        if to.send(opened).await.is_err() {
                            return Ok(());
                        }
                    }
                    continue;
                }
            };
            match followed {
                Ok(Some(followed)) => {
                    behind = followed.pending;
                    self.unread.fetch_add(1, Ordering::Relaxed);
                    let room = room.take(&followed.message).await?;
                    if to.send(Told::Read(Box::new(self.taken(followed, room)))).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Err(BusError::StreamMissing(self.stream.clone())),
                Err(err) => return Err(err),
            }
        }
    }

    fn taken(&self, followed: Followed, room: OwnedSemaphorePermit) -> Read {
        let Followed { message, position: at, pending } = followed;
        let read = |what| Read {
            source: self.source,
            sequence: at.sequence,
            incarnation_ms: at.incarnation_ms,
            stored_ns: at.stored_ns,
            pending,
            what,
            _room: room,
        };
        let input = format!("{}@{:x}:{}", at.stream, at.incarnation_ms, at.sequence);
        let origin = Origin {
            id: format!("{}:{}", at.stream, at.sequence),
            source: format!("nats:{}", at.stream),
            time_ns: at.stored_ns,
            attempt: 1,
        };
        let keyed = Event::decode(&message, &origin).map_err(Failure::Malformed).and_then(|event| {
            let key = self.key.of(&event).map_err(Failure::BadKey)?;
            Ok((key, event))
        });
        match keyed {
            Ok((key, _)) if key::partition(&key, self.partitions) != self.partition => read(What::Passed),
            Ok((key, mut event)) => {
                event.key = Some(key.clone());
                read(What::Event { key, event: Arc::new(event), message, origin, input })
            }
            // What has no key is the first partition's.
            Err(_) if self.partition != 0 => read(What::Passed),
            Err(failure) => read(What::Bad(Bad { failure, message, origin, input })),
        }
    }
}

/// The next message; errors that pass are waited out by whoever follows.
async fn next(follow: &mut dyn Follow) -> Result<Option<Followed>, BusError> {
    loop {
        match follow.next().await {
            Some(Ok(followed)) => return Ok(Some(followed)),
            Some(Err(err)) if err.is_transient() => tracing::debug!("reading goes on: {err}"),
            Some(Err(err)) => return Err(err),
            None => return Ok(None),
        }
    }
}

/// A record as it was found in the bucket.
pub(super) struct Found {
    pub key: String,
    pub message: Message,
    pub sequence: u64,
    /// When it was stored, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
}

/// What a scan of the bucket brings.
pub(super) enum Scanned {
    /// A record, and the room that it takes until it is dropped.
    Found(Found, OwnedSemaphorePermit),
    /// That was all.
    Through,
}

/// Reads all records, from the beginning again if something comes between: who takes a key for one without a record must
/// have seen all of them.
pub(super) async fn scan(bus: Arc<dyn Bus>, bucket: Bucket, until: u64, to: mpsc::Sender<Scanned>) {
    let since = Instant::now();
    loop {
        match scan_once(&*bus, &bucket, until, &to).await {
            Ok(records) => {
                let took = since.elapsed();
                tracing::info!(bucket = bucket.name(), records, "all records read after {took:?}");
                let _gone = to.send(Scanned::Through).await;
                return;
            }
            Err(err) => tracing::warn!(bucket = bucket.name(), "its records are read once more: {err}"),
        }
        tokio::time::sleep(QUIET).await;
        if to.is_closed() {
            return;
        }
    }
}

async fn scan_once(
    bus: &dyn Bus,
    bucket: &Bucket,
    until: u64,
    to: &mpsc::Sender<Scanned>,
) -> Result<u64, BusError> {
    let mut records = Records::open(bus, bucket, Begin::LastPerSubject, until).await?;
    let mut count = 0;
    let room = Room::new();
    while let Some(found) = records.next().await? {
        count += 1;
        let taken = room.take(&found.message).await?;
        if to.send(Scanned::Found(found, taken)).await.is_err() {
            break;
        }
    }
    Ok(count)
}

/// Reads the records that were written after a sequence of the bucket: as many as an owner writes between two renewals.
pub(super) async fn since(
    bus: &dyn Bus,
    bucket: &Bucket,
    sequence: u64,
    until: u64,
) -> Result<Vec<Found>, BusError> {
    let mut records = Records::open(bus, bucket, Begin::At(sequence + 1), until).await?;
    let mut all = Vec::new();
    while let Some(found) = records.next().await? {
        all.push(found);
    }
    Ok(all)
}

/// The records of a bucket that were written before the owner's value at a sequence. That value, or a later one, is how the
/// reading knows that it is through: what a server counts may be behind.
struct Records<'a> {
    bucket: &'a Bucket,
    follow: Box<dyn Follow>,
    until: u64,
    through: bool,
}

impl<'a> Records<'a> {
    async fn open(bus: &dyn Bus, bucket: &'a Bucket, begin: Begin, until: u64) -> Result<Self, BusError> {
        let spec = FollowSpec {
            stream: bucket.stream(),
            filters: vec![bucket.all()?],
            begin,
            headers_only: false,
            prefetch: PREFETCH_MESSAGES,
            prefetch_bytes: PREFETCH_BYTES,
        };
        let follow = bus.follow(&spec).await?;
        Ok(Self { bucket, follow, until, through: false })
    }

    async fn next(&mut self) -> Result<Option<Found>, BusError> {
        while !self.through {
            let followed = tokio::time::timeout(QUIET, next(&mut *self.follow)).await;
            let late = |_| BusError::TimedOut { operation: "read records".to_owned(), after: QUIET };
            let ended = || BusError::StreamMissing(self.bucket.stream());
            let followed = followed.map_err(late)??.ok_or_else(ended)?;
            self.through = followed.position.sequence >= self.until;
            if let Some(key) = self.bucket.key_of(&followed.message.subject) {
                let (sequence, stored_ns) = (followed.position.sequence, followed.position.stored_ns);
                return Ok(Some(Found { key, sequence, stored_ns, message: followed.message }));
            }
        }
        Ok(None)
    }
}
