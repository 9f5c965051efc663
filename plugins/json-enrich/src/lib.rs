//! Sets, renames, copies and removes fields of JSON events. `README.md` lists the settings.

mod step;

use serde::Deserialize;
use step::Step;
use wasmill_sdk::{Event, Failure, Output, config, plugin, reject};

/// The `[config]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    output: String,
    steps: Vec<Step>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

plugin!(handle);

/// Takes the steps in order.
fn handle(mut event: Event) -> Result<Output, Failure> {
    let settings = SETTINGS.get()?;
    let mut payload = std::mem::take(&mut event.data);
    if !payload.is_object() {
        return reject("payload: it is no JSON object, so it has no fields");
    }
    for step in &settings.steps {
        step.take(&event, &mut payload)?;
    }
    let mut output = Output::json(settings.output.as_str(), &payload)?;
    output.kind.clone_from(&settings.kind);
    Ok(output)
}

#[cfg(test)]
mod tests;
