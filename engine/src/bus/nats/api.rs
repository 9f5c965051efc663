//! Requests to the server's JetStream API: JSON to `$JS.API.<verb>`, JSON back.
//!
//! The structures are read and written here rather than through the client library's, so that a configuration which we
//! update keeps the fields that neither we nor the library know.

use std::time::Duration;

use async_nats::{Request, RequestErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::link::Link;
use crate::bus::BusError;

/// There is no such consumer.
pub(super) const CONSUMER_NOT_FOUND: u64 = 10_014;
/// Somebody created the consumer first, with another configuration.
pub(super) const CONSUMER_EXISTS: [u64; 2] = [10_013, 10_148];
/// The stream has no such message.
pub(super) const MESSAGE_NOT_FOUND: u64 = 10_037;
/// The stream has no message at this sequence to take out.
pub(super) const SEQUENCE_NOT_FOUND: u64 = 10_043;
/// There is no such stream.
pub(super) const STREAM_NOT_FOUND: u64 = 10_059;
/// Somebody created the stream first, with another configuration.
pub(super) const STREAM_EXISTS: u64 = 10_058;

/// The stream takes no batches.
pub(super) const BATCHES_DISABLED: u64 = 10_174;
/// More messages than a batch may have.
pub(super) const BATCH_TOO_LARGE: u64 = 10_199;
/// The stream holds a message with the id of one in the batch.
pub(super) const BATCH_REPEATS: u64 = 10_201;

/// What the server says when it does not do what it was asked.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    /// Like an HTTP status.
    #[serde(default)]
    pub(super) code: u64,
    /// Which of the server's errors.
    #[serde(default)]
    pub(super) err_code: u64,
    /// In words.
    #[serde(default)]
    pub(super) description: String,
}

/// The JetStream API of one domain.
pub(super) struct Api {
    prefix: String,
}

impl Api {
    /// The default domain's, or a named one's.
    pub(super) fn new(domain: Option<&str>) -> Self {
        let prefix = domain.map_or_else(|| "$JS.API".to_owned(), |domain| format!("$JS.{domain}.API"));
        Self { prefix }
    }

    /// The subject of a verb.
    pub(super) fn subject(&self, verb: &str) -> String {
        format!("{}.{verb}", self.prefix)
    }

    /// Asks. The inner error is the server's own, for the caller to tell "no such" from other refusals.
    pub(super) async fn request<T: DeserializeOwned>(
        &self,
        link: &Link,
        operation: &str,
        verb: &str,
        body: Option<&Value>,
    ) -> Result<Result<T, ApiError>, BusError> {
        link.ready(operation).await?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::new().payload(body.into()).timeout(Some(link.patience));
        let asked = link.client.send_request(self.subject(verb), request);
        let timed_out = |after: Duration| BusError::TimedOut { operation: operation.to_owned(), after };
        // The library's own limit starts when the request is queued, and the queue may be full.
        let answer =
            tokio::time::timeout(link.patience, asked).await.map_err(|_| timed_out(link.patience))?;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => timed_out(link.patience),
            RequestErrorKind::NoResponders => BusError::Refused {
                operation: operation.to_owned(),
                reason:
                    "nobody answers for JetStream\n  hint: is it enabled on the server, for this account?"
                        .to_owned(),
            },
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                BusError::Refused { operation: operation.to_owned(), reason: error.to_string() }
            }
            RequestErrorKind::Other => link.disconnected(operation, error.to_string()),
        })?;
        decode(operation, &answer.payload)
    }
}

fn decode<T: DeserializeOwned>(operation: &str, payload: &[u8]) -> Result<Result<T, ApiError>, BusError> {
    #[derive(Deserialize)]
    struct Failure {
        error: ApiError,
    }
    if let Ok(failure) = serde_json::from_slice::<Failure>(payload) {
        return Ok(Err(failure.error));
    }
    serde_json::from_slice(payload).map(Ok).map_err(|error| BusError::Refused {
        operation: operation.to_owned(),
        reason: format!("the server's answer cannot be read: {error}"),
    })
}

/// The server's word as an error of ours.
pub(super) fn refused(operation: &str, error: &ApiError) -> BusError {
    BusError::Refused {
        operation: operation.to_owned(),
        reason: format!("{} (code {}, error {})", error.description, error.code, error.err_code),
    }
}
