//! Messages sent in order, whose confirmations are awaited later.

use futures::future::BoxFuture;

use super::{BusError, Stored};

/// The header by which a message is held to the stream's last sequence.
pub(crate) const LAST_SEQUENCE_HEADER: &str = "Nats-Expected-Last-Sequence";

/// Resolves when the stream has answered.
pub type Confirmation = BoxFuture<'static, Result<Stored, BusError>>;

/// What has to be so for a message to be posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnlyIf {
    /// The last sequence of the stream is this. Else it does not store the message: [`BusError::Overtaken`].
    pub last_is: Option<u64>,
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

    /// Only on this connection.
    #[must_use]
    pub fn on(connection: u64) -> Self {
        Self { connection: Some(connection), ..Self::default() }
    }
}
