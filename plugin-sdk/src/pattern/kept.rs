//! A pattern in a keyed plugin: its state in a field of the event's key, its time in a timer of the same name.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Pattern, State, Step};
use crate::state::Value;
use crate::timers::{self, Timer};
use crate::{Failure, clock};

/// A pattern that remembers, per key, under one name: a state field and a timer are called so.
///
/// ```
/// use std::time::Duration;
/// use wasmill_sdk::pattern::{Kept, Pattern};
/// use wasmill_sdk::{Event, Failure, Output, timers::Timer};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Cart {
///     kind: String,
/// }
///
/// fn abandoned() -> Kept<Cart> {
///     Pattern::begin("filled", |cart: &Cart, _| cart.kind == "filled")
///         .not_followed_by(|cart, _| cart.kind == "bought")
///         .within(Duration::from_secs(600))
///         .kept("abandoned")
/// }
///
/// fn handle(event: Event<Cart>) -> Result<(), Failure> {
///     abandoned().advance(event.data)?;
///     Ok(())
/// }
///
/// fn on_timer(timer: Timer) -> Result<Vec<Output>, Failure> {
///     let step = abandoned().on_timer(&timer)?;
///     Ok(step.matches.iter().map(|_| Output::bytes(format!("carts.abandoned.{}", timer.key), "")).collect())
/// }
///
/// # use wasmill_sdk::testing::{Delivery, Keyed, json};
/// let mut engine = Keyed::new(handle).on_timer(on_timer);
/// let mut send = |kind: &str, key: &str| engine.deliver(Delivery::json(json!({"kind": kind})).key(key)).outputs();
/// send("filled", "anna");
/// send("filled", "ben");
/// send("bought", "ben");
/// let fired = engine.advance(Duration::from_secs(600)).outputs();
/// assert_eq!(fired.iter().map(|output| output.subject.as_str()).collect::<Vec<_>>(), ["carts.abandoned.anna"]);
/// ```
///
/// Its clock is [`clock::now`]: the time of the event, or of the timer.
pub struct Kept<E> {
    pattern: Pattern<E>,
    state: Value<State<E>>,
}

impl<E> Pattern<E> {
    /// Keeps the pattern's state for each key, in a field and a timer of this name.
    pub fn kept(self, name: &str) -> Kept<E> {
        Kept { pattern: self, state: Value::named(name) }
    }
}

impl<E: Clone + Serialize + DeserializeOwned> Kept<E> {
    /// Takes one event of the current key. Matches and timeouts may also come of time that passed before it.
    ///
    /// # Errors
    /// What the pattern refuses, see [`Error`](super::Error), and what state and timers refuse.
    pub fn advance(&self, event: E) -> Result<Step<E>, Failure> {
        self.step(false, |state| self.pattern.advance(state, event, clock::now()))
    }

    /// Handles a timer of the plugin. One of another name is not the pattern's, and brings nothing about.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn on_timer<T>(&self, timer: &Timer<T>) -> Result<Step<E>, Failure> {
        if timer.name != self.state.name() {
            return Ok(Step::default());
        }
        self.step(true, |state| self.pattern.on_time(state, timer.due))
    }

    fn step(
        &self,
        fired: bool,
        change: impl FnOnce(&mut State<E>) -> Result<Step<E>, super::Error>,
    ) -> Result<Step<E>, Failure> {
        let stored = self.state.get()?;
        let known = stored.is_some();
        let mut state = stored.unwrap_or_default();
        // A timer that fired is gone, even if the same time is due as before: `within` may be longer than when it was set.
        let before = if fired { None } else { self.pattern.due(&state) };
        let step = change(&mut state)?;
        timers::move_to(self.state.name(), before, self.pattern.due(&state))?;
        if !state.is_idle() {
            self.state.set(&state)?;
        } else if known {
            self.state.delete()?;
        }
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::testing::{Delivery, Keyed, json};
    use crate::{Event, Output};

    fn silent() -> Kept<String> {
        Pattern::begin("a", |kind: &String, _| kind == "a")
            .not_followed_by(|kind, _| kind == "b")
            .within(Duration::from_secs(10))
            .kept("silent")
    }

    fn outputs(step: &Step<String>) -> Vec<Output> {
        step.matches.iter().map(|found| Output::bytes("alerts", found.at.to_string())).collect()
    }

    fn engine() -> Keyed {
        Keyed::new(|event: Event<String>| silent().advance(event.data).map(|step| outputs(&step)))
            .on_timer(|timer: Timer| silent().on_timer(&timer).map(|step| outputs(&step)))
            .now(0)
    }

    fn event(kind: &str) -> Delivery {
        Delivery::json(json!(kind)).key("k")
    }

    #[test]
    fn a_pattern_leaves_nothing_behind() {
        let mut engine = engine();
        assert!(engine.deliver(event("a")).outputs().is_empty());
        let stored: serde_json::Value = engine.get("k", "silent").unwrap();
        assert_eq!(stored["p"], "a !~");
        assert!(engine.deliver(event("b")).outputs().is_empty());
        assert_eq!(engine.get::<serde_json::Value>("k", "silent"), None);
        assert!(engine.advance(Duration::from_secs(20)).steps.is_empty());
    }

    #[test]
    fn its_timer_follows_what_is_unfinished() {
        const SECOND: u64 = 1_000_000_000;
        let mut engine = engine();
        let due = |engine: &Keyed| engine.timers("k").get("silent").copied();
        let _ = engine.deliver(event("a"));
        let begin = engine.clock();
        assert_eq!(due(&engine), Some(begin + 10 * SECOND));
        let _ = engine.advance(Duration::from_secs(6));
        let _ = engine.deliver(event("a"));
        assert_eq!(due(&engine), Some(begin + 10 * SECOND));
        for (wait, at) in [(6, 10), (4, 16)] {
            let fired = engine.advance(Duration::from_secs(wait));
            assert_eq!(fired.outputs(), [Output::bytes("alerts", (begin + at * SECOND).to_string())]);
        }
        assert_eq!(due(&engine), None);
    }

    #[test]
    fn with_a_longer_within_its_timer_is_set_anew() {
        let within = Rc::new(Cell::new(10));
        let pattern = |seconds: &Rc<Cell<u64>>| {
            let begun =
                Pattern::begin("a", |kind: &String, _| kind == "a").not_followed_by(|kind, _| kind == "b");
            begun.within(Duration::from_secs(seconds.get())).kept("silent")
        };
        let (on_event, on_timer) = (within.clone(), within.clone());
        let mut engine = Keyed::new(move |event: Event<String>| {
            pattern(&on_event).advance(event.data).map(|step| outputs(&step))
        })
        .on_timer(move |timer: Timer| pattern(&on_timer).on_timer(&timer).map(|step| outputs(&step)));
        let _ = engine.deliver(event("a"));
        within.set(20);
        assert_eq!(engine.advance(Duration::from_secs(10)).outputs(), []);
        assert_eq!(engine.advance(Duration::from_secs(10)).outputs().len(), 1);
        assert!(engine.timers("k").is_empty());
    }

    #[test]
    fn another_timer_is_not_its_own() {
        let other = Timer { name: "other".into(), key: "k".into(), due: 1, data: () };
        assert_eq!(silent().on_timer(&other), Ok(Step::default()));
    }
}
