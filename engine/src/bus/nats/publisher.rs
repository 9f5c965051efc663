//! Publishing into streams: many at once, one subscription for all answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::message::OutboundMessage;
use async_nats::{StatusCode, Subject};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};

use super::api::{self, ApiError};
use super::convert;
use super::in_flight::{Answer, InFlight, Ticket};
use super::link::Link;
use super::replies::Replies;
use super::settings::NatsSettings;
use crate::bus::{BusError, Stored};
use crate::message::Message;

/// The server's error code for a message over the stream's `max_msg_size`.
const MESSAGE_OVER_STREAM_LIMIT: u64 = 10_054;
/// Its codes for a message that is held to another last sequence than the stream's.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10_071, 10_164];
/// How many round trips may be under way beside the window of publishes.
const ROUND_TRIPS: usize = 64;
/// How many messages may be asked for at once, likewise. A server drops what is over some thousands without a word.
const QUESTIONS: usize = 1_024;

/// Publishes and proves round trips.
pub(super) struct Publisher {
    pub(super) replies: Replies,
    /// Admits publishes; the table never has more places than its permits, [`ROUND_TRIPS`] and [`QUESTIONS`].
    pub(super) window: Semaphore,
    window_size: usize,
    round_trips: Semaphore,
    questions: Semaphore,
    /// Held while a batch is sent.
    pub(super) batches: Mutex<()>,
    pub(super) ack_timeout: Duration,
}

impl Publisher {
    /// Subscribes to the reply inbox.
    pub(super) async fn start(
        link: &Link,
        in_flight: Arc<InFlight>,
        settings: &NatsSettings,
    ) -> Result<Self, BusError> {
        let ack_timeout = Duration::from_millis(settings.publish_ack_timeout_ms);
        let replies = Replies::start(&link.client, in_flight, ack_timeout)
            .await
            .map_err(|error| link.disconnected("subscribe to the reply inbox", error.to_string()))?;
        Ok(Self {
            replies,
            window: Semaphore::new(settings.publish_window),
            window_size: settings.publish_window,
            round_trips: Semaphore::new(ROUND_TRIPS),
            questions: Semaphore::new(QUESTIONS),
            batches: Mutex::new(()),
            ack_timeout,
        })
    }

    /// Publishes one message and waits until its stream has stored it.
    pub(super) async fn publish(&self, link: &Link, message: Message) -> Result<Stored, BusError> {
        const OPERATION: &str = "publish";
        check_size(link, &message)?;
        let mut message = convert::outbound(message)?;
        let _permit =
            self.window.acquire().await.map_err(|_| link.disconnected(OPERATION, "the bus is closed"))?;
        link.ready(OPERATION).await?;
        let mut ticket = self.replies.in_flight.register(self.ack_timeout, None);
        message.reply = Some(self.replies.subject(&ticket));
        let subject = message.subject.clone();
        let answer = self.ask(link, OPERATION, message, &mut ticket).await?;
        stored(answer, OPERATION, &subject, &link.url, self.ack_timeout)
    }

    /// Resolves when the server has read everything sent before: a message to our own inbox has come back.
    pub(super) async fn round_trip(&self, link: &Link, operation: &str) -> Result<(), BusError> {
        let _permit = self
            .round_trips
            .acquire()
            .await
            .map_err(|_| link.disconnected(operation, "the bus is closed"))?;
        link.ready(operation).await?;
        let mut ticket = self.replies.in_flight.register(link.patience, None);
        let message = empty(self.replies.subject(&ticket), None);
        match self.ask(link, operation, message, &mut ticket).await? {
            Answer::Message { .. } => Ok(()),
            Answer::TimedOut => {
                Err(BusError::TimedOut { operation: operation.to_owned(), after: link.patience })
            }
            Answer::Disconnected => Err(link.disconnected(operation, "it broke off before the answer")),
        }
    }

    /// Asks a subject with an empty message.
    pub(super) async fn question(
        &self,
        link: &Link,
        operation: &str,
        subject: Subject,
    ) -> Result<Answer, BusError> {
        let _permit =
            self.questions.acquire().await.map_err(|_| link.disconnected(operation, "the bus is closed"))?;
        link.ready(operation).await?;
        let mut ticket = self.replies.in_flight.register(link.patience, None);
        let message = empty(subject, Some(self.replies.subject(&ticket)));
        self.ask(link, operation, message, &mut ticket).await
    }

    /// Sends and waits. A full command queue of the client must not hold the caller past the deadline.
    async fn ask(
        &self,
        link: &Link,
        operation: &str,
        message: OutboundMessage,
        ticket: &mut Ticket,
    ) -> Result<Answer, BusError> {
        tokio::select! {
            biased;
            sent = link.send(operation, message) => sent?,
            early = ticket.answer() => return Ok(early),
        }
        Ok(ticket.answer().await)
    }

    /// Admits no more publishes, and resolves when those under way have been answered or have timed out.
    pub(super) async fn finish(&self) {
        let all = u32::try_from(self.window_size).unwrap_or(u32::MAX);
        // An error means that it was finished before.
        let _ = self.window.acquire_many(all).await.map(tokio::sync::SemaphorePermit::forget);
        self.window.close();
    }
}

fn empty(subject: Subject, reply: Option<Subject>) -> OutboundMessage {
    OutboundMessage { subject, reply, payload: Bytes::new(), headers: None }
}

/// What a stream's answer means.
pub(super) fn stored(
    answer: Answer,
    operation: &str,
    subject: &str,
    url: &str,
    after: Duration,
) -> Result<Stored, BusError> {
    match answer {
        Answer::Message { status: Some(StatusCode::NO_RESPONDERS), .. } => {
            Err(BusError::NoStream { subject: subject.to_owned() })
        }
        Answer::Message { payload, .. } => read_ack(&payload, subject),
        Answer::TimedOut => {
            Err(BusError::TimedOut { operation: format!("{operation} to {subject:?}"), after })
        }
        Answer::Disconnected => Err(BusError::Disconnected {
            operation: operation.to_owned(),
            url: url.to_owned(),
            reason: "it broke off before the stream answered, so the message may be stored or not".to_owned(),
        }),
    }
}

/// Compares with what this server takes before anything is sent: an oversized message would cost the connection.
pub(super) fn check_size(link: &Link, message: &Message) -> Result<(), BusError> {
    let (bytes, limit) = (message.wire_bytes(), link.client.max_payload());
    if bytes <= limit {
        return Ok(());
    }
    Err(BusError::TooLarge { subject: message.subject.as_str().to_owned(), bytes, limit })
}

#[derive(Deserialize)]
struct PubAck<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

fn read_ack(payload: &[u8], subject: &str) -> Result<Stored, BusError> {
    let operation = || format!("publish to {subject:?}");
    let ack: PubAck<'_> = serde_json::from_slice(payload).map_err(|error| BusError::Refused {
        operation: operation(),
        reason: format!("the answer is not a stream's: {error}; does something else reply on this subject?"),
    })?;
    match ack.error {
        Some(error) if error.err_code == MESSAGE_OVER_STREAM_LIMIT => {
            Err(BusError::Unacceptable { subject: subject.to_owned(), reason: error.description })
        }
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Err(BusError::Overtaken {
            subject: subject.to_owned(),
            // "wrong last sequence: 7"; a cluster may say only the words.
            last: error.description.rsplit_once(": ").and_then(|(_, last)| last.parse().ok()),
        }),
        Some(error) => Err(api::refused(&operation(), &error)),
        None if ack.stream.is_empty() || ack.seq == 0 => Err(BusError::Refused {
            operation: operation(),
            reason: "the answer is not a stream's; does something else reply on this subject?".to_owned(),
        }),
        None => Ok(Stored { stream: ack.stream.into_owned(), sequence: ack.seq, duplicate: ack.duplicate }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let stored = |sequence, duplicate| Stored { stream: "S".into(), sequence, duplicate };
        assert_eq!(read_ack(br#"{"stream":"S", "seq":7}"#, "a").unwrap(), stored(7, false));
        let with_more = br#"{"stream":"S","domain":"d","seq":8,"duplicate":true,"val":"1"}"#;
        assert_eq!(read_ack(with_more, "a").unwrap(), stored(8, true));
        for (text, wanted) in [("wrong last sequence: 7", Some(7)), ("wrong last sequence", None)] {
            let payload = format!(r#"{{"error":{{"code":400,"err_code":10071,"description":"{text}"}}}}"#);
            let error = read_ack(payload.as_bytes(), "a").unwrap_err();
            assert!(matches!(&error, BusError::Overtaken { last, .. } if *last == wanted), "{error}");
        }
        for (payload, wanted) in [
            (
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#,
                "maximum bytes",
            ),
            ("", "not a stream's"),
            ("hello", "not a stream's"),
            ("{}", "not a stream's"),
        ] {
            let error = read_ack(payload.as_bytes(), "a").unwrap_err();
            assert!(
                matches!(error, BusError::Refused { .. }) && error.to_string().contains(wanted),
                "{error}"
            );
        }
    }
}
