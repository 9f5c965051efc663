//! Events of one key in one go: what a plugin reads and writes of its key, timers, migration, and what a step that fails leaves
//! behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::event::Event;
use wasmill::lookup::{LookupError, Tables};
use wasmill::outcome::Remedy;
use wasmill::sandbox::{Batch, BatchHandled, Cause, Input, Step};
use wasmill::state::{Change, KeyState, StateLimits, Timer};
use wasmill_tests::guests::rust_component;
use wasmill_tests::parts;

use crate::hostile::{Running, event};

const LIMITS: StateLimits = StateLimits { record_bytes: 1_024, timers: 3 };

/// What the plugin may look up: one table with one row, and one that is not there yet.
#[derive(Debug)]
struct Table;

impl Tables for Table {
    fn get(&self, table: &str, key: &str) -> Result<Option<Bytes>, LookupError> {
        match table {
            "tiers" => Ok((key == "ann").then(|| Bytes::from_static(b"gold"))),
            "slow" => Err(LookupError::NotReady),
            _ => Err(LookupError::NotGranted),
        }
    }
}

async fn keyed(top: &str, limits: &str) -> Running {
    let component = std::fs::read(parts::test_keyed().unwrap()).unwrap();
    let manifest = format!(
        "{top}\n[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out\"]\n[limits]\ninstances = 1\n{limits}\n"
    );
    Running::load_with(&component, &manifest, Arc::new(Table)).await.unwrap()
}

/// An event of a key that asks for something; its clock is its number.
fn input(number: usize, orders: &Value) -> Input {
    let data = Bytes::from(orders.to_string());
    let event = Event { key: Some("k".to_owned()), data, ..event(&format!("{number}")) };
    Input { event: Arc::new(event), clock_ns: number as u64 }
}

fn batch(state: &KeyState, orders: &[Value]) -> Batch {
    Batch {
        key: "k".into(),
        state: state.clone(),
        limits: LIMITS,
        inputs: orders.iter().enumerate().map(|(at, orders)| input(at + 1, orders)).collect(),
        then_due_by: None,
        max_timers: 10,
        migrate_from: None,
    }
}

fn holding(fields: &[(&str, &str)], timers: &[(&str, u64, Value)]) -> KeyState {
    let fields = fields.iter().map(|(name, value)| ((*name).into(), Bytes::from((*value).to_owned())));
    let mut state = KeyState::new(fields, [], 0);
    for (name, due_ns, orders) in timers {
        let (name, data) = ((*name).into(), Bytes::from(orders.to_string()));
        state.apply(&Change::SetTimer { name, due_ns: *due_ns, data });
    }
    state
}

fn field(state: &KeyState, name: &str) -> Option<String> {
    state.field(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// What the plugin said in a step, but for what the step was about.
fn said(step: &Step) -> Vec<Value> {
    let Value::Array(mut said) = serde_json::from_slice(&step.answer[0].data).unwrap() else {
        panic!("it answers with an array")
    };
    said.remove(0);
    said
}

/// Handles a batch; the state left has to be what the changes make of the one before.
async fn handle(running: &Running, batch: Batch) -> BatchHandled {
    let mut state = batch.state.clone();
    let handled = running.workers.handle_batch(batch).await.unwrap();
    for step in &handled.steps {
        if let Cause::Timer { name, timer } = &step.cause {
            assert_eq!(state.fire(name).as_ref(), Some(timer));
        }
        step.changes.iter().for_each(|change| state.apply(change));
        assert_eq!(step.state_bytes, state.bytes());
    }
    assert_eq!(handled.state, state);
    handled
}

/// The same for one event on a key with nothing; what it said.
async fn ask(running: &Running, orders: Value) -> Vec<Value> {
    let handled = handle(running, batch(&KeyState::default(), &[orders])).await;
    assert_eq!(handled.failed, None);
    said(&handled.steps[0])
}

#[tokio::test]
async fn an_event_finds_what_those_before_it_left() {
    for top in ["", "isolation = \"reuse\""] {
        let running = keyed(top, "").await;
        let orders = [
            json!([["add", 1], ["set", "a", "x"], ["get", "a"], ["names", ""], ["calls"]]),
            json!([["add", 2], ["get", "a"], ["delete", "a"], ["get", "a"], ["names", ""], ["calls"]]),
            json!([["get", "count"], ["names", "co"], ["names", "d"], ["set", "", ""], ["calls"]]),
        ];
        let handled = handle(&running, batch(&holding(&[("count", "39")], &[]), &orders)).await;
        assert_eq!(handled.failed, None);
        assert_eq!(field(&handled.state, "count").unwrap(), "42");
        let calls = |number: u64| if top.is_empty() { 1 } else { number };
        let wanted = [
            json!(["ok", "ok", "x", ["a", "count"], calls(1)]),
            json!(["ok", "x", "ok", null, ["count"], calls(2)]),
            json!(["42", ["count"], [], "Error::BadName", calls(3)]),
        ];
        let steps: Vec<_> = handled.steps.iter().map(|step| Value::Array(said(step))).collect();
        assert_eq!(steps, wanted);
        let causes: Vec<_> = handled.steps.iter().map(|step| step.cause.clone()).collect();
        assert_eq!(causes, [Cause::Event(0), Cause::Event(1), Cause::Event(2)]);
        assert_eq!(handled.steps[1].changes[0], Change::Delete { name: "a".into() });
    }
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_and_ends_the_batch() {
    for (end, name) in [
        (json!(["trap"]), "trap"),
        (json!(["reject", "no"]), "rejected"),
        (json!(["spin-for-ever"]), "cpu-limit"),
        (json!(["names-for-ever"]), "host-call-limit"),
        (json!(["timer-of-zeros", "t", 1_024]), "record-limit"),
    ] {
        for top in ["", "isolation = \"reuse\""] {
            let running = keyed(top, "").await;
            let orders = [
                json!([["add", 1]]),
                json!([["add", 10], ["timer", "t", 5, "[]"], ["set", "b", ""], end]),
                json!([["add", 100]]),
            ];
            let state = holding(&[], &[("t", 90, json!([]))]);
            let handled = handle(&running, batch(&state, &orders)).await;
            let failed = handled.failed.unwrap();
            assert_eq!((failed.cause, failed.trouble.failure.name()), (Cause::Event(1), name), "{top}");
            assert_eq!(handled.steps.len(), 1);
            assert_eq!(handled.state.names("").collect::<Vec<_>>(), [&"count".into()]);
            assert_eq!(handled.state.timer("t"), state.timer("t"));

            let next = handle(&running, batch(&handled.state, &[json!([["add", 100]])])).await;
            assert_eq!(field(&next.state, "count").unwrap(), "101", "{end} {top}");
        }
    }
}

#[tokio::test]
async fn a_key_has_no_more_than_its_limits() {
    let running = keyed("", "").await;
    let long = ask(&running, json!([["name-of", 256], ["name-of", 257]])).await;
    let bad = "Error::BadName";
    assert_eq!(long, [json!([["ok", "ok", "ok"], "ok", true]), json!([[bad, bad, bad], bad, false])]);
    let full =
        ask(&running, json!([["set-zeros", "a", 1_015], ["set-zeros", "a", 1_016], ["get", "b"]])).await;
    assert_eq!(full, [json!("ok"), json!("Error::TooLarge(1024)"), Value::Null]);
    let many =
        ask(&running, json!([["timers", 9_990, 5], ["cancel", "0"], ["timer", "another", 5, ""]])).await;
    assert_eq!(many, ["Error::TooMany(3)", "ok", "ok"]);
    let bytes = json!([["set-many", 9_000], ["names", "00000062"], ["names", "00000064"]]);
    assert_eq!(ask(&running, bytes).await, [json!("Error::TooLarge(1024)"), json!(["00000062"]), json!([])]);
    let roomy = keyed("", "memory_mib = 16").await;
    let again = json!([["set-over-and-over", 9_990, 1_000], ["get", "again"]]);
    assert_eq!(ask(&roomy, again).await[0], "ok");
}

#[tokio::test]
async fn without_a_key_there_is_no_state() {
    let running = keyed("", "").await;
    let orders = json!([
        ["get", "a"],
        ["set", "a", ""],
        ["delete", "a"],
        ["names", ""],
        ["timer", "t", 1, ""],
        ["cancel", "t"]
    ]);
    let outputs = running.handle(&input(1, &orders).event).await.unwrap();
    let told: Vec<Value> = serde_json::from_slice(&outputs[0].message.payload).unwrap();
    assert_eq!(told[1..], vec![json!("Error::NoKey"); 6]);
    let needs = running.workers.prepared();
    assert_eq!(needs.needs_key(), ["wasmill:plugin/state@0.1.0", "wasmill:plugin/timer-control@0.1.0"]);
    assert!(needs.migrates());
}

#[tokio::test]
async fn a_table_has_its_rows_or_a_reason() {
    let running = keyed("", "").await;
    let orders = json!([
        ["lookup", "tiers", "ann"],
        ["lookup", "tiers", "bob"],
        ["lookup", "slow", "ann"],
        ["lookup", "x", ""]
    ]);
    let told = ask(&running, orders).await;
    assert_eq!(told, [json!("gold"), Value::Null, json!("Error::NotReady"), json!("Error::NotGranted")]);
}

#[tokio::test]
async fn timers_fire_in_their_order_before_the_event_whose_clock_is_past_them() {
    let running = keyed("", "").await;
    let orders = [
        json!([["timer", "new", 2, "[[\"now\"]]"], ["timer", "far", 7, "[]"], ["cancel", "gone"]]),
        json!([["add", 1]]),
    ];
    let state =
        holding(&[], &[("first", 1, json!([["add", 5]])), ("gone", 2, json!([])), ("last", 3, json!([]))]);
    let limits = StateLimits { timers: 4, ..LIMITS };
    let wanted = Batch { then_due_by: Some(5), limits, ..batch(&state, &orders) };
    let handled = handle(&running, wanted.clone()).await;
    let order: Vec<String> = handled
        .steps
        .iter()
        .map(|step| match &step.cause {
            Cause::Timer { name, timer } => format!("{name} {}", timer.setting),
            cause => format!("{cause:?}"),
        })
        .collect();
    assert_eq!(order, ["first 1", "Event(0)", "new 4", "Event(1)", "last 3"]);
    let fired: Value = serde_json::from_slice(&handled.steps[2].answer[0].data).unwrap();
    assert_eq!(fired, json!([["k", "new", 2], 2]), "the clock stands at the time it was due");
    assert_eq!(field(&handled.state, "count").unwrap(), "6");
    let far = Timer { due_ns: 7, data: Bytes::from_static(b"[]"), setting: 5 };
    assert_eq!(handled.state.timers().collect::<Vec<_>>(), [(&"far".into(), &far)]);

    assert_eq!(handle(&running, Batch { then_due_by: None, ..wanted }).await.steps.len(), 4);
}

#[tokio::test]
async fn too_many_timers_end_a_batch_early_and_nothing_is_lost() {
    let running = keyed("", "").await;
    let again = json!([["add", 1], ["timer", "t", 0, "[]"]]);
    let mut state = holding(&[], &[("t", 0, again.clone()), ("u", 1, json!([])), ("v", 1, json!([]))]);
    let mut done = Vec::new();
    for _ in 0..4 {
        let handled =
            handle(&running, Batch { max_timers: 1, ..batch(&state, &[json!([["add", 1]])]) }).await;
        assert_eq!(handled.failed, None);
        done.push(handled.steps.iter().map(|step| matches!(step.cause, Cause::Event(_))).collect::<Vec<_>>());
        state = handled.state;
    }
    assert_eq!(done, [vec![false], vec![false], vec![false], vec![false, true]]);
    assert_eq!(field(&state, "count").unwrap(), "2");
}

#[tokio::test]
async fn a_timer_that_fails_is_still_set() {
    let running = keyed("", "").await;
    let state = holding(&[("a", "1")], &[("t", 1, json!([["set", "a", "2"], ["trap"]]))]);
    let handled = handle(&running, Batch { then_due_by: Some(1), ..batch(&state, &[]) }).await;
    let failed = handled.failed.unwrap();
    assert_eq!(failed.trouble.failure.name(), "trap");
    assert!(failed.trouble.backtrace.is_some());
    let timer = state.timer("t").unwrap().clone();
    assert_eq!(failed.cause, Cause::Timer { name: "t".into(), timer });
    assert_eq!(handled.state, state);

    let other =
        Running::load(&rust_component().unwrap(), "[[subscribe]]\nsubjects = [\"in.>\"]\n").await.unwrap();
    let handled = handle(&other, Batch { then_due_by: Some(1), ..batch(&state, &[]) }).await;
    let failure = handled.failed.unwrap().trouble.failure;
    assert_eq!((failure.name(), failure.remedy()), ("no-timers", Remedy::GiveUp));
    assert!(failure.to_string().contains("timer \"t\" came due"), "{failure}");
}

#[tokio::test]
async fn chance_is_that_of_the_event_or_of_the_setting() {
    let running = keyed("", "").await;
    let draw = || json!([["draw"]]);
    let state = holding(&[], &[("t", 1, draw()), ("u", 1, draw())]);
    let drawn = |handled: BatchHandled| handled.steps.iter().map(said).collect::<Vec<_>>();
    let first = drawn(handle(&running, batch(&state, &[draw(), draw()])).await);
    assert_eq!(drawn(handle(&running, batch(&state, &[draw(), draw()])).await), first);
    let mut set_anew = state.clone();
    set_anew.apply(&Change::SetTimer { name: "u".into(), due_ns: 1, data: Bytes::from(draw().to_string()) });
    let anew = drawn(handle(&running, batch(&set_anew, &[draw(), draw()])).await);
    assert_eq!((&anew[0], &anew[2..]), (&first[0], &first[2..]));
    let all: std::collections::BTreeSet<_> = first.iter().chain(&anew).map(|said| said[0].as_u64()).collect();
    assert_eq!(all.len(), 5, "{first:?} {anew:?}");
}

#[tokio::test]
async fn fields_of_an_older_version_are_migrated_first() {
    let running = keyed("", "").await;
    let state = holding(
        &[("count", "3"), ("curious", ""), ("dropped", "x"), ("kept", "y")],
        &[("t", 1, json!([["add", 1]]))],
    );
    let of = |state: &KeyState, orders: &[Value]| Batch {
        migrate_from: Some("0.9".into()),
        ..batch(state, orders)
    };
    let handled = handle(&running, of(&state, &[json!([["get", "count"]])])).await;
    let causes: Vec<_> = handled.steps.iter().map(|step| matches!(step.cause, Cause::Migration)).collect();
    assert_eq!(causes, [true, false, false]);
    let [migration, ..] = &handled.steps[..] else { panic!("{handled:?}") };
    let set = |name: &str, value: &'static str| Change::Set { name: name.into(), value: value.into() };
    let changes = [
        set("count", "0.9>3"),
        set("curious", "\"Error::NoKey\""),
        Change::Delete { name: "dropped".into() },
    ];
    assert_eq!(migration.changes, changes, "a field that stays as it is, is no change");
    assert_eq!(field(&handled.state, "count").unwrap(), "1", "what the timer could not read as a number");

    for (name, wanted) in [("broken", "migrate"), ("trap", "trap"), ("large", "record-limit")] {
        let state = holding(&[("a", "1"), (name, "2")], &[]);
        let handled = handle(&running, of(&state, &[json!([])])).await;
        let failed = handled.failed.unwrap();
        assert_eq!((failed.cause, failed.trouble.failure.name()), (Cause::Migration, wanted));
        assert_eq!((handled.steps.len(), handled.state), (0, state), "{name}");
    }
    let other =
        Running::load(&rust_component().unwrap(), "[[subscribe]]\nsubjects = [\"in.>\"]\n").await.unwrap();
    assert!(handle(&other, of(&state, &[])).await.steps.is_empty(), "it reads what it wrote before");
}

#[tokio::test]
async fn a_batch_that_nobody_waits_for_stops_between_two_steps() {
    let running = keyed("", "cpu_ms = 60000\nwall_ms = 60000\n").await;
    let slow = json!([["log", "begun"], ["set-over-and-over", 9_000, 900]]);
    let orders = vec![slow; 500];
    let waiting = running.workers.handle_batch(batch(&KeyState::default(), &orders));
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    // The thread is free for the next as soon as it has seen that.
    assert_eq!(ask(&running, json!([["add", 1]])).await, ["ok"]);
    assert!(running.said.lock().unwrap().len() < orders.len());
}
