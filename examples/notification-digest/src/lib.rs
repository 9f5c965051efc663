//! Gathers a customer's notifications into one message: a session window, closed by a timer when it has been quiet for a while.

use serde::{Deserialize, Serialize};
use wasmill_sdk::aggregate::Rows;
use wasmill_sdk::state::Value;
use wasmill_sdk::timers::Timer;
use wasmill_sdk::window::{Closed, Open, Spec, Windows};
use wasmill_sdk::{Event, Failure, Output, clock, config, plugin};

/// The notifications that are not told yet.
const OPEN: Value<Open<Rows<String>>> = Value::new("digest");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The texts of a digest at most; of more, the number is told.
    most: usize,
    window: Spec,
}

#[derive(Deserialize)]
struct Notification {
    text: String,
}

#[derive(Serialize)]
struct Digest<'a> {
    from: String,
    texts: &'a [String],
    more: u64,
    /// The beginnings of the digests that this one stands for now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replaces: Vec<String>,
}

plugin! { handler: handle, timers: on_timer, subjects: ["notifications.*"], emits: ["digests.>"] }

fn sessions() -> Result<Windows<Rows<String>>, Failure> {
    let Settings { most, window } = config::load()?;
    Ok(window.of(Rows::new(most))?)
}

fn handle(event: Event<Notification>) -> Result<Vec<Output>, Failure> {
    let added = sessions()?.on_event(&OPEN, event.time, |rows| rows.add(event.data.text))?;
    tell(&event.key.unwrap_or_default(), &added.closed)
}

fn on_timer(timer: Timer) -> Result<Vec<Output>, Failure> {
    tell(&timer.key, &sessions()?.on_timer(&OPEN)?)
}

fn tell(customer: &str, closed: &[Closed<Rows<String>>]) -> Result<Vec<Output>, Failure> {
    let digests = closed.iter().map(|Closed { window, value, replaces }| {
        let digest = Digest {
            from: clock::rfc3339(window.start),
            texts: value.get(),
            more: value.over(),
            replaces: replaces.iter().map(|window| clock::rfc3339(window.start)).collect(),
        };
        Output::json(format!("digests.{customer}"), &digest)
    });
    digests.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmill_sdk::testing::{Delivery, Handled, Keyed, json};

    use super::*;

    const START: u64 = 1_767_225_600_000_000_000;
    const MINUTE: u64 = 60_000_000_000;

    fn engine() -> Keyed {
        let window =
            json!({"kind": "session", "gap_ms": 300_000, "disorder_ms": 60_000, "lateness_ms": 600_000});
        Keyed::new(handle).on_timer(on_timer).config(json!({"most": 2, "window": window}))
    }

    fn told(handled: Handled) -> Vec<String> {
        handled.outputs().into_iter().map(|output| String::from_utf8(output.data).unwrap()).collect()
    }

    fn notify(engine: &mut Keyed, minute: u64, text: &str) -> Vec<String> {
        let delivery = Delivery::json(json!({"text": text, "kind": "order"})).key("anna");
        told(engine.deliver(delivery.time(START + minute * MINUTE)))
    }

    #[test]
    fn a_quiet_while_ends_a_digest() {
        let mut engine = engine();
        for (minute, text) in [(0, "a"), (4, "b"), (8, "c")] {
            assert_eq!(notify(&mut engine, minute, text), [""; 0]);
        }
        assert_eq!(told(engine.advance(Duration::from_secs(6 * 60 - 1))), [""; 0]);
        let digest = r#"{"from":"2026-01-01T00:00:00Z","texts":["a","b"],"more":1}"#;
        assert_eq!(told(engine.advance(Duration::from_secs(1))), [digest]);
        assert_eq!(told(engine.advance(Duration::from_secs(86_400))), [""; 0]);
        assert!(engine.timers("anna").is_empty());
    }

    #[test]
    fn one_that_comes_late_replaces_the_digest() {
        let mut engine = engine();
        assert_eq!(notify(&mut engine, 0, "a"), [""; 0]);
        assert_eq!(told(engine.advance(Duration::from_secs(8 * 60))).len(), 1);
        let wanted = r#"{"from":"2026-01-01T00:00:00Z","texts":["a","late"],"more":0,"replaces":["2026-01-01T00:00:00Z"]}"#;
        assert_eq!(notify(&mut engine, 0, "late"), [wanted]);
    }
}
