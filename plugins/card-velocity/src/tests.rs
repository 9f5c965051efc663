use serde_json::{Value, json};
use wasmill_sdk::Output;
use wasmill_sdk::testing::{Delivery, Keyed};

use super::*;

const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2018-04-01T00:00:00Z.
const START: u64 = 1_522_540_800_000_000_000;

/// An engine with one window of a day in buckets of five minutes.
fn with(limits: Value) -> Keyed {
    Keyed::new(handle).config(json!({
        "rule": "velocity",
        "output": "alerts.velocity",
        "amount": "amount",
        "member": "terminal_id",
        "suspect_over": 220,
        "report_subject": "payments.fraud-report",
        "windows": [{"span_s": 86_400, "bucket_s": 300, "limits": limits}],
    }))
}

fn payment(after: u64, amount: f64, terminal: u32) -> Delivery {
    let payment = json!({"customer_id": 7, "terminal_id": terminal, "amount": amount});
    Delivery::json(payment).subject("payments.card").key("7").time(START + after)
}

fn reasons(outputs: &[Output]) -> Vec<String> {
    let [alert] = outputs else { return Vec::new() };
    let alert: Value = serde_json::from_slice(&alert.data).unwrap();
    let reasons = alert["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| reason.as_str().unwrap().to_owned()).collect()
}

/// The reasons of each payment's alert.
fn told(limits: Value, payments: impl IntoIterator<Item = (u64, f64, u32)>) -> Vec<Vec<String>> {
    let mut engine = with(limits);
    let payments = payments.into_iter().map(|(after, amount, terminal)| payment(after, amount, terminal));
    payments.map(|payment| reasons(&engine.deliver(payment).outputs())).collect()
}

#[test]
fn too_many_payments_raise_an_alert_each_until_the_hour_is_past() {
    let payments = [0, 10, 20, 30, 59, 69, 130].map(|minute| (minute * MINUTE, 10.0, 1));
    let told = told(json!([{"within_s": 3_600, "count_over": 3}]), payments);
    assert!([0, 1, 2, 6].iter().all(|quiet| told[*quiet].is_empty()), "{told:?}");
    assert_eq!(told[3], ["count: 4 within 3600 s, over 3"]);
    assert_eq!(told[4], ["count: 5 within 3600 s, over 3"]);
    assert_eq!(told[5], ["count: 5 within 3600 s, over 3"], "the first is more than an hour ago");
}

#[test]
fn each_measure_has_its_reason() {
    let limits = json!([
        {"within_s": 86_400, "sum_over": 100.5},
        {"within_s": 3_600, "distinct_over": 1},
        {"within_s": 86_400, "suspects_over": 0},
    ]);
    let told =
        told(limits, [(0, 50.25, 1), (2 * HOUR, 50.25, 2), (3 * HOUR - 1, 0.01, 1), (4 * DAY, 220.01, 1)]);
    assert_eq!(told[..2], [[""; 0]; 2]);
    assert_eq!(told[2], ["sum: 100.51 within 86400 s, over 100.5", "distinct: 2 within 3600 s, over 1"]);
    assert_eq!(told[3], ["sum: 220.01 within 86400 s, over 100.5", "suspects: 1 within 86400 s, over 0"]);
}

#[test]
fn an_amount_is_compared_to_those_before_it() {
    let limits = json!([{"within_s": 86_400, "times_mean_over": 3, "after": 2}]);
    let payments = [(0, 10.0), (1, 40.0), (2, 75.0), (3, 200.0), (2 * DAY, 900.0)];
    let told = told(limits, payments.map(|(time, amount)| (time, amount, 1)));
    assert_eq!(told[..3], [[""; 0]; 3], "four times the mean of one payment, three times that of two");
    assert_eq!(told[3], ["times the mean of 41.67: 4.8 within 86400 s, over 3"]);
    assert_eq!(told[4], [""; 0], "nothing to compare with");
}

/// A bucket is small unless a limit needs the members, so that a busy terminal fits into its record.
#[test]
fn members_are_kept_only_where_a_limit_asks_for_them() {
    let bucket = |limits: Value| {
        let mut engine = with(limits);
        for terminal in 0..300 {
            let _ = engine.deliver(payment(0, 10.0, terminal));
        }
        engine.get::<Value>("7", "last-86400s-by-300s").unwrap()["p"][0].clone()
    };
    let suspects = json!({"within_s": 86_400, "suspects_over": 1});
    let small = bucket(json!([suspects]));
    assert_eq!(small[1], json!([300, [3_000.0, 0.0], null, 0]));
    assert!(small.to_string().len() <= 48, "{small}");
    let large = bucket(json!([suspects, {"within_s": 86_400, "distinct_over": 400}]));
    assert!((4_096..4_200).contains(&large.to_string().len()), "{large}");
}

/// As it was kept before: empty where there were no members.
#[test]
fn what_was_kept_with_members_goes_on() {
    let seen = |text: &str| serde_json::from_str::<Seen>(text).unwrap();
    let mut before = seen(r#"[2,[30.0,0.0],{"h":"EjDFUIn+TkM"},1]"#);
    before.pay(5.0, None);
    assert_eq!((before.payments(), before.members(), before.suspects()), (3, 1, 1));
    assert_eq!(seen(r#"[2,[30.0,0.0],{"h":""},1]"#).members(), 0);
}

#[test]
fn reports_make_a_terminal_suspect_and_no_alert() {
    let mut engine = with(json!([{"within_s": 86_400, "suspects_over": 1}]));
    let report =
        || Delivery::json(json!({"terminal_id": 7})).subject("payments.fraud-report").key("7").time(START);
    assert_eq!(engine.deliver(report()).outputs(), []);
    assert_eq!(engine.deliver(report()).outputs(), []);
    let outputs = engine.deliver(payment(HOUR, 5.0, 7)).outputs();
    assert_eq!(reasons(&outputs), ["suspects: 2 within 86400 s, over 1"]);
    assert_eq!(engine.deliver(payment(DAY, 5.0, 7)).outputs(), []);
}

#[test]
fn the_alert_holds_the_payment_as_it_came() {
    let mut engine = with(json!([{"within_s": 3_600, "count_over": 0}]));
    let payload = " {\"terminal_id\":\"t\", \"amount\": 1.50}\n";
    let outputs = engine.deliver(Delivery::bytes(payload).key("7")).outputs();
    let wanted = r#"{"rule":"velocity","key":"7","reasons":["count: 1 within 3600 s, over 0"],"event":{"terminal_id":"t", "amount": 1.50}}"#;
    assert_eq!(std::str::from_utf8(&outputs[0].data), Ok(wanted));
    assert_eq!(outputs[0].subject, "alerts.velocity");
}

#[test]
fn a_payment_from_before_the_window_is_counted_as_late_and_not_judged() {
    let mut engine = with(json!([{"within_s": 3_600, "count_over": 0}]));
    assert_eq!(engine.deliver(payment(2 * DAY, 1.0, 1)).outputs().len(), 1);
    assert_eq!(engine.deliver(payment(0, 1.0, 1)).outputs(), []);
    assert_eq!(engine.get::<Value>("7", "last-86400s-by-300s").unwrap()["l"], 1);
}

#[test]
fn what_is_no_payment_is_rejected_by_name() {
    for (payload, wanted) in [
        (json!({"terminal_id": 1}), "no field `amount`"),
        (json!({"amount": "1", "terminal_id": 1}), "`amount` is no number"),
        (json!({"amount": 1}), "no field `terminal_id`"),
        (json!({"amount": 1, "terminal_id": [1]}), "neither text nor a number"),
    ] {
        let handled = with(json!([])).deliver(Delivery::json(&payload).key("7"));
        let failure = handled.failure().unwrap();
        assert!(!failure.is_retry() && failure.reason().contains(wanted), "{payload} gave {failure}");
    }
}

#[test]
fn a_bad_config_is_a_retry_that_names_the_setting() {
    for (limit, wanted) in [
        (json!({"within_s": 1}), "exactly one of `count_over`"),
        (json!({"within_s": 1, "count_over": 1, "sum_over": 1}), "exactly one of"),
        (json!({"within_s": 1, "count_over": 1, "after": 1}), "`after` belongs to"),
        (json!({"within_s": 1, "count": 1}), "unknown field `count`"),
        (json!({"within_s": 86_401, "count_over": 1}), "needs a window that spans it"),
    ] {
        let handled = with(json!([limit])).deliver(payment(0, 1.0, 1));
        let failure = handled.failure().unwrap();
        assert!(failure.is_retry() && failure.reason().contains(wanted), "{limit} gave {failure}");
    }
}
