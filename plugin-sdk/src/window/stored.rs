//! Windows in a state field, closed by a timer of the same name.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Added, Closed, Open, Windows};
use crate::aggregate::Aggregate;
use crate::state::Value;
use crate::{Failure, clock, timers};

impl<A: Aggregate + Serialize + DeserializeOwned> Windows<A> {
    /// [`Windows::add`] in an event's handler, to the windows that `field` holds for the event's key. A timer with the name of
    /// the field is set for when the next window closes; let [`Windows::on_timer`] answer it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wasmill_sdk::aggregate::{Count, Sum};
    /// use wasmill_sdk::state::Value;
    /// use wasmill_sdk::timers::Timer;
    /// use wasmill_sdk::window::{Closed, Open, Spec, Windows};
    /// use wasmill_sdk::{Event, Failure, Output};
    ///
    /// type Takings = (Count, Sum);
    /// const OPEN: Value<Open<Takings>> = Value::new("takings");
    ///
    /// fn minutes() -> Result<Windows<Takings>, Failure> {
    ///     Ok(Spec::tumbling(Duration::from_secs(60)).disorder(Duration::from_secs(5)).of(Takings::default())?)
    /// }
    ///
    /// fn handle(event: Event) -> Result<Vec<Output>, Failure> {
    ///     let amount = event.data["amount"].as_f64().unwrap_or(0.0);
    ///     let added = minutes()?.on_event(&OPEN, event.time, |(count, sum)| {
    ///         count.add(1);
    ///         sum.add(amount);
    ///     })?;
    ///     let mut outputs = tell(added.closed)?;
    ///     if added.late {
    ///         outputs.push(Output::bytes("takings.late", event.into_raw()));
    ///     }
    ///     Ok(outputs)
    /// }
    ///
    /// fn on_timer(_: Timer) -> Result<Vec<Output>, Failure> {
    ///     tell(minutes()?.on_timer(&OPEN)?)
    /// }
    ///
    /// fn tell(closed: Vec<Closed<Takings>>) -> Result<Vec<Output>, Failure> {
    ///     let told = closed.iter().map(|Closed { window, value: (count, sum), .. }| {
    ///         Output::json("takings.minute", &(window, count.get(), sum.get()))
    ///     });
    ///     told.collect()
    /// }
    ///
    /// wasmill_sdk::plugin!(handle, timers = on_timer);
    /// # fn main() {
    /// # use wasmill_sdk::testing::{Delivery, Keyed, json};
    /// # let start = 1_767_225_600_000_000_000;
    /// # let mut engine = Keyed::new(handle).on_timer(on_timer);
    /// # for seconds in [1, 2] {
    /// #     let sale = Delivery::json(json!({"amount": 2.5})).time(start + seconds * 1_000_000_000);
    /// #     assert!(engine.deliver(sale.key("shop")).outputs().is_empty());
    /// # }
    /// # assert!(engine.advance(Duration::from_millis(62_999)).outputs().is_empty());
    /// # let told = engine.advance(Duration::from_millis(1)).outputs();
    /// # assert_eq!(told[0].data, br#"[{"start_ms":1767225600000,"end_ms":1767225660000},2,5.0]"#);
    /// # assert!(engine.timers("shop").is_empty());
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the engine refuses, see [`state::Error`](crate::state::Error) and [`timers::Error`]; a retry if the field holds
    /// something else, or windows of another definition.
    pub fn on_event(
        &self,
        field: &Value<Open<A>>,
        time: u64,
        change: impl FnOnce(&mut A),
    ) -> Result<Added<A>, Failure> {
        self.stored(field, false, |open| self.add(open, time, change))
    }

    /// [`Windows::advance`] in the timers' handler, to [`clock::now`]: closes what is due, and sets the timer for the next
    /// window.
    ///
    /// # Errors
    /// As [`Windows::on_event`].
    pub fn on_timer(&self, field: &Value<Open<A>>) -> Result<Vec<Closed<A>>, Failure> {
        self.stored(field, true, |open| self.advance(open, clock::now()))
    }

    fn stored<R>(
        &self,
        field: &Value<Open<A>>,
        fired: bool,
        work: impl FnOnce(&mut Open<A>) -> R,
    ) -> Result<R, Failure> {
        let mut open = field.get()?.unwrap_or_default();
        self.check(&open)?;
        // A timer that fired is gone, even if the same time is due as before.
        let before = if fired { None } else { self.due(&open) };
        let answer = work(&mut open);
        field.set(&open)?;
        timers::move_to(field.name(), before, self.due(&open))?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::aggregate::Count;
    use crate::testing::{Delivery, Keyed};
    use crate::timers::Timer;
    use crate::window::Spec;
    use crate::{Event, Output, config};

    const COUNT: Value<Open<Count>> = Value::new("count");

    fn windows() -> Result<Windows<Count>, Failure> {
        Ok(config::load::<Spec>()?.of(Count::default())?)
    }

    fn tell(closed: &[Closed<Count>]) -> Vec<Output> {
        closed.iter().map(|one| Output::bytes("out", one.value.get().to_string())).collect()
    }

    fn handle(event: Event) -> Result<Vec<Output>, Failure> {
        Ok(tell(&windows()?.on_event(&COUNT, event.time, |count| count.add(1))?.closed))
    }

    fn on_timer(_: Timer) -> Result<Vec<Output>, Failure> {
        Ok(tell(&windows()?.on_timer(&COUNT)?))
    }

    /// Both the events and the timers of what is open wait for the definition that it was stored for.
    #[test]
    fn windows_of_another_definition_wait() {
        let session = json!({"kind": "session", "gap_ms": 60_000});
        for other in
            [json!({"kind": "tumbling", "size_ms": 60_000}), json!({"kind": "session", "gap_ms": 90_000})]
        {
            let mut engine = Keyed::new(handle).on_timer(on_timer).config(session.clone());
            let event = || Delivery::json(json!({})).key("k");
            assert!(engine.deliver(event()).outputs().is_empty());
            let stored: Json = engine.get("k", "count").unwrap();
            assert_eq!(stored["c"], "gap 60000");

            let mut engine = engine.config(other.clone());
            let handled = engine.deliver(event());
            let failure = handled.failure().unwrap();
            assert!(failure.is_retry() && failure.reason().contains("are of `gap 60000`"), "{failure}");
            let handled = engine.advance(Duration::from_secs(60));
            let failure = handled.failure().unwrap();
            assert!(failure.is_retry(), "{failure}");
            assert_eq!(engine.get::<Json>("k", "count"), Some(stored));

            let mut engine = engine.config(session.clone());
            assert_eq!(engine.advance(Duration::ZERO).outputs(), [Output::bytes("out", "1")]);
            let mut engine = engine.config(other);
            assert!(engine.deliver(event()).outputs().is_empty(), "nothing is open");
        }
    }
}
