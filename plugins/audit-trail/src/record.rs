//! The audit record of one event.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use wasmill_sdk::{RawEvent, clock};

use crate::Settings;

/// Stands in place of what the record must not hold.
const REDACTED: &str = "[redacted]";

/// What is kept of an event.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    size: usize,
    sha256: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    /// Why `fields` is missing, where some were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields_missing: Option<String>,
}

impl<'a> Record<'a> {
    /// Records an event. Which delivery it was stays out, or a redelivery would leave another record.
    pub fn of(event: &'a RawEvent, settings: &Settings) -> Self {
        let (fields, fields_missing) = match fields(event, settings) {
            Ok(fields) => (fields, None),
            Err(reason) => (Map::new(), Some(reason)),
        };
        Self {
            id: &event.id,
            source: &event.source,
            kind: &event.kind,
            subject: &event.subject,
            time: clock::rfc3339(event.time),
            key: event.key.as_deref(),
            size: event.raw().len(),
            sha256: hex(&Sha256::digest(event.raw())),
            headers: headers(event, settings),
            fields,
            fields_missing,
        }
    }
}

/// The selected fields that are there. Redaction comes first, so that it also reaches inside of a selected object.
fn fields(event: &RawEvent, settings: &Settings) -> Result<Map<String, Value>, String> {
    if settings.fields.is_empty() {
        return Ok(Map::new());
    }
    let mut payload: Value = event.json().map_err(|failure| failure.reason().to_owned())?;
    for path in &settings.redact_fields {
        if let Some(place) = path.get_mut(&mut payload) {
            *place = Value::from(REDACTED);
        }
    }
    let selected = settings.fields.iter();
    Ok(selected.filter_map(|path| Some((path.to_string(), path.get(&payload)?.clone()))).collect())
}

/// The selected headers that are there, under the names of the settings.
fn headers(event: &RawEvent, settings: &Settings) -> Map<String, Value> {
    let redacted = |name: &str| settings.redact_headers.iter().any(|other| other.eq_ignore_ascii_case(name));
    let selected = settings.headers.iter();
    selected
        .filter_map(|name| {
            let mut values: Vec<_> = event.header_values(name).map(Value::from).collect();
            let value = match values.len() {
                0 => return None,
                _ if redacted(name) => Value::from(REDACTED),
                1 => values.swap_remove(0),
                _ => Value::Array(values),
            };
            Some((name.clone(), value))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
