use std::time::Duration;

use wasmill_sdk::state::{Counter, Value};
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, plugin};

const READINGS: Counter = Counter::new("readings");
const LAST: Value<u64> = Value::new("last");

/// Every reading puts the alarm off; one that comes late must not bring it forward.
fn handle(event: Event) -> Result<(), Failure> {
    READINGS.add(1)?;
    if LAST.get()?.is_none_or(|last| last < event.time) {
        LAST.set(&event.time)?;
        timers::set_after("silence", Duration::from_secs(600), "")?;
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Silent {
    device: String,
    readings: i64,
}

fn on_timer(timer: Timer) -> Result<Output, Failure> {
    Output::json("alerts.silent", &Silent { device: timer.key, readings: READINGS.get()? })
}

plugin!(handle, timers = on_timer);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmill_sdk::testing::{Delivery, Keyed, json};

    use super::{handle, on_timer};

    #[test]
    fn a_device_that_falls_silent_is_reported_once() {
        let mut engine = Keyed::new(handle).on_timer(on_timer);
        for _ in 0..3 {
            let reading = Delivery::json(json!({"celsius": 21})).key("pump-1");
            assert_eq!(engine.deliver(reading).outputs(), []);
            let _ = engine.advance(Duration::from_secs(300));
        }
        let late = Delivery::json(json!({"celsius": 20})).time(engine.clock() - 600_000_000_000);
        assert_eq!(engine.deliver(late.key("pump-1")).outputs(), []);
        assert_eq!(engine.get("pump-1", "readings"), Some(4));
        assert_eq!(engine.advance(Duration::from_secs(299)).outputs(), []);
        let alerts = engine.advance(Duration::from_secs(86_400)).outputs();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].data, br#"{"device":"pump-1","readings":4}"#);
    }
}
