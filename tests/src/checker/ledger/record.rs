//! The record of a key, read from its bytes by its documented format, and where it stands in its bucket.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

/// The only format there is.
const FORMAT: u64 = 1;
/// The elements of a record.
const ELEMENTS: u64 = 9;

/// What a record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: String,
    /// The plugin version that wrote the state.
    pub version: String,
    /// For each stream its incarnation in milliseconds since the Unix epoch, and the last sequence that is in here.
    pub applied: BTreeMap<String, (u64, u64)>,
    /// The state.
    pub fields: BTreeMap<String, Vec<u8>>,
    /// When each timer is due, in nanoseconds since the Unix epoch.
    pub timers: BTreeMap<String, u64>,
    /// The ids of the outputs that it holds.
    pub outbox: Vec<String>,
}

impl Record {
    /// Reads one.
    ///
    /// # Errors
    /// If the bytes are anything else.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut from = Cbor(bytes);
        let elements = from.array()?;
        ensure!(elements == ELEMENTS && from.number()? == FORMAT, "another format");
        let mut record = Self { key: from.text()?, version: from.text()?, ..Self::default() };
        let _touched = from.number()?;
        for _ in 0..from.map()? {
            let stream = from.text()?;
            ensure!(from.array()? == 2, "a position is a pair");
            record.applied.insert(stream, (from.number()?, from.number()?));
        }
        for _ in 0..from.map()? {
            let name = from.text()?;
            record.fields.insert(name, from.bytes()?);
        }
        for _ in 0..from.map()? {
            let name = from.text()?;
            ensure!(from.array()? == 3, "a timer has three parts");
            let (due, _setting, _data) = (from.number()?, from.number()?, from.bytes()?);
            record.timers.insert(name, due);
        }
        let _settings = from.number()?;
        for _ in 0..from.array()? {
            record.outbox.push(output(&mut from)?);
        }
        ensure!(from.0.is_empty(), "{} bytes after its end", from.0.len());
        Ok(record)
    }

    /// A field as a number; 0 if it is not there.
    ///
    /// # Errors
    /// If it is something else.
    pub fn number(&self, field: &str) -> Result<u64> {
        match self.fields.get(field) {
            Some(value) => Ok(serde_json::from_slice(value).with_context(|| format!("field {field}"))?),
            None => Ok(0),
        }
    }
}

/// The id of one output.
fn output(from: &mut Cbor<'_>) -> Result<String> {
    ensure!(from.array()? == 4, "an output has four parts");
    let (_subject, _delivery) = (from.text()?, from.number()?);
    let mut id = String::new();
    for _ in 0..from.array()? / 2 {
        let (name, value) = (from.text()?, from.text()?);
        if name.eq_ignore_ascii_case("Nats-Msg-Id") {
            id = value;
        }
    }
    from.bytes()?;
    Ok(id)
}

/// The key whose record stands at a subject of a bucket.
#[must_use]
pub fn key_at(subject: &str) -> Option<String> {
    let (_, escaped) = subject.rsplit_once(".k.")?;
    let mut bytes = escaped.bytes();
    let mut key = Vec::with_capacity(escaped.len());
    while let Some(byte) = bytes.next() {
        key.push(if byte == b'=' {
            let hex = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(key).ok()
}

/// What is left of a value in CBOR (RFC 8949), as much of it as a record needs.
struct Cbor<'a>(&'a [u8]);

impl<'a> Cbor<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count)?).context("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A head: the major type, which must be this, and its argument.
    fn head(&mut self, wanted: u8) -> Result<u64> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        ensure!(first >> 5 == wanted, "major type {} instead of {wanted}", first >> 5);
        let long = match first & 0x1f {
            small @ 0..24 => return Ok(small.into()),
            size @ 24..28 => self.take(1 << (size - 24))?,
            other => bail!("an argument of form {other}"),
        };
        Ok(long.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn number(&mut self) -> Result<u64> {
        self.head(0)
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.head(2)?;
        Ok(self.take(length)?.to_vec())
    }

    fn text(&mut self) -> Result<String> {
        let length = self.head(3)?;
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }

    fn array(&mut self) -> Result<u64> {
        self.head(4)
    }

    fn map(&mut self) -> Result<u64> {
        self.head(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand from the description of the format: not by what it is there to check.
    const BYTES: &[u8] = b"\x89\x01\x62k7\x651.0.0\x1b\x17\x97\x9c\xfe\x36\x2a\x00\x00\
        \xa1\x62IN\x82\x19\x01\x00\x18\x2a\
        \xa2\x65count\x423\x37\x61x\x40\
        \xa1\x61t\x83\x05\x01\x41d\
        \x03\x81\x84\x63out\x00\x82\x6bnats-msg-id\x63p:0\x42{}";

    #[test]
    fn a_record_is_what_its_bytes_say() {
        let record = Record::read(BYTES).unwrap();
        assert_eq!((record.key.as_str(), record.version.as_str()), ("k7", "1.0.0"));
        assert_eq!(record.applied["IN"], (256, 42));
        assert_eq!((record.number("count").unwrap(), record.number("none").unwrap()), (37, 0));
        assert_eq!((record.timers["t"], record.outbox), (5, vec!["p:0".to_owned()]));
        for end in 0..BYTES.len() {
            assert!(Record::read(&BYTES[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_key_is_found_where_its_record_stands() {
        assert_eq!(key_at("$KV.b.k.a-B_9=2E=c3=9f").unwrap(), "a-B_9.ß");
        for other in ["$KV.b.owner", "$KV.b.k.=2", "$KV.b.k.=zz"] {
            assert_eq!(key_at(other), None, "{other}");
        }
    }
}
