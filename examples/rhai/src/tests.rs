use wasmill_sdk::testing::{Test, event, json};
use wasmill_sdk::{Failure, Output};

use crate::compile;

const RULE: &str = include_str!("../scripted-rule.toml");

/// The script in the manifest beside this crate.
fn example() -> String {
    let (_, rest) = RULE.split_once("script = '''\n").unwrap();
    rest.split_once("'''").unwrap().0.to_owned()
}

fn run(script: &str, data: serde_json::Value) -> Result<Vec<Output>, Failure> {
    let _engine = Test::new().config(json!({"script": script, "limit": 220, "output": "alerts.payments"}));
    compile()?.run(&event(data))
}

fn message(script: &str) -> String {
    match run(script, json!({})) {
        Err(Failure::Exception { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rule_of_the_manifest_passes_on_what_is_over_the_limit() {
    assert_eq!(run(&example(), json!({"id": "p1", "amount": 220})), Ok(Vec::new()));
    let outputs = run(&example(), json!({"id": "p2", "amount": 220.5})).unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].subject, "alerts.payments");
    let alert: serde_json::Value = serde_json::from_slice(&outputs[0].data).unwrap();
    assert_eq!(alert, json!({"payment": "p2", "over_by": 0.5}));
}

#[test]
fn the_rule_of_the_manifest_rejects_a_payment_without_an_amount() {
    let failure = run(&example(), json!({"id": "p1"})).unwrap_err();
    assert_eq!(failure, Failure::reject("the payment has no amount"));
}

#[test]
fn an_error_has_its_place() {
    assert_eq!(
        message("let a = 1;\nlet b = event.data.missing;"),
        "line 2, column 20: Property not found: missing"
    );
    assert!(message("let a = ;").starts_with("line 1, column 9: "), "{}", message("let a = ;"));
    assert!(message("fn f() {\n  g()\n}\nf();").starts_with("line 2, column 3: Function not found: g"));
    assert_eq!(message("throw \"boom\";"), "line 1, column 1: Runtime error: boom");
    assert!(message("fn deep(n) { deep(n + 1) + 1 }\ndeep(0);").ends_with("column 1: Stack overflow"));
}

#[test]
fn a_script_ends_itself_whatever_it_catches() {
    assert_eq!(
        run("try { retry(\"busy\", 1500); } catch { emit(\"a\", 1); }", json!({})),
        Err(Failure::retry_after(std::time::Duration::from_millis(1500), "busy"))
    );
    assert_eq!(run("fn f() { reject(\"never\") }\nf();", json!({})), Err(Failure::reject("never")));
}

#[test]
fn what_a_failed_run_emitted_is_gone() {
    assert!(run("emit(\"a\", 1); throw 1;", json!({})).is_err());
    assert_eq!(run("()", json!({})), Ok(Vec::new()));
}
