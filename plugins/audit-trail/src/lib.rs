//! Writes a compact audit record of every event, with a digest of its payload. `README.md` lists the settings.

mod record;

use record::Record;
use serde::Deserialize;
use wasmill_sdk::json::FieldPath;
use wasmill_sdk::{Failure, Output, RawEvent, config, plugin};

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    output: String,
    #[serde(default)]
    fields: Vec<FieldPath>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    redact_fields: Vec<FieldPath>,
    #[serde(default)]
    redact_headers: Vec<String>,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin!(handle);

/// Records any event, whatever its payload.
fn handle(event: RawEvent) -> Result<Output, Failure> {
    let settings = SETTINGS.get()?;
    let output = Output::json(settings.output.as_str(), &Record::of(&event, settings))?;
    Ok(output.with_type("wasmill.audit"))
}

#[cfg(test)]
mod tests;
