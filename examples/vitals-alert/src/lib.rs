//! Tells when a patient's signs stay out of range, and when a device falls silent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmill_sdk::state::{Map, Value};
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, clock, config, plugin};

/// The name of the timer that every reading puts off.
const SILENCE: &str = "silence";
/// What the timer of a sign is called before its name: a sign may be called as it likes.
const SUSTAINED: &str = "sustained/";
/// When the latest reading was made.
const LAST: Value<u64> = Value::new("last");
/// Signs that are out of range, by name.
const BREACHES: Map<Breach> = Map::new("breach");
/// Since when the device has been silent, where that was told.
const SILENT_SINCE: Value<u64> = Value::new("silent-since");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How long a sign must be out of range.
    sustained_s: u64,
    /// How long a device may be silent.
    silence_s: u64,
    /// The range of each sign.
    signs: BTreeMap<String, Range>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    low: f64,
    high: f64,
}

/// A sign that is out of range.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Breach {
    /// Since when, nanoseconds since the Unix epoch.
    since: u64,
    /// The last value.
    value: f64,
    /// Whether it was told.
    told: bool,
}

/// A reading: what is no sign of the settings is left alone.
type Reading = BTreeMap<String, serde_json::Value>;

#[derive(Serialize)]
#[serde(tag = "alert", rename_all = "lowercase")]
enum Alert<'a> {
    Sustained { sign: &'a str, since: String, value: f64 },
    Recovered { sign: &'a str, since: String, value: f64 },
    Silent { since: String },
    Back { since: String },
}

plugin! { handler: handle, timers: on_timer, subjects: ["vitals.*"], emits: ["alerts.>"] }

fn handle(event: Event<Reading>) -> Result<Vec<Output>, Failure> {
    let settings: Settings = config::load()?;
    // What a reading from before the latest would say is past: it neither ends a breach nor brings the alarm forward.
    if LAST.get()?.is_some_and(|last| event.time < last) {
        return Ok(Vec::new());
    }
    LAST.set(&event.time)?;
    let patient = event.key.as_deref().unwrap_or_default();
    let mut alerts = Vec::new();
    if let Some(since) = SILENT_SINCE.take()? {
        alerts.push(alert(patient, &Alert::Back { since: clock::rfc3339(since) })?);
    }
    timers::set_after(SILENCE, Duration::from_secs(settings.silence_s), "")?;
    for (sign, range) in &settings.signs {
        let Some(value) = event.data.get(sign).and_then(serde_json::Value::as_f64) else { continue };
        let before = BREACHES.get(sign)?;
        let is_breach = value < range.low || value > range.high;
        match before {
            None if is_breach => {
                BREACHES.set(sign, &Breach { since: event.time, value, told: false })?;
                timers::set_after(&sustained(sign), Duration::from_secs(settings.sustained_s), "")?;
            }
            Some(breach) if is_breach => BREACHES.set(sign, &Breach { value, ..breach })?,
            Some(Breach { since, told, .. }) => {
                BREACHES.remove(sign)?;
                timers::cancel(&sustained(sign))?;
                if told {
                    let since = clock::rfc3339(since);
                    alerts.push(alert(patient, &Alert::Recovered { sign, since, value })?);
                }
            }
            None => {}
        }
    }
    Ok(alerts)
}

/// Of a sign, that no reading ended its breach; or that there was no reading.
fn on_timer(timer: Timer) -> Result<Option<Output>, Failure> {
    let Some(sign) = timer.name.strip_prefix(SUSTAINED) else {
        let since = LAST.get()?.unwrap_or(timer.due);
        SILENT_SINCE.set(&since)?;
        return alert(&timer.key, &Alert::Silent { since: clock::rfc3339(since) }).map(Some);
    };
    let Some(breach) = BREACHES.get(sign)? else { return Ok(None) };
    let Breach { since, value, .. } = breach;
    BREACHES.set(sign, &Breach { told: true, ..breach })?;
    let told = Alert::Sustained { sign, since: clock::rfc3339(since), value };
    alert(&timer.key, &told).map(Some)
}

fn sustained(sign: &str) -> String {
    format!("{SUSTAINED}{sign}")
}

fn alert(patient: &str, alert: &Alert<'_>) -> Result<Output, Failure> {
    Output::json(format!("alerts.vitals.{patient}"), alert)
}

#[cfg(test)]
mod tests;
