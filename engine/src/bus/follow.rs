//! Streams read in order, without acks: for who keeps its own place.

use futures::future::BoxFuture;

use super::{BusError, Position};
use crate::message::Message;
use crate::subject::Pattern;

/// One message of a stream that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The message.
    pub message: Message,
    /// Where it stands in its stream; the attempt is always 1.
    pub position: Position,
    /// How many messages of interest the stream held after it when it was sent.
    pub pending: u64,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first message at or after a sequence; 0 is the same as 1.
    At(u64),
    /// With the first stored at or after a time, in nanoseconds since the Unix epoch.
    Time(u64),
    /// With the last message of each subject, in order of sequence; then all that come. If the connection is lost before
    /// those are through, ones that were overtaken may come too, before what overtook them.
    LastPerSubject,
    /// With what is stored from now on.
    New,
}

/// What to follow, and how much to hold ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowSpec {
    /// The stream.
    pub stream: String,
    /// Which of its subjects; none means all. They must not overlap: the server refuses that.
    pub filters: Vec<Pattern>,
    /// Where to begin.
    pub begin: Begin,
    /// Leave payloads out; the header `Nats-Msg-Size` tells their size in bytes.
    pub headers_only: bool,
    /// The most messages to hold ahead.
    pub prefetch: usize,
    /// The most bytes of them. One message of the largest size that the server takes may always wait.
    pub prefetch_bytes: usize,
}

/// A stream being read in order.
pub trait Follow: Send {
    /// The next message: in order of sequence, each once, nothing left out that the stream still holds. `None` once the bus
    /// is closed, and after an error.
    ///
    /// It goes on by itself after a lost connection, a restarted server, or a consumer that the server dropped; until then it
    /// waits. The only errors are those that end it: [`BusError::StreamMissing`] if the stream was deleted,
    /// [`BusError::StreamReplaced`] if it was made anew or has lost messages that were read of it.
    ///
    /// May be dropped and called again without losing a message. A message whose headers no client can read comes with what
    /// can be read of them and [`crate::event::MALFORMED_HEADER`].
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Followed, BusError>>>;

    /// How many messages are yet to come, as far as is known: with the last that was handed out, or when it was opened. 0
    /// means that the head of the stream was reached.
    fn pending(&self) -> u64;
}

/// The header that tells how large a payload is that was left out.
pub(crate) const SIZE_HEADER: &str = "Nats-Msg-Size";

/// The error for a stream of which another of the same name was read before.
pub(crate) fn made_anew(stream: &str) -> BusError {
    BusError::StreamReplaced { stream: stream.to_owned(), reason: "was deleted and made anew".to_owned() }
}
