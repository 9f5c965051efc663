//! Routes events to subjects by what is in them, payload untouched. `README.md` lists the settings.

mod rule;

use rule::Rule;
use serde::Deserialize;
use serde_json::Value;
use wasmill_sdk::{Event, Failure, Output, config, plugin};

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    rules: Vec<Rule>,
    #[serde(default, rename = "match")]
    matching: Matching,
    default: Option<String>,
}

/// Which of the rules that match take an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Matching {
    /// The first one.
    #[default]
    First,
    /// Every one.
    All,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin! { handler: handle, subjects: ["orders.>"], emits: ["orders.>"] }

/// Publishes the payload once to each subject that it is routed to.
fn handle(event: Event) -> Result<Vec<Output>, Failure> {
    let subjects = SETTINGS.get()?.route(&event.data);
    let content_type = event.header("content-type").unwrap_or("application/json").to_owned();
    let data = event.into_raw();
    let outputs = subjects.into_iter().map(|subject| {
        Output::bytes(subject, data.as_slice()).with_header("content-type", content_type.as_str())
    });
    Ok(outputs.collect())
}

impl Settings {
    fn route(&self, payload: &Value) -> Vec<&str> {
        let mut matching = self.rules.iter().filter(|rule| rule.matches(payload)).map(Rule::output);
        let mut subjects: Vec<&str> = Vec::new();
        match self.matching {
            Matching::First => subjects.extend(matching.next()),
            Matching::All => matching.for_each(|subject| {
                if !subjects.contains(&subject) {
                    subjects.push(subject);
                }
            }),
        }
        if subjects.is_empty() {
            subjects.extend(self.default.as_deref());
        }
        subjects
    }
}

#[cfg(test)]
mod tests;
