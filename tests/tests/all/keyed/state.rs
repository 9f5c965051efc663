//! What a key may keep, for how long, and what a plugin may look up beside it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use wasmill_tests::streams;

use super::account::stop;
use super::{MANIFEST, Scene, scene};

/// Publishes what a key's handler is to do, as an event of this second.
async fn at(scene: &Scene, key: &str, second: u64, orders: serde_json::Value) {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", format!("{key}-{second}").as_str());
    headers.insert("ce-source", "/test");
    headers.insert("ce-type", "test");
    headers.insert("ce-time", format!("2020-01-01T00:{:02}:{:02}Z", second / 60, second % 60).as_str());
    let payload = Bytes::from(orders.to_string());
    let sent = scene.jetstream.publish_with_headers(format!("in.{key}"), headers, payload);
    sent.await.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_its_limit_is_a_dead_letter_and_leaves_the_state_as_it_was() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}record_kib = 8\n")).unwrap();
    let long = "x".repeat(6_000);
    for orders in [
        json!([["add", 1], ["set", "long", long]]),
        // It fits into the state, but not beside the output that brings it back.
        json!([["add", 10], ["get", "long"]]),
        json!([["add", 100], ["get", "count"]]),
    ] {
        scene.order("a", orders).await;
    }
    let running = scene.start().await;
    running.until("ledger", "through", |status| status.counters.done == 2).await.unwrap();
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.header("Wasmill-Reason").unwrap()).collect();
    assert_eq!(reasons, ["record-limit"]);
    assert_eq!(scene.said().await["a"].last().unwrap(), &json!(["ok", "101"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_record_holds_a_small_state_and_an_output() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}record_kib = 2\n")).unwrap();
    scene.order("a", json!([["add", 1], ["get", "count"]])).await;
    let running = scene.start().await;
    running.ended("ledger", 1).await.unwrap();
    assert_eq!(scene.said().await["a"], [json!(["ok", "1"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_ends_so_long_after_the_last_event_of_its_key() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}clock = \"event\"\nttl_s = 60\n")).unwrap();
    let count = || json!([["add", 1], ["get", "count"]]);
    for (key, second) in [("a", 0), ("b", 0), ("a", 50), ("a", 100), ("b", 101), ("a", 161)] {
        at(&scene, key, second, count()).await;
    }
    let running = scene.start().await;
    running.ended("ledger", 6).await.unwrap();
    let said = scene.said().await;
    assert_eq!(said["a"], ["1", "2", "3", "1"].map(|count| json!(["ok", count])));
    assert_eq!(said["b"], ["1", "1"].map(|count| json!(["ok", count])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_is_read_from_its_beginning() {
    let scene = scene().await;
    let count = || json!([["add", 1], ["get", "count"]]);
    for _ in 0..3 {
        scene.order("a", count()).await;
    }
    let running = scene.start().await;
    running.ended("ledger", 3).await.unwrap();
    scene.jetstream.delete_stream("IN").await.unwrap();
    streams::create(&scene.jetstream, "IN", "in.>").await.unwrap();
    for _ in 0..2 {
        scene.order("a", count()).await;
    }
    running.ended("ledger", 5).await.unwrap();
    stop(&running.engine).await;
    assert_eq!(scene.said().await["a"], ["1", "2", "3", "4", "5"].map(|count| json!(["ok", count])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_looks_up_is_what_the_bucket_holds() {
    let scene = scene().await;
    let config = async_nats::jetstream::kv::Config { bucket: "TIERS".to_owned(), ..Default::default() };
    let bucket = scene.jetstream.create_key_value(config).await.unwrap();
    bucket.put("ann", "gold".into()).await.unwrap();
    scene.place.put_manifest("ledger", &format!("{MANIFEST}[lookup]\ntiers = \"TIERS\"\n")).unwrap();
    let running = scene.start().await;
    running.running("ledger", None).await.unwrap();
    let name = wasmill::manifest::PluginName::new("ledger").unwrap();
    let orders = json!([["lookup", "tiers", "ann"], ["lookup", "tiers", "bob"], ["lookup", "others", "ann"]]);
    // The table is read at once, but not within the call.
    let told = async |wanted: serde_json::Value| {
        for _ in 0..3_000 {
            let before = running.engine.plugin(&name).unwrap().counters.outputs;
            scene.order("a", orders.clone()).await;
            running.until("ledger", "answering", |status| status.counters.outputs > before).await.unwrap();
            if scene.said().await["a"].last() == Some(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {wanted}: {:?}", scene.said().await["a"].last());
    };
    told(json!(["gold", null, "Error::NotGranted"])).await;
    bucket.put("bob", "silver".into()).await.unwrap();
    bucket.delete("ann").await.unwrap();
    told(json!([null, "silver", "Error::NotGranted"])).await;
}
