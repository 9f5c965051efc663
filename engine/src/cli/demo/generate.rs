//! The demo's events: card payments and orders, the same every time.

use crate::event::MSG_ID_HEADER;
use crate::message::Message;
use crate::subject::{Subject, SubjectError};

/// Where payments go.
pub(super) const PAYMENTS: &str = "payments.card";
/// Where orders go.
pub(super) const ORDERS: &str = "orders.placed";
/// Any number will do; the same one makes the same events.
const SEED: u64 = 0x5741_534d;
/// One event in so many is an order.
const ORDER_EVERY: u64 = 4;
/// One payment in so many is a large one.
const LARGE_EVERY: u32 = 20;

/// Makes events one after another and counts them.
pub(super) struct Generator {
    random: fastrand::Rng,
    payments: Subject,
    orders: Subject,
    made: u64,
    threshold: Option<f64>,
    /// Payments over the threshold so far.
    pub(super) over_threshold: u64,
}

impl Generator {
    /// Payments over the threshold are counted.
    pub(super) fn new(threshold: Option<f64>) -> Result<Self, SubjectError> {
        Ok(Self {
            random: fastrand::Rng::with_seed(SEED),
            payments: Subject::new(PAYMENTS)?,
            orders: Subject::new(ORDERS)?,
            made: 0,
            threshold,
            over_threshold: 0,
        })
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Message {
        self.made += 1;
        let mut message = if self.made.is_multiple_of(ORDER_EVERY) { self.order() } else { self.payment() };
        message.headers.push(MSG_ID_HEADER, format!("demo-{}", self.made));
        message
    }

    fn payment(&mut self) -> Message {
        let cents = if self.random.u32(..LARGE_EVERY) == 0 {
            self.random.u32(20_000..90_000)
        } else {
            self.random.u32(100..12_000)
        };
        let amount = f64::from(cents) / 100.0;
        if self.threshold.is_some_and(|threshold| amount > threshold) {
            self.over_threshold += 1;
        }
        let (customer, number) = (self.random.u32(1..5_000), self.random.u32(..10_000));
        let payload = format!(
            r#"{{"id":"p{}","customer":{customer},"amount":{amount:.2},"currency":"EUR","card":{{"brand":"visa","number":"400000000000{number:04}"}}}}"#,
            self.made
        );
        Message::new(self.payments.clone(), payload)
    }

    fn order(&mut self) -> Message {
        let items = self.random.u32(1..6);
        let total = f64::from(items * self.random.u32(500..40_000)) / 100.0;
        let country = ["DE", "AT", "CH", "FR", "IT"].get(self.random.usize(..5)).copied().unwrap_or("DE");
        let customer = self.random.u32(1..5_000);
        let payload = format!(
            r#"{{"id":"o{}","customer":{{"id":{customer},"country":"{country}"}},"items":{items},"total":{total:.2}}}"#,
            self.made
        );
        Message::new(self.orders.clone(), payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_json_and_the_large_ones_are_counted() {
        let mut generator = Generator::new(Some(220.0)).unwrap();
        let (mut orders, mut over) = (0, 0);
        for _ in 0..1_000 {
            let message = generator.next();
            let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            match message.subject.as_str() {
                ORDERS => orders += 1,
                _ => over += u64::from(json["amount"].as_f64().unwrap() > 220.0),
            }
        }
        assert_eq!(orders, 250);
        assert_eq!(over, generator.over_threshold);
        assert!(over > 10, "{over}");
    }

    #[test]
    fn two_runs_make_the_same_events() {
        let (mut one, mut two) = (Generator::new(None).unwrap(), Generator::new(None).unwrap());
        assert!((0..100).all(|_| one.next() == two.next()));
    }
}
