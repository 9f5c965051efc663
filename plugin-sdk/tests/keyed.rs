//! A keyed plugin as a test runs it must do what an engine would.

use std::time::Duration;

use wasmill_sdk::migrate::{self, Field, Migrated};
use wasmill_sdk::state::{self, Counter, Value};
use wasmill_sdk::testing::{Cause, Delivery, Handled, Keyed, json};
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, clock, config, log, lookup, reject, retry};

const SECOND_NS: u64 = 1_000_000_000;
const SEEN: Counter = Counter::new("seen");
const FIRED: Value<Vec<String>> = Value::new("fired");

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    Count,
    /// A name, and seconds from now.
    Timer(String, u64),
    Cancel(String),
    Fail(String),
    Tier(String),
    Fill(usize),
}

fn handle(event: Event<Vec<Order>>) -> Result<Vec<Output>, Failure> {
    let mut outputs = Vec::new();
    for order in &event.data {
        match order {
            Order::Count => {
                let seen = SEEN.add(1)?;
                outputs.push(Output::json(format!("seen.{}", clock::now() / SECOND_NS), &seen)?);
            }
            Order::Timer(name, seconds) => {
                timers::set_json_after(name, Duration::from_secs(*seconds), &json!({"set": event.id}))?;
            }
            Order::Cancel(name) => timers::cancel(name)?,
            Order::Fail(reason) => return reject(reason),
            Order::Tier(customer) => {
                let tier = lookup::json::<String>("tiers", customer)?.unwrap_or_else(|| "none".into());
                outputs.push(Output::bytes(format!("tier.{tier}"), ""));
            }
            Order::Fill(bytes) => state::set("filled", vec![0; *bytes])?,
        }
    }
    Ok(outputs)
}

#[derive(serde::Deserialize)]
struct Set {
    set: String,
}

fn on_timer(timer: Timer<Set>) -> Result<Vec<Output>, Failure> {
    if timer.name == "endless" {
        timers::set_json("endless", timer.due, &json!({"set": "itself"}))?;
        return Ok(Vec::new());
    }
    log::info!(due = timer.due, now = clock::now(), "{}", timer.name);
    FIRED.update(|fired| fired.push(timer.name.clone()))?;
    match timer.name.as_str() {
        "again" => timers::set_json("again", timer.due + 60 * SECOND_NS, &json!({"set": "itself"}))?,
        "later" => return retry("not now"),
        "never" => return reject("never"),
        _ => {}
    }
    Ok(vec![Output::bytes(format!("timer.{}.{}.{}", timer.name, timer.key, timer.data.set), "")])
}

fn engine() -> Keyed {
    Keyed::new(handle).on_timer(on_timer).now(1_000 * SECOND_NS)
}

fn event(key: &str, second: u64, orders: serde_json::Value) -> Delivery {
    Delivery::json(orders).key(key).time(second * SECOND_NS)
}

fn subjects(handled: &Handled) -> Vec<String> {
    handled.outputs().into_iter().map(|output| output.subject).collect()
}

#[test]
fn keys_have_their_own_state_and_see_no_other() {
    let mut engine = engine();
    for key in ["a", "b", "a", "a"] {
        let _ = engine.deliver(event(key, 1_000, json!(["count"])));
    }
    assert_eq!((engine.get("a", "seen"), engine.get("b", "seen")), (Some(3), Some(1)));
    assert_eq!((engine.get::<u8>("c", "seen"), engine.names("c")), (None, vec![]));
    assert_eq!(engine.bytes("a", "seen").unwrap(), b"3");
}

#[test]
fn a_failing_call_leaves_nothing() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!(["count", {"timer": ["old", 50]}])));
    let handled = engine.deliver(event(
        "a",
        1_001,
        json!(["count", {"timer": ["t", 1]}, {"cancel": "old"}, {"fail": "no"}]),
    ));
    assert_eq!(handled.failure(), Some(&Failure::reject("no")));
    assert_eq!(engine.get("a", "seen"), Some(1));
    assert_eq!(engine.timers("a").into_iter().collect::<Vec<_>>(), [("old".into(), 1_050 * SECOND_NS)]);
    // Another key that only ever failed has nothing stored.
    let _ = engine.deliver(event("b", 1_001, json!(["count", {"fail": "no"}])));
    assert_eq!(engine.names("b"), Vec::<String>::new());
    // A payload that does not decode never reaches the handler.
    assert!(
        engine.deliver(event("a", 1_001, json!("x"))).failure().unwrap().reason().starts_with("payload: ")
    );
}

#[test]
fn timers_that_are_due_fire_before_the_event_in_order_of_their_time() {
    let mut engine = engine();
    let _ = engine
        .deliver(event("b", 1_000, json!([{"timer": ["third", 30]}, {"timer": ["first", 10]}])).id("e1"));
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["z", 10]}, {"timer": ["y", 10]}])).id("e2"));
    let handled = engine.deliver(event("b", 1_030, json!(["count"])).id("e3"));
    assert_eq!(
        subjects(&handled),
        ["timer.z.a.e2", "timer.y.a.e2", "timer.first.b.e1", "timer.third.b.e1", "seen.1030"],
        "of one time: by key, then the one set first"
    );
    let causes: Vec<_> = handled.steps.iter().map(|step| step.cause.clone()).collect();
    assert_eq!(causes[3], Cause::Timer { name: "third".into(), due: 1_030 * SECOND_NS });
    assert_eq!(causes[4], Cause::Event { id: "e3".into() });
    assert_eq!(engine.get::<Vec<String>>("b", "fired").unwrap(), ["first", "third"]);
    // During a call the clock is the time the timer was due.
    let line = &engine.lines()[2];
    assert_eq!(line.fields.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["1010000000000"; 2]);
}

#[test]
fn a_timer_fires_once_a_setting() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["t", 10]}, {"timer": ["c", 10]}])));
    let _ =
        engine.deliver(event("a", 1_009, json!([{"timer": ["t", 10]}, {"cancel": "c"}, {"cancel": "none"}])));
    assert_eq!(subjects(&engine.advance_to(1_018 * SECOND_NS)), Vec::<String>::new());
    assert_eq!(subjects(&engine.advance(Duration::from_secs(1))), ["timer.t.a.test-1"]);
    assert_eq!(subjects(&engine.advance(Duration::from_secs(10_000))), Vec::<String>::new());
    assert_eq!(engine.clock(), 11_019 * SECOND_NS);
}

#[test]
fn a_timer_may_set_itself_again() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["again", 60]}])));
    assert_eq!(engine.advance(Duration::from_secs(3_600)).steps.len(), 60);
}

#[test]
#[should_panic(expected = "does it set itself without end?")]
fn timers_without_end_fail_the_test() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["endless", 0]}])));
    let _ = engine.advance(Duration::ZERO);
}

#[test]
fn a_failing_timer_is_gone_unless_it_asks_for_a_retry() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["later", 1]}, {"timer": ["after", 2]}])));
    let _ = engine.deliver(event("b", 1_000, json!([{"timer": ["never", 1]}, {"timer": ["after", 2]}])));
    let handled = engine.advance(Duration::from_secs(5));
    let told = |handled: &Handled| -> Vec<_> {
        let steps = handled.steps.iter();
        steps
            .map(|step| {
                (step.key.clone(), step.answer.as_ref().map_or_else(|f| f.reason().into(), |_| String::new()))
            })
            .collect()
    };
    assert_eq!(
        told(&handled),
        [("a".into(), "not now".into()), ("b".into(), "never".into()), ("b".into(), String::new())],
        "the lane of what is tried again waits"
    );
    assert_eq!(engine.get::<Vec<String>>("a", "fired"), None);
    assert_eq!(engine.timers("a").len(), 2);
    assert_eq!(engine.get::<Vec<String>>("b", "fired").unwrap(), ["after"]);
    assert_eq!(told(&engine.advance(Duration::ZERO)), [("a".into(), "not now".into())]);
}

#[test]
fn an_event_out_of_order_has_its_own_time_and_turns_no_clock_back() {
    let mut engine = engine();
    let _ = engine.deliver(event("a", 1_000, json!([{"timer": ["t", 10]}])));
    let handled = engine.deliver(event("a", 900, json!(["count", {"timer": ["early", 50]}])));
    assert_eq!(subjects(&handled), ["seen.900"]);
    assert_eq!(engine.clock(), 1_000 * SECOND_NS);
    assert_eq!(subjects(&engine.advance(Duration::ZERO)), ["timer.early.a.test-1"]);
}

#[test]
fn limits_hold_as_the_manifest_sets_them() {
    let mut engine = engine().limits(1, 2);
    let timers: Vec<_> = ["a", "b", "a"].map(|name| json!({"timer": [name, 5]})).into();
    let _ = engine.deliver(event("k", 1_000, json!(timers))).outputs();
    let failure = engine.deliver(event("k", 1_000, json!([{"timer": ["c", 5]}])));
    assert!(failure.failure().unwrap().reason().contains("one more than the 2"), "{failure:?}");
    let failure = engine.deliver(event("k", 1_000, json!([{"timer": ["", 5]}])));
    assert!(failure.failure().unwrap().reason().contains("1 to 256 bytes, not 0"), "{failure:?}");
    let failure = engine.deliver(event("k", 1_000, json!([{"fill": 1_000}])));
    assert!(failure.failure().unwrap().reason().contains("limit of 1024 bytes"), "{failure:?}");
    assert_eq!((engine.names("k").len(), engine.timers("k").len()), (0, 2));
}

/// The contract has no word for a timer that is too large: an engine ends the call.
#[test]
fn a_timer_that_is_too_large_fails_the_call() {
    let mut engine = engine().limits(1, 2);
    let name = "x".repeat(256);
    let handled = engine.deliver(event("k", 1_000, json!([{"fill": 800}, {"timer": [name, 5]}])));
    let failure = handled.failure().unwrap();
    assert!(failure.reason().ends_with("over its limit of 1024"), "{failure}");
    assert_eq!((engine.names("k").len(), engine.timers("k").len()), (0, 0));
    assert_eq!(engine.deliver(event("k", 1_000, json!([{"fill": 800}]))).outputs(), []);
}

#[test]
fn tables_answer_as_granted() {
    let mut engine = engine().table("tiers", [("c-1", "\"gold\""), ("c-2", "gold")]);
    let handled = engine.deliver(event("k", 1_000, json!([{"tier": "c-1"}, {"tier": "c-9"}])));
    assert_eq!(subjects(&handled), ["tier.gold", "tier.none"]);
    let failure = engine.deliver(event("k", 1_000, json!([{"tier": "c-2"}])));
    let failure = failure.failure().unwrap();
    assert!(
        failure.is_retry() && failure.reason().contains("row `c-2` of lookup table `tiers`"),
        "{failure}"
    );
    let failure = self::engine().deliver(event("k", 1_000, json!([{"tier": "c-1"}])));
    let failure = failure.failure().unwrap();
    assert!(failure.is_retry() && failure.reason().contains("`tiers` is not granted"), "{failure}");
}

#[test]
fn state_of_an_older_version_is_migrated_before_its_first_use() {
    fn migrated(field: Field) -> Migrated {
        match field.name.as_str() {
            "seen" if field.from_version == "1.0.0" => migrate::json(&(field.json::<i64>()? * 10)),
            "bad" => reject("bad"),
            "scratch" => migrate::DROP,
            _ => field.keep(),
        }
    }
    let mut engine = engine().migrate(migrated);
    for (key, name, value) in
        [("a", "seen", "4"), ("a", "scratch", "x"), ("a", "kept", "y"), ("b", "bad", "z"), ("c", "seen", "?")]
    {
        engine.set(key, name, value);
    }
    engine.upgraded_from("1.0.0");
    for _ in 0..2 {
        assert_eq!(subjects(&engine.deliver(event("a", 1_000, json!(["count"])))), ["seen.1000"]);
    }
    assert_eq!(engine.get("a", "seen"), Some(42));
    assert_eq!(
        (engine.names("a"), engine.bytes("a", "kept")),
        (vec!["kept".into(), "seen".into()], Some(b"y".into()))
    );
    // What cannot be migrated stays as it was, and nothing is handled over it.
    let handled = engine.deliver(event("b", 1_000, json!(["count"])));
    assert_eq!(handled.steps.len(), 1);
    assert_eq!(handled.steps[0].cause, Cause::Migration { from_version: "1.0.0".into() });
    assert_eq!((handled.failure(), engine.names("b")), (Some(&Failure::reject("bad")), vec!["bad".into()]));
    let handled = engine.deliver(event("c", 1_000, json!(["count"])));
    assert!(handled.failure().unwrap().reason().starts_with("state field `seen`: "), "{handled:?}");
    // A key that came after the upgrade has nothing to migrate.
    assert_eq!(engine.deliver(event("d", 1_000, json!(["count"]))).steps.len(), 1);
}

#[test]
fn the_config_is_the_plugins() {
    let mut engine = Keyed::new(|_: Event| Output::bytes("c", config::get("limit").unwrap_or_default()))
        .config(json!({"limit": 3}));
    let handled = engine.deliver(Delivery::json(json!(1)).key("k"));
    assert_eq!(handled.outputs(), [Output::bytes("c", "3")]);
}

#[test]
#[should_panic(expected = "set it with Delivery::key")]
fn an_event_without_a_key_fails_the_test() {
    let _ = engine().deliver(Delivery::json(json!([])));
}

#[test]
#[should_panic(expected = "the plugin has no timers handler")]
fn a_timer_that_nothing_handles_fails_the_test() {
    let mut engine = Keyed::new(handle);
    let _ = engine.deliver(Delivery::json(json!([{"timer": ["t", 1]}])).key("k"));
    let _ = engine.advance(Duration::from_secs(1));
}

#[test]
#[should_panic(expected = "a call failed: ")]
fn outputs_are_those_of_calls_that_went_well() {
    let _ = engine().deliver(event("k", 1_000, json!([{"fail": "no"}]))).outputs();
}
