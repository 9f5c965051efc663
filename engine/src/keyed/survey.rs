//! What is stored of a plugin's keys, read without owning anything: nothing here writes.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::{Bucket, Owner, TTL_HEADER};
use crate::bus::{Begin, Bus, BusError, Follow, FollowSpec, Followed, ReadSpec, StoredMessage};
use crate::key;
use crate::limits::{PREFETCH_BYTES, PREFETCH_MESSAGES};
use crate::manifest::{MAX_PARTITIONS, PluginName};
use crate::message::Message;
use crate::record::{Record, RecordError};

/// How long a record that was counted may fail to come before it is looked up whether there is one.
const QUIET: Duration = Duration::from_secs(2);

/// Why a plugin's state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// What the bus says.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// No engine has run it as a plugin with a key.
    #[error(
        "plugin {plugin} has no state: bucket {bucket:?} does not exist\n  hint: is the name right, the server the one its engine uses, and has it run with a `key` in its manifest?"
    )]
    NoState {
        /// The plugin.
        plugin: PluginName,
        /// The bucket of its first partition.
        bucket: String,
    },
    /// The value of the owner is none that this engine knows.
    #[error(
        "the key \"owner\" of bucket {bucket:?} holds no owner\n  hint: something else writes to the bucket, or an engine of a later version does"
    )]
    Unreadable {
        /// The bucket.
        bucket: String,
    },
}

/// The state of one plugin.
pub struct Survey {
    bus: Arc<dyn Bus>,
    plugin: PluginName,
    count: u32,
    parts: Vec<Part>,
}

/// One partition that has a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    pub partition: u32,
    /// Where it is kept.
    pub bucket: Bucket,
    /// Who owns it, and how far it has come; none if nobody ever did.
    pub owner: Option<Owner>,
    /// When the owner's value was written last, nanoseconds since the Unix epoch.
    pub renewed_ns: u64,
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its partition, from 0.
    pub partition: u32,
    /// Its key.
    pub key: String,
    /// Where the bucket's stream has it.
    pub sequence: u64,
    /// When it was stored, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// Its size in bytes.
    pub bytes: usize,
    /// After how many seconds without a change the server drops it by itself, if it does.
    pub ttl_s: Option<u64>,
    /// All that it emits was known to be stored.
    pub settled: bool,
    /// What it holds, or why that cannot be read.
    pub record: Result<Record, RecordError>,
}

impl Survey {
    /// Looks a plugin's partitions up.
    ///
    /// # Errors
    /// [`SurveyError`].
    pub async fn open(bus: Arc<dyn Bus>, plugin: &PluginName) -> Result<Self, SurveyError> {
        let Some(first) = part(&*bus, plugin, 0).await? else {
            let bucket = Bucket::new(plugin, 0).name().to_owned();
            return Err(SurveyError::NoState { plugin: plugin.clone(), bucket });
        };
        let count = first.owner.as_ref().map_or(1, |owner| owner.partitions);
        let mut parts = vec![first];
        for partition in 1..count {
            parts.extend(part(&*bus, plugin, partition).await?);
        }
        Ok(Self { bus, plugin: plugin.clone(), count, parts })
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    /// Into how many partitions its keys are divided.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Those that have a bucket, in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Reads the records of a partition.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn records(&self, part: &Part) -> Result<Records, BusError> {
        let settled = part.owner.as_ref().map_or(0, |owner| owner.settled);
        Records::open(&self.bus, part.partition, &part.bucket, settled).await
    }

    /// The record of a key, if it has one.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn record(&self, key: &str) -> Result<Option<Filed>, BusError> {
        let partition = key::partition(key, self.count);
        let Some(part) = self.parts.iter().find(|part| part.partition == partition) else { return Ok(None) };
        let settled = part.owner.as_ref().map_or(0, |owner| owner.settled);
        record(&*self.bus, partition, &part.bucket, settled, key).await
    }
}

/// The record of a key, if it has one.
pub(super) async fn record(
    bus: &dyn Bus,
    partition: u32,
    bucket: &Bucket,
    settled: u64,
    key: &str,
) -> Result<Option<Filed>, BusError> {
    let found = bus.last(&bucket.stream(), &bucket.record(key)?).await?;
    let filed = |found: StoredMessage| {
        filed(partition, key.to_owned(), found.message, (found.sequence, found.stored_ns), settled)
    };
    Ok(found.filter(|found| !found.message.payload.is_empty()).map(filed))
}

async fn part(bus: &dyn Bus, plugin: &PluginName, partition: u32) -> Result<Option<Part>, SurveyError> {
    let bucket = Bucket::new(plugin, partition);
    let found = match bus.last(&bucket.stream(), &bucket.owner()?).await {
        Err(BusError::StreamMissing(_)) => return Ok(None),
        found => found?,
    };
    let Some(found) = found else { return Ok(Some(Part { partition, bucket, owner: None, renewed_ns: 0 })) };
    match Owner::read(&found.message.payload).filter(|owner| (1..=MAX_PARTITIONS).contains(&owner.partitions))
    {
        Some(owner) => Ok(Some(Part { partition, bucket, owner: Some(owner), renewed_ns: found.stored_ns })),
        None => Err(SurveyError::Unreadable { bucket: bucket.name().to_owned() }),
    }
}

fn filed(partition: u32, key: String, message: Message, at: (u64, u64), settled: u64) -> Filed {
    let (sequence, stored_ns) = at;
    Filed {
        partition,
        key,
        sequence,
        stored_ns,
        bytes: message.payload.len(),
        ttl_s: message.headers.get(TTL_HEADER).and_then(seconds),
        settled: sequence <= settled,
        record: Record::decode(&message.payload),
    }
}

/// A number of seconds, as it is written to the header or as a server may tell it: `90` or `90s`.
fn seconds(text: &str) -> Option<u64> {
    text.strip_suffix('s').unwrap_or(text).parse().ok()
}

/// The records of a partition, one after the other, in the order in which they were written.
///
/// While an engine works on the partition, a key that changes meanwhile may come once more: the later one holds.
pub struct Records {
    bus: Arc<dyn Bus>,
    partition: u32,
    bucket: Bucket,
    settled: u64,
    follow: Box<dyn Follow>,
    /// The last sequence that was read.
    read_to: u64,
    /// What comes after this one is none of its concern.
    end: u64,
    through: bool,
}

impl Records {
    /// Begins. What stands up to `settled` has its outputs stored.
    pub(super) async fn open(
        bus: &Arc<dyn Bus>,
        partition: u32,
        bucket: &Bucket,
        settled: u64,
    ) -> Result<Self, BusError> {
        let spec = FollowSpec {
            stream: bucket.stream(),
            filters: vec![bucket.records()?],
            begin: Begin::LastPerSubject,
            headers_only: false,
            prefetch: PREFETCH_MESSAGES,
            prefetch_bytes: PREFETCH_BYTES,
        };
        let follow = bus.follow(&spec).await?;
        let through = follow.pending() == 0;
        let bus = Arc::clone(bus);
        Ok(Self {
            bus,
            partition,
            bucket: bucket.clone(),
            settled,
            follow,
            read_to: 0,
            end: u64::MAX,
            through,
        })
    }

    /// Leaves out what is written from now on.
    pub(super) async fn until_now(mut self) -> Result<Self, BusError> {
        self.end = self.bus.stream(&self.bucket.stream()).await?.last_sequence;
        Ok(self)
    }

    /// The next one; none when all were read.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn next(&mut self) -> Result<Option<Filed>, BusError> {
        while !self.through {
            let Some(followed) = self.heard().await? else { break };
            self.read_to = followed.position.sequence;
            self.through = followed.pending == 0 || self.read_to >= self.end;
            if self.read_to > self.end {
                break;
            }
            let Followed { message, position, .. } = followed;
            if message.payload.is_empty() {
                // It says that the key was deleted.
                continue;
            }
            if let Some(key) = self.bucket.key_of(&message.subject) {
                let at = (position.sequence, position.stored_ns);
                return Ok(Some(filed(self.partition, key, message, at, self.settled)));
            }
        }
        Ok(None)
    }

    async fn heard(&mut self) -> Result<Option<Followed>, BusError> {
        loop {
            match tokio::time::timeout(QUIET, self.follow.next()).await {
                Ok(Some(Err(err))) if err.is_transient() => tracing::debug!("reading goes on: {err}"),
                Ok(followed) => return followed.transpose(),
                // What was counted may have expired.
                Err(_) if self.nothing_more().await? => return Ok(None),
                Err(_) => {}
            }
        }
    }

    async fn nothing_more(&self) -> Result<bool, BusError> {
        let filter = Some(self.bucket.records()?);
        let spec = ReadSpec { stream: self.bucket.stream(), from: self.read_to + 1, filter, at_most: 1 };
        Ok(self.bus.read(&spec).await?.is_empty())
    }
}
