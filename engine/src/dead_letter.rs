//! Events that failed for good, kept whole with the reason.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::bus::{Bus, BusError, Position, StreamSpec};
use crate::effects::{DIGEST_HEADER, Emitter, PLUGIN_HEADER, VERSION_HEADER};
use crate::event::MSG_ID_HEADER;
use crate::faults::mutant;
use crate::manifest::PluginName;
use crate::message::{Headers, Message};
use crate::outcome::Trouble;
use crate::subject::{Pattern, Subject, SubjectError};

/// The stream that keeps them.
pub const STREAM: &str = "WASMILL_DEAD_LETTERS";
/// Their subjects: this, then the plugin's name.
pub const SUBJECT_PREFIX: &str = "wasmill.dead-letter";
/// What stands before the name of a header that the server would act on if it were kept as it was.
pub const KEPT_PREFIX: &str = "Wasmill-Kept-";
/// The failure's stable name.
pub const REASON_HEADER: &str = "Wasmill-Reason";
/// The failure's text.
pub const DETAIL_HEADER: &str = "Wasmill-Detail";
/// Deliveries made, the last included.
pub const ATTEMPTS_HEADER: &str = "Wasmill-Attempts";
/// The subject that the event came on.
pub const SUBJECT_HEADER: &str = "Wasmill-Subject";
/// The stream and sequence that it came from.
pub const POSITION_HEADER: &str = "Wasmill-Position";
/// `1/2` and `2/2` where an event was too large for one message.
pub const PART_HEADER: &str = "Wasmill-Part";
/// Where in the guest it ended: functions, innermost first, one after the other with ` < ` between them.
pub const BACKTRACE_HEADER: &str = "Wasmill-Backtrace";
/// How long the guest had it the last time, in microseconds.
pub const TOOK_HEADER: &str = "Wasmill-Took-Us";
/// When it failed for the first time as far as the engine knows, RFC 3339.
pub const FIRST_TIME_HEADER: &str = "Wasmill-First-Time";
/// When it failed for the last time, RFC 3339.
pub const TIME_HEADER: &str = "Wasmill-Time";

/// The stream as it is created if absent.
///
/// # Errors
/// Never, as the pattern is a literal; the type says so because patterns are checked where they are made.
pub fn stream_spec() -> Result<StreamSpec, SubjectError> {
    Ok(StreamSpec {
        name: STREAM.to_owned(),
        subjects: vec![Pattern::new(format!("{SUBJECT_PREFIX}.>"))?],
        duplicate_window: Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
    })
}

/// What is known of a delivery that failed for good.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The message as it came.
    pub message: &'a Message,
    /// Where it stands in its stream, if in one.
    pub position: Option<&'a Position>,
    /// Names its place on the bus, as in the ids of outputs.
    pub input: &'a str,
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
        let spec = stream_spec().map_err(|err| BusError::Settings(err.to_string()))?;
        bus.ensure_stream(&spec).await?;
        Ok(Self { bus })
    }

    /// Stores one; resolves when the stream has it. Storing the same again stores nothing.
    ///
    /// # Errors
    /// What the bus says: then the event must not be acked.
    pub async fn store(&self, plugin: &PluginName, failed: Failed<'_>) -> Result<(), BusError> {
        let subject = Subject::new(format!("{SUBJECT_PREFIX}.{plugin}"))
            .map_err(|err| BusError::Settings(err.to_string()))?;
        let whole = letter(subject, failed);
        match self.bus.publish(whole.clone()).await {
            Err(BusError::NoStream { .. }) => {
                // Somebody deleted the stream under us.
                Self::open(Arc::clone(&self.bus)).await?;
                self.bus.publish(whole).await.map(|_| ())
            }
            Err(BusError::TooLarge { .. }) => self.store_in_parts(whole).await,
            other => other.map(|_| ()),
        }
    }

    /// An event near the largest size that the server takes does not fit beside the reason. Its payload then comes in two
    /// messages, each with all headers, of which the first alone counts as the letter.
    async fn store_in_parts(&self, whole: Message) -> Result<(), BusError> {
        let half = whole.payload.len() / 2;
        let id = whole.headers.get(MSG_ID_HEADER).unwrap_or_default().to_owned();
        for (number, payload) in [(1, whole.payload.slice(..half)), (2, whole.payload.slice(half..))] {
            let mut part = Message { payload, ..whole.clone() };
            part.headers.replace(MSG_ID_HEADER, format!("{id}:{number}"));
            part.headers.push(PART_HEADER, format!("{number}/2"));
            self.bus.publish(part).await?;
        }
        Ok(())
    }
}

fn letter(subject: Subject, failed: Failed<'_>) -> Message {
    let Failed { message, position, input, emitter, trouble, first_time, time } = failed;
    let failure = &trouble.failure;
    let mut headers = Headers::with_capacity(message.headers.len() + 12);
    for (name, value) in message.headers.iter() {
        let acts_on_server = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
        let ours = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("wasmill-"));
        if acts_on_server || ours {
            headers.push_received(format!("{KEPT_PREFIX}{name}"), value);
        } else {
            headers.push_received(name, value);
        }
    }
    headers.push(REASON_HEADER, failure.name());
    headers.push(DETAIL_HEADER, failure.text());
    headers.push(PLUGIN_HEADER, emitter.plugin.clone());
    headers.push(VERSION_HEADER, emitter.version.clone());
    headers.push(DIGEST_HEADER, emitter.digest.clone());
    headers.push(SUBJECT_HEADER, message.subject.as_str());
    headers.push(ATTEMPTS_HEADER, position.map_or(1, |position| position.attempt).to_string());
    if let Some(position) = position {
        headers.push(POSITION_HEADER, format!("{}:{}", position.stream, position.sequence));
    }
    if let Some(backtrace) = &trouble.backtrace {
        headers.push(BACKTRACE_HEADER, backtrace.replace('\n', " < "));
    }
    if let Some(took) = trouble.took {
        headers.push(TOOK_HEADER, took.as_micros().to_string());
    }
    headers.push(FIRST_TIME_HEADER, first_time.unwrap_or(time).to_string());
    headers.push(TIME_HEADER, time.to_string());
    if !mutant!("letter-without-id") {
        headers.push(MSG_ID_HEADER, format!("dead:{}:{input}", emitter.plugin));
    }
    Message { subject, reply_to: None, headers, payload: message.payload.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Failure;

    #[test]
    fn a_letter_keeps_the_message_and_disarms_its_headers() {
        let mut headers = Headers::new();
        headers.push("Nats-Msg-Id", "m1");
        headers.push("Nats-Expected-Stream", "OTHER");
        headers.push("Wasmill-Hops", "3");
        headers.push("x-own", "1");
        let message = Message { headers, ..Message::new(Subject::received("payments.card"), &b"\xff"[..]) };
        let emitter = Emitter { plugin: "p".into(), version: "1".into(), digest: "d".into() };
        let position =
            Position { stream: "S".into(), incarnation_ms: 1, sequence: 9, stored_ns: 0, attempt: 5 };
        let failed = Failed {
            message: &message,
            position: Some(&position),
            input: "S@1:9",
            emitter: &emitter,
            trouble: &Failure::Rejected("line one\nline two".into()).into(),
            first_time: None,
            time: Timestamp::UNIX_EPOCH,
        };
        let letter = letter(Subject::new("wasmill.dead-letter.p").unwrap(), failed);
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
            ("Wasmill-Attempts", "5"),
        ] {
            assert_eq!(letter.headers.get(name), Some(wanted), "{name}");
        }
        assert_eq!(letter.payload, message.payload);
        assert_eq!(letter.headers.get("Nats-Expected-Stream"), None);
    }
}
