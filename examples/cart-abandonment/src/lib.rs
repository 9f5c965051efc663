//! Reminds of carts that were filled and then left alone: a pattern whose end is that nothing comes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmill_sdk::pattern::{Kept, Pattern, Skip, Step};
use wasmill_sdk::timers::Timer;
use wasmill_sdk::{Event, Failure, Output, clock, config, plugin};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How long a cart is left alone before its customer is reminded.
    idle_s: u64,
    /// Carts of a lower value are not worth a reminder.
    least_value: f64,
}

/// What happened to a customer's cart.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cart {
    action: Action,
    #[serde(default)]
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Changed,
    Viewed,
    Emptied,
    Bought,
}

#[derive(Serialize)]
struct Reminder {
    value: f64,
    idle_since: String,
}

plugin! { handler: handle, timers: on_timer, subjects: ["carts.*"], emits: ["reminders.>"] }

/// A change after which nothing happens.
fn abandoned() -> Result<Kept<Cart>, Failure> {
    let Settings { idle_s, least_value } = config::load()?;
    let pattern = Pattern::begin("changed", move |cart: &Cart, _| {
        cart.action == Action::Changed && cart.value >= least_value
    });
    let pattern =
        pattern.not_followed_by(|_, _| true).within(Duration::from_secs(idle_s)).skip(Skip::PastLast);
    Ok(pattern.kept("abandoned"))
}

fn handle(event: Event<Cart>) -> Result<Vec<Output>, Failure> {
    let customer = event.key.unwrap_or_default();
    remind(&customer, &abandoned()?.advance(event.data)?)
}

fn on_timer(timer: Timer) -> Result<Vec<Output>, Failure> {
    remind(&timer.key, &abandoned()?.on_timer(&timer)?)
}

fn remind(customer: &str, step: &Step<Cart>) -> Result<Vec<Output>, Failure> {
    let changes = step.matches.iter().filter_map(|found| found.events.first());
    let reminders = changes.map(|change| {
        let reminder = Reminder { value: change.event.value, idle_since: clock::rfc3339(change.time) };
        Output::json(format!("reminders.cart.{customer}"), &reminder)
    });
    reminders.collect()
}

#[cfg(test)]
mod tests {
    use wasmill_sdk::testing::{Delivery, Handled, Keyed, json};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn shop() -> Keyed {
        Keyed::new(handle).on_timer(on_timer).config(json!({"idle_s": 1_800, "least_value": 20}))
    }

    fn told(handled: Handled) -> Vec<String> {
        handled.outputs().into_iter().map(|output| String::from_utf8(output.data).unwrap()).collect()
    }

    fn cart(shop: &mut Keyed, action: &str, value: f64) -> Vec<String> {
        told(shop.deliver(Delivery::json(json!({"action": action, "value": value})).key("anna")))
    }

    #[test]
    fn a_cart_is_reminded_of_once_after_its_last_change() {
        let mut shop = shop();
        for value in [25.0, 30.5] {
            assert_eq!(cart(&mut shop, "changed", value), [""; 0]);
            assert_eq!(told(shop.advance(29 * MINUTE)), [""; 0]);
        }
        assert_eq!(told(shop.advance(MINUTE)), [r#"{"value":30.5,"idle_since":"2026-01-01T00:29:00Z"}"#]);
        assert_eq!(told(shop.advance(600 * MINUTE)), [""; 0]);
        assert_eq!(shop.names("anna"), [""; 0]);
    }

    #[test]
    fn whatever_happens_to_it_a_cart_is_not_left_alone() {
        for (action, value) in [("bought", 30.0), ("emptied", 0.0), ("viewed", 30.0), ("changed", 19.0)] {
            let mut shop = shop();
            assert_eq!(cart(&mut shop, "changed", 30.0), [""; 0]);
            assert_eq!(cart(&mut shop, action, value), [""; 0]);
            assert_eq!(told(shop.advance(600 * MINUTE)), [""; 0], "{action}");
        }
    }
}
