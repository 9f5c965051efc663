//! Rules dropped in as source: they run, a save swaps them, and a mistake changes nothing but the status.

use serde_json::{Value, json};
use wasmill::artifact::Artifact;
use wasmill::status::{PluginState, PluginStatus};
use wasmill_tests::place::Running;
use wasmill_tests::streams;

use crate::delivery::{Scene, balance, payment, scene};

const MANIFEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[retry]
attempts = 2
first_delay_ms = 10
[config]
limit = 220
"#;

/// The amount rule, whose alerts say which version of the rule made them.
fn rule(version: u32) -> String {
    format!(
        r#"from wasmill import Output, config, log

seen = 0

def handle(event):
    global seen
    seen += 1
    payment = event.json()
    log.debug("payment", id=payment["tx_id"])
    if payment["amount"] > config.get("limit"):
        return Output.json("alerts.python", {{"payment": payment["tx_id"], "version": {version}}})
"#
    )
}

async fn with_rule(text: &str) -> (Scene, Running) {
    let scene = scene().await;
    scene.place.put_manifest("rule", MANIFEST).unwrap();
    save(&scene, text);
    let running = scene.start().await;
    (scene, running)
}

fn save(scene: &Scene, text: &str) {
    scene.place.put_settled("rule.py", text.as_bytes()).unwrap();
}

async fn publish(scene: &Scene, ids: std::ops::Range<usize>) {
    let payments = ids.map(|id| payment(id, if id % 3 == 0 { 500.0 } else { 5.0 }));
    streams::publish(&scene.jetstream, "payments.card", payments).await.unwrap();
}

/// What the alerts say: for each payment the version that judged it.
async fn alerts(scene: &Scene) -> Vec<(u64, u64)> {
    let stored = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    let mut told: Vec<_> = stored
        .iter()
        .map(|alert| {
            let data: Value = serde_json::from_slice(&alert.payload).unwrap();
            (data["payment"].as_u64().unwrap(), data["version"].as_u64().unwrap())
        })
        .collect();
    told.sort_unstable();
    told
}

fn digest(status: &PluginStatus) -> &str {
    &status.running.as_ref().unwrap().digest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_swaps_a_rule_and_a_syntax_error_changes_nothing_but_the_status() {
    let (scene, running) = with_rule(&rule(1)).await;
    publish(&scene, 0..300).await;
    let first = running.ended("rule", 300).await.unwrap();
    assert_eq!(first.running.as_ref().unwrap().artifact, Artifact::Python);
    assert_eq!(first.isolation, "reuse", "by default: starting an interpreter for each event is dear");
    assert_eq!(digest(&first), wasmill::digest::Digest::of(rule(1).as_bytes()).to_string());

    save(&scene, &rule(2).replace("seen += 1", "seen += = 1"));
    let broken = running.until("rule", "told of its fault", |status| status.problem.is_some()).await.unwrap();
    let problem = broken.problem.as_deref().unwrap();
    assert!(problem.starts_with("rule.py: line 7, column 13: SyntaxError: "), "{problem}");
    assert!(problem.contains("seen += = 1"), "{problem}");
    assert_eq!((broken.state, digest(&broken)), (PluginState::Running, digest(&first)));
    publish(&scene, 300..600).await;
    running.ended("rule", 600).await.unwrap();

    save(&scene, &rule(3));
    let mended = running.running("rule", Some(rule(3).as_bytes())).await.unwrap();
    assert_eq!(mended.problem, None);
    publish(&scene, 600..900).await;
    running.ended("rule", 900).await.unwrap();

    let version = |id: u64| if id < 600 { 1 } else { 3 };
    let wanted: Vec<_> = (0..900).step_by(3).map(|id| (id, version(id))).collect();
    assert_eq!(alerts(&scene).await, wanted);
    let stored = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    assert_eq!(stored.last().unwrap().header("Wasmill-Digest").unwrap(), digest(&mended));
    balance(&running, "rule");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_rule_is_refused_with_its_place() {
    let (scene, running) = with_rule("import json\n\ndef hande(event):\n    pass\n").await;
    for (text, wanted) in [
        ("import json\n\ndef hande(event):\n    pass\n", "handle"),
        ("limit = 1 / 0\n\ndef handle(event):\n    pass\n", "line 1, column 9: ZeroDivisionError"),
        ("import nothing_like_it\n\ndef handle(event):\n    pass\n", "ModuleNotFoundError"),
        ("def handle(event):\n\tif True:\n        pass\n", "line 3"),
        ("while True:\n    pass\n", "cpu-limit"),
        ("x = 'a' * (1 << 30)\ndef handle(event):\n    pass\n", "limits.memory_mib"),
        ("handle = 5\n", "handle"),
    ] {
        save(&scene, text);
        let told = |status: &PluginStatus| {
            status
                .problem
                .as_ref()
                .is_some_and(|problem| problem.contains(wanted) && !problem.contains("rule.wasm"))
        };
        let refused = running.until("rule", &format!("refused for {wanted}"), told).await.unwrap();
        assert_eq!(refused.state, PluginState::Refused, "{text}");
    }
    scene.place.put_settled("rule.py", b"def handle(event):\n    pass  # \xff\n").unwrap();
    let told =
        |status: &PluginStatus| status.problem.as_ref().is_some_and(|p| p.contains("line 2 is no UTF-8"));
    running.until("rule", "refused for its encoding", told).await.unwrap();
    save(&scene, &rule(1));
    running.running("rule", Some(rule(1).as_bytes())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_rule_is_a_dead_letter_with_its_traceback() {
    let text = "def explode(payment):\n    raise KeyError(payment['tx_id'])\n\ndef handle(event):\n    explode(event.json())\n";
    let (scene, running) = with_rule(text).await;
    publish(&scene, 0..1).await;
    let told = |status: &PluginStatus| status.counters.dead_lettered == 1;
    running.until("rule", "through with the event", told).await.unwrap();
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{} dead letters", letters.len()) };
    assert_eq!(letter.header("Wasmill-Reason").unwrap(), "exception");
    let trace = letter.header("Wasmill-Backtrace").unwrap();
    assert!(trace.contains("explode") && trace.contains("rule.py:2"), "{trace}");
    assert_eq!(serde_json::from_slice::<Value>(&letter.payload).unwrap()["tx_id"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_share_a_runner_and_nothing_else() {
    let scene = scene().await;
    let names: Vec<_> = (0..8).map(|number| format!("rule-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        scene.place.put_manifest(name, MANIFEST).unwrap();
        let text = format!(
            "from wasmill import Output\nimport json\njson.mine = getattr(json, 'mine', [])\njson.mine.append({number})\n\
             def handle(event):\n    return Output('alerts.rule', ','.join(map(str, json.mine)))\n"
        );
        scene.place.put_settled(&format!("{name}.py"), text.as_bytes()).unwrap();
    }
    let running = scene.start().await;
    publish(&scene, 0..20).await;
    for name in &names {
        running.ended(name, 20).await.unwrap();
    }
    let mut seen: Vec<_> = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    seen.retain(|alert| alert.header("Wasmill-Plugin").unwrap() == "rule-5");
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|alert| &alert.payload[..] == b"5"), "each has an interpreter of its own");
}
