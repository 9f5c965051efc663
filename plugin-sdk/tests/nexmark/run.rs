//! Runs a plugin over a stream, and keeps what stands of what it told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use wasmill_sdk::aggregate::Scored;
use wasmill_sdk::testing::{Cause, Delivery, Handled, Keyed, json};
use wasmill_sdk::timers::Timer;
use wasmill_sdk::{Event, Failure, Output, Payload};

use super::plugins::{self, Told};
use super::stream::keyed;

/// Key, start and end of a window, ms since the Unix epoch.
pub type Place = (String, u64, u64);

/// How the windows of a run wait for events.
#[derive(Clone, Copy)]
pub struct Windowing {
    pub disorder_ms: u64,
    pub lateness_ms: u64,
}

impl Windowing {
    fn spec(self, mut shape: Json) -> Json {
        shape["disorder_ms"] = self.disorder_ms.into();
        shape["lateness_ms"] = self.lateness_ms.into();
        shape
    }

    pub fn sliding(self, size_ms: u64, slide_ms: u64) -> Json {
        self.spec(json!({"kind": "sliding", "size_ms": size_ms, "slide_ms": slide_ms}))
    }

    pub fn tumbling(self, size_ms: u64) -> Json {
        self.spec(json!({"kind": "tumbling", "size_ms": size_ms}))
    }

    pub fn session(self, gap_ms: u64) -> Json {
        self.spec(json!({"kind": "session", "gap_ms": gap_ms}))
    }
}

/// What a plugin told, in the order it did, and what stands of it.
#[derive(Default)]
pub struct Run {
    /// With the time of the output, ns since the Unix epoch.
    pub outputs: Vec<(u64, Told)>,
    pub told: BTreeMap<Place, Json>,
    pub late: u64,
    pub corrections: u64,
}

impl Run {
    fn note(&mut self, handled: Handled, event_time: u64) {
        for step in handled.steps {
            let time = match step.cause {
                Cause::Timer { due, .. } => due,
                _ => event_time,
            };
            for output in step.answer.unwrap() {
                match output.subject.as_str() {
                    "late" => self.late += 1,
                    _ => self.tell(time, serde_json::from_slice(&output.data).unwrap()),
                }
            }
        }
    }

    fn tell(&mut self, time: u64, told: Told) {
        let place = |window: &wasmill_sdk::window::Window| {
            (told.key.clone(), window.start / 1_000_000, window.end / 1_000_000)
        };
        self.corrections += u64::from(!told.replaces.is_empty());
        for before in &told.replaces {
            self.told.remove(&place(before));
        }
        let twice = self.told.insert(place(&told.window), told.value.clone());
        assert_eq!(twice, None, "{told:?} does not say that it was told before");
        self.outputs.push((time, told));
    }

    /// What stands when all is told.
    pub fn standing(&self) -> BTreeMap<Place, Json> {
        self.told.clone()
    }

    /// The winners by the end of their window.
    pub fn by_end(&self) -> BTreeMap<u64, BTreeSet<(String, u64)>> {
        let scored = |value: &Json| -> BTreeSet<(String, u64)> {
            let scored: Vec<Scored> = serde_json::from_value(value.clone()).unwrap();
            scored.into_iter().map(|scored| (scored.label, scored.score as u64)).collect()
        };
        self.told.iter().map(|((_, _, end), value)| (*end, scored(value))).collect()
    }
}

/// A plugin with its config, ready to run.
pub struct Plugin(Keyed);

impl Plugin {
    pub fn new<T: Payload + 'static>(
        handle: fn(Event<T>) -> Result<Vec<Output>, Failure>,
        on_timer: fn(Timer) -> Result<Vec<Output>, Failure>,
    ) -> Self {
        Self(Keyed::new(handle).on_timer(on_timer))
    }

    pub fn windows(self, window: Json) -> Self {
        Self(self.0.config(json!({ "window": window })))
    }

    /// Delivers all, and then lets a day pass.
    pub fn run(mut self, deliveries: impl Iterator<Item = (u64, Delivery)>) -> Run {
        let mut run = Run::default();
        for (time, delivery) in deliveries {
            run.note(self.0.deliver(delivery), time);
        }
        run.note(self.0.advance(std::time::Duration::from_secs(86_400)), 0);
        run
    }
}

/// The last stage of queries 5 and 7: the greatest of each window over all keys. What the first stage tells of a window it
/// tells when its own windows close, so that the last stage waits for a second more.
pub fn winners(first: &Run, windowing: Windowing, slide_ms: u64) -> Run {
    let windowing = Windowing { disorder_ms: windowing.disorder_ms + 1_000, ..windowing };
    let events = first.outputs.iter().map(|(time, told)| {
        let end_ms = (told.window.end / 1_000_000).to_string();
        keyed(&end_ms, time / 1_000_000, json!(told))
    });
    Plugin::new(plugins::winners, plugins::highest_due).windows(windowing.tumbling(slide_ms)).run(events)
}
