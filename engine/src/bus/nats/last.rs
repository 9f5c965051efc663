//! The last message under a subject.
//!
//! Any server that keeps the stream may answer a direct request, which is the cheap way: no queue, no JSON. Such an answer
//! is taken for true only where it must be: the stream has one copy, and the answer names the stream itself, since a
//! mirror of it may answer too and be behind. What is not found names nobody, so the leader is asked.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api::{MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, refused};
use super::in_flight::Answer;
use super::read::{self, Got};
use super::{Core, convert, streams};
use crate::bus::{BusError, StoredMessage, check_name};
use crate::message::{Headers, Message};
use crate::subject::Subject;

/// How long it is remembered whether a stream may be asked directly. For so long after a stream got more copies, one of
/// them may answer that is behind.
const REMEMBERED: Duration = Duration::from_secs(10);
/// For how many streams; beyond it all is forgotten.
const MOST_STREAMS: usize = 1_024;

/// The server's headers in a direct answer. They come after what the message may have of the same name.
const STREAM: &str = "Nats-Stream";
const SUBJECT: &str = "Nats-Subject";
const SEQUENCE: &str = "Nats-Sequence";
const TIME: &str = "Nats-Time-Stamp";

/// Which streams may be asked directly.
#[derive(Default)]
pub(super) struct Direct {
    known: Mutex<HashMap<String, (bool, Instant)>>,
}

impl Direct {
    /// Held while a stream is looked up, so that many requests cause one look.
    async fn answers(&self, core: &Core, stream: &str) -> Result<bool, BusError> {
        let mut known = self.known.lock().await;
        if let Some((answers, since)) = known.get(stream)
            && since.elapsed() < REMEMBERED
        {
            return Ok(*answers);
        }
        let answers = streams::answers_directly(core, stream).await?;
        if known.len() >= MOST_STREAMS {
            known.clear();
        }
        known.insert(stream.to_owned(), (answers, Instant::now()));
        Ok(answers)
    }

    async fn forget(&self, stream: &str) {
        self.known.lock().await.remove(stream);
    }
}

/// The last message under a subject, if there is one.
pub(super) async fn last(
    core: &Core,
    stream: &str,
    subject: &Subject,
) -> Result<Option<StoredMessage>, BusError> {
    let operation = format!("read {:?} of stream {stream:?}", subject.as_str());
    check_name(&operation, stream)?;
    if core.direct.answers(core, stream).await? {
        match ask(core, &operation, stream, subject).await {
            Ok(Some(found)) => return Ok(Some(found)),
            // A message that the client library cannot read breaks the connection whenever it comes directly.
            Ok(None) | Err(BusError::Disconnected { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    ask_leader(core, &operation, stream, subject).await
}

/// Asks directly. None if the answer proves nothing.
async fn ask(
    core: &Core,
    operation: &str,
    stream: &str,
    subject: &Subject,
) -> Result<Option<StoredMessage>, BusError> {
    let asked = core.api.subject(&format!("DIRECT.GET.{stream}.{subject}"));
    match core.publisher.question(&core.link, operation, asked.into()).await? {
        Answer::Message { status: None | Some(StatusCode::OK), headers: Some(headers), payload } => {
            let found = told(stream, &headers);
            Ok(found.map(|(sequence, stored_ns, headers)| {
                let message = Message { subject: subject.clone(), reply_to: None, headers, payload };
                StoredMessage { sequence, stored_ns, message }
            }))
        }
        Answer::Message { status, .. } => {
            if status == Some(StatusCode::NO_RESPONDERS) {
                core.direct.forget(stream).await;
            }
            Ok(None)
        }
        Answer::TimedOut => {
            Err(BusError::TimedOut { operation: operation.to_owned(), after: core.link.patience })
        }
        Answer::Disconnected => Err(core.link.disconnected(operation, "it broke off before the answer")),
    }
}

/// Sequence, time of storage and the message's own headers, if the stream itself answers.
fn told(stream: &str, map: &HeaderMap) -> Option<(u64, u64, Headers)> {
    let last = |name: &str| {
        let (_, values) = map.iter().find(|(have, _)| have.to_string().eq_ignore_ascii_case(name))?;
        values.last().map(|value| value.as_str().to_owned())
    };
    if last(STREAM)? != stream {
        return None;
    }
    let sequence = last(SEQUENCE)?.parse().ok()?;
    let time: jiff::Timestamp = last(TIME)?.parse().ok()?;
    let stored_ns = u64::try_from(time.as_nanosecond()).ok()?;
    let all = convert::headers(map);
    let mut own = Headers::with_capacity(all.len());
    let mut rest = all.iter().peekable();
    while let Some((name, value)) = rest.next() {
        let servers = [STREAM, SUBJECT, SEQUENCE, TIME].iter().any(|one| name.eq_ignore_ascii_case(one));
        // They are in the order of their names, so the server's value is the last before another name.
        if !servers || rest.peek().is_some_and(|(next, _)| next.eq_ignore_ascii_case(name)) {
            own.push_received(name, value);
        }
    }
    Some((sequence, stored_ns, own))
}

async fn ask_leader(
    core: &Core,
    operation: &str,
    stream: &str,
    subject: &Subject,
) -> Result<Option<StoredMessage>, BusError> {
    let verb = format!("STREAM.MSG.GET.{stream}");
    let body = json!({ "last_by_subj": subject });
    match core.api.request::<Got>(&core.link, operation, &verb, Some(&body)).await? {
        Ok(got) => read::stored(operation, got.message).map(Some),
        Err(error) if error.err_code == MESSAGE_NOT_FOUND => Ok(None),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(stream.to_owned())),
        Err(error) => Err(refused(operation, &error)),
    }
}
