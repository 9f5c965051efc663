//! The engine keeps an event that failed.

use std::sync::Arc;

use jiff::Timestamp;

use super::letter::{FIRST_OF_TWO, Letter, RedriveOf, SECOND_OF_TWO};
use super::wrap::Wrapped;
use super::{PART_HEADER, SUBJECT_PREFIX, stream_spec, subject};
use crate::bus::{Bus, BusError, Stored};
use crate::effects::Emitter;
use crate::event::{MSG_ID_HEADER, Origin};
use crate::faults::mutant;
use crate::manifest::PluginName;
use crate::message::Message;
use crate::outcome::{Failure, Trouble};

/// What is known of a delivery that failed for good.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The message as it came.
    pub message: &'a Message,
    /// Names its place on the bus, as in the ids of outputs.
    pub input: &'a str,
    /// What it was taken to be where the message does not say, and which delivery it was.
    pub origin: &'a Origin,
    /// The stream and sequence that it came from, if from one.
    pub position: Option<&'a str>,
    /// The redrive that it came by, if it did.
    pub redrive_of: Option<RedriveOf>,
    /// Which version failed.
    pub emitter: &'a Emitter,
    /// Why.
    pub trouble: &'a Trouble,
    /// When it failed for the first time, if this engine saw it; none if that was now.
    pub first_time: Option<Timestamp>,
    /// When it failed for the last time.
    pub time: Timestamp,
}

/// Stores dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    bus: Arc<dyn Bus>,
}

impl DeadLetters {
    /// Makes sure that the stream is there.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn open(bus: Arc<dyn Bus>) -> Result<Self, BusError> {
        bus.ensure_stream(&stream_spec()?).await?;
        Ok(Self { bus })
    }

    /// Stores one; resolves when the stream has it. Storing the same again stores nothing.
    ///
    /// # Errors
    /// What the bus says: then the event must not be acked.
    pub async fn store(&self, plugin: &PluginName, failed: Failed<'_>) -> Result<(), BusError> {
        let letter = letter(plugin, failed);
        match store(&*self.bus, &letter).await {
            Err(BusError::NoStream { .. }) => {
                // Somebody deleted the stream under us.
                Self::open(Arc::clone(&self.bus)).await?;
                store(&*self.bus, &letter).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

/// Publishes a letter under the id that its plugin and input give it.
///
/// An event near the largest size that the server takes does not fit beside the reason. Then its payload comes in two
/// halves, each with all headers. The second names the first in its subject, so that either leads to the other.
pub(super) async fn store(bus: &dyn Bus, letter: &Letter) -> Result<Stored, BusError> {
    let id = format!("dead:{}:{}", letter.plugin, letter.event.input);
    let mut whole = letter.to_message()?;
    if !mutant!("letter-without-id") {
        whole.headers.push(MSG_ID_HEADER, id.as_str());
    }
    let stored = bus.publish(whole.clone()).await;
    if !matches!(stored, Err(BusError::TooLarge { .. })) {
        return stored;
    }
    let half = whole.payload.len() / 2;
    let mut first = Message { payload: whole.payload.slice(..half), ..whole.clone() };
    first.headers.replace(MSG_ID_HEADER, format!("{id}:1"));
    first.headers.push(PART_HEADER, FIRST_OF_TWO);
    let stored = bus.publish(first).await?;
    let mut second = Message {
        subject: subject(rest_subject(&letter.plugin, stored.sequence))?,
        payload: whole.payload.slice(half..),
        ..whole
    };
    second.headers.replace(MSG_ID_HEADER, format!("{id}:2"));
    second.headers.push(PART_HEADER, SECOND_OF_TWO);
    bus.publish(second).await?;
    Ok(stored)
}

/// Where the second half of a letter stands.
pub(super) fn rest_subject(plugin: &PluginName, sequence: u64) -> String {
    format!("{SUBJECT_PREFIX}.{plugin}.rest.{sequence}")
}

fn letter(plugin: &PluginName, failed: Failed<'_>) -> Letter {
    let Failed { message, input, origin, position, redrive_of, emitter, trouble, first_time, time } = failed;
    Letter {
        event: Wrapped {
            message: message.clone(),
            input: input.to_owned(),
            origin: origin.clone(),
            position: position.map(str::to_owned),
        },
        plugin: plugin.clone(),
        version: emitter.version.clone(),
        digest: emitter.digest.clone(),
        reason: trouble.failure.name().to_owned(),
        detail: trouble.failure.text(),
        limit: limit(&trouble.failure),
        backtrace: trouble.backtrace.clone(),
        took: trouble.took,
        attempts: origin.attempt,
        first_time: Some(first_time.unwrap_or(time)),
        last_time: Some(time),
        redrive_of,
        edited_from: None,
    }
}

/// The setting that was exceeded and its value, as the manifest writes it; none if no setting was.
fn limit(failure: &Failure) -> Option<String> {
    Some(match failure {
        Failure::CpuTime { limit_ms } => format!("limits.cpu_ms = {limit_ms}"),
        Failure::WallTime { limit_ms } => format!("limits.wall_ms = {limit_ms}"),
        Failure::Memory { limit_mib, .. } => format!("limits.memory_mib = {limit_mib}"),
        Failure::HostCalls { limit } => format!("limits.host_calls = {limit}"),
        Failure::Log { limit } => format!("limits.log_bytes = {limit}"),
        Failure::OutputCount { limit, .. } => format!("limits.outputs = {limit}"),
        Failure::OutputSize { limit, .. } => format!("limits.output_bytes = {limit}"),
        Failure::EventSize { limit, .. } => format!("limits.event_bytes = {limit}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::dead_letter::STREAM;
    use crate::message::Headers;
    use crate::subject::Subject;

    #[tokio::test]
    async fn a_letter_keeps_the_message_and_disarms_its_headers() {
        let bus = MemoryBus::new();
        let letters = DeadLetters::open(bus.clone()).await.unwrap();
        let mut headers = Headers::new();
        headers.push("Nats-Msg-Id", "m1");
        headers.push("Nats-Expected-Stream", "OTHER");
        headers.push("Wasmill-Hops", "3");
        headers.push("x-own", "1");
        let message = Message { headers, ..Message::new(Subject::received("payments.card"), &b"\xff"[..]) };
        let failed = Failed {
            message: &message,
            input: "S@1:9",
            origin: &Origin { id: "S:9".into(), source: "nats:S".into(), time_ns: 7, attempt: 5 },
            position: Some("S:9"),
            redrive_of: None,
            emitter: &Emitter { plugin: "p".into(), version: "1".into(), digest: "d".into() },
            trouble: &Failure::Rejected("line one\nline two".into()).into(),
            first_time: None,
            time: Timestamp::UNIX_EPOCH,
        };
        let plugin = PluginName::new("p").unwrap();
        for _ in 0..2 {
            letters.store(&plugin, failed).await.unwrap();
        }
        let stored = bus.messages(STREAM);
        let [(1, letter)] = &stored[..] else { panic!("the repeat is dropped: {stored:?}") };
        for (name, wanted) in [
            ("Nats-Msg-Id", "dead:p:S@1:9"),
            ("Wasmill-Kept-Nats-Msg-Id", "m1"),
            ("Wasmill-Kept-Nats-Expected-Stream", "OTHER"),
            ("Wasmill-Kept-Wasmill-Hops", "3"),
            ("x-own", "1"),
            ("Wasmill-Reason", "rejected"),
            ("Wasmill-Detail", "the handler rejects the event: line one line two"),
            ("Wasmill-Subject", "payments.card"),
            ("Wasmill-Position", "S:9"),
            ("Wasmill-Input", "S@1:9"),
            ("Wasmill-Attempts", "5"),
        ] {
            assert_eq!(letter.headers.get(name), Some(wanted), "{name}");
        }
        assert_eq!(letter.payload, message.payload);
        assert_eq!(letter.headers.get("Nats-Expected-Stream"), None);
    }
}
