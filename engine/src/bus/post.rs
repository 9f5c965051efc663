//! Messages sent in order, whose confirmations are awaited later.

use futures::future::BoxFuture;

use super::{BusError, Stored};
use crate::message::Headers;
use crate::subject::Subject;

/// The header by which a message is held to the stream's last sequence.
pub(crate) const LAST_SEQUENCE_HEADER: &str = "Nats-Expected-Last-Sequence";
/// The header by which it is held to the last sequence of a subject.
pub(crate) const LAST_OF_SUBJECT_HEADER: &str = "Nats-Expected-Last-Subject-Sequence";
/// The header that names that subject, if it is not the message's own.
pub(crate) const SUBJECT_HEADER: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// Resolves when the stream has answered.
pub type Confirmation = BoxFuture<'static, Result<Stored, BusError>>;

/// What has to be so for a message to be posted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnlyIf {
    /// The last sequence of the stream is this. Else it does not store the message: [`BusError::Overtaken`].
    ///
    /// This alone is no fence for messages that are posted without awaiting each other: one message of somebody else keeps
    /// out the next of them, and lets in the one after that, which had counted on the one kept out.
    pub last_is: Option<u64>,
    /// The last message that the stream holds under this subject is the one at this sequence; 0 if there is to be none. Else
    /// it does not store the message: [`BusError::Overtaken`], which then tells of that subject.
    ///
    /// A stream with several copies takes one message at a time that is held to a subject, and refuses what comes before it
    /// has stored that.
    pub last_of: Option<(Subject, u64)>,
    /// The connection is still the one of this number, which [`super::Bus::posting`] told. Else the message is not sent:
    /// [`BusError::Disconnected`].
    pub connection: Option<u64>,
}

impl OnlyIf {
    /// Only as the next message of its stream after this one.
    #[must_use]
    pub fn after(sequence: u64) -> Self {
        Self { last_is: Some(sequence), ..Self::default() }
    }

    /// Only while this is the last message under a subject.
    #[must_use]
    pub fn last_of(subject: Subject, sequence: u64) -> Self {
        Self { last_of: Some((subject, sequence)), ..Self::default() }
    }

    /// Only on this connection.
    #[must_use]
    pub fn on(connection: u64) -> Self {
        Self { connection: Some(connection), ..Self::default() }
    }

    /// Tells the stream what it has to compare.
    pub(crate) fn write(self, headers: &mut Headers) {
        if let Some(last) = self.last_is {
            headers.push(LAST_SEQUENCE_HEADER, last.to_string());
        }
        if let Some((subject, last)) = self.last_of {
            headers.push(LAST_OF_SUBJECT_HEADER, last.to_string());
            headers.push(SUBJECT_HEADER, subject);
        }
    }
}
