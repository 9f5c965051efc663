use wasmill_sdk::testing::{Delivery, Handled, Keyed, json};

use super::*;

fn ward() -> Keyed {
    Keyed::new(handle).on_timer(on_timer).config(json!({
        "sustained_s": 60,
        "silence_s": 30,
        "signs": {"pulse": {"low": 40, "high": 130}, "spo2": {"low": 90, "high": 100}},
    }))
}

fn told(handled: Handled) -> Vec<String> {
    handled.outputs().into_iter().map(|output| String::from_utf8(output.data).unwrap()).collect()
}

fn reading(ward: &mut Keyed, pulse: u32) -> Vec<String> {
    let reading = Delivery::json(json!({"pulse": pulse, "spo2": 97, "device": "m-4"})).key("p1");
    told(ward.deliver(reading))
}

/// Lets 20 seconds pass: less than makes a device silent.
fn wait(ward: &mut Keyed) -> Vec<String> {
    told(ward.advance(Duration::from_secs(20)))
}

#[test]
fn a_breach_is_told_only_if_it_lasts() {
    let mut ward = ward();
    for pulse in [150, 150, 120, 150, 151] {
        assert_eq!(reading(&mut ward, pulse), [""; 0]);
        assert_eq!(wait(&mut ward), [""; 0]);
    }
    assert_eq!(reading(&mut ward, 152), [""; 0]);
    assert_eq!(
        wait(&mut ward),
        [r#"{"alert":"sustained","sign":"pulse","since":"2026-01-01T00:01:00Z","value":152.0}"#]
    );
    assert_eq!(reading(&mut ward, 153), [""; 0], "told once");
    assert_eq!(
        reading(&mut ward, 80),
        [r#"{"alert":"recovered","sign":"pulse","since":"2026-01-01T00:01:00Z","value":80.0}"#]
    );
    assert_eq!(ward.names("p1"), ["last"]);
    assert_eq!(ward.timers("p1").into_keys().collect::<Vec<_>>(), ["silence"]);
}

#[test]
fn a_device_that_falls_silent_is_told_once_and_so_is_its_return() {
    let mut ward = ward();
    assert_eq!(reading(&mut ward, 80), [""; 0]);
    let silent = told(ward.advance(Duration::from_secs(600)));
    assert_eq!(silent, [r#"{"alert":"silent","since":"2026-01-01T00:00:00Z"}"#]);
    assert_eq!(reading(&mut ward, 80), [r#"{"alert":"back","since":"2026-01-01T00:00:00Z"}"#]);
    assert_eq!(reading(&mut ward, 80), [""; 0]);
}

/// A reading of this pulse, made that many seconds ago.
fn late(ward: &mut Keyed, pulse: u32, seconds: u64) -> Vec<String> {
    let reading =
        Delivery::json(json!({"pulse": pulse})).key("p1").time(ward.clock() - seconds * 1_000_000_000);
    told(ward.deliver(reading))
}

#[test]
fn a_reading_that_comes_late_neither_raises_nor_ends_an_alarm() {
    let mut ward = ward();
    for pulse in [80, 150, 151, 152] {
        assert_eq!(reading(&mut ward, pulse), [""; 0]);
        assert_eq!(late(&mut ward, 90, 40), [""; 0], "late and good");
        assert_eq!(wait(&mut ward).len(), usize::from(pulse == 152), "no silence; sustained in the end");
    }
    assert_eq!(reading(&mut ward, 80).len(), 1, "recovered");
    assert_eq!(late(&mut ward, 150, 40), [""; 0], "late and out of range");
    assert_eq!(ward.names("p1"), ["last"]);
    assert_eq!(told(ward.advance(Duration::from_secs(30))).len(), 1, "silent");
    assert_eq!(late(&mut ward, 80, 40), [""; 0], "late, and so not back");
    assert_eq!(reading(&mut ward, 80).len(), 1, "back");
}

#[test]
fn a_sign_may_be_called_silence() {
    let signs = json!({"silence": {"low": 0, "high": 1}});
    let mut ward = ward().config(json!({"sustained_s": 20, "silence_s": 30, "signs": signs}));
    let delivery = |silence: u32| Delivery::json(json!({"silence": silence})).key("p1");
    assert_eq!(told(ward.deliver(delivery(2))), [""; 0]);
    let sustained = r#"{"alert":"sustained","sign":"silence","since":"2026-01-01T00:00:00Z","value":2.0}"#;
    assert_eq!(wait(&mut ward), [sustained]);
    assert_eq!(told(ward.deliver(delivery(0))).len(), 1, "recovered");
    assert_eq!(wait(&mut ward), [""; 0]);
    assert_eq!(wait(&mut ward), [r#"{"alert":"silent","since":"2026-01-01T00:00:20Z"}"#]);
}
