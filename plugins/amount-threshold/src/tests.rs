use serde_json::Value;
use wasmill_sdk::testing::{Delivery, Test, json};

use super::*;

fn configured(table: Value) {
    let mut config = json!({"threshold": 220, "output": "alerts.card.large-amount"});
    if let (Some(config), Value::Object(table)) = (config.as_object_mut(), table) {
        config.extend(table);
    }
    Test::new().config(config);
}

fn deliver(payload: impl Into<Vec<u8>>) -> Result<Vec<Output>, Failure> {
    Delivery::bytes(payload).to(handle)
}

fn raises(payload: &str) -> bool {
    !deliver(payload).unwrap().is_empty()
}

#[test]
fn an_alert_holds_the_whole_payment() {
    configured(json!({"rule": "large \"card\""}));
    let payment =
        " {\"id\":\"p1\", \"amount\": 220.5,\"note\":\"é\\n\",\"big\":123456789012345678901234567890}\n";
    let [output] = deliver(payment).unwrap().try_into().unwrap();
    assert_eq!(output.subject, "alerts.card.large-amount");
    assert_eq!(output.kind.as_deref(), Some("wasmill.alert"));
    let text = String::from_utf8(output.data).unwrap();
    assert!(text.ends_with(&format!(",\"event\":{}}}", payment.trim())), "{text}");
    let alert: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(alert["rule"], "large \"card\"");
    assert_eq!(alert["plugin"], "amount-threshold");
    assert_eq!(alert["reason"], "amount 220.5 is more than 220");
    assert_eq!(alert["event"]["note"], "é\n");
}

#[test]
fn the_threshold_itself_is_not_over_it() {
    configured(json!({}));
    for (amount, wanted) in [
        ("219.99", false),
        ("220", false),
        ("220.0", false),
        ("2.2e2", false),
        ("220.01", true),
        ("1e300", true),
        ("-500", false),
    ] {
        assert_eq!(raises(&format!("{{\"amount\":{amount}}}")), wanted, "{amount}");
    }
    assert!(raises("{\"amount\":123456789012345678901234567890}"));
}

#[test]
fn comparisons_and_fields_are_settings() {
    for (comparison, wanted) in
        [(">", false), (">=", true), ("<", false), ("<=", true), ("==", true), ("!=", false)]
    {
        configured(json!({"comparison": comparison, "field": "/payment/lines/1"}));
        assert_eq!(raises("{\"payment\":{\"lines\":[1,220,3]}}"), wanted, "{comparison}");
    }
    configured(json!({"field": "order.total", "threshold": 0.5}));
    assert!(raises("{\"amount\":{},\"order\":{\"x\":[[]],\"total\":1}}"));
}

#[test]
fn the_rule_is_named_after_the_plugin_by_default() {
    configured(json!({}));
    let [output] = deliver("{\"amount\":300}").unwrap().try_into().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.data).unwrap()["rule"], "amount-threshold");
}

#[test]
fn bad_payloads_are_rejected_with_their_reason() {
    configured(json!({}));
    for (payload, wanted) in [
        (&b""[..], "it is empty"),
        (b" \n", "it is empty"),
        (b"\xFF{}", "no UTF-8"),
        (b"{\"amount\":300,\"x\":\"\xC3\"}", "no UTF-8"),
        (b"{\"amount\":", "EOF"),
        (b"{\"amount\":300,}", "trailing comma"),
        (b"{\"amount\":300} {}", "trailing characters"),
        (b"{\"amount\":300,\"x\":[1,]}", "line 1 column"),
        (b"{\"amount\":NaN}", "expected value"),
        (b"{\"amount\":Infinity}", "expected value"),
        (b"{\"amount\":1e999}", "out of range"),
        (b"{\"amount\":0300}", "invalid number"),
        (b"{\"amount\":300,\"amount\":1}", "stands there twice"),
        (b"{\"amounts\":300}", "there is no field `amount`"),
        (b"{\"x\":{\"amount\":300}}", "there is no field `amount`"),
        (b"[300]", "there is no field `amount`"),
        (b"300", "there is no field `amount`"),
        (b"{\"amount\":\"300\"}", "`amount` is a string, not a number"),
        (b"{\"amount\":null}", "`amount` is null"),
        (b"{\"amount\":true}", "`amount` is a boolean"),
        (b"{\"amount\":[300]}", "`amount` is an array"),
        (b"{\"amount\":{}}", "`amount` is an object"),
    ] {
        let failure = deliver(payload).unwrap_err();
        let text = payload.escape_ascii();
        assert!(!failure.is_retry(), "{text}");
        assert!(failure.reason().starts_with("payload: "), "{text} gave {failure}");
        assert!(failure.reason().contains(wanted), "{text} gave {failure}");
    }
}

#[test]
fn strings_are_numbers_only_where_the_manifest_says_so() {
    configured(json!({"numeric_strings": true}));
    assert!(raises("{\"amount\":\"220.01\"}"));
    assert!(!raises("{\"amount\":\"220\"}"));
    for text in ["", "x", "0x1F4", "NaN", "300 EUR", "1e999"] {
        let failure = deliver(format!("{{\"amount\":\"{text}\"}}")).unwrap_err();
        assert!(failure.reason().contains("a string that is no number"), "{text:?} gave {failure}");
    }
}

#[test]
fn deep_nesting_beside_the_field_does_no_harm() {
    configured(json!({}));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(raises(&format!("{{\"x\":{deep},\"amount\":300}}")));
}

#[test]
fn a_bad_config_is_a_retry_that_names_the_setting() {
    for (table, wanted) in [
        (json!({"threshold": "220"}), "`threshold`"),
        (json!({"comparison": "=>"}), "`comparison`"),
        (json!({"field": "a..b"}), "\"a..b\" is no path to a field"),
        (json!({"treshold": 1}), "unknown field `treshold`"),
    ] {
        configured(table.clone());
        let failure = deliver("{\"amount\":300}").unwrap_err();
        assert!(failure.is_retry() && failure.reason().contains(wanted), "{table} gave {failure}");
    }
    Test::new().config(json!({"output": "a"}));
    assert!(deliver("{}").unwrap_err().reason().contains("missing field `threshold`"));
}
