use serde_json::{Value, json};
use wasmill_sdk::testing::{Delivery, Keyed};

use super::*;

const MINUTE: u64 = 60_000_000_000;
/// 2013-12-02T21:15:00Z.
const START: u64 = 1_386_018_900_000_000_000;

fn with(tables: Value) -> Keyed {
    let mut config = json!({"value": "value", "output": "alerts.sensor"});
    if let (Some(config), Value::Object(tables)) = (config.as_object_mut(), tables) {
        config.extend(tables);
    }
    Keyed::new(handle).config(config)
}

fn reading(minute: u64, value: f64) -> Delivery {
    // A row of the machine-temperature file.
    let row = json!({"timestamp": "2013-12-02 21:15:00", "value": value});
    Delivery::json(row).subject("sensors.m1.temperature").key("m1").time(START + minute * MINUTE)
}

/// For each reading what is told.
fn told(tables: Value, readings: &[(u64, f64)]) -> Vec<Value> {
    let mut engine = with(tables);
    let outputs = readings.iter().map(|&(minute, value)| engine.deliver(reading(minute, value)).outputs());
    outputs
        .map(|outputs| {
            outputs.iter().map(|told| serde_json::from_slice::<Value>(&told.data).unwrap()).collect()
        })
        .collect()
}

fn kinds(tables: Value, values: &[f64]) -> Vec<String> {
    let readings: Vec<_> = values.iter().enumerate().map(|(at, value)| (5 * at as u64, *value)).collect();
    let told = told(tables, &readings);
    let kinds = |told: &Value| {
        let kinds = told.as_array().unwrap().iter().map(|told| told["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>().join(" ")
    };
    told.iter().map(kinds).collect()
}

#[test]
fn a_value_that_trembles_at_the_limit_is_told_once() {
    let range = json!({"range": {"high": 100, "high_clear": 95, "low": 40, "low_clear": 45}});
    let values = [99.0, 100.0, 100.1, 99.9, 100.2, 95.1, 95.0, 100.0, 39.0, 44.9, 120.0, 44.0, 39.9, 45.0];
    let wanted = ["", "", "high", "", "", "", "normal", "", "low", "", "high", "normal", "low", "normal"];
    assert_eq!(kinds(range, &values), wanted);
}

#[test]
fn coming_back_tells_how_long_and_how_far() {
    let range = json!({"range": {"high": 100, "high_clear": 95}});
    let told = told(range, &[(0, 101.0), (5, 108.5), (10, 97.0), (12, 90.0)]);
    let high = json!([{"sensor": "m1", "time": "2013-12-02T21:15:00Z", "kind": "high", "value": 101.0, "limit": 100.0}]);
    let normal = json!([{"sensor": "m1", "time": "2013-12-02T21:27:00Z", "kind": "normal", "value": 90.0, "limit": 95.0,
        "seconds": 720, "reached": [108.5]}]);
    assert_eq!((&told[0], &told[3]), (&high, &normal));
}

#[test]
fn a_swing_is_told_once_until_it_was_calm() {
    let change = json!({"change": {"over": 10, "within_s": 600, "bucket_s": 60}});
    let values = [70.0, 75.0, 80.5, 91.0, 91.0, 91.0, 70.0];
    assert_eq!(kinds(change.clone(), &values), ["", "", "", "change", "", "", "change"]);
    let told = told(change, &[(0, 70.0), (9, 60.0), (10, 49.0)]);
    assert_eq!(told[2][0]["reached"], json!([49.0, 60.0]));
    assert_eq!(told[2][0]["seconds"], 600);
}

#[test]
fn a_reading_from_before_the_last_changes_nothing() {
    let range = json!({"range": {"high": 100}, "change": {"over": 10, "within_s": 600, "bucket_s": 60}});
    let told = told(range, &[(60, 90.0), (10, 200.0), (61, 91.0)]);
    assert_eq!(told, [json!([]), json!([]), json!([])]);
}

#[test]
fn a_late_reading_does_not_make_a_swing_a_new_one() {
    let change = json!({"change": {"over": 25, "within_s": 3_600, "bucket_s": 300}});
    let told = told(change, &[(0, 70.0), (50, 70.0), (55, 100.0), (45, 70.0), (56, 100.0), (120, 100.0)]);
    let counts: Vec<_> = told.iter().map(|told| told.as_array().unwrap().len()).collect();
    assert_eq!(counts, [0, 0, 1, 0, 0, 0]);
}

#[test]
fn a_late_reading_counts_in_the_next_swing() {
    let change = json!({"change": {"over": 25, "within_s": 3_600, "bucket_s": 300}});
    let told = told(change, &[(55, 80.0), (45, 50.0), (54, 80.0), (56, 80.0)]);
    let counts: Vec<_> = told.iter().map(|told| told.as_array().unwrap().len()).collect();
    assert_eq!(counts, [0, 0, 0, 1]);
}

#[test]
fn faults_say_what_is_wrong() {
    let failed = |tables: Value, payload: Value| {
        let handled = with(tables).deliver(Delivery::json(payload).key("m1"));
        let failure = handled.failure().unwrap();
        (failure.is_retry(), failure.reason().to_owned())
    };
    for (range, wanted) in [
        (json!({"high": 1, "high_clear": 2}), "low <= low_clear"),
        (json!({"high_clear": 2}), "needs `high`"),
        (json!({}), "needs `high`"),
        (json!({"hihg": 2}), "unknown field `hihg`"),
    ] {
        let (is_retry, reason) = failed(json!({"range": range}), json!({"value": 1}));
        assert!(is_retry && reason.contains(wanted), "{range} gave {reason}");
    }
    for (payload, wanted) in [(json!({"v": 1}), "no field `value`"), (json!({"value": "1"}), "is no number")]
    {
        let (is_retry, reason) = failed(json!({"range": {"high": 1}}), payload.clone());
        assert!(!is_retry && reason.contains(wanted), "{payload} gave {reason}");
    }
}
