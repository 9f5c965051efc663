//! Does what an event asks for, so that whoever published it knows what must come of it.

use std::hint::black_box;

use serde_json::{Value, json};

use crate::bindings::wasmill::plugin::types::Retry;
use crate::{Answer, Event, Failure, Mode, Output, plain};

/// Which version this is. Whoever makes another one writes over these bytes, so that the name is as much part of the
/// component as its digest is of what it emits.
static VERSION: &str = "chaos version 0000 of the test guests";

pub(crate) const MODES: &[Mode] = &[("chaos", |event| obey(event))];

fn obey(event: &Event) -> Answer {
    let Ok(ask) = serde_json::from_slice::<Value>(&event.data) else {
        return Err(Failure::Reject("it asks for nothing".to_owned()));
    };
    let field = |name: &str| ask.get(name).unwrap_or(&Value::Null);
    let number = |name: &str| field(name).as_u64().unwrap_or_default();
    // 0 stands for an attempt that never comes.
    let until = match number("until") {
        0 => u64::MAX,
        until => until,
    };
    work(number("work"));
    match field("fails").as_str() {
        Some("reject") => Err(Failure::Reject("as asked".to_owned())),
        Some("retry") if u64::from(event.attempt) < until => {
            let after_ms = field("after_ms").as_u64();
            Err(Failure::Retry(Retry { after_ms, reason: "as asked".to_owned() }))
        }
        Some("trap") if u64::from(event.attempt) < until => panic!("as asked"),
        Some("stray") => {
            let stray = Output { subject: "elsewhere".to_owned(), ..plain("") };
            Ok((0..number("outputs")).map(|index| output(&ask, index)).chain([stray]).collect())
        }
        _ => Ok((0..number("outputs")).map(|index| output(&ask, index)).collect()),
    }
}

/// Takes a while: about a millisecond for each.
fn work(milliseconds: u64) {
    const ROUNDS: u64 = 500_000;
    for round in 0..milliseconds * ROUNDS {
        black_box(round);
    }
}

fn output(ask: &Value, index: u64) -> Output {
    let data = json!({
        "id": ask.get("id"),
        "index": index,
        "of": ask.get("outputs"),
        "echo": ask.get("echo"),
        "version": *black_box(&VERSION),
    });
    plain(data.to_string())
}
