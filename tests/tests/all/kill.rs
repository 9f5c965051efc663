//! The engine killed in the middle of its work, and stopped politely.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use wasmill_tests::streams;

use crate::delivery::{Scene, amount_threshold, misbehaving, payment, scene};

const EVENTS: usize = 30_000;
const MANIFEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[retry]
ack_wait_ms = 2000
[config]
threshold = 220
output = "alerts.card.large-amount"
"#;

/// Every third payment is large.
fn amount(id: usize) -> f64 {
    if id.is_multiple_of(3) { 221.0 } else { 3.0 }
}

async fn wait_for_alerts(jetstream: &async_nats::jetstream::Context, count: u64) {
    while streams::count(jetstream, "ALERTS").await.unwrap() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn alerts_by_payment(jetstream: &async_nats::jetstream::Context) -> BTreeMap<u64, u32> {
    let mut alerts = BTreeMap::new();
    for alert in streams::read(jetstream, "ALERTS").await.unwrap() {
        let data: Value = serde_json::from_slice(&alert.payload).unwrap();
        *alerts.entry(data["event"]["tx_id"].as_u64().unwrap()).or_insert(0) += 1;
    }
    alerts
}

#[tokio::test(flavor = "multi_thread")]
async fn three_kills_lose_nothing_and_repeat_nothing() {
    let Scene { server, jetstream, place } = scene().await;
    place.put("large-amount", &amount_threshold(), MANIFEST).unwrap();
    streams::publish(&jetstream, "payments.card", (0..EVENTS).map(|id| payment(id, amount(id))))
        .await
        .unwrap();
    let expected = EVENTS as u64 / 3;
    for kill in 1..=3 {
        let engine = place.spawn(&server.url()).unwrap();
        wait_for_alerts(&jetstream, expected * kill / 4).await;
        engine.kill().unwrap();
        let stored = streams::count(&jetstream, "ALERTS").await.unwrap();
        assert!(stored < expected, "killed in the middle of its work, not after it");
    }
    let engine = place.spawn(&server.url()).unwrap();
    streams::drained(&jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    let alerts = alerts_by_payment(&jetstream).await;
    assert_eq!(alerts.len() as u64, expected);
    assert!(alerts.iter().all(|(id, count)| id % 3 == 0 && *count == 1));
    assert_eq!(streams::count(&jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(), 0);
    drop(engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_flight_and_ends_with_0() {
    let Scene { server, jetstream, place } = scene().await;
    // An ack wait far longer than the test: what the stopped engine held must come to the next one without it.
    place.put("large-amount", &amount_threshold(), &MANIFEST.replace("2000", "600000")).unwrap();
    streams::publish(&jetstream, "payments.card", (0..EVENTS).map(|id| payment(id, amount(id))))
        .await
        .unwrap();
    let engine = place.spawn(&server.url()).unwrap();
    wait_for_alerts(&jetstream, 500).await;
    engine.signal("TERM").unwrap();
    assert_eq!(engine.exit_code().unwrap(), Some(0));

    let engine = place.spawn(&server.url()).unwrap();
    assert_eq!(engine.page("/livez").unwrap().0, 200);
    streams::drained(&jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    let alerts = alerts_by_payment(&jetstream).await;
    assert_eq!(alerts.len(), EVENTS / 3);
    assert!(alerts.values().all(|count| *count == 1));
    let (status, page) = engine.page("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(
        page.contains("wasmill_events_ended_total{plugin=\"large-amount\",outcome=\"done\",reason=\"\"}"),
        "{page}"
    );
    assert!(page.contains("wasmill_bus_connected 1"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_its_server() {
    let Scene { mut server, jetstream, place } = scene().await;
    place.put("large-amount", &amount_threshold(), MANIFEST).unwrap();
    streams::publish(&jetstream, "payments.card", (0..EVENTS).map(|id| payment(id, amount(id))))
        .await
        .unwrap();
    let engine = place.spawn(&server.url()).unwrap();
    wait_for_alerts(&jetstream, 1_000).await;
    server.restart().unwrap();
    let jetstream = streams::connect(&server.url()).await.unwrap();
    streams::drained(&jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    let alerts = alerts_by_payment(&jetstream).await;
    assert_eq!(alerts.len(), EVENTS / 3);
    assert!(alerts.values().all(|count| *count == 1));
    assert_eq!(
        streams::count(&jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(),
        0,
        "an outage sets nothing aside"
    );
    drop(engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let Scene { server, jetstream, place } = scene().await;
    let endless = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n\
                   [limits]\ncpu_ms = 600000\nwall_ms = 600000\n[config]\nmode = \"endless-loop\"\n";
    place.put("busy", &misbehaving(), endless).unwrap();
    streams::publish(&jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    let engine = place.spawn(&server.url()).unwrap();
    while !engine.page("/metrics").unwrap().1.contains("wasmill_events_in_flight{plugin=\"busy\"} 1") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.signal("TERM").unwrap();
    while !engine.log().contains("finishing what is in flight") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.signal("TERM").unwrap();
    assert_eq!(engine.exit_code().unwrap(), Some(143));
}
