//! What can go wrong on a bus, by kind.

use std::time::Duration;

use crate::subject::{MAX_NAME_BYTES, is_stream_name};

/// What went wrong on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is no connection, or it broke off under the operation.
    #[error("{operation}: no connection to {url}: {reason}")]
    Disconnected {
        /// What was tried.
        operation: String,
        /// The server's address, without credentials.
        url: String,
        /// What the client says.
        reason: String,
    },
    /// No answer in time.
    #[error("{operation}: no answer within {after:?}")]
    TimedOut {
        /// What was tried.
        operation: String,
        /// How long it was awaited.
        after: Duration,
    },
    /// No stream stores this subject, so nothing would keep the message.
    #[error(
        "no stream stores subject {subject:?}\n  hint: declare one under [[streams]] or create it on the server"
    )]
    NoStream {
        /// The subject.
        subject: String,
    },
    /// The stream does not exist.
    #[error("stream {0:?} does not exist\n  hint: declare it under [[streams]] or create it on the server")]
    StreamMissing(String),
    /// A consumer of this name exists with settings that cannot be changed.
    #[error(
        "consumer {durable:?} of stream {stream:?} exists with other settings: {difference}\n  hint: delete it on the server, or give the subscription another `durable` name"
    )]
    ConsumerConflict {
        /// The stream.
        stream: String,
        /// The consumer.
        durable: String,
        /// What differs.
        difference: String,
    },
    /// The stream takes no such message, now or later: it is over the stream's own size limit.
    #[error("publish to {subject:?}: the stream refuses this message: {reason}")]
    Unacceptable {
        /// The subject.
        subject: String,
        /// The server's answer.
        reason: String,
    },
    /// The stream holds a message with an id of the batch already, so it stored nothing of it.
    #[error("publish a batch: the stream holds a message with one of its ids already")]
    Repeated,
    /// This can be no batch: the stream takes none, they are too many, or they go to different streams.
    #[error("publish a batch: {reason}")]
    NoBatch {
        /// Why.
        reason: String,
    },
    /// The stream, or a subject of it, has gone on, or is not as far yet, so that a message held to its last sequence was not
    /// stored.
    #[error("post to {subject:?}: the stream is at another sequence than expected{}", at(*.last))]
    Overtaken {
        /// The subject.
        subject: String,
        /// The last sequence of the stream, or of the subject; none if the server does not tell.
        last: Option<u64>,
    },
    /// The stream is not the one that was read before: whoever keeps positions in it cannot go on from them.
    #[error(
        "stream {stream:?} {reason}\n  hint: positions in it mean nothing any more; reset what is kept of them"
    )]
    StreamReplaced {
        /// The stream.
        stream: String,
        /// How it shows.
        reason: String,
    },
    /// Bigger than the server takes.
    #[error("a message of {bytes} bytes to {subject:?} is over the server's max_payload of {limit}")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Headers and payload.
        bytes: usize,
        /// The server's limit.
        limit: usize,
    },
    /// The server refused: no permission, stream full, and the like.
    #[error("{operation}: the server refused: {reason}")]
    Refused {
        /// What was tried.
        operation: String,
        /// The server's answer.
        reason: String,
    },
    /// The settings make no connection: bad URL, unreadable credentials.
    #[error("bus settings: {0}")]
    Settings(String),
}

impl BusError {
    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Disconnected { .. } | Self::TimedOut { .. })
    }
}

fn at(last: Option<u64>) -> String {
    last.map_or_else(String::new, |last| format!(": its last is {last}"))
}

/// Checks the name of a stream or consumer.
pub(crate) fn check_name(operation: &str, name: &str) -> Result<(), BusError> {
    if is_stream_name(name) {
        return Ok(());
    }
    Err(BusError::Refused {
        operation: operation.to_owned(),
        reason: format!(
            "{name:?} is no name: 1 to {MAX_NAME_BYTES} bytes without white space and . * > / \\"
        ),
    })
}
