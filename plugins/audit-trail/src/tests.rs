use serde_json::Value;
use wasmill_sdk::testing::{Delivery, Test, json};

use super::*;

fn configured(table: Value) {
    let mut config = json!({"output": "audit.payments"});
    if let (Some(config), Value::Object(table)) = (config.as_object_mut(), table) {
        config.extend(table);
    }
    Test::new().config(config);
}

fn record(delivery: Delivery) -> Value {
    let [output] = delivery.to(handle).unwrap().try_into().unwrap();
    assert_eq!((output.subject.as_str(), output.kind.as_deref()), ("audit.payments", Some("wasmill.audit")));
    serde_json::from_slice(&output.data).unwrap()
}

#[test]
fn a_record_holds_attributes_size_and_digest() {
    configured(json!({}));
    // The digest of "abc" is the example of FIPS 180-2.
    let wanted = json!({
        "id": "test-1", "source": "nats:TEST", "type": "nats.message", "subject": "a.b", "key": "k",
        "time": "2026-01-01T00:00:00Z", "size": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    assert_eq!(record(Delivery::bytes("abc").subject("a.b").key("k").attempt(3)), wanted);
}

#[test]
fn any_payload_is_recorded() {
    configured(json!({"fields": ["amount"]}));
    for (payload, missing) in [
        (&b""[..], "it is empty"),
        (b"\xFF\xFE", "expected value"),
        (b"{\"amount\":\"\xFF\"}", "unicode"),
        (b"{\"amount\":NaN}", "`amount`: expected value"),
        (b"{\"amount\":1e999}", "out of range"),
    ] {
        let record = record(Delivery::bytes(payload));
        assert_eq!(record["size"], payload.len());
        assert_eq!(record.get("fields"), None);
        let reason = record["fields_missing"].as_str().unwrap();
        assert!(reason.contains(missing), "{} gave {reason}", payload.escape_ascii());
    }
    assert_eq!(record(Delivery::bytes("[1]")).get("fields_missing"), None);
}

#[test]
fn selected_fields_are_kept_and_redacted_inside_too() {
    configured(json!({
        "fields": ["amount", "/card", "none", "card.number"],
        "redact_fields": ["card.number", "card.none"],
    }));
    let record =
        record(Delivery::json(json!({"amount": [1], "card": {"number": "4111", "brand": "x"}, "pin": 1})));
    let wanted = json!({
        "amount": [1], "/card": {"number": "[redacted]", "brand": "x"}, "card.number": "[redacted]",
    });
    assert_eq!(record["fields"], wanted);
}

#[test]
fn selected_headers_are_kept_and_redacted_without_regard_to_case() {
    configured(
        json!({"headers": ["Trace-Id", "authorization", "via", "none"], "redact_headers": ["Authorization"]}),
    );
    let delivery = Delivery::bytes("x")
        .header("trace-id", "t1")
        .header("AUTHORIZATION", "Bearer s3cret")
        .header("via", "a")
        .header("Via", "b")
        .header("other", "z");
    let wanted = json!({"Trace-Id": "t1", "authorization": "[redacted]", "via": ["a", "b"]});
    assert_eq!(record(delivery)["headers"], wanted);
}

#[test]
fn a_bad_config_is_a_retry_that_names_the_setting() {
    for (table, wanted) in [
        (json!({"fields": [""]}), "`fields`: \"\" is no path"),
        (json!({"headers": "via"}), "`headers`"),
        (json!({"redact": ["a"]}), "unknown field `redact`"),
        (json!({"output": null}), "`output`"),
    ] {
        configured(table.clone());
        let failure = Delivery::bytes("x").to(handle).unwrap_err();
        assert!(failure.is_retry() && failure.reason().contains(wanted), "{table} gave {failure}");
    }
}
