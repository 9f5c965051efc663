//! Raises an alert when a key's payments in the last hours or days are too many, too much or too unlike. `README.md` lists the
//! settings.

mod limit;
mod seen;

use std::time::Duration;

use limit::{Judged, Limit};
use seen::{Kept, Seen};
use serde::Deserialize;
use serde_json::Value;
use wasmill_sdk::json::FieldPath;
use wasmill_sdk::state;
use wasmill_sdk::window::Rolling;
use wasmill_sdk::{Event, Failure, OrFail, Output, config, plugin, reject, retry};

/// This plugin's name, and the rule's where the manifest gives none.
const NAME: &str = env!("CARGO_PKG_NAME");
/// What an alert needs beside the payment and the reasons.
const ALERT_BYTES: usize = 256;

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    rule: Option<String>,
    output: String,
    amount: FieldPath,
    /// Whose different values are counted.
    member: Option<FieldPath>,
    /// A payment of more than this is a suspect.
    suspect_over: Option<f64>,
    /// An event of this subject is no payment: it says that one was fraud.
    report_subject: Option<String>,
    windows: Vec<Window>,
}

/// One stretch of time that is kept, and what may not happen in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    span_s: u64,
    bucket_s: u64,
    limits: Vec<Limit>,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin! { handler: handle, subjects: ["payments.>"], emits: ["alerts.>"] }

/// Adds the event to what its key did, and passes it on inside of an alert if that is too much.
fn handle(event: Event) -> Result<Option<Output>, Failure> {
    let settings = SETTINGS.get()?;
    let is_report = settings.report_subject.as_ref() == Some(&event.subject);
    let amount = if is_report { 0.0 } else { settings.amount_of(&event.data)? };
    let member = if is_report { None } else { settings.member_of(&event.data)? };
    let is_suspect = is_report || settings.suspect_over.is_some_and(|limit| amount > limit);
    let mut reasons = Vec::new();
    for window in &settings.windows {
        let rolling = window.rolling()?;
        // The lengths are part of the name: with others the window begins anew.
        let field = state::Value::<Kept>::named(format!("last-{}s-by-{}s", window.span_s, window.bucket_s));
        let mut kept = field.get()?.unwrap_or_default();
        // They are by far the largest part of what is kept.
        let member = member.as_deref().filter(|_| window.limits.iter().any(Limit::counts_members));
        let is_in_time = rolling.add(&mut kept, event.time, |seen| {
            if !is_report {
                seen.pay(amount, member);
            }
            seen.suspect(is_suspect);
        });
        field.set(&kept)?;
        if is_in_time && !is_report {
            let judged = Judged { rolling: &rolling, kept: &kept, time: event.time, amount };
            reasons.extend(window.limits.iter().filter_map(|limit| limit.broken_by(&judged)));
        }
    }
    if reasons.is_empty() {
        return Ok(None);
    }
    settings.alert(&reasons, event).map(Some)
}

impl Settings {
    fn amount_of(&self, payment: &Value) -> Result<f64, Failure> {
        match self.amount.get(payment) {
            None => reject(format!("payload: there is no field `{}`", self.amount)),
            Some(value) => value.as_f64().or_reject(&format!("payload: `{}` is no number", self.amount)),
        }
    }

    fn member_of(&self, payment: &Value) -> Result<Option<String>, Failure> {
        let Some(path) = &self.member else { return Ok(None) };
        match path.get(payment) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(number @ Value::Number(_)) => Ok(Some(number.to_string())),
            Some(_) => reject(format!("payload: `{path}` is neither text nor a number")),
            None => reject(format!("payload: there is no field `{path}`")),
        }
    }

    /// The payment goes in as it came: it was read as one JSON value.
    fn alert(&self, reasons: &[String], event: Event) -> Result<Output, Failure> {
        let rule = self.rule.as_deref().unwrap_or(NAME);
        let mut alert = Vec::with_capacity(event.raw().len() + ALERT_BYTES);
        alert.extend_from_slice(b"{\"rule\":");
        serde_json::to_writer(&mut alert, rule)?;
        alert.extend_from_slice(b",\"key\":");
        serde_json::to_writer(&mut alert, &event.key)?;
        alert.extend_from_slice(b",\"reasons\":");
        serde_json::to_writer(&mut alert, reasons)?;
        alert.extend_from_slice(b",\"event\":");
        alert.extend_from_slice(event.raw().trim_ascii());
        alert.push(b'}');
        let output = Output::bytes(self.output.as_str(), alert);
        Ok(output.with_type("wasmill.alert").with_header("content-type", "application/json"))
    }
}

impl Window {
    fn rolling(&self) -> Result<Rolling<Seen>, Failure> {
        let (span, bucket) = (Duration::from_secs(self.span_s), Duration::from_secs(self.bucket_s));
        if let Some(limit) = self.limits.iter().find(|limit| limit.within_s() > self.span_s) {
            return retry(format!(
                "a limit within {} s needs a window that spans it, and this one spans {} s",
                limit.within_s(),
                self.span_s
            ));
        }
        Ok(Rolling::new(span, bucket, Seen::default())?)
    }
}

#[cfg(test)]
mod tests;
