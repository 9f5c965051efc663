use wasmill_sdk::{Event, Failure, Output, config, plugin};

#[derive(serde::Deserialize)]
struct Payment {
    amount: f64,
}

#[derive(serde::Deserialize)]
struct Settings {
    limit: f64,
}

fn handle(event: Event<Payment>) -> Result<Option<Output>, Failure> {
    let settings: Settings = config::load()?;
    if event.data.amount <= settings.limit {
        return Ok(None);
    }
    Ok(Some(Output::bytes("alerts.large", event.into_raw())))
}

plugin!(handle);

#[cfg(test)]
mod tests {
    use wasmill_sdk::testing::{Delivery, Test, event, json};

    use super::handle;

    #[test]
    fn only_large_payments_raise_an_alert() {
        Test::new().config(json!({"limit": 220}));
        assert_eq!(handle(event(json!({"amount": 220}))), Ok(None));
        assert_eq!(handle(event(json!({"amount": 221}))).unwrap().unwrap().subject, "alerts.large");
    }

    #[test]
    fn a_payment_without_an_amount_is_set_aside() {
        let failure = Delivery::json(json!({"id": 7})).to(handle).unwrap_err();
        assert!(failure.reason().contains("missing field `amount`"));
    }
}
