//! The outputs of one event, where their stream stores them together or not at all.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use wasmill::bus::{Bus as _, Retention, StreamSpec};
use wasmill::subject::Pattern;
use wasmill_tests::streams;

use crate::delivery::{Scene, bus, misbehaving, payment, scene};

/// Makes three outputs of each event.
const THREE: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["whole.>"]
[retry]
ack_wait_ms = 2000
[config]
mode = "many-outputs"
count = 3
size = 3
subject = "whole.x"
"#;

/// The scene with a stream WHOLE that takes batches.
async fn atomic_scene() -> Scene {
    let scene = scene().await;
    let spec = StreamSpec {
        name: "WHOLE".into(),
        subjects: vec![Pattern::new("whole.>").unwrap()],
        duplicate_window: std::time::Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
        retention: Retention::default(),
        atomic: true,
    };
    let info = bus(&scene.server).await.ensure_stream(&spec).await.unwrap();
    assert!(info.atomic, "the server takes batches with ids");
    scene.place.put("three", &misbehaving(), THREE).unwrap();
    scene
}

/// How many outputs each event has, and how many of all came in a batch.
async fn outputs(scene: &Scene) -> (BTreeMap<String, u32>, usize) {
    let mut events = BTreeMap::new();
    let stored = streams::read(&scene.jetstream, "WHOLE").await.unwrap();
    for output in &stored {
        *events.entry(output.header("Wasmill-Cause").unwrap().to_owned()).or_insert(0) += 1;
    }
    (events, stored.iter().filter(|output| output.headers.contains_key("Nats-Batch-Id")).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_leaves_no_event_with_some_of_its_outputs() {
    const EVENTS: u64 = 1_500;
    let scene = atomic_scene().await;
    streams::publish(&scene.jetstream, "payments.card", (0..EVENTS as usize).map(|id| payment(id, 1.0)))
        .await
        .unwrap();
    for kill in 1..=3 {
        let engine = scene.place.spawn(&scene.server.url()).unwrap();
        while streams::count(&scene.jetstream, "WHOLE").await.unwrap() < 3 * EVENTS * kill / 5 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        engine.kill().unwrap();
        let (events, _) = outputs(&scene).await;
        assert!((events.len() as u64) < EVENTS, "killed in the middle of its work, not after it");
        assert!(events.values().all(|count| *count == 3), "{events:?}");
    }
    let engine = scene.place.spawn(&scene.server.url()).unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-three").await.unwrap();
    let (events, batched) = outputs(&scene).await;
    assert_eq!(events.len() as u64, EVENTS);
    assert!(events.values().all(|count| *count == 3), "nothing is there twice");
    assert!(batched > 0, "they came in batches");
    drop(engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_not_stored_again_and_what_is_missing_is() {
    let scene = atomic_scene().await;
    streams::publish(&scene.jetstream, "payments.card", (0..2).map(|id| payment(id, 1.0))).await.unwrap();
    // As if the second of the first event's outputs had been stored by itself before.
    let incarnation = bus(&scene.server).await.stream("PAYMENTS").await.unwrap().incarnation_ms;
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("three:PAYMENTS@{incarnation:x}:1:1"));
    headers.insert("Wasmill-Cause", "PAYMENTS:1");
    let ack = scene.jetstream.publish_with_headers("whole.x", headers, "xxx".into()).await.unwrap();
    ack.await.unwrap();

    let running = scene.start().await;
    let status = running.ended("three", 2).await.unwrap();
    assert_eq!((status.counters.done, status.counters.retried), (2, 0));
    let (events, batched) = outputs(&scene).await;
    assert_eq!(events.into_values().collect::<Vec<_>>(), [3, 3]);
    assert_eq!(batched, 3, "those of the second event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_stop_taking_batches() {
    let scene = atomic_scene().await;
    let running = scene.start().await;
    streams::publish(&scene.jetstream, "payments.card", [payment(0, 1.0)]).await.unwrap();
    running.ended("three", 1).await.unwrap();
    assert_eq!(outputs(&scene).await.1, 3);
    let mut config = scene.jetstream.get_stream("WHOLE").await.unwrap().cached_info().config.clone();
    config.allow_atomic_publish = false;
    scene.jetstream.update_stream(config).await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", (1..10).map(|id| payment(id, 1.0))).await.unwrap();
    let status = running.ended("three", 10).await.unwrap();
    assert_eq!((status.counters.done, status.counters.retried), (10, 0));
    let (events, batched) = outputs(&scene).await;
    assert_eq!((events.len(), batched), (10, 3));
    assert!(events.values().all(|count| *count == 3));
}
