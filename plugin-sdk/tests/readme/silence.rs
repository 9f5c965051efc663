use std::time::Duration;

use wasmill_sdk::state::Counter;
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, plugin};

const READINGS: Counter = Counter::new("readings");

/// Every reading puts the alarm off.
fn handle(_: Event) -> Result<(), Failure> {
    READINGS.add(1)?;
    timers::set_after("silence", Duration::from_secs(600), "")?;
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
        assert_eq!(engine.get("pump-1", "readings"), Some(3));
        let alerts = engine.advance(Duration::from_secs(86_400)).outputs();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].data, br#"{"device":"pump-1","readings":3}"#);
    }
}
