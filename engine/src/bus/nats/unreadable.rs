//! Messages that the client library cannot read. The server takes any bytes for headers; the library takes malformed ones
//! for a broken connection and drops it, each time they are delivered. Such a message would come again for ever and take
//! every plugin's connection with it. So after a connection broke, what was delivered and not acked is looked at through
//! the API, which codes headers as base64, and what the library cannot read is handed out without it.

use std::str::FromStr as _;

use async_nats::HeaderName;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use super::Core;
use super::convert::ACK_PREFIX;
use super::read::{Got, Raw};
use crate::bus::{BusError, Delivery, DurableSpec, Position, Receipt};
use crate::event::MALFORMED_HEADER;
use crate::message::{Headers, Message};
use crate::subject::Subject;

const OPERATION: &str = "look for unreadable messages";
/// The most messages to look at after one break.
const MOST_MESSAGES: u64 = 8_192;
/// Requests under way at once.
const AT_ONCE: usize = 64;

#[derive(Deserialize)]
struct Info {
    delivered: Reached,
    ack_floor: Reached,
    num_ack_pending: u64,
}

#[derive(Deserialize)]
struct Reached {
    stream_seq: u64,
}

/// Deliveries of one consumer that are under way and cannot be read, with a header that says so.
///
/// # Errors
/// What the server says; then the next break is the next chance.
pub(super) async fn find(
    core: &Core,
    spec: &DurableSpec,
    incarnation_ms: u64,
) -> Result<Vec<Delivery>, BusError> {
    let verb = format!("CONSUMER.INFO.{}.{}", spec.stream, spec.durable);
    let Ok(info) = core.api.request::<Info>(&core.link, OPERATION, &verb, None).await? else {
        return Ok(Vec::new());
    };
    if info.num_ack_pending == 0 {
        return Ok(Vec::new());
    }
    let last = info.delivered.stream_seq;
    let first = (info.ack_floor.stream_seq + 1).max(last.saturating_sub(MOST_MESSAGES));
    let found: Vec<Result<Option<Raw>, BusError>> = stream::iter(first..=last)
        .map(|sequence| get(core, spec, sequence))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut deliveries = Vec::new();
    for raw in found {
        let Some(raw) = raw? else { continue };
        if spec.filters.is_empty() || spec.filters.iter().any(|filter| filter.matches(&raw.subject)) {
            deliveries.extend(delivery(spec, raw, incarnation_ms));
        }
    }
    Ok(deliveries)
}

/// One message; none if it is gone or has no headers.
async fn get(core: &Core, spec: &DurableSpec, sequence: u64) -> Result<Option<Raw>, BusError> {
    let verb = format!("STREAM.MSG.GET.{}", spec.stream);
    let got =
        core.api.request::<Got>(&core.link, OPERATION, &verb, Some(&json!({ "seq": sequence }))).await?;
    Ok(got.ok().map(|got| got.message).filter(|raw| !raw.hdrs.is_empty()))
}

/// The message as a delivery, if it is one that cannot be read.
fn delivery(spec: &DurableSpec, raw: Raw, incarnation_ms: u64) -> Option<Delivery> {
    let block = BASE64_STANDARD.decode(&raw.hdrs).ok()?;
    let fault = fault(&block)?;
    let stored_ns = raw.stored_ns();
    Some(Delivery {
        message: Message {
            subject: Subject::received(raw.subject),
            reply_to: None,
            headers: readable(&block, fault),
            payload: Bytes::from(BASE64_STANDARD.decode(&raw.data).ok()?),
        },
        position: Some(Position {
            stream: spec.stream.clone(),
            incarnation_ms,
            sequence: raw.seq,
            stored_ns,
            attempt: 1,
        }),
        // The server looks a delivery up by its stream sequence; the other figures are for the client.
        receipt: Some(Receipt(format!(
            "{ACK_PREFIX}{}.{}.1.{}.{}.{stored_ns}.0",
            spec.stream, spec.durable, raw.seq, raw.seq
        ))),
        received: tokio::time::Instant::now(),
    })
}

/// What can be read of a header block, and what is wrong with it.
pub(super) fn readable(block: &[u8], fault: String) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in String::from_utf8_lossy(block).lines().filter_map(|line| line.split_once(':')) {
        // What cannot be kept as a header is named by the fault.
        let _refused = headers.try_push(name, value);
    }
    headers.push(MALFORMED_HEADER, fault);
    headers
}

/// What the client library does not stand in a header block, if anything.
pub(super) fn fault(block: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(block) else { return Some("they are not UTF-8".to_owned()) };
    let mut lines = text.lines();
    let Some(status) = lines.next().and_then(|line| line.strip_prefix("NATS/1.0")) else {
        return Some("they do not begin with NATS/1.0".to_owned());
    };
    if let Some(code) = status.split_whitespace().next().filter(|code| code.parse::<u16>().is_err()) {
        return Some(format!("{code:?} is no status"));
    }
    // A line that begins with white space goes on with the one before.
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(char::is_whitespace)) {
        match line.split_once(':') {
            None => return Some(format!("line {line:?} has no ':'")),
            Some((name, _)) if HeaderName::from_str(name).is_err() => {
                return Some(format!("{name:?} is no header name"));
            }
            Some(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_and_sound_headers_are_none() {
        for (block, wanted) in [
            (&b"NATS/1.0\r\na: \xff\r\n\r\n"[..], "not UTF-8"),
            (b"HTTP/1.1\r\n\r\n", "begin with"),
            (b"NATS/1.0 abc\r\n\r\n", "no status"),
            (b"NATS/1.0\r\nno colon\r\n\r\n", "has no ':'"),
            (b"NATS/1.0\r\nbad name: v\r\n\r\n", "no header name"),
        ] {
            let fault = fault(block).unwrap();
            assert!(fault.contains(wanted), "{fault}");
        }
        for block in [
            &b"NATS/1.0\r\na: b\r\n c\r\nD:\r\n\r\n"[..],
            b"NATS/1.0 503 No Responders\r\n\r\n",
            b"NATS/1.0\r\n\r\n",
        ] {
            assert_eq!(fault(block), None);
        }
    }
}
