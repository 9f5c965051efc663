use wasmill_sdk::testing::{Delivery, Test, event, json};

use super::*;

fn configured(extra: Value) {
    let mut config = json!({"rules": [
        {"field": "country", "in": ["DE", "AT", "CH"], "output": "orders.dach"},
        {"field": "total", "comparison": ">=", "value": 1000, "output": "orders.large"},
        {"field": "/customer/tier", "equals": "gold", "output": "orders.gold"},
        {"field": "items", "exists": false, "output": "orders.empty"},
        {"field": "priority", "equals": 1, "output": "orders.large"},
    ]});
    if let (Some(config), Value::Object(extra)) = (config.as_object_mut(), extra) {
        config.extend(extra);
    }
    Test::new().config(config);
}

fn routes(payload: Value) -> Vec<String> {
    handle(event(payload)).unwrap().into_iter().map(|output| output.subject).collect()
}

#[test]
fn the_first_rule_that_matches_takes_the_event() {
    configured(json!({}));
    for (payload, wanted) in [
        (json!({"country": "AT", "total": 5000, "items": []}), &["orders.dach"][..]),
        (json!({"country": "FR", "total": 1000, "items": []}), &["orders.large"]),
        (json!({"customer": {"tier": "gold"}, "items": []}), &["orders.gold"]),
        (json!({"total": 1}), &["orders.empty"]),
        (json!({"priority": 1.0, "items": null}), &["orders.large"]),
        (json!({"items": []}), &[]),
    ] {
        assert_eq!(routes(payload.clone()), wanted, "{payload}");
    }
}

#[test]
fn all_rules_that_match_can_take_it_once_per_subject() {
    configured(json!({"match": "all"}));
    let payload = json!({"country": "CH", "total": 2000, "priority": 1, "items": [1]});
    assert_eq!(routes(payload), ["orders.dach", "orders.large"]);
}

#[test]
fn what_matches_no_rule_goes_to_the_default() {
    configured(json!({"default": "orders.other"}));
    assert_eq!(routes(json!({"items": []})), ["orders.other"]);
    assert_eq!(routes(json!({"country": "DE", "items": []})), ["orders.dach"]);
}

#[test]
fn values_of_another_type_match_nothing() {
    configured(json!({}));
    for payload in [
        json!({"country": 49, "total": "1000", "customer": "gold", "priority": "1", "items": 0}),
        json!({"country": ["DE"], "total": null, "customer": {"tier": ["gold"]}, "items": 0}),
    ] {
        assert_eq!(routes(payload.clone()), [""; 0], "{payload}");
    }
    assert_eq!(routes(json!([1, 2])), ["orders.empty"]);
}

#[test]
fn the_payload_leaves_as_it_came() {
    configured(json!({"default": "orders.other"}));
    let payload = " {\"total\": 1.50, \"items\":[], \"total2\":12345678901234567890123 }\n";
    let delivery = Delivery::bytes(payload).header("Content-Type", "application/vnd.order+json");
    let [output] = delivery.to(handle).unwrap().try_into().unwrap();
    assert_eq!(output.data, payload.as_bytes());
    assert_eq!(output.headers, [("content-type".to_owned(), "application/vnd.order+json".to_owned())]);
}

#[test]
fn bad_payloads_are_rejected_with_their_reason() {
    configured(json!({"default": "orders.other"}));
    for (payload, wanted) in [
        (&b""[..], "it is empty"),
        (b"\xFF\xFE", "expected value"),
        (b"{\"a\":\"\xFF\"}", "unicode"),
        (b"{\"total\":", "`total`: EOF"),
        (b"{\"total\":NaN}", "`total`: expected value"),
        (b"{\"total\":1e999}", "`total`: number out of range"),
        (b"{} x", "trailing characters"),
    ] {
        let failure = Delivery::bytes(payload).to(handle).unwrap_err();
        assert!(!failure.is_retry());
        assert!(failure.reason().contains(wanted), "{} gave {failure}", payload.escape_ascii());
    }
    let deep = "[".repeat(10_000);
    assert!(Delivery::bytes(deep).to(handle).unwrap_err().reason().contains("recursion limit"));
}

#[test]
fn a_bad_config_is_a_retry_that_names_the_setting() {
    for (table, wanted) in [
        (json!({}), "missing field `rules`"),
        (
            json!({"rules": [{"field": "a", "output": "b"}]}),
            "`rules`: the rule for field `a` needs exactly one of",
        ),
        (
            json!({"rules": [{"field": "a", "output": "b", "equals": 1, "exists": true}]}),
            "needs exactly one of",
        ),
        (json!({"rules": [{"field": "a", "output": "b", "comparison": ">"}]}), "needs exactly one of"),
        (json!({"rules": [{"field": "a", "output": "b", "equal": 1}]}), "unknown field `equal`"),
        (json!({"rules": [], "match": "any"}), "`match`"),
    ] {
        Test::new().config(table.clone());
        let failure = handle(event(json!({}))).unwrap_err();
        assert!(failure.is_retry() && failure.reason().contains(wanted), "{table} gave {failure}");
    }
}
