//! Follows orders from authorisation over capture to settlement. What is stuck is reported, and so is what does not follow.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmill_sdk::state::Value;
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, clock, config, plugin};

/// The timer of the step that an order waits for, and what is kept of the order.
const SAGA: Value<Saga> = Value::new("saga");
const STUCK: &str = "stuck";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// For how many seconds an order may stay at a step.
    limits_s: BTreeMap<Step, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Authorised,
    Captured,
    Settled,
    Cancelled,
}

/// One step of an order, as the payment service tells it.
#[derive(Debug, Clone, Deserialize)]
struct Told {
    step: Step,
    cents: u64,
}

/// How far an order is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saga {
    step: Step,
    /// What was authorised.
    cents: u64,
    /// When it began and when it reached its step, nanoseconds since the Unix epoch.
    began: u64,
    since: u64,
}

#[derive(Serialize)]
#[serde(tag = "report", rename_all = "lowercase")]
enum Report {
    /// The order is done.
    Completed { cents: u64, seconds: u64 },
    /// It has been at this step for too long.
    Stuck { at: Step, since: String, cents: u64 },
    /// This step cannot follow the one that the order is at.
    Unexpected { step: Step, after: Option<Step> },
    /// Another amount than was authorised.
    Mismatch { step: Step, cents: u64, authorised: u64 },
}

plugin! { handler: handle, timers: on_timer, subjects: ["orders.*"], emits: ["reports.>"] }

fn handle(event: Event<Told>) -> Result<Vec<Output>, Failure> {
    let settings: Settings = config::load()?;
    let (order, Told { step, cents }) = (event.key.as_deref().unwrap_or_default(), event.data.clone());
    let saga = SAGA.get()?;
    let after = saga.as_ref().map(|saga| saga.step);
    if !step.follows(after) {
        return Ok(vec![report(order, &Report::Unexpected { step, after })?]);
    }
    let mut saga = saga.unwrap_or(Saga { step, cents, began: event.time, since: event.time });
    let mut reports = Vec::new();
    if cents != saga.cents && step != Step::Cancelled {
        reports.push(report(order, &Report::Mismatch { step, cents, authorised: saga.cents })?);
    }
    (saga.step, saga.since) = (step, event.time);
    if step == Step::Settled {
        let seconds = event.time.saturating_sub(saga.began) / 1_000_000_000;
        reports.push(report(order, &Report::Completed { cents, seconds })?);
    }
    if matches!(step, Step::Settled | Step::Cancelled) {
        SAGA.delete()?;
        timers::cancel(STUCK)?;
        return Ok(reports);
    }
    SAGA.set(&saga)?;
    match settings.limits_s.get(&step) {
        Some(seconds) => timers::set_after(STUCK, Duration::from_secs(*seconds), "")?,
        None => timers::cancel(STUCK)?,
    }
    Ok(reports)
}

/// An order that waits is told once for each step; it can still go on.
fn on_timer(timer: Timer) -> Result<Option<Output>, Failure> {
    let Some(Saga { step, since, cents, .. }) = SAGA.get()? else { return Ok(None) };
    report(&timer.key, &Report::Stuck { at: step, since: clock::rfc3339(since), cents }).map(Some)
}

impl Step {
    fn follows(self, before: Option<Self>) -> bool {
        match self {
            Self::Authorised => before.is_none(),
            Self::Captured => before == Some(Self::Authorised),
            Self::Settled => before == Some(Self::Captured),
            Self::Cancelled => before == Some(Self::Authorised),
        }
    }
}

fn report(order: &str, report: &Report) -> Result<Output, Failure> {
    Output::json(format!("reports.order.{order}"), report)
}

#[cfg(test)]
mod tests {
    use wasmill_sdk::testing::{Delivery, Handled, Keyed, json};

    use super::*;

    fn payments() -> Keyed {
        let limits = json!({"authorised": 86_400, "captured": 172_800});
        Keyed::new(handle).on_timer(on_timer).config(json!({"limits_s": limits}))
    }

    fn told(handled: Handled) -> Vec<String> {
        handled.outputs().into_iter().map(|output| String::from_utf8(output.data).unwrap()).collect()
    }

    fn step(payments: &mut Keyed, step: &str, cents: u64) -> Vec<String> {
        told(payments.deliver(Delivery::json(json!({"step": step, "cents": cents})).key("o-1")))
    }

    fn hours(payments: &mut Keyed, hours: u64) -> Vec<String> {
        told(payments.advance(Duration::from_secs(3_600 * hours)))
    }

    #[test]
    fn an_order_that_goes_through_is_completed_and_leaves_nothing() {
        let mut payments = payments();
        assert_eq!(step(&mut payments, "authorised", 1_990), [""; 0]);
        assert_eq!(hours(&mut payments, 23), [""; 0]);
        assert_eq!(step(&mut payments, "captured", 1_990), [""; 0]);
        assert_eq!(hours(&mut payments, 47), [""; 0]);
        assert_eq!(
            step(&mut payments, "settled", 1_990),
            [r#"{"report":"completed","cents":1990,"seconds":252000}"#]
        );
        assert_eq!(hours(&mut payments, 1_000), [""; 0]);
        assert_eq!(payments.names("o-1"), [""; 0]);
    }

    #[test]
    fn an_order_is_reported_once_for_each_step_that_it_is_stuck_at() {
        let mut payments = payments();
        assert_eq!(step(&mut payments, "authorised", 500), [""; 0]);
        let stuck = r#"{"report":"stuck","at":"authorised","since":"2026-01-01T00:00:00Z","cents":500}"#;
        assert_eq!(hours(&mut payments, 100), [stuck]);
        assert_eq!(step(&mut payments, "captured", 500), [""; 0]);
        let stuck = r#"{"report":"stuck","at":"captured","since":"2026-01-05T04:00:00Z","cents":500}"#;
        assert_eq!(hours(&mut payments, 100), [stuck]);
        assert_eq!(step(&mut payments, "settled", 500).len(), 1);
    }

    #[test]
    fn what_does_not_follow_is_reported_and_changes_nothing() {
        let mut payments = payments();
        assert_eq!(
            step(&mut payments, "captured", 1),
            [r#"{"report":"unexpected","step":"captured","after":null}"#]
        );
        assert_eq!(step(&mut payments, "authorised", 100), [""; 0]);
        let unexpected = r#"{"report":"unexpected","step":"settled","after":"authorised"}"#;
        assert_eq!(step(&mut payments, "settled", 100), [unexpected]);
        let mismatch = r#"{"report":"mismatch","step":"captured","cents":120,"authorised":100}"#;
        assert_eq!(step(&mut payments, "captured", 120), [mismatch]);
        assert_eq!(step(&mut payments, "cancelled", 0).len(), 1);
    }

    #[test]
    fn a_cancelled_order_is_not_stuck() {
        let mut payments = payments();
        assert_eq!(step(&mut payments, "authorised", 100), [""; 0]);
        assert_eq!(step(&mut payments, "cancelled", 0), [""; 0]);
        assert_eq!(hours(&mut payments, 1_000), [""; 0]);
    }
}
