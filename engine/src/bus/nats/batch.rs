//! Publishing several messages as one atomic batch (ADR-50).
//!
//! The messages of a batch are published like any others and say in headers to which batch they belong; only the last asks
//! for an answer. The server keeps them aside until the last is there, and forgets a batch of which nothing comes for ten
//! seconds: what is cut off in the middle leaves nothing behind.

use std::borrow::Cow;

use async_nats::StatusCode;
use async_nats::message::OutboundMessage;
use serde::Deserialize;

use super::api::{self, ApiError, BATCH_REPEATS, BATCH_TOO_LARGE, BATCHES_DISABLED};
use super::convert;
use super::in_flight::{Answer, Ticket};
use super::link::Link;
use super::publisher::{Publisher, check_size};
use crate::bus::{
    BATCH_COMMIT_HEADER, BATCH_ID_HEADER, BATCH_SEQUENCE_HEADER, BatchStored, BusError, check_batch,
};
use crate::message::Message;

const OPERATION: &str = "publish a batch";

impl Publisher {
    /// Publishes all messages into one stream, or none.
    pub(super) async fn publish_batch(
        &self,
        link: &Link,
        messages: Vec<Message>,
    ) -> Result<BatchStored, BusError> {
        check_batch(&messages)?;
        if !link.takes_ids_in_batches() {
            // It might store them one by one, and knows nothing of batches.
            return Err(BusError::NoBatch { reason: "the server is too old for them".to_owned() });
        }
        let mut messages = marked(link, messages)?;
        let _permit =
            self.window.acquire().await.map_err(|_| link.disconnected(OPERATION, "the bus is closed"))?;
        link.ready(OPERATION).await?;
        let mut ticket = self.replies.in_flight.register(self.ack_timeout, None);
        let mut subject = String::new();
        if let Some(last) = messages.last_mut() {
            last.reply = Some(self.replies.subject(&ticket));
            subject = last.subject.to_string();
        }
        match self.send_all(link, messages, &mut ticket).await? {
            Answer::Message { status: Some(StatusCode::NO_RESPONDERS), .. } => {
                Err(BusError::NoStream { subject })
            }
            Answer::Message { payload, .. } => read_ack(&payload, &subject),
            Answer::TimedOut => {
                Err(BusError::TimedOut { operation: OPERATION.to_owned(), after: self.ack_timeout })
            }
            Answer::Disconnected => Err(link.disconnected(
                OPERATION,
                "it broke off before the stream answered, so the batch may be stored or not",
            )),
        }
    }

    /// Sends and waits. A stream takes 50 unfinished batches, so those of this connection are sent one after the other; their
    /// answers are awaited side by side.
    async fn send_all(
        &self,
        link: &Link,
        messages: Vec<OutboundMessage>,
        ticket: &mut Ticket,
    ) -> Result<Answer, BusError> {
        let all = async {
            let _turn = self.batches.lock().await;
            for message in messages {
                link.send(OPERATION, message).await?;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            sent = all => sent?,
            early = ticket.answer() => return Ok(early),
        }
        Ok(ticket.answer().await)
    }
}

impl Link {
    /// Whether the server looks at message ids in batches; before this version it refused or stored repeats.
    pub(super) fn takes_ids_in_batches(&self) -> bool {
        const SINCE: [u64; 3] = [2, 12, 1];
        version(&self.client.server_info().version) >= SINCE
    }
}

/// The three numbers at the beginning of a version; 0 for what cannot be read.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let release = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    for (number, part) in numbers.iter_mut().zip(release.split('.')) {
        *number = part.parse().unwrap_or(0);
    }
    numbers
}

/// The messages with the headers that make a batch of them.
fn marked(link: &Link, messages: Vec<Message>) -> Result<Vec<OutboundMessage>, BusError> {
    // Chance enough that no two of one stream are alike within the ten seconds that count.
    let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let count = messages.len();
    let mark = |(index, mut message): (usize, Message)| {
        message.headers.push(BATCH_ID_HEADER, id.clone());
        message.headers.push(BATCH_SEQUENCE_HEADER, (index + 1).to_string());
        if index + 1 == count {
            message.headers.push(BATCH_COMMIT_HEADER, "1");
        }
        check_size(link, &message)?;
        convert::outbound(message)
    };
    messages.into_iter().enumerate().map(mark).collect()
}

#[derive(Deserialize)]
struct BatchAck<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    count: usize,
    error: Option<ApiError>,
}

fn read_ack(payload: &[u8], subject: &str) -> Result<BatchStored, BusError> {
    let no_stream = || BusError::Refused {
        operation: OPERATION.to_owned(),
        reason: format!("the answer is not a stream's; does something else reply on {subject:?}?"),
    };
    let ack: BatchAck<'_> = serde_json::from_slice(payload).map_err(|_| no_stream())?;
    match ack.error {
        Some(error) if error.err_code == BATCH_REPEATS => Err(BusError::Repeated),
        Some(error) if [BATCHES_DISABLED, BATCH_TOO_LARGE].contains(&error.err_code) => {
            Err(BusError::NoBatch { reason: error.description })
        }
        Some(error) => Err(api::refused(OPERATION, &error)),
        // A stream that knows no batches stores the message and says nothing of them.
        None if ack.stream.is_empty() || ack.seq == 0 || ack.count == 0 => Err(no_stream()),
        None => Ok(BatchStored { stream: ack.stream.into_owned(), last_sequence: ack.seq, count: ack.count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare() {
        assert!(version("2.12.1") > version("2.12.0") && version("2.2.9") < version("2.12.1"));
        assert_eq!(version("v2.14.0-RC.1+abc"), [2, 14, 0]);
        assert_eq!(version("unknown"), [0, 0, 0]);
    }

    #[test]
    fn answers_are_read() {
        let stored = BatchStored { stream: "S".into(), last_sequence: 7, count: 3 };
        assert_eq!(read_ack(br#"{"stream":"S","seq":7,"batch":"x","count":3}"#, "a").unwrap(), stored);
        let refused = |code: u64| {
            let payload = format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"d"}},"stream":"S","seq":0}}"#
            );
            read_ack(payload.as_bytes(), "a").unwrap_err()
        };
        assert!(matches!(refused(10_201), BusError::Repeated));
        assert!(matches!(refused(10_174), BusError::NoBatch { .. }));
        assert!(matches!(refused(10_176), BusError::Refused { .. }));
        for payload in ["", "+OK", "{}", r#"{"stream":"S","seq":7}"#] {
            assert!(matches!(read_ack(payload.as_bytes(), "a"), Err(BusError::Refused { .. })), "{payload}");
        }
    }
}
