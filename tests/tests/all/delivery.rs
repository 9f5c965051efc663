//! From stream to stream: what goes through, what is set aside, and what is promised about both.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::bus::nats::{NatsBus, NatsSettings};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Running};
use wasmill_tests::{parts, streams};

pub const LARGE_AMOUNT: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[retry]
attempts = 3
first_delay_ms = 10
ack_wait_ms = 5000
[config]
field = "amount"
threshold = 220
output = "alerts.card.large-amount"
"#;

pub async fn bus(server: &NatsServer) -> Arc<NatsBus> {
    NatsBus::connect(NatsSettings { url: Some(server.url()), ..NatsSettings::default() }).await.unwrap()
}

pub fn amount_threshold() -> Vec<u8> {
    std::fs::read(parts::plugin("amount-threshold").unwrap()).unwrap()
}

pub fn misbehaving() -> Vec<u8> {
    std::fs::read(parts::test_guests().unwrap()).unwrap()
}

pub fn payment(id: usize, amount: f64) -> Bytes {
    Bytes::from(json!({ "tx_id": id, "customer": format!("c{}", id % 7), "amount": amount }).to_string())
}

/// A server with the streams PAYMENTS and ALERTS, and a place for an engine.
pub struct Scene {
    pub server: NatsServer,
    pub jetstream: async_nats::jetstream::Context,
    pub place: Place,
}

pub async fn scene() -> Scene {
    let server = NatsServer::start().unwrap();
    let jetstream = streams::connect(&server.url()).await.unwrap();
    streams::create(&jetstream, "PAYMENTS", "payments.>").await.unwrap();
    streams::create(&jetstream, "ALERTS", "alerts.>").await.unwrap();
    Scene { server, jetstream, place: Place::new().unwrap() }
}

impl Scene {
    pub async fn start(&self) -> Running {
        self.place.start(bus(&self.server).await).await.unwrap()
    }
}

pub fn balance(running: &Running, plugin: &str) {
    let status = running.engine.plugin(&plugin.to_owned().try_into().unwrap()).unwrap();
    let c = status.counters;
    assert_eq!(c.received, c.done + c.retried + c.dead_lettered + c.dropped + c.in_flight, "{c:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_become_alerts_once_each() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let amounts = [10.0, 220.0, 220.01, 999.0, -5.0, 221.0];
    let payments = (0..3_000).map(|id| payment(id, amounts[id % amounts.len()]));
    streams::publish(&scene.jetstream, "payments.card", payments).await.unwrap();
    let running = scene.start().await;
    running.ended("large-amount", 3_000).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();

    let alerts = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    let mut seen = BTreeSet::new();
    for alert in &alerts {
        let data: Value = serde_json::from_slice(&alert.payload).unwrap();
        assert!(data["event"]["amount"].as_f64().unwrap() > 220.0, "{data}");
        assert_eq!(data["rule"], "amount-threshold");
        seen.insert(data["event"]["tx_id"].as_u64().unwrap());
    }
    assert_eq!((alerts.len(), seen.len()), (1_500, 1_500));
    let status = running.engine.plugin(&"large-amount".to_owned().try_into().unwrap()).unwrap();
    // Without a key there is no order: the third payment's alert may stand anywhere.
    let third = |alert: &&streams::Stored| {
        let data: Value = serde_json::from_slice(&alert.payload).unwrap();
        data["event"]["tx_id"] == 2
    };
    let alert = alerts.iter().find(third).unwrap();
    assert_eq!(alert.subject, "alerts.card.large-amount");
    assert_eq!(alert.header("Wasmill-Plugin").unwrap(), "large-amount");
    assert_eq!(alert.header("Wasmill-Version").unwrap(), "0.1.0");
    assert_eq!(alert.header("Wasmill-Digest").unwrap(), status.running.unwrap().digest);
    assert_eq!(alert.header("Wasmill-Cause").unwrap(), "PAYMENTS:3");
    assert_eq!(alert.header("Wasmill-Hops").unwrap(), "1");
    assert_eq!(alert.header("ce-specversion").unwrap(), "1.0");
    assert_eq!(alert.header("ce-source").unwrap(), "/wasmill/large-amount");
    assert_eq!(alert.header("ce-id").unwrap(), alert.header("Nats-Msg-Id").unwrap());
    balance(&running, "large-amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_input_to_output_and_a_cloud_event_keeps_its_name() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("traceparent", trace),
        ("ce-specversion", "1.0"),
        ("ce-id", "pay-1"),
        ("ce-source", "/till/7"),
        ("ce-type", "payment.card"),
        ("ce-time", "2026-01-02T03:04:05Z"),
    ] {
        headers.insert(name, value);
    }
    scene
        .jetstream
        .publish_with_headers("payments.card", headers, payment(1, 500.0))
        .await
        .unwrap()
        .await
        .unwrap();
    let running = scene.start().await;
    running.ended("large-amount", 1).await.unwrap();
    let alerts = streams::read(&scene.jetstream, "ALERTS").await.unwrap();
    assert_eq!(alerts[0].header("traceparent").unwrap(), trace);
    assert_eq!(alerts[0].header("Wasmill-Cause").unwrap(), "pay-1");
    assert_eq!(alerts[0].header("ce-time").unwrap(), "2026-01-02T03:04:05Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_feeds_itself_is_stopped() {
    let scene = scene().await;
    let manifest = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.>"]
[emit]
subjects = ["payments.>"]
[config]
mode = "echo"
subject = "payments.again"
"#;
    scene.place.put("loop", &misbehaving(), manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    let running = scene.start().await;
    let status = running.until("loop", "stopped", |status| status.counters.dead_lettered == 1).await.unwrap();
    let named = "it may feed itself: loop emits payments.>, which loop receives";
    assert!(status.warnings.iter().any(|warning| warning.contains(named)), "{:?}", status.warnings);
    assert_eq!(status.counters.done, u64::from(wasmill::limits::MAX_HOPS));
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(letters[0].header("Wasmill-Reason").unwrap(), "hop-limit");
    assert_eq!(letters[0].header("Wasmill-Kept-Wasmill-Hops").unwrap(), "16");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_share_one_consumer() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let other = Place::new().unwrap();
    other.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = [scene.start().await, other.start(bus(&scene.server).await).await.unwrap()];
    for engine in &running {
        engine.running("large-amount", None).await.unwrap();
    }
    streams::publish(&scene.jetstream, "payments.card", (0..4_000).map(|id| payment(id, 500.0)))
        .await
        .unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 4_000);
    for engine in &running {
        assert!(engine.engine.status()[0].counters.done > 0, "both took part");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_subscription_delivers_at_most_once_and_counts() {
    let scene = scene().await;
    let manifest = LARGE_AMOUNT.replace("stream = \"PAYMENTS\"\n", "").replace("payments.card", "live.card");
    scene.place.put("live", &amount_threshold(), &manifest).unwrap();
    let running = scene.start().await;
    running.running("live", None).await.unwrap();
    // The subscription stands as soon as the status says so: nothing published from now on may be missed.
    let client = async_nats::connect(scene.server.url()).await.unwrap();
    for id in 0..200 {
        client.publish("live.card", payment(id, 500.0)).await.unwrap();
    }
    client.publish("live.card", Bytes::new()).await.unwrap();
    client.flush().await.unwrap();
    let status = running.ended("live", 201).await.unwrap();
    assert_eq!((status.counters.done, status.counters.dead_lettered), (200, 1));
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_long_for_its_turn_is_not_delivered_twice() {
    let scene = scene().await;
    // 60 events of 50 ms each on one thread, with an ack wait of one second: most wait longer than that.
    let manifest = r#"
concurrency = 64
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[retry]
attempts = 1
ack_wait_ms = 1000
[limits]
cpu_ms = 50
wall_ms = 60000
instances = 1
[breaker]
failures = 0
[config]
mode = "endless-loop"
"#;
    scene.place.put("slow", &misbehaving(), manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (0..60).map(|id| payment(id, 1.0))).await.unwrap();
    let running = scene.start().await;
    let status = running.ended("slow", 60).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-slow").await.unwrap();
    assert_eq!((status.counters.received, status.counters.dead_lettered), (60, 60));
}
