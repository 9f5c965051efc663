//! Counts the events of each key and tells the count: as little as a plugin with a key can do. Its manifest may have it leave
//! out what it is measured against: the counting, so that it needs no key; or the telling.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmill_sdk::state::Counter;
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, config, plugin};

const COUNT: Counter = Counter::new("count");
/// The timer of a key that waits for its next event.
const IDLE: &str = "idle";

/// The `[config]` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Keep a count for each key.
    counts: bool,
    /// Emit one output for each event.
    emits: bool,
    /// Each event sets a timer of its key, due after so many milliseconds; 0 sets none.
    #[serde(default)]
    idle_ms: u64,
}

static SETTINGS: config::Cached<Settings> = config::Cached::new();

#[derive(Deserialize)]
struct Payment {
    amount: f64,
}

#[derive(Serialize)]
struct Tally<'a> {
    key: &'a str,
    count: i64,
    amount: f64,
}

plugin! { handler: handle, timers: on_timer, subjects: ["payments.*"], emits: ["alerts.tally"] }

fn handle(event: Event<Payment>) -> Result<Option<Output>, Failure> {
    let settings = SETTINGS.get()?;
    let count = if settings.counts { COUNT.add(1)? } else { 0 };
    if settings.idle_ms > 0 {
        timers::set_after(IDLE, Duration::from_millis(settings.idle_ms), "")?;
    }
    let key = event.subject.rsplit('.').next().unwrap_or_default();
    let tally = Tally { key, count, amount: event.data.amount };
    settings.emits.then(|| Output::json("alerts.tally", &tally)).transpose()
}

fn on_timer(timer: Timer) -> Result<Output, Failure> {
    let count = COUNT.get()?;
    Output::json("alerts.idle", &Tally { key: &timer.key, count, amount: 0.0 })
}
