//! A component made for wasmCloud's messaging, as it is: what it publishes becomes outputs, and it sees no more than a plugin
//! of the contract.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::status::PluginState;
use wasmill_tests::guests::text_folder;
use wasmill_tests::place::Process;
use wasmill_tests::{parts, streams};

use crate::delivery::{Scene, balance, scene};

const MANIFEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.>"]
[emit]
subjects = ["alerts.>"]
[retry]
attempts = 2
first_delay_ms = 10
[limits]
outputs = 5
[config]
limit = 220
name = "till"
"#;

fn messaging() -> Vec<u8> {
    std::fs::read(parts::test_messaging().unwrap()).unwrap()
}

/// Publishes one event a token, whose subject ends in it, and waits until each has ended.
async fn through(scene: &Scene, tokens: &[&str], deliveries: u64) {
    scene.place.put("bridge", &messaging(), MANIFEST).unwrap();
    for token in tokens {
        let body = Bytes::from(format!("body of {token}"));
        streams::publish(&scene.jetstream, &format!("payments.{token}"), [body]).await.unwrap();
    }
    let running = scene.start().await;
    running.ended("bridge", deliveries).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-bridge").await.unwrap();
    balance(&running, "bridge");
}

async fn alerts(scene: &Scene) -> Vec<streams::Stored> {
    streams::read(&scene.jetstream, "ALERTS").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_publishes_is_stored_under_ids_of_its_own() {
    let scene = scene().await;
    through(&scene, &["pass", "none", "two"], 3).await;
    let alerts: BTreeMap<_, _> =
        alerts(&scene).await.into_iter().map(|alert| (alert.subject.clone(), alert)).collect();
    let seen: Vec<_> = alerts
        .values()
        .map(|alert| {
            let id = alert.header("Nats-Msg-Id").unwrap();
            let place = id.rsplit_once('@').map_or(id, |(_, place)| place);
            let place = place.split_once(':').map_or(place, |(_, place)| place);
            (alert.subject.as_str(), alert.payload.as_ref(), place, alert.header("Wasmill-Cause").unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("alerts.first", &b"body of two"[..], "3:0", "PAYMENTS:3"),
            ("alerts.passed", b"body of pass", "1:0", "PAYMENTS:1"),
            ("alerts.second", b"2", "3:1", "PAYMENTS:3"),
        ]
    );
    let passed = &alerts["alerts.passed"];
    assert_eq!(passed.header("ce-type").unwrap(), "nats.message", "the type of the event that caused it");
    assert_eq!(passed.header("Wasmill-Plugin").unwrap(), "bridge");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_tried_again_and_nothing_of_it_leaves() {
    let scene = scene().await;
    let told = [
        ("fail", "retry", "the till is shut: ü"),
        ("trap", "trap", "unreachable"),
        ("strict", "retry", "subject \"orders.forbidden\" is not granted"),
        ("flood", "retry", "6 outputs are over the limit of 5"),
        ("unheard-of", "retry", "there is no handler \"unheard-of\""),
    ];
    through(&scene, &told.map(|(token, ..)| token), 2 * told.len() as u64).await;
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let letters: BTreeMap<_, _> =
        letters.iter().map(|letter| (letter.header("Wasmill-Subject").unwrap(), letter)).collect();
    assert_eq!(letters.len(), told.len());
    for (token, reason, detail) in told {
        let letter = letters[format!("payments.{token}").as_str()];
        assert_eq!(letter.header("Wasmill-Reason").unwrap(), reason, "{token}");
        assert_eq!(letter.header("Wasmill-Attempts").unwrap(), "2", "{token}");
        let heard = letter.header("Wasmill-Detail").unwrap();
        assert!(heard.contains(detail), "{token}: {heard}");
    }
    assert_eq!(alerts(&scene).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_to_the_handler() {
    let scene = scene().await;
    let told = [
        ("lenient", "\"orders.forbidden\" is not granted"),
        ("reserved", "is reserved for NATS and the engine"),
        ("request", "requests are not available to plugins"),
        ("reply-to", "an output cannot carry a reply subject"),
    ];
    through(&scene, &told.map(|(token, _)| token), told.len() as u64).await;
    let alerts: BTreeMap<_, _> = alerts(&scene)
        .await
        .into_iter()
        .map(|alert| (alert.header("Wasmill-Cause").unwrap().to_owned(), alert))
        .collect();
    assert_eq!(alerts.len(), told.len());
    for (number, (token, refusal)) in (1..).zip(told) {
        let alert = &alerts[&format!("PAYMENTS:{number}")];
        let heard = String::from_utf8_lossy(&alert.payload);
        assert!(alert.subject == "alerts.told" && heard.contains(refusal), "{token}: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_whoever_waits_for_it() {
    let scene = scene().await;
    let manifest = MANIFEST
        .replace("stream = \"PAYMENTS\"\n", "")
        .replace("payments.>", "live.>")
        .replace("subjects = [\"alerts.>\"]", "subjects = [\"alerts.>\"]\nreply = true");
    scene.place.put("bridge", &messaging(), &manifest).unwrap();
    let running = scene.start().await;
    running.running("bridge", None).await.unwrap();
    let client = async_nats::connect(scene.server.url()).await.unwrap();
    let answer = client.request("live.answer", Bytes::from_static(b"question"));
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap().unwrap();
    assert_eq!(&answer.payload[..], b"question");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sees_its_configuration_and_nothing_of_the_machine() {
    let scene = scene().await;
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "e1"),
        ("ce-source", "/till"),
        ("ce-type", "payment"),
        ("ce-time", "2026-01-02T03:04:05Z"),
    ] {
        headers.insert(name, value);
    }
    // The same event twice: what a handler can see derives from it.
    for _ in 0..2 {
        let published =
            scene.jetstream.publish_with_headers("payments.surroundings", headers.clone(), Bytes::new());
        published.await.unwrap().await.unwrap();
    }
    through(&scene, &[], 2).await;
    let seen: Vec<Value> =
        alerts(&scene).await.iter().map(|alert| serde_json::from_slice(&alert.payload).unwrap()).collect();
    assert_eq!(seen[0], seen[1]);
    let all = json!([["limit", "220"], ["name", "till"]]);
    let mut first = seen[0].clone();
    assert!(first["random"].take().is_u64());
    assert_eq!(
        first,
        json!({
            "runtime": "220", "store": "220", "rc": "220", "missing": null, "all": [all, all, all],
            "variables": 0, "arguments": 0, "file": false, "folder": false, "socket": false,
            "since_epoch_s": 1_767_323_045, "clock_moves": true, "random": null
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_lines_and_its_refusals_are_in_the_engines_log() {
    let scene = scene().await;
    scene.place.put("bridge", &messaging(), MANIFEST).unwrap();
    for token in ["log", "lenient"] {
        streams::publish(&scene.jetstream, &format!("payments.{token}"), [Bytes::new()]).await.unwrap();
    }
    let engine = Process::start(&mut scene.place.command(&scene.server.url()).unwrap()).unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-bridge").await.unwrap();
    let log = engine.log();
    for (level, text) in [
        ("WARN", r#"draft ü context=\"till\""#),
        ("ERROR", "critical"),
        ("INFO", r#"unversioned context=\"till\""#),
        ("INFO", "printed"),
        ("WARN", "publish refused: output 0: subject"),
    ] {
        let found =
            log.lines().any(|line| line.contains(text) && line.contains(level) && line.contains("bridge"));
        assert!(found, "{level} {text}:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_named_and_replaces_nothing() {
    let scene = scene().await;
    let ungranted = wat::parse_file(text_folder().join("messaging-ungranted.wat")).unwrap();
    scene.place.put("bridge", &ungranted, MANIFEST).unwrap();
    let running = scene.start().await;
    let status =
        running.until("bridge", "refused", |status| status.state == PluginState::Refused).await.unwrap();
    let refusal = format!("{status:?}");
    for part in [
        "imports what this engine does not grant",
        "wasi:keyvalue/store@0.2.0-draft (a key-value store)",
        "wasi:http/outgoing-handler@0.2.0 (HTTP)",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    scene.place.put_component("bridge", &messaging()).unwrap();
    running.running("bridge", Some(&messaging())).await.unwrap();
}
