//! From what a guest handed over to what may be published: every output of an event is checked before any is sent.

use bytes::Bytes;

use crate::event::{Event, HOPS_HEADER, MSG_ID_HEADER, encode_attribute, format_time};
use crate::limits::Limits;
use crate::manifest::{Emit, OutputDelivery};
use crate::message::{Headers, Message};
use crate::outcome::Failure;
use crate::subject::{OWN_FIRST_TOKEN, Subject, SubjectError};

/// The plugin that made an output.
pub const PLUGIN_HEADER: &str = "Wasmill-Plugin";
/// Its version.
pub const VERSION_HEADER: &str = "Wasmill-Version";
/// The digest of its component.
pub const DIGEST_HEADER: &str = "Wasmill-Digest";
/// The id of the event that caused an output.
pub const CAUSE_HEADER: &str = "Wasmill-Cause";
/// W3C Trace Context, carried from an event to its outputs unless the guest sets its own.
const TRACE_HEADERS: [&str; 2] = ["traceparent", "tracestate"];
/// CloudEvents attributes that the engine gives.
const ATTRIBUTES: [&str; 5] = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"];

/// Who emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitter {
    /// The plugin.
    pub plugin: String,
    /// The version that its component states.
    pub version: String,
    /// The digest of its component, in hexadecimal.
    pub digest: String,
}

/// One output as a guest handed it over: nothing about it has been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposed {
    /// Where to publish it.
    pub subject: String,
    /// Its type; none means that of the event.
    pub kind: Option<String>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub data: Vec<u8>,
}

/// One output that may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The message.
    pub message: Message,
    /// Whether a stream must store it, or whoever listens may have it.
    pub delivery: OutputDelivery,
}

impl Output {
    /// Whether a stream must store it.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.delivery == OutputDelivery::Stored
    }
}

/// What outputs are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Where the plugin may emit.
    pub emit: &'a Emit,
    /// What it may use.
    pub limits: &'a Limits,
    /// The largest message that the bus takes, in bytes.
    pub max_message_bytes: usize,
}

/// Checks all outputs of one event and makes messages of them.
///
/// `input` names the event's place on the bus. Together with the plugin and the output's index it makes the id under which
/// a stream drops repeats, so the same event gives the same ids whichever version handles it, wherever and however often.
///
/// # Errors
/// The first rule that an output breaks; then none of them may be published.
pub fn check(
    emitter: &Emitter,
    event: &Event,
    input: &str,
    proposed: Vec<Proposed>,
    rules: Rules<'_>,
) -> Result<Vec<Output>, Failure> {
    if proposed.len() > rules.limits.outputs as usize {
        return Err(Failure::OutputCount { count: proposed.len(), limit: rules.limits.outputs });
    }
    let event_limit = rules.limits.event_bytes as usize;
    let mut together = 0;
    let mut outputs = Vec::with_capacity(proposed.len());
    for (index, proposed) in proposed.into_iter().enumerate() {
        let guest_bytes = size_of_proposed(&proposed);
        let limit = rules.limits.output_bytes as usize;
        if guest_bytes > limit {
            return Err(Failure::OutputSize { index, bytes: guest_bytes, limit });
        }
        together += guest_bytes;
        if together > event_limit {
            return Err(Failure::EventSize { bytes: together, limit: event_limit });
        }
        outputs.push(check_one(emitter, event, input, index, proposed, rules)?);
    }
    Ok(outputs)
}

fn size_of_proposed(output: &Proposed) -> usize {
    let headers: usize = output.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    output.subject.len() + headers + output.data.len()
}

fn check_one(
    emitter: &Emitter,
    event: &Event,
    input: &str,
    index: usize,
    proposed: Proposed,
    rules: Rules<'_>,
) -> Result<Output, Failure> {
    let Granted { subject, delivery } =
        granted(rules.emit, event.reply_to.as_deref(), index, proposed.subject)?;
    let mut headers = guest_headers(index, &proposed.headers)?;
    let id = format!("{}:{input}:{index}", emitter.plugin);
    engine_headers(&mut headers, emitter, event, &id, proposed.kind.as_deref());
    let message = Message { subject, reply_to: None, headers, payload: Bytes::from(proposed.data) };
    let bytes = message.wire_bytes();
    if bytes > rules.max_message_bytes {
        return Err(Failure::OutputSize { index, bytes, limit: rules.max_message_bytes });
    }
    Ok(Output { message, delivery })
}

/// Where an output may go, and how.
pub(crate) struct Granted {
    pub subject: Subject,
    pub delivery: OutputDelivery,
}

/// Checks an output's subject against the grants. `reply_to` is where the event's publisher waits for an answer.
pub(crate) fn granted(
    emit: &Emit,
    reply_to: Option<&str>,
    index: usize,
    subject: String,
) -> Result<Granted, Failure> {
    let answer = emit.reply && reply_to == Some(subject.as_str());
    let subject = if answer { Subject::new(subject) } else { Subject::unreserved(subject) };
    let subject = subject.map_err(|error| Failure::BadSubject { index, error })?;
    // Whoever publishes chooses the reply subject. An inbox is meant for answers; the server's own subjects and the
    // engine's are not.
    let first = subject.as_str().split('.').next().unwrap_or_default();
    if first.starts_with('$') || first == OWN_FIRST_TOKEN {
        return Err(Failure::BadSubject { index, error: SubjectError::Reserved(subject.into()) });
    }
    if !answer && !emit.subjects.iter().any(|pattern| pattern.matches(subject.as_str())) {
        return Err(Failure::NotGranted { index, subject: subject.into() });
    }
    Ok(Granted { subject, delivery: if answer { OutputDelivery::Core } else { emit.delivery } })
}

fn guest_headers(index: usize, given: &[(String, String)]) -> Result<Headers, Failure> {
    let mut headers = Headers::with_capacity(given.len() + 14);
    for (name, value) in given {
        if is_reserved(name) {
            return Err(Failure::ReservedHeader { index, name: name.clone() });
        }
        headers.try_push(name, value).map_err(|error| Failure::BadHeader { index, error })?;
    }
    Ok(headers)
}

fn is_reserved(name: &str) -> bool {
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    begins("nats-")
        || begins("wasmill-")
        || ATTRIBUTES.iter().any(|attribute| attribute.eq_ignore_ascii_case(name))
}

fn engine_headers(headers: &mut Headers, emitter: &Emitter, event: &Event, id: &str, kind: Option<&str>) {
    for name in TRACE_HEADERS {
        let carried = event.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        if let (Some((_, value)), None) = (carried, headers.get(name)) {
            headers.push(name, value.clone());
        }
    }
    headers.push("ce-specversion", "1.0");
    headers.push("ce-id", encode_attribute(id));
    headers.push("ce-source", format!("/wasmill/{}", emitter.plugin));
    headers.push("ce-type", encode_attribute(kind.unwrap_or(&event.kind)));
    headers.push("ce-time", format_time(event.time_ns));
    headers.push(PLUGIN_HEADER, emitter.plugin.clone());
    headers.push(VERSION_HEADER, emitter.version.clone());
    headers.push(DIGEST_HEADER, emitter.digest.clone());
    headers.push(CAUSE_HEADER, encode_attribute(&event.id));
    headers.push(HOPS_HEADER, (event.hops + 1).to_string());
    headers.push(MSG_ID_HEADER, id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Pattern;

    fn event() -> Event {
        Event {
            id: "e1".into(),
            source: "s".into(),
            kind: "payment".into(),
            subject: "payments.card".into(),
            time_ns: 1_000_000_000,
            key: None,
            headers: vec![("Traceparent".into(), "00-a-b-01".into())],
            data: Bytes::new(),
            attempt: 1,
            reply_to: Some("_INBOX.x".into()),
            hops: 3,
        }
    }

    fn run(outputs: Vec<Proposed>, reply: bool) -> Result<Vec<Output>, Failure> {
        run_on(&event(), outputs, reply)
    }

    fn run_on(event: &Event, outputs: Vec<Proposed>, reply: bool) -> Result<Vec<Output>, Failure> {
        let emitter = Emitter { plugin: "p".into(), version: "1.2.3".into(), digest: "ab".into() };
        let emit = Emit { subjects: vec![Pattern::new("alerts.>").unwrap()], reply, ..Emit::default() };
        let limits = Limits { outputs: 3, output_bytes: 100, event_bytes: 150, ..Limits::default() };
        let rules = Rules { emit: &emit, limits: &limits, max_message_bytes: 1_000 };
        check(&emitter, event, "PAYMENTS@1:7", outputs, rules)
    }

    fn to(subject: &str) -> Proposed {
        Proposed { subject: subject.into(), ..Proposed::default() }
    }

    fn with_header(name: &str, value: &str) -> Proposed {
        Proposed { headers: vec![(name.into(), value.into())], ..to("alerts.a") }
    }

    #[test]
    fn an_output_says_where_it_comes_from() {
        let outputs = run(vec![to("alerts.a"), to("alerts.b")], false).unwrap();
        let headers = &outputs[1].message.headers;
        for (name, wanted) in [
            ("Nats-Msg-Id", "p:PAYMENTS@1:7:1"),
            ("ce-id", "p:PAYMENTS@1:7:1"),
            ("ce-source", "/wasmill/p"),
            ("ce-type", "payment"),
            ("ce-time", "1970-01-01T00:00:01Z"),
            ("traceparent", "00-a-b-01"),
            ("Wasmill-Plugin", "p"),
            ("Wasmill-Version", "1.2.3"),
            ("Wasmill-Digest", "ab"),
            ("Wasmill-Cause", "e1"),
            ("Wasmill-Hops", "4"),
        ] {
            assert_eq!(headers.get(name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn a_guests_own_trace_wins() {
        let outputs = run(vec![with_header("traceparent", "00-c-d-01")], false).unwrap();
        assert_eq!(outputs[0].message.headers.get("traceparent"), Some("00-c-d-01"));
    }

    #[test]
    fn every_refusal_has_its_name() {
        let big = |bytes: usize| Proposed { data: vec![0; bytes], ..to("alerts.a") };
        for (outputs, wanted) in [
            (vec![to("alerts.a"); 4], "output-count-limit"),
            (vec![big(200)], "output-size-limit"),
            (vec![big(80), big(80)], "event-size-limit"),
            (vec![to("orders.a")], "not-granted"),
            (vec![to("$JS.API.STREAM.DELETE.X")], "bad-subject"),
            (vec![to("_INBOX.x")], "bad-subject"),
            (vec![to(">")], "bad-subject"),
            (vec![to("alerts.\0")], "bad-subject"),
            (vec![to("alerts..a")], "bad-subject"),
            (vec![with_header("a", "b\r\nc: d")], "bad-header"),
            (vec![with_header("", "b")], "bad-header"),
            (vec![with_header("nats-msg-id", "b")], "reserved-header"),
            (vec![with_header("Nats-Rollup", "all")], "reserved-header"),
            (vec![with_header("WASMILL-HOPS", "0")], "reserved-header"),
            (vec![with_header("Ce-Id", "x")], "reserved-header"),
            (vec![with_header("é", "x")], "bad-header"),
        ] {
            assert_eq!(run(outputs.clone(), false).unwrap_err().name(), wanted, "{outputs:?}");
        }
        assert_eq!(
            run(vec![to("$SYS.x")], false),
            Err(Failure::BadSubject { index: 0, error: SubjectError::Reserved("$SYS.x".into()) })
        );
    }

    #[test]
    fn an_answer_needs_the_grant_and_the_events_own_reply_subject() {
        assert_eq!(run(vec![to("_INBOX.x")], true).unwrap()[0].delivery, OutputDelivery::Core);
        assert!(run(vec![to("_INBOX.other")], true).is_err());
        let forged = Event { reply_to: Some("wasmill.redrive.p".into()), ..event() };
        let refused = run_on(&forged, vec![to("wasmill.redrive.p")], true).unwrap_err();
        assert_eq!(refused.name(), "bad-subject");
        let purge = Event { reply_to: Some("$JS.API.STREAM.PURGE.ALERTS".into()), ..event() };
        let refused = run_on(&purge, vec![to("$JS.API.STREAM.PURGE.ALERTS")], true).unwrap_err();
        assert_eq!(refused.name(), "bad-subject", "a publisher must not borrow the engine's rights");
    }
}
