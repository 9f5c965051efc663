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
async fn a_timer_due_before_its_state_ends_fires_before_that() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}clock = \"event\"\nttl_s = 60\n")).unwrap();
    let due = |second: u64| json!((1_577_836_800 + second) * 1_000_000_000);
    let count = || json!([["add", 1], ["get", "count"]]);
    let timers = json!([
        ["add", 1],
        ["timer", "early", due(40), "[[\"add\", 10], [\"get\", \"count\"]]"],
        ["timer", "late", due(200), "[[\"add\", 100], [\"get\", \"count\"]]"]
    ]);
    at(&scene, "a", 0, timers).await;
    at(&scene, "a", 90, count()).await;
    at(&scene, "a", 300, count()).await;
    let running = scene.start().await;
    running.ended("ledger", 3).await.unwrap();
    // The timer is handled like an event: the state is kept for a minute from then on.
    let wanted = [json!(["ok", "ok", "ok"]), json!(["ok", "11"]), json!(["ok", "12"]), json!(["ok", "1"])];
    assert_eq!(scene.said().await["a"], wanted);
}

/// The same whether the engine was there when the timer came due or finds it with an event of much later.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_fires_prolongs_its_state_and_no_event_behind_it_does() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}clock = \"event\"\nttl_s = 60\n")).unwrap();
    let due = json!((1_577_836_800_u64 + 30) * 1_000_000_000);
    at(&scene, "a", 0, json!([["add", 1], ["timer", "t", due, "[[\"add\", 10], [\"get\", \"count\"]]"]]))
        .await;
    at(&scene, "a", 200, json!([["add", 1], ["get", "count"]])).await;
    let running = scene.start().await;
    running.ended("ledger", 2).await.unwrap();
    let wanted = [json!(["ok", "ok"]), json!(["ok", "11"]), json!(["ok", "1"])];
    assert_eq!(scene.said().await["a"], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_century_does_not_move_the_clock_of_all_keys() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}clock = \"event\"\n")).unwrap();
    let now_ns = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let in_an_hour = now_ns + 3_600_000_000_000;
    scene.order("a", json!([["timer", "t", in_an_hour, "[]"]])).await;
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/test"), ("ce-type", "test")]
    {
        headers.insert(name, value);
    }
    headers.insert("ce-time", "2500-01-01T00:00:00Z");
    let sent = scene.jetstream.publish_with_headers("in.b", headers, "[]".into());
    sent.await.unwrap().await.unwrap();
    scene.order("a", json!([["add", 1]])).await;
    let running = scene.start().await;
    running.ended("ledger", 3).await.unwrap();
    stop(&running.engine).await;
    assert_eq!(scene.said().await["a"], [json!(["ok"]), json!(["ok"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_sets_itself_for_the_same_time_is_a_dead_letter_and_holds_up_nothing_more() {
    let scene = scene().await;
    scene.place.put_manifest("ledger", &format!("{MANIFEST}timers = 10\n")).unwrap();
    scene.order("a", json!([["timer", "t", 0, "[[\"timer-for-this-again\", \"t\", 0]]"]])).await;
    let running = scene.start().await;
    running.until("ledger", "given up", |status| status.counters.dead_lettered == 1).await.unwrap();
    scene.order("a", json!([["add", 1], ["get", "count"]])).await;
    running.until("ledger", "going on", |status| status.counters.done == 2).await.unwrap();
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.header("Wasmill-Reason").unwrap()).collect();
    assert_eq!(reasons, ["timer-loop"]);
    assert_eq!(scene.said().await["a"].last().unwrap(), &json!(["ok", "1"]));
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
