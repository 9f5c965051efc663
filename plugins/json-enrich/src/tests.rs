use serde_json::Value;
use wasmill_sdk::testing::{Delivery, Test, event, json};

use super::*;

fn configured(steps: Value) {
    Test::new().config(json!({"output": "orders.enriched", "steps": steps}));
}

fn enriched(steps: Value, payload: Value) -> Value {
    configured(steps);
    serde_json::from_slice(&handle(event(payload)).unwrap().data).unwrap()
}

#[test]
fn each_step_does_what_it_says() {
    for (step, wanted) in [
        (json!({"set": "region", "value": "eu"}), json!({"a": 1, "n": {"x": [1]}, "region": "eu"})),
        (
            json!({"set": "n.y.z", "value": {"k": [true]}}),
            json!({"a": 1, "n": {"x": [1], "y": {"z": {"k": [true]}}}}),
        ),
        (json!({"copy": "n.x", "to": "b"}), json!({"a": 1, "b": [1], "n": {"x": [1]}})),
        (json!({"rename": "a", "to": "n.a"}), json!({"n": {"a": 1, "x": [1]}})),
        (json!({"rename": "a", "to": "a"}), json!({"a": 1, "n": {"x": [1]}})),
        (json!({"remove": "n.x.0"}), json!({"a": 1, "n": {"x": []}})),
        (json!({"remove": "none.at.all"}), json!({"a": 1, "n": {"x": [1]}})),
        (json!({"copy": "none", "to": "b"}), json!({"a": 1, "n": {"x": [1]}})),
        (
            json!({"attribute": "id", "to": "meta.id"}),
            json!({"a": 1, "n": {"x": [1]}, "meta": {"id": "test-1"}}),
        ),
        (
            json!({"attribute": "time", "to": "at"}),
            json!({"a": 1, "n": {"x": [1]}, "at": "2026-01-01T00:00:00Z"}),
        ),
        (json!({"attribute": "subject", "to": "s"}), json!({"a": 1, "n": {"x": [1]}, "s": "test.subject"})),
        (json!({"attribute": "key", "to": "k"}), json!({"a": 1, "n": {"x": [1]}})),
    ] {
        let payload = json!({"a": 1, "n": {"x": [1]}});
        assert_eq!(enriched(json!([step.clone()]), payload), wanted, "{step}");
    }
}

#[test]
fn steps_follow_one_another() {
    let steps = json!([{"rename": "a", "to": "b"}, {"copy": "b", "to": "c"}, {"set": "b", "value": 2}]);
    assert_eq!(enriched(steps, json!({"a": 1})), json!({"b": 2, "c": 1}));
}

#[test]
fn the_output_may_have_a_type_of_its_own() {
    Test::new().config(json!({"output": "a", "steps": [], "type": "order.enriched"}));
    assert_eq!(handle(event(json!({}))).unwrap().kind.as_deref(), Some("order.enriched"));
    configured(json!([]));
    assert_eq!(handle(event(json!({}))).unwrap().kind, None);
}

#[test]
fn bad_payloads_are_rejected_with_their_reason() {
    configured(json!([{"set": "a.b", "value": 1}]));
    for (payload, wanted) in [
        (&b""[..], "it is empty"),
        (b"{\"a\":\"\xFF\"}", "unicode"),
        (b"{\"x\":NaN}", "`x`: expected value"),
        (b"{\"x\":1e999}", "number out of range"),
        (b"{\"x\":1", "EOF"),
        (b"[1]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{\"a\":1}", "`a.b` cannot be set"),
    ] {
        let failure = Delivery::bytes(payload).to(handle).unwrap_err();
        assert!(!failure.is_retry());
        assert!(failure.reason().contains(wanted), "{} gave {failure}", payload.escape_ascii());
    }
}

#[test]
fn a_bad_config_is_a_retry_that_names_the_setting() {
    for (step, wanted) in [
        (json!({}), "`steps`: a step is one of"),
        (json!({"set": "a"}), "a step is one of"),
        (json!({"set": "a", "value": 1, "remove": "b"}), "a step is one of"),
        (json!({"copy": "a"}), "a step is one of"),
        (json!({"attribute": "ids", "to": "b"}), "unknown variant `ids`"),
        (json!({"delete": "a"}), "unknown field `delete`"),
        (json!({"remove": "a."}), "no path to a field"),
    ] {
        configured(json!([step.clone()]));
        let failure = handle(event(json!({}))).unwrap_err();
        assert!(failure.is_retry() && failure.reason().contains(wanted), "{step} gave {failure}");
    }
}
