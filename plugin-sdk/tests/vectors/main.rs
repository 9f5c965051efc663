//! The vectors of windows, aggregates and joins that every language's SDK runs: `windows.json`, described in `WINDOWS.md`.
//!
//! `UPDATE_VECTORS=1` writes what this SDK answers into the file, for new cases; read the difference before you keep it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests assert by panicking, helpers of theirs too"
)]

mod aggregates;

use std::time::Duration;

use aggregates::Any;
use serde_json::{Map, Value, json};
use wasmill_sdk::aggregate::Count;
use wasmill_sdk::join::{Held, Join, Side};
use wasmill_sdk::window::{Buckets, Closed, Error, Open, Rolling, Spec, Window};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/windows.json");
/// The longest line that the file has a value on whole.
const LINE: usize = 120;

#[test]
fn the_vectors_hold() {
    let text = include_str!("windows.json");
    let file: Map<String, Value> = serde_json::from_str(text).unwrap();
    let answered: Map<String, Value> = file
        .iter()
        .map(|(part, cases)| {
            let work = match part.as_str() {
                "aggregates" => aggregates::case,
                "windows" => windows,
                "refused" => refused,
                "changed" => changed,
                "rolling" => rolling,
                "joins" => joins,
                other => panic!("windows.json has a part {other}"),
            };
            (part.clone(), cases.as_array().unwrap().iter().map(|case| work(case.clone())).collect())
        })
        .collect();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(FILE, laid_out(&answered.into(), 0) + "\n").unwrap();
        return;
    }
    for (part, cases) in &file {
        for (case, answer) in cases.as_array().unwrap().iter().zip(answered[part].as_array().unwrap()) {
            assert!(same(case, answer), "{part}: the file has\n{case}\nand this SDK answers\n{answer}");
        }
    }
}

/// As languages write numbers in their own way, 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn laid_out(value: &Value, depth: usize) -> String {
    let whole = value.to_string();
    let indent = " ".repeat(depth + 1);
    let items: Vec<String> = match value {
        _ if whole.len() + depth <= LINE => return whole,
        // Long states of aggregates are nothing to read.
        Value::Array(items) if items.iter().all(Value::is_number) => return whole,
        Value::Array(items) => items.iter().map(|item| indent.clone() + &laid_out(item, depth + 1)).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{indent}{}: {}", json!(name), laid_out(value, depth + 1))
            };
            fields.iter().map(field).collect()
        }
        _ => return whole,
    };
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    format!("{open}\n{}\n{}{close}", items.join(",\n"), " ".repeat(depth))
}

/// A time in ms, which may have a fraction, as ns.
fn ns(ms: &Value) -> u64 {
    (ms.as_f64().unwrap() * 1e6).round() as u64
}

fn ms(case: &Value, name: &str) -> Duration {
    Duration::from_millis(case[name].as_u64().unwrap_or(0))
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(state: &T) -> (Value, T) {
    let json = serde_json::to_value(state).unwrap();
    (json.clone(), serde_json::from_value(json).unwrap())
}

fn windows(mut case: Value) -> Value {
    let spec: Spec = serde_json::from_value(case["window"].clone()).unwrap();
    let windows = spec.of(Any::new(&case["aggregate"])).unwrap();
    let mut open = Open::default();
    for step in case["steps"].as_array_mut().unwrap() {
        let closed = if step["now_ms"].is_null() {
            let added = windows.add(&mut open, ns(&step["at_ms"]), |any| any.add(&step["add"]));
            step["late"] = added.late.into();
            added.closed
        } else {
            windows.advance(&mut open, ns(&step["now_ms"]))
        };
        step["closed"] = closed.iter().map(told).collect();
        step["due_ms"] = windows.due(&open).map(|due| due / 1_000_000).into();
        (step["state"], open) = again(&open);
    }
    case
}

fn told(closed: &Closed<Any>) -> Value {
    let bounds = |window: &Window| [window.start / 1_000_000, window.end / 1_000_000];
    let replaces: Vec<_> = closed.replaces.iter().map(bounds).collect();
    json!({"window": bounds(&closed.window), "value": closed.value, "replaces": replaces})
}

fn refused(mut case: Value) -> Value {
    let spec: Spec = serde_json::from_value(case["window"].clone()).unwrap();
    case["because"] = match spec.of(Any::new(&json!({"kind": "count"}))) {
        Ok(_) => Value::Null,
        Err(Error::Zero(_)) => "zero".into(),
        Err(Error::Gaps) => "gaps".into(),
        Err(Error::TooLong(_)) => "too-long".into(),
        Err(Error::TooFine(_)) => "too-fine".into(),
        Err(other) => panic!("{other}"),
    };
    case
}

fn changed(mut case: Value) -> Value {
    let spec: Spec = serde_json::from_value(case["window"].clone()).unwrap();
    let open: Open<Count> = serde_json::from_value(case["state"].clone()).unwrap();
    case["because"] = match spec.of(Count::default()).unwrap().check(&open) {
        Ok(()) => Value::Null,
        Err(Error::Changed { .. }) => "changed".into(),
        Err(other) => panic!("{other}"),
    };
    case
}

fn rolling(mut case: Value) -> Value {
    let rolling =
        Rolling::new(ms(&case, "span_ms"), ms(&case, "bucket_ms"), Any::new(&case["aggregate"])).unwrap();
    let mut kept = Buckets::default();
    for step in case["steps"].as_array_mut().unwrap() {
        if let Some([now, span]) = step["over"].as_array().map(Vec::as_slice) {
            let span = Duration::from_millis(span.as_u64().unwrap());
            step["value"] = json!(rolling.over(&kept, ns(now), span));
        } else {
            step["late"] = (!rolling.add(&mut kept, ns(&step["at_ms"]), |any| any.add(&step["add"]))).into();
            (step["state"], kept) = again(&kept);
        }
    }
    case
}

fn joins(mut case: Value) -> Value {
    let spec = &case["join"];
    let join = Join::within(ms(spec, "before_ms"), ms(spec, "after_ms")).unwrap();
    let join = join.disorder(ms(spec, "disorder_ms")).unwrap();
    let join = spec["capacity"].as_u64().map_or(join, |capacity| join.capacity(capacity as usize));
    let mut held: Held<Value, Value> = Held::default();
    for step in case["steps"].as_array_mut().unwrap() {
        let unmatched = if step["now_ms"].is_null() {
            let time = ns(&step["at_ms"]);
            let joined = match step.get("left") {
                Some(left) => join.left(&mut held, time, left.clone()),
                None => join.right(&mut held, time, step["right"].clone()),
            };
            step["late"] = joined.late.into();
            step["pairs"] = json!(joined.pairs);
            joined.unmatched
        } else {
            join.advance(&mut held, ns(&step["now_ms"]))
        };
        step["unmatched"] = unmatched
            .into_iter()
            .map(|side| match side {
                Side::Left(value) => json!({"left": value}),
                Side::Right(value) => json!({"right": value}),
            })
            .collect();
        step["due_ms"] = join.due(&held).map(|due| due / 1_000_000).into();
        (step["state"], held) = again(&held);
    }
    case
}
