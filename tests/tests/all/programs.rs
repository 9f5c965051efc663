//! Programs that read events as lines and write outputs as lines.

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::status::PluginState;
use wasmill_tests::guests::whole;
use wasmill_tests::place::Running;
use wasmill_tests::{parts, streams};

use crate::delivery::{Scene, amount_threshold, balance, scene};

const MANIFEST: &str = r#"
kind = "command"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[retry]
attempts = 1
[breaker]
failures = 0
[limits]
instances = 1
cpu_ms = 1000
wall_ms = 20000
[config]
limit = 220
"#;

fn program() -> Vec<u8> {
    std::fs::read(parts::test_command().unwrap()).unwrap()
}

fn manifest(isolation: &str) -> String {
    format!("isolation = \"{isolation}\"\n{MANIFEST}")
}

async fn running(program: &[u8], manifest: &str) -> (Scene, Running) {
    let scene = scene().await;
    scene.place.put("program", program, manifest).unwrap();
    let running = scene.start().await;
    running.running("program", None).await.unwrap();
    (scene, running)
}

async fn send(scene: &Scene, payloads: impl IntoIterator<Item = Value>) {
    let payloads = payloads.into_iter().map(|payload| Bytes::from(payload.to_string()));
    streams::publish(&scene.jetstream, "payments.card", payloads).await.unwrap();
}

/// What was said, by the input's sequence.
async fn said(scene: &Scene) -> Vec<(u64, Value)> {
    let stored = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    let mut said: Vec<_> = stored
        .iter()
        .map(|output| {
            let cause = output.header("Wasmill-Cause").unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
            (cause, serde_json::from_slice(&output.payload).unwrap_or(Value::Null))
        })
        .collect();
    said.sort_by_key(|(cause, _)| *cause);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_on_keeps_what_it_knows() {
    let (scene, running) = running(&program(), &manifest("reuse")).await;
    send(&scene, (0..500).map(|id| json!({"do": "count", "id": id}))).await;
    running.ended("program", 500).await.unwrap();
    let mut counts: Vec<_> =
        said(&scene).await.iter().map(|(_, data)| data["count"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=500).collect::<Vec<_>>(), "one program read them all");
    balance(&running, "program");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_run_for_each_event_knows_nothing_of_the_others() {
    let (scene, running) = running(&program(), &manifest("fresh")).await;
    send(&scene, (0..200).map(|id| json!({"do": "count", "id": id}))).await;
    running.ended("program", 200).await.unwrap();
    let said = said(&scene).await;
    assert!(said.len() == 200 && said.iter().all(|(_, data)| data["count"] == 1), "{:?}", said.first());
    assert!(said.iter().all(|(cause, data)| data["id"] == cause - 1), "each says its own event");
}

/// Every event of a mixed lot ends as it should, whatever its neighbours did to the program.
async fn a_mixed_lot(isolation: &str) {
    let (scene, running) = running(&program(), &manifest(isolation)).await;
    let lot = [
        ("count", "said"),
        ("garbage", "invalid-value"),
        ("count", "said"),
        ("late", "invalid-value"),
        ("exit", "exit"),
        ("quit", "said"),
        ("panic", "trap"),
        ("loop", "cpu-limit"),
        ("hog", "memory-limit"),
        ("flood", "answer-limit"),
        ("reject", "rejected"),
        ("retry", "retry"),
        ("log", ""),
        ("count", "said"),
    ];
    for round in 0..3 {
        send(&scene, lot.map(|(what, _)| json!({"do": what, "id": round}))).await;
    }
    let events = 3 * lot.len() as u64;
    running.ended("program", events).await.unwrap();
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let reasons: std::collections::BTreeMap<u64, &str> = letters
        .iter()
        .map(|letter| {
            let sequence = letter.header("Wasmill-Position").unwrap().rsplit_once(':').unwrap().1;
            (sequence.parse().unwrap(), letter.header("Wasmill-Reason").unwrap())
        })
        .collect();
    let said: std::collections::BTreeSet<u64> =
        said(&scene).await.into_iter().map(|(cause, _)| cause).collect();
    for sequence in 1..=events {
        let (what, wanted) = lot[(sequence as usize - 1) % lot.len()];
        let ended = match reasons.get(&sequence) {
            Some(reason) => reason,
            None if said.contains(&sequence) => "said",
            None => "",
        };
        assert_eq!(ended, wanted, "{what}, event {sequence}, {isolation}");
    }
    let exit = letters.iter().find(|letter| letter.header("Wasmill-Reason").unwrap() == "exit").unwrap();
    assert_eq!(exit.header("Wasmill-Backtrace").unwrap(), "the table is missing");
    balance(&running, "program");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_lot_is_kept_apart_by_a_program_that_reads_on() {
    a_mixed_lot("reuse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_lot_is_kept_apart_by_a_program_run_for_each_event() {
    a_mixed_lot("fresh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_the_event_its_config_and_nothing_else() {
    let (scene, running) = running(&program(), &manifest("reuse")).await;
    send(
        &scene,
        [json!({"do": "echo", "text": "ü 🦀"}), json!({"do": "config"}), json!({"do": "many", "n": 300})],
    )
    .await;
    running.ended("program", 3).await.unwrap();
    let said = said(&scene).await;
    let echo = &said[0].1;
    assert_eq!((&echo["subject"], &echo["attempt"]), (&json!("payments.card"), &json!(1)));
    assert_eq!(echo["data"]["text"], "ü 🦀");
    let world = &said[1].1;
    assert_eq!((&world["config"], &world["files"]), (&json!("{\"limit\":220}"), &json!(false)));
    let time: jiff::Timestamp = echo["time"].as_str().unwrap().parse().unwrap();
    assert!(world["s"].as_i64().unwrap() - time.as_second() <= 60, "the clock is the event's: {world}");
    assert_eq!(said.len(), 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_preview_1_runs_as_it_is() {
    for isolation in ["fresh", "reuse"] {
        let (scene, running) = running(&whole("command").unwrap(), &manifest(isolation)).await;
        send(&scene, (0..100).map(|id| json!({"id": id, "padding": "x".repeat(id * 100)}))).await;
        let status = running.ended("program", 100).await.unwrap();
        assert_eq!((status.counters.done, status.counters.outputs), (100, 100), "{:?}", status.last_failure);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_and_a_plugin_are_not_taken_for_each_other() {
    let scene = scene().await;
    scene.place.put("program", &program(), &MANIFEST.replace("kind = \"command\"", "")).unwrap();
    scene.place.put("plugin", &amount_threshold(), MANIFEST).unwrap();
    let running = scene.start().await;
    for (name, wanted) in [("program", "kind = \"command\""), ("plugin", "it is no program")] {
        let told = |status: &wasmill::status::PluginStatus| {
            status.problem.as_ref().is_some_and(|problem| problem.contains(wanted))
        };
        let status = running.until(name, "refused", told).await.unwrap();
        assert_eq!(status.state, PluginState::Refused);
    }
}
