//! A plugin with a key. An event's data, and a timer's, is a JSON array of what to do, each an array of a verb and what it is
//! about; what each said is the data of the only output. What `migrate-field` does depends on the field's name.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::panic, reason = "this is what its handlers do to be watched")]

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    reason = "generated from the WIT, which documents every item"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../plugin-sdk/wit", world: "full-plugin" });
}

use std::cell::Cell;

use bindings::exports::wasmill::plugin::handler::{Event, Failure, Guest, Output};
use bindings::exports::wasmill::plugin::{description, migrate, timers};
use bindings::wasmill::plugin::types::{About, Timer};
use bindings::wasmill::plugin::{clock, log, lookup, random, state, timer_control};
use serde_json::{Value, json};

struct Keyed;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

impl Guest for Keyed {
    fn handle(event: Event) -> Result<Vec<Output>, Failure> {
        answer(&event.data, json!(event.key))
    }
}

impl timers::Guest for Keyed {
    fn on_timer(timer: Timer) -> Result<Vec<Output>, Failure> {
        answer(&timer.data, json!([timer.key, timer.name, timer.due]))
    }
}

impl migrate::Guest for Keyed {
    fn migrate_field(from: String, name: String, value: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        match name.as_str() {
            "kept" => Ok(Some(value)),
            "dropped" => Ok(None),
            "broken" => Err("nobody knows what it means".to_owned()),
            "trap" => panic!("at the sight of it"),
            "large" => Ok(Some(vec![0; 1 << 20])),
            "curious" => Ok(Some(told(state::get("kept")).to_string().into_bytes())),
            _ => Ok(Some([from.as_bytes(), b">", &value].concat())),
        }
    }
}

impl description::Guest for Keyed {
    fn describe() -> About {
        About {
            name: "keyed".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Does what it is asked for.".to_owned(),
            subjects: vec!["in.>".to_owned()],
            emits: vec!["out".to_owned()],
        }
    }
}

#[expect(unsafe_code, reason = "what the component exports is declared by generated code")]
mod export {
    use super::{Keyed, bindings};
    bindings::export!(Keyed with_types_in bindings);
}

fn answer(orders_as_given: &[u8], about: Value) -> Result<Vec<Output>, Failure> {
    let orders: Vec<Vec<Value>> =
        serde_json::from_slice(orders_as_given).map_err(|err| Failure::Reject(err.to_string()))?;
    let mut said = vec![about];
    for order in &orders {
        said.push(obey(order, orders_as_given)?);
    }
    let data = Value::Array(said).to_string().into_bytes();
    Ok(vec![Output { subject: "out".to_owned(), type_: None, headers: Vec::new(), data }])
}

fn obey(order: &[Value], all: &[u8]) -> Result<Value, Failure> {
    let text = |at: usize| order.get(at).and_then(Value::as_str).unwrap_or_default();
    let number = |at: usize| order.get(at).and_then(Value::as_u64).unwrap_or_default();
    let size = |at: usize| usize::try_from(number(at)).unwrap_or(usize::MAX);
    Ok(match text(0) {
        "get" => told(state::get(text(1))),
        "set" => done(state::set(text(1), text(2).as_bytes())),
        "add" => {
            let held = state::get("count").ok().flatten().unwrap_or_default();
            let count: u64 = String::from_utf8_lossy(&held).parse().unwrap_or(0);
            done(state::set("count", (count + number(1)).to_string().as_bytes()))
        }
        "set-zeros" => done(state::set(text(1), &vec![0; size(2)])),
        "set-many" => last(number(1), |n| done(state::set(&format!("{n:08}"), b""))),
        "set-over-and-over" => {
            let zeros = vec![0; size(2)];
            last(number(1), |_| done(state::set("again", &zeros)))
        }
        "delete" => done(state::delete(text(1))),
        "names" => match state::names(text(1)) {
            Ok(names) => json!(names),
            Err(err) => json!(format!("{err:?}")),
        },
        "names-for-ever" => loop {
            let _many = state::names("");
        },
        "timer" => done(timer_control::set(text(1), number(2), text(3).as_bytes())),
        "timer-for-this-again" => done(timer_control::set(text(1), number(2), all)),
        "timer-of-zeros" => done(timer_control::set(text(1), 0, &vec![0; size(2)])),
        "timers" => last(number(1), |n| done(timer_control::set(&format!("{n}"), number(2) + n, b"[]"))),
        "cancel" => done(timer_control::cancel(text(1))),
        "name-of" => {
            let name = "n".repeat(size(1));
            let told = [
                done(state::set(&name, b"")),
                done(state::delete(&name)),
                done(timer_control::cancel(&name)),
            ];
            json!([told, done(timer_control::set(&name, 1, b"")), state::get(&name).is_ok()])
        }
        "lookup" => match lookup::get(text(1), text(2)) {
            Ok(row) => json!(row.map(|row| String::from_utf8_lossy(&row).into_owned())),
            Err(err) => json!(format!("{err:?}")),
        },
        "now" => json!(clock::now()),
        "draw" => json!(random::next()),
        "log" => {
            log::log(log::Level::Info, text(1), &[]);
            Value::Null
        }
        "calls" => json!(CALLS.with(|calls| {
            calls.set(calls.get() + 1);
            calls.get()
        })),
        "spin-for-ever" => loop {
            std::hint::black_box(0);
        },
        "trap" => panic!("as it was told"),
        "reject" => return Err(Failure::Reject(text(1).to_owned())),
        other => return Err(Failure::Reject(format!("what is {other:?}?"))),
    })
}

/// Does something so many times; what the last said.
fn last(count: u64, mut act: impl FnMut(u64) -> Value) -> Value {
    (0..count).fold(Value::Null, |_, n| act(n))
}

fn done<E: std::fmt::Debug>(result: Result<(), E>) -> Value {
    result.map_or_else(|err| json!(format!("{err:?}")), |()| json!("ok"))
}

fn told(result: Result<Option<Vec<u8>>, state::Error>) -> Value {
    match result {
        Ok(value) => json!(value.map(|value| String::from_utf8_lossy(&value).into_owned())),
        Err(err) => json!(format!("{err:?}")),
    }
}
