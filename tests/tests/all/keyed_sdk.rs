//! The keyed engine that the Rust SDK brings for native tests does what the sandbox does: the same plugin, run by both.

use std::sync::Arc;

use bytes::Bytes;
use wasmill::event::Event;
use wasmill::lookup::{LookupError, Tables};
use wasmill::outcome::Failure;
use wasmill::sandbox::{Batch, Cause, Input};
use wasmill::state::{KeyState, StateLimits};
use wasmill_sdk::testing::{self, Delivery, Handled, Keyed};
use wasmill_sdk::{Failure as Told, Output, RawEvent};
use wasmill_tests::parts;

use crate::hostile::{Running, event};

/// What the conformance plugin in Rust does with a key, as part of this program.
#[path = "../../languages/rust/src/keyed.rs"]
mod plugin;

type Answer = Result<Vec<Output>, Told>;

const OUT: &str = "conformance.out";
const RUNS: u64 = 60;
const EVENTS: usize = 40;
/// The version that is taken to have written what the first half of a run leaves.
const OLD_VERSION: &str = "1.0.0";
const NO_MIGRATION: &str = "cannot migrate";
const LIMITS: StateLimits = StateLimits { record_bytes: 1_024, timers: 3 };
/// When a run begins, nanoseconds since the Unix epoch.
const START_NS: u64 = 1_700_000_000_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

#[derive(Debug)]
struct Table;

impl Tables for Table {
    fn get(&self, table: &str, key: &str) -> Result<Option<Bytes>, LookupError> {
        match table {
            "tiers" => Ok((key == "ann").then(|| Bytes::from_static(b"gold"))),
            _ => Err(LookupError::NotGranted),
        }
    }
}

/// One call: what it was for, and its outputs or how it failed.
#[derive(Debug, PartialEq)]
struct Call {
    cause: String,
    answer: Result<Vec<(String, Vec<(String, String)>, String)>, String>,
}

/// What is stored: fields, and timers with their time.
#[derive(Debug, PartialEq)]
struct Held {
    fields: Vec<(String, Vec<u8>)>,
    timers: Vec<(String, u64)>,
}

/// One event: when it happened, which part of the plugin it is for, and its data.
#[derive(Debug, Clone)]
struct Sent {
    time_ns: u64,
    token: &'static str,
    data: String,
}

fn pick<'a>(random: &mut fastrand::Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

fn name(random: &mut fastrand::Rng) -> String {
    match random.u8(..40) {
        0 => String::new(),
        1 => "n".repeat(257),
        2 => "n".repeat(256),
        _ => pick(random, &["a", "b", "ü", "m/k", "drop"]).to_owned(),
    }
}

/// One command; those over typed fields come last. What migration makes of the plugin's typed fields, none could read.
fn command(random: &mut fastrand::Rng, depth: u8, typed: bool) -> String {
    let name = name(random);
    match random.u8(..if typed { 32 } else { 24 }) {
        0..4 => format!("get {name}"),
        4..8 => format!("set {name} {}", "v".repeat(random.usize(..30))),
        8 => format!("set {name} {}", "v".repeat(random.usize(..1_100))),
        9..11 => format!("delete {name}"),
        11..13 => format!("names {}", pick(random, &["", "m", "m/", "zz"])),
        13..17 if depth > 0 => {
            format!("after {name} {} {}", random.u32(..20_000), command(random, depth - 1, typed))
        }
        17..20 if depth > 0 => {
            let due = START_NS + random.u64(..60) * SECOND_NS;
            format!("at {name} {due} {}", command(random, depth - 1, typed))
        }
        13..21 => format!("cancel {name}"),
        21 => format!("lookup {}", pick(random, &["tiers ann", "tiers bob", "none ann"])),
        22 if random.u8(..3) == 0 => "fail".to_owned(),
        23 if random.u8(..3) == 0 => "dance".to_owned(),
        22..24 => format!("get {name}"),
        24..26 => format!("count n {}", random.i32(-3..9)),
        26..28 => format!("push l 3 {}", random.u8(..)),
        28..30 => format!("put m {} x", pick(random, &["k", "", "k/2"])),
        _ => format!("add s {}", pick(random, &["x", "y"])),
    }
}

fn sent(random: &mut fastrand::Rng, clock_ns: &mut u64, typed: bool) -> Sent {
    let late = random.u8(..8) == 0;
    *clock_ns += if late { 0 } else { random.u64(..8) * SECOND_NS };
    let time_ns = if late { *clock_ns - random.u64(..20) * SECOND_NS } else { *clock_ns };
    let commands: Vec<_> = (0..random.usize(1..6)).map(|_| command(random, 2, typed)).collect();
    let token = if random.u8(..12) == 0 { "swap" } else { "script" };
    Sent { time_ns, token, data: commands.join("\n") }
}

fn handle(event: RawEvent) -> Answer {
    if event.subject.ends_with("swap") { plugin::swap(event) } else { plugin::script(&event) }
}

/// The same events in the SDK's engine.
struct Native {
    engine: Keyed,
    calls: Vec<Call>,
}

impl Native {
    fn new() -> Self {
        let engine = Keyed::new(handle).on_timer(plugin::on_timer).migrate(plugin::migrate);
        Self {
            engine: engine.now(START_NS).limits(1, 3).table("tiers", [("ann", "gold")]),
            calls: Vec::new(),
        }
    }

    fn deliver(&mut self, sent: &Sent) {
        let subject = format!("in.{}", sent.token);
        let delivery = Delivery::bytes(sent.data.as_str()).subject(&subject).key("k").time(sent.time_ns);
        let handled = self.engine.deliver(delivery);
        self.note(handled);
    }

    fn note(&mut self, handled: Handled) {
        self.calls.extend(handled.steps.into_iter().map(|step| Call {
            cause: match &step.cause {
                testing::Cause::Event { .. } => "event".to_owned(),
                testing::Cause::Timer { name, due } => format!("timer {name} {due}"),
                testing::Cause::Migration { .. } => "migration".to_owned(),
            },
            answer: match step.answer {
                Ok(outputs) => {
                    Ok(outputs.into_iter().map(|o| shown(o.subject, o.headers, &o.data)).collect())
                }
                Err(_) if matches!(step.cause, testing::Cause::Migration { .. }) => {
                    Err(NO_MIGRATION.to_owned())
                }
                Err(Told::Exception { .. }) => Err("too large".to_owned()),
                Err(failure) => Err(failure.reason().to_owned()),
            },
        }));
    }

    fn held(&self) -> Held {
        let field = |name: String| (name.clone(), self.engine.bytes("k", &name).unwrap());
        Held {
            fields: self.engine.names("k").into_iter().map(field).collect(),
            timers: self.engine.timers("k").into_iter().collect(),
        }
    }
}

/// The same events in the sandbox, in batches; what fails is given up, as it is in the end in an engine.
struct Sandboxed<'a> {
    running: &'a Running,
    state: KeyState,
    clock_ns: u64,
    migrate_from: Option<String>,
    calls: Vec<Call>,
}

impl Sandboxed<'_> {
    async fn deliver(&mut self, sent: &[Sent]) {
        let mut inputs: Vec<_> = sent.iter().map(|sent| self.input(sent)).collect();
        while !inputs.is_empty() && !stuck(&self.calls) {
            let done = self.batch(inputs.clone()).await;
            inputs.drain(..done);
        }
    }

    fn input(&mut self, sent: &Sent) -> Input {
        self.clock_ns = self.clock_ns.max(sent.time_ns);
        let event = Event {
            subject: format!("in.{}", sent.token),
            key: Some("k".to_owned()),
            time_ns: sent.time_ns,
            data: Bytes::from(sent.data.clone()),
            ..event("test-1")
        };
        Input { event: Arc::new(event), clock_ns: self.clock_ns }
    }

    /// How many of the inputs are done with.
    async fn batch(&mut self, inputs: Vec<Input>) -> usize {
        let batch = Batch {
            key: "k".into(),
            state: self.state.clone(),
            limits: LIMITS,
            inputs,
            then_due_by: None,
            max_timers: 1_000,
            migrate_from: self.migrate_from.clone(),
        };
        let handled = self.running.workers.handle_batch(batch).await.unwrap();
        let mut done = 0;
        self.state = handled.state;
        for step in handled.steps {
            if step.cause == Cause::Migration {
                self.migrate_from = None;
            }
            done += usize::from(matches!(step.cause, Cause::Event(_)));
            let outputs = step.answer.into_iter().map(|o| shown(o.subject, o.headers, &o.data)).collect();
            self.calls.push(Call { cause: cause(&step.cause), answer: Ok(outputs) });
        }
        if let Some(failed) = handled.failed {
            match &failed.cause {
                Cause::Event(_) => done += 1,
                Cause::Timer { name, .. } => drop(self.state.fire(name)),
                Cause::Migration => {}
            }
            let reason = match failed.trouble.failure {
                _ if failed.cause == Cause::Migration => NO_MIGRATION.to_owned(),
                Failure::Rejected(reason) | Failure::Retry { reason, .. } => reason,
                Failure::RecordSize { .. } => "too large".to_owned(),
                failure => failure.to_string(),
            };
            self.calls.push(Call { cause: cause(&failed.cause), answer: Err(reason) });
        }
        done
    }

    fn held(&self) -> Held {
        let fields = self.state.fields().map(|(name, value)| (name.to_string(), value.to_vec()));
        let timers = self.state.timers().map(|(name, timer)| (name.to_string(), timer.due_ns));
        Held { fields: fields.collect(), timers: timers.collect() }
    }
}

/// Whether the state cannot be migrated: nothing is handled from then on.
fn stuck(calls: &[Call]) -> bool {
    calls.last().is_some_and(|call| call.answer == Err(NO_MIGRATION.to_owned()))
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Event(_) => "event".to_owned(),
        Cause::Timer { name, timer } => format!("timer {name} {}", timer.due_ns),
        Cause::Migration => "migration".to_owned(),
    }
}

fn shown(
    subject: String,
    headers: Vec<(String, String)>,
    data: &[u8],
) -> (String, Vec<(String, String)>, String) {
    (subject, headers, data.escape_ascii().to_string())
}

#[tokio::test]
async fn a_plugin_does_the_same_in_the_sandbox_and_in_a_native_test() {
    let component = std::fs::read(parts::language("rust", "wasm").unwrap()).unwrap();
    let manifest = "[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"conformance.>\"]\n[limits]\ninstances = 1\n";
    let running = Running::load_with(&component, manifest, Arc::new(Table)).await.unwrap();
    let mut calls = Vec::new();
    for seed in 0..RUNS {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut native = Native::new();
        let mut sandboxed = Sandboxed {
            running: &running,
            state: KeyState::default(),
            clock_ns: START_NS,
            migrate_from: None,
            calls: Vec::new(),
        };
        let mut clock_ns = START_NS;
        let events: Vec<_> = (0..EVENTS).map(|at| sent(random, &mut clock_ns, at >= EVENTS / 2)).collect();
        let chunk = random.usize(1..6);
        for (at, events) in events.chunks(chunk).enumerate() {
            if at == EVENTS / chunk / 2 {
                native.engine.upgraded_from(OLD_VERSION);
                sandboxed.migrate_from = Some(OLD_VERSION.to_owned());
            }
            for sent in events {
                if !stuck(&native.calls) {
                    native.deliver(sent);
                }
            }
            sandboxed.deliver(events).await;
            assert_eq!(native.calls, sandboxed.calls, "seed {seed}: {events:#?}");
            assert_eq!(native.held(), sandboxed.held(), "seed {seed}: {events:#?}");
        }
        calls.append(&mut native.calls);
    }
    let count = |cause: &str| calls.iter().filter(|c| c.cause.starts_with(cause) && c.answer.is_ok()).count();
    let failed = calls.iter().filter(|call| call.answer.is_err()).count();
    let counts = [count("event"), count("timer"), count("migration"), failed];
    assert!(counts.iter().all(|count| *count > 20), "the scripts are not worth much: {counts:?}");
}
