//! Reading whole streams.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::wire::{Frame, publication};

/// Messages asked for at once.
const BATCH: u64 = 500;
/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often reading is begun again after a connection broke.
const ATTEMPTS: usize = 5;

/// A message that a stream holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers in their order.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Stored {
    /// The first header of a name; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

impl Client {
    /// All messages of a stream that match a subject, in order.
    ///
    /// # Errors
    /// If the stream is not there, or cannot be read to its end.
    pub fn read(&mut self, stream: &str, subject: &str) -> Result<Vec<Stored>> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.read_once(stream, subject) {
                Ok(all) => return Ok(all),
                Err(err) => last = Some(err),
            }
            self.reconnect();
        }
        Err(last.context("never tried")?).with_context(|| format!("read stream {stream}"))
    }

    fn read_once(&mut self, stream: &str, subject: &str) -> Result<Vec<Stored>> {
        let name = format!("checker{:016x}", fastrand::u64(..));
        let body = json!({ "stream_name": stream, "config": {
            "name": name, "filter_subject": subject, "deliver_policy": "all", "ack_policy": "none",
            "replay_policy": "instant", "mem_storage": true, "num_replicas": 1,
            "inactive_threshold": 60_000_000_000_u64,
        }});
        let made = self.api(&format!("CONSUMER.CREATE.{stream}.{name}"), &body)?;
        let count = made.get("num_pending").and_then(Value::as_u64).context("no count of messages")?;
        let mut all = Vec::with_capacity(usize::try_from(count)?);
        while (all.len() as u64) < count {
            self.batch(stream, &name, count - all.len() as u64, &mut all)?;
        }
        // It would go by itself in a minute.
        let _gone = self.api(&format!("CONSUMER.DELETE.{stream}.{name}"), &Value::Null);
        Ok(all)
    }

    fn batch(&mut self, stream: &str, consumer: &str, left: u64, all: &mut Vec<Stored>) -> Result<()> {
        let wanted = left.min(BATCH);
        let (wire, inbox) = self.open()?;
        let body = json!({ "batch": wanted, "expires": 5_000_000_000_u64 }).to_string();
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        wire.send(&publication(&subject, &inbox, &[], body.as_bytes()))?;
        let deadline = Instant::now() + PATIENCE;
        let mut got = 0;
        while got < wanted {
            let Some(frame) = wire.next(deadline)? else { bail!("a batch ended early") };
            if frame.reply.starts_with("$JS.ACK.") {
                let Place { delivered, sequence, stored_ns } = place(&frame)?;
                ensure!(delivered == all.len() as u64 + 1, "the server left out a message before {sequence}");
                let Frame { subject, headers, payload, .. } = frame;
                all.push(Stored { sequence, stored_ns, subject, headers, payload });
                got += 1;
            } else if frame.subject == inbox {
                bail!("a batch ended with status {:?}", frame.status);
            }
        }
        Ok(())
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The how-many-th it is that the consumer delivers.
    delivered: u64,
    sequence: u64,
    stored_ns: u64,
}

/// Reads where a message stands: `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>`,
/// or the same with a domain and an account before the stream.
fn place(frame: &Frame) -> Result<Place> {
    let words: Vec<&str> = frame.reply.split('.').collect();
    let from = if words.len() > 9 { 2 } else { 0 };
    let number = |at: usize| words.get(from + at).and_then(|word| word.parse().ok());
    let place = || Some(Place { sequence: number(5)?, delivered: number(6)?, stored_ns: number(7)? });
    place().with_context(|| format!("a message does not say where it stands: {}", frame.reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_place_are_read() {
        for reply in ["$JS.ACK.S.C.1.7.5.99.0", "$JS.ACK._.HASH.S.C.1.7.5.99.0.tok"] {
            let frame = Frame { reply: reply.to_owned(), ..Frame::default() };
            let place = place(&frame).unwrap();
            assert_eq!((place.sequence, place.delivered, place.stored_ns), (7, 5, 99), "{reply}");
        }
        assert!(place(&Frame::default()).is_err());
    }
}
