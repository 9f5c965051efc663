//! Reading a stream without a consumer, through the API: it codes headers as base64, so that a message which the client
//! library cannot read does not break the connection.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

use super::Core;
use super::api::{MESSAGE_NOT_FOUND, SEQUENCE_NOT_FOUND, STREAM_NOT_FOUND, refused};
use super::unreadable;
use crate::bus::{BusError, READ_BYTES, ReadSpec, StoredMessage, check_name};
use crate::message::{Headers, Message};
use crate::subject::Subject;

/// Requests under way at once, if messages stand close together in the stream and are small.
const AT_ONCE: usize = 32;

/// The answer to a request for one message.
#[derive(Deserialize)]
pub(super) struct Got {
    pub(super) message: Raw,
}

/// A message as the API tells it.
#[derive(Deserialize)]
pub(super) struct Raw {
    pub(super) subject: String,
    pub(super) seq: u64,
    /// The header block, base64.
    #[serde(default)]
    pub(super) hdrs: String,
    /// The payload, base64.
    #[serde(default)]
    pub(super) data: String,
    time: String,
}

impl Raw {
    /// When the stream stored it.
    pub(super) fn stored_ns(&self) -> u64 {
        let time = self.time.parse::<jiff::Timestamp>().ok().map_or(0, |time| time.as_nanosecond());
        u64::try_from(time).unwrap_or_default()
    }
}

/// Reads messages in order.
///
/// The server answers with one message a request: the first at or after a sequence. Requests for neighbouring sequences
/// are sent together, more of them as long as each finds another message, fewer where they find the same.
pub(super) async fn read(core: &Core, spec: &ReadSpec) -> Result<Vec<StoredMessage>, BusError> {
    check_name("read a stream", &spec.stream)?;
    let mut found: Vec<StoredMessage> = Vec::new();
    let (mut from, mut at_once, mut bytes) = (spec.from.max(1), 1, 0);
    while found.len() < spec.at_most && bytes < READ_BYTES {
        let wanted = at_once.min(spec.at_most - found.len());
        let sequences = (0..wanted as u64).map(|ahead| from.saturating_add(ahead));
        let raws = try_join_all(sequences.map(|sequence| at_or_after(core, spec, sequence))).await?;
        let at_end = raws.iter().any(Option::is_none);
        let mut largest = 1;
        let before = found.len();
        for raw in raws.into_iter().flatten() {
            if raw.seq < from {
                continue;
            }
            from = raw.seq.saturating_add(1);
            let message = stored(&operation(spec), raw)?;
            let size = message.message.wire_bytes();
            largest = largest.max(size);
            bytes += size;
            found.push(message);
        }
        if at_end {
            break;
        }
        let dense = found.len() - before == wanted;
        at_once = if dense { at_once * 2 } else { at_once / 2 };
        at_once = at_once.min(READ_BYTES / largest).clamp(1, AT_ONCE);
    }
    Ok(found)
}

async fn at_or_after(core: &Core, spec: &ReadSpec, sequence: u64) -> Result<Option<Raw>, BusError> {
    let operation = operation(spec);
    let verb = format!("STREAM.MSG.GET.{}", spec.stream);
    let filter = spec.filter.as_ref().map_or(">", |filter| filter.as_str());
    let body = json!({ "seq": sequence, "next_by_subj": filter });
    match core.api.request::<Got>(&core.link, &operation, &verb, Some(&body)).await? {
        Ok(got) => Ok(Some(got.message)),
        Err(error) if error.err_code == MESSAGE_NOT_FOUND => Ok(None),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(spec.stream.clone())),
        Err(error) => Err(refused(&operation, &error)),
    }
}

fn operation(spec: &ReadSpec) -> String {
    format!("read stream {:?}", spec.stream)
}

/// Takes a message out.
pub(super) async fn erase(core: &Core, stream: &str, sequence: u64) -> Result<bool, BusError> {
    let operation = format!("erase message {sequence} of stream {stream:?}");
    check_name(&operation, stream)?;
    #[derive(Deserialize)]
    struct Erased {
        #[serde(default)]
        success: bool,
    }
    let verb = format!("STREAM.MSG.DELETE.{stream}");
    // Without overwriting its place on the disk, which costs the server a rewrite of the block.
    let body = json!({ "seq": sequence, "no_erase": true });
    match core.api.request::<Erased>(&core.link, &operation, &verb, Some(&body)).await? {
        Ok(erased) => Ok(erased.success),
        Err(error) if error.err_code == STREAM_NOT_FOUND => Err(BusError::StreamMissing(stream.to_owned())),
        Err(error) if [MESSAGE_NOT_FOUND, SEQUENCE_NOT_FOUND].contains(&error.err_code) => Ok(false),
        // A sequence beyond the last is refused with the code of a disk that fails, so it takes a look to tell.
        Err(error) => {
            let spec = ReadSpec { stream: stream.to_owned(), from: sequence, filter: None, at_most: 1 };
            match at_or_after(core, &spec, sequence).await? {
                Some(raw) if raw.seq == sequence => Err(refused(&operation, &error)),
                _ => Ok(false),
            }
        }
    }
}

/// A message as the API tells it, made into one of ours.
pub(super) fn stored(operation: &str, raw: Raw) -> Result<StoredMessage, BusError> {
    let decode = |text: &str| {
        BASE64_STANDARD.decode(text).map_err(|error| BusError::Refused {
            operation: operation.to_owned(),
            reason: format!("the server's answer cannot be read: {error}"),
        })
    };
    let block = decode(&raw.hdrs)?;
    Ok(StoredMessage {
        sequence: raw.seq,
        stored_ns: raw.stored_ns(),
        message: Message {
            headers: if block.is_empty() { Headers::new() } else { headers(&block) },
            payload: Bytes::from(decode(&raw.data)?),
            subject: Subject::received(raw.subject),
            reply_to: None,
        },
    })
}

/// The headers of a block, as they would have come through the client library: in the order of their names.
fn headers(block: &[u8]) -> Headers {
    let text = match (unreadable::fault(block), std::str::from_utf8(block)) {
        (None, Ok(text)) => text,
        (fault, _) => return unreadable::readable(block, fault.unwrap_or_default()),
    };
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match (line.starts_with(char::is_whitespace), line.split_once(':')) {
            (true, _) => {
                if let Some((_, value)) = found.last_mut() {
                    value.push_str(line);
                }
            }
            (false, Some((name, value))) => found.push((name, value.to_owned())),
            (false, None) => {}
        }
    }
    found.sort_by_key(|(name, _)| *name);
    let mut headers = Headers::with_capacity(found.len());
    for (name, value) in found {
        headers.push_received(name, value.trim());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_is_read_as_the_client_reads_it() {
        let read = |block: &[u8]| -> Vec<(String, String)> {
            headers(block).iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(b"NATS/1.0\r\nb:  1 \r\na: 2\r\n 3\r\nb: 4:5\r\n\r\n"),
            [pair("a", "2 3"), pair("b", "1"), pair("b", "4:5")]
        );
        assert_eq!(read(b"NATS/1.0 503 No Responders\r\n\r\n"), []);
        assert_eq!(
            read(b"NATS/1.0\r\na: 1\r\nbad name: 2\r\n\r\n"),
            [pair("a", "1"), pair("Wasmill-Malformed", "\"bad name\" is no header name")]
        );
    }
}
