//! Dead letters that come back to a plugin with a key.

use std::time::Duration;

use serde_json::json;
use wasmill_tests::streams;

use super::account::stop;
use super::{MANIFEST, scene};
use crate::cli::run;

const KEYS: u64 = 10;
const LETTERS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_loses_and_repeats_no_redrive() {
    let scene = scene().await;
    let limit = |kib: u64| {
        format!("{MANIFEST}record_kib = {kib}\n[breaker]\nfailures = 0\n")
            .replace("[retry]", "[retry]\nack_wait_ms = 1000")
    };
    scene.place.put_manifest("ledger", &limit(8)).unwrap();
    let long = "x".repeat(6_000);
    for key in 0..KEYS {
        scene.order(&key.to_string(), json!([["set", "long", long]])).await;
    }
    for letter in 0..LETTERS {
        // What it answers does not fit beside what the key holds.
        scene
            .order(&(letter % KEYS).to_string(), json!([["add", 1], ["get", "long"], ["get", "count"]]))
            .await;
    }
    let running = scene.start().await;
    let all = |status: &wasmill::status::PluginStatus| status.counters.dead_lettered == LETTERS;
    running.until("ledger", "setting all aside", all).await.unwrap();
    stop(&running.engine).await;
    drop(running);

    scene.place.put_manifest("ledger", &limit(64)).unwrap();
    let url = scene.server.url();
    run(&scene.place.plugins(), &["dead-letter", "redrive", "--all", "--bus-url", &url])
        .said(0, "1,000 letters sent");
    for kill in 1..=2 {
        let engine = scene.place.spawn(&url).unwrap();
        while streams::count(&scene.jetstream, "OUT").await.unwrap() < KEYS + LETTERS * kill / 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        engine.kill().unwrap();
    }
    assert!(streams::count(&scene.jetstream, "OUT").await.unwrap() < KEYS + LETTERS, "killed in the middle");
    let running = scene.start().await;
    while streams::count(&scene.jetstream, "WASMILL_REDRIVES").await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(&running.engine).await;
    let said = scene.said().await;
    for key in 0..KEYS {
        let counts: Vec<_> = said[&key.to_string()].iter().skip(1).map(|said| said[2].clone()).collect();
        let wanted: Vec<_> = (1..=LETTERS / KEYS).map(|count| json!(count.to_string())).collect();
        assert_eq!(counts, wanted, "key {key}");
    }
}
