//! How an engine comes to own a partition: at once if nobody does, else when its owner has given no sign of life for the
//! length of its lease.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Owner};
use super::journal::fence;
use crate::bus::{Bus, BusError};
use crate::faults::failpoint;

/// How often within a lease its owner renews it.
pub(super) const RENEWALS: u32 = 3;
/// How often within a lease those who wait look at it.
const LOOKS: u32 = 8;
/// The longest time between two looks: an owner that let go should be followed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A partition that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// What its value says now: this engine, the epoch after the last, the cursor as it was.
    pub owner: Owner,
    /// The sequence that the bucket's stream ends with.
    pub last: u64,
}

/// Why a partition cannot be owned.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// What the bus says.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The keys were divided otherwise.
    #[error(
        "its state was made with {found} partitions, the manifest says {wanted}\n  hint: set state.partitions back to {found}, or divide the keys anew: `wasmill state export PLUGIN > FILE`, then `wasmill state import PLUGIN FILE --replace --partitions {wanted}`"
    )]
    Partitions {
        /// What the manifest says.
        wanted: u32,
        /// What the state was made with.
        found: u32,
    },
    /// The value of the owner is none that this engine knows.
    #[error("the key {key:?} of its bucket holds no owner\n  hint: something else writes to the bucket")]
    Unreadable {
        /// The key.
        key: String,
    },
}

/// What one look at a lease showed.
pub(super) enum Look {
    /// It is ours now.
    Taken(Held),
    /// Somebody has it.
    Owned(String),
}

/// Watches one partition's lease until it can be taken.
pub(super) struct Lease<'a> {
    bus: &'a dyn Bus,
    bucket: &'a Bucket,
    engine: &'a str,
    partitions: u32,
    lease: Duration,
    /// The revision of the owner's value when it changed last, and when that was seen.
    seen: Option<(u64, Instant)>,
}

impl<'a> Lease<'a> {
    pub fn new(
        bus: &'a dyn Bus,
        bucket: &'a Bucket,
        engine: &'a str,
        partitions: u32,
        lease: Duration,
    ) -> Self {
        Self { bus, bucket, engine, partitions, lease, seen: None }
    }

    /// How long to wait between two looks.
    pub fn pause(&self) -> Duration {
        (self.lease / LOOKS).min(LONGEST_PAUSE)
    }

    /// Looks, and takes the lease if it is free.
    pub async fn look(&mut self) -> Result<Look, LeaseError> {
        let stream = self.bucket.stream();
        // The end first: whatever its owner writes after that makes our write fail.
        let last = self.bus.stream(&stream).await?.last_sequence;
        let found = self.bus.last(&stream, &self.bucket.owner()?).await?;
        let Some(found) = found else {
            let owner = Owner { partitions: self.partitions, ..Owner::default() };
            return self.take(owner, last).await;
        };
        let Some(owner) = Owner::read(&found.message.payload) else {
            return Err(LeaseError::Unreadable { key: "owner".to_owned() });
        };
        if owner.partitions != self.partitions {
            return Err(LeaseError::Partitions { wanted: self.partitions, found: owner.partitions });
        }
        let now = Instant::now();
        let since = match self.seen {
            Some((revision, since)) if revision == found.sequence => since,
            _ => {
                self.seen = Some((found.sequence, now));
                now
            }
        };
        // Our own name there means that taking it was stored, and the answer lost.
        if owner.released || owner.engine == self.engine || now.duration_since(since) >= self.lease {
            return self.take(owner, last).await;
        }
        Ok(Look::Owned(owner.engine))
    }

    async fn take(&self, before: Owner, last: u64) -> Result<Look, LeaseError> {
        failpoint!("taking-over");
        let other = before.engine.clone();
        let owner =
            Owner { engine: self.engine.to_owned(), epoch: before.epoch + 1, released: false, ..before };
        let message = owner.message(self.bucket)?;
        match fence(self.bus, &message, last).await {
            Ok(last) => {
                failpoint!("taken-over");
                Ok(Look::Taken(Held { owner, last }))
            }
            // Somebody was quicker, or its owner lives.
            Err(BusError::Overtaken { .. }) => Ok(Look::Owned(other)),
            Err(err) => Err(err.into()),
        }
    }
}
