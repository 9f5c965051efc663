//! Tells when a sensor leaves its range and comes back, and when it changes too fast. `README.md` lists the settings.

mod change;
mod range;

use change::Change;
use range::Range;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_sdk::json::FieldPath;
use wasmill_sdk::{Event, Failure, OrFail, Output, clock, config, plugin, reject};

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    value: FieldPath,
    output: String,
    range: Option<Range>,
    change: Option<Change>,
}

/// What is told of a sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Told {
    kind: Kind,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    /// How long it was out of its range, or over what time it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    /// How far it was out of its range at most, or the least and greatest value of a change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reached: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Over its range.
    High,
    /// Under its range.
    Low,
    /// Back in its range.
    Normal,
    /// Changing too fast.
    Change,
}

#[derive(Serialize)]
struct Alert<'a> {
    sensor: &'a str,
    time: &'a str,
    #[serde(flatten)]
    told: Told,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin! { handler: handle, subjects: ["sensors.>"], emits: ["alerts.>"] }

/// Takes one reading of the key's sensor.
fn handle(event: Event) -> Result<Vec<Output>, Failure> {
    let settings = SETTINGS.get()?;
    let value = settings.value_of(&event.data)?;
    let mut told = Vec::new();
    if let Some(range) = &settings.range {
        told.extend(range.take(event.time, value)?);
    }
    if let Some(change) = &settings.change {
        told.extend(change.take(event.time, value)?);
    }
    let (sensor, time) = (event.key.as_deref().unwrap_or_default(), clock::rfc3339(event.time));
    let alerts = told.into_iter().map(|told| {
        let output = Output::json(settings.output.as_str(), &Alert { sensor, time: &time, told })?;
        Ok(output.with_type("wasmill.alert"))
    });
    alerts.collect()
}

impl Settings {
    fn value_of(&self, reading: &Value) -> Result<f64, Failure> {
        match self.value.get(reading) {
            None => reject(format!("payload: there is no field `{}`", self.value)),
            Some(value) => value.as_f64().or_reject(&format!("payload: `{}` is no number", self.value)),
        }
    }
}

#[cfg(test)]
mod tests;
