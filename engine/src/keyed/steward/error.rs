//! What may come in the way of a steward.

use crate::bus::BusError;

/// Why a partition cannot be owned, or is not owned any more.
#[derive(Debug, thiserror::Error)]
pub enum StewardError {
    /// What the bus says.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The value of the owner is none that this engine knows.
    #[error(
        "the key \"owner\" of bucket {bucket:?} holds no owner\n  hint: something else writes to the bucket, or an engine of a later version does"
    )]
    Unreadable {
        /// The bucket.
        bucket: String,
    },
    /// Somebody else owns it now.
    #[error(
        "partition {partition} was taken over by {owner} before all was done\n  hint: run the command again; what it has done stands"
    )]
    Fenced {
        /// The partition, from 0.
        partition: u32,
        /// Who owns it now, as far as is known.
        owner: String,
    },
    /// A record that no engine would have written there.
    #[error(
        "the record of key {key:?} takes {bytes} bytes, and bucket {bucket:?} stores {limit}\n  hint: raise the bucket's max_msg_size or the server's max_payload"
    )]
    TooLarge {
        /// The key.
        key: String,
        /// What it takes as a message.
        bytes: usize,
        /// The bucket.
        bucket: String,
        /// What the bucket and its server take.
        limit: usize,
    },
    /// What a key emitted cannot be stored, and must not be lost.
    #[error("an output of key {key:?} is not stored yet, and cannot be: {error}")]
    Output {
        /// The key.
        key: String,
        /// What the bus says.
        error: BusError,
    },
}
