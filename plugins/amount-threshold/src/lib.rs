//! Raises an alert when a number in the event crosses a threshold. `README.md` lists the settings.

mod pick;

use pick::{Found, pick};
use serde::Deserialize;
use serde_json::Number;
use wasmill_sdk::json::{Comparison, FieldPath};
use wasmill_sdk::{Failure, OrFail, Output, RawEvent, config, plugin, reject};

/// This plugin's name, and the rule's where the manifest gives none.
const NAME: &str = env!("CARGO_PKG_NAME");

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "amount")]
    field: FieldPath,
    #[serde(default)]
    comparison: Comparison,
    threshold: Number,
    output: String,
    rule: Option<String>,
    #[serde(default)]
    numeric_strings: bool,
}

fn amount() -> FieldPath {
    // A name without dots is a path.
    FieldPath::new("amount").unwrap_or_else(|_| unreachable!())
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin! { handler: handle, subjects: ["payments.>"], emits: ["alerts.>"] }

/// Compares one number, and passes the event on inside of an alert.
fn handle(event: RawEvent) -> Result<Option<Output>, Failure> {
    let settings = SETTINGS.get()?;
    let document = std::str::from_utf8(event.raw()).or_reject("payload: it is no UTF-8")?;
    if document.trim_ascii().is_empty() {
        return reject("payload: it is empty, not JSON");
    }
    let found = pick(document, settings.field.tokens()).or_reject("payload")?;
    let number = settings.number(found)?;
    if !settings.comparison.holds(&number, &settings.threshold) {
        return Ok(None);
    }
    let alert = settings.alert(&number, document)?;
    let output = Output::bytes(settings.output.as_str(), alert)
        .with_type("wasmill.alert")
        .with_header("content-type", "application/json");
    Ok(Some(output))
}

impl Settings {
    fn number(&self, found: Found) -> Result<Number, Failure> {
        let field = &self.field;
        match found {
            Found::Number(number) => Ok(number),
            Found::Text(text) if self.numeric_strings => serde_json::from_str(&text)
                .or_reject(&format!("payload: `{field}` is a string that is no number")),
            Found::Text(_) => reject(format!("payload: `{field}` is a string, not a number")),
            Found::Other(kind) => reject(format!("payload: `{field}` is {kind}, not a number")),
            Found::Nothing => reject(format!("payload: there is no field `{field}`")),
        }
    }

    /// The alert as JSON. The payload goes in as it came: it was checked to be one JSON value.
    fn alert(&self, number: &Number, document: &str) -> Result<Vec<u8>, Failure> {
        let Self { field, comparison, threshold, .. } = self;
        let rule = self.rule.as_deref().unwrap_or(NAME);
        let reason = format!("{field} {number} {} {threshold}", comparison.words());
        let mut alert = Vec::with_capacity(document.len() + reason.len() + rule.len() + 64);
        for (key, text) in [("{\"rule\":", rule), (",\"plugin\":", NAME), (",\"reason\":", &reason)] {
            alert.extend_from_slice(key.as_bytes());
            serde_json::to_writer(&mut alert, text)?;
        }
        alert.extend_from_slice(b",\"event\":");
        alert.extend_from_slice(document.trim_ascii().as_bytes());
        alert.push(b'}');
        Ok(alert)
    }
}

#[cfg(test)]
mod tests;
