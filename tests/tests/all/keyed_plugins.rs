//! The plugins with a key, each on a real server, with rows as its README publishes them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{PATIENCE, Place};
use wasmill_tests::{parts, streams};

use crate::cli::run;

/// Payments in the test's file, and how often the engine is killed while it handles them.
const PAYMENTS: u64 = 4_000;
const KILLS: u64 = 3;
/// 2018-04-01T00:00:00Z, seconds since the Unix epoch.
const START_S: u64 = 1_522_540_800;

struct Scene {
    server: NatsServer,
    bus: async_nats::jetstream::Context,
    place: Place,
}

/// A server with an input stream and ALERTS, and a place for plugins.
async fn scene(stream: &str, subjects: &str) -> Scene {
    let server = NatsServer::start().unwrap();
    let bus = streams::connect(&server.url()).await.unwrap();
    streams::create(&bus, stream, subjects).await.unwrap();
    streams::create(&bus, "ALERTS", "alerts.>").await.unwrap();
    Scene { server, bus, place: Place::new().unwrap() }
}

impl Scene {
    /// Puts a first-party plugin in under the name of one of its manifests, taken over quickly when its engine is killed.
    fn put(&self, plugin: &str, name: &str) {
        let manifest = parts::root().join("plugins").join(plugin).join(format!("{name}.toml"));
        let manifest =
            std::fs::read_to_string(manifest).unwrap().replace("[state]", "[state]\nlease_ms = 1_000");
        self.place.put(name, &std::fs::read(parts::plugin(plugin).unwrap()).unwrap(), &manifest).unwrap();
    }

    fn publish(&self, rows: &str, arguments: &[&str]) {
        let file = self.place.file("rows.csv");
        std::fs::write(&file, rows).unwrap();
        let url = self.server.url();
        let fixed = ["publish", file.to_str().unwrap(), "--bus-url", &url];
        run(&self.place.data(), &[&fixed[..], arguments].concat()).done();
    }

    /// How far a plugin's only partition has come in a stream, by what its bucket says.
    async fn reached(&self, plugin: &str, stream: &str) -> u64 {
        let Ok(state) = self.bus.get_key_value(format!("wasmill-state-{plugin}-0")).await else { return 0 };
        let Some(owner) = state.get("owner").await.unwrap() else { return 0 };
        let owner: Value = serde_json::from_slice(&owner).unwrap();
        owner["cursor"][stream]["sequence"].as_u64().unwrap_or_default()
    }

    async fn until_reached(&self, plugin: &str, stream: &str, sequence: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.reached(plugin, stream).await < sequence {
            assert!(Instant::now() < deadline, "{plugin} never came to {sequence} of {stream}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The payloads of the alerts by subject and key, in order.
    async fn alerts(&self) -> BTreeMap<String, Vec<String>> {
        let mut alerts = BTreeMap::<String, Vec<String>>::new();
        for stored in streams::read(&self.bus, "ALERTS").await.unwrap() {
            let payload = String::from_utf8(stored.payload.to_vec()).unwrap();
            let key = serde_json::from_str::<Value>(&payload).unwrap()["key"].to_string();
            alerts.entry(format!("{} {key}", stored.subject)).or_default().push(payload);
        }
        alerts
    }
}

struct Payment {
    at_s: u64,
    customer: u64,
}

/// Payments in order of time: bursts of some customers among the payments of all.
fn payments() -> (String, Vec<Payment>) {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut rows, mut payments) =
        ("tx_id,time,customer_id,terminal_id,amount,is_fraud\n".to_owned(), Vec::new());
    let mut at_s = START_S;
    for id in 0..PAYMENTS {
        at_s += random.u64(..240);
        let customer = if random.u8(..4) == 0 { at_s / 7_200 % 40 } else { random.u64(..40) };
        let amount = random.u64(100..if random.u8(..20) == 0 { 90_000 } else { 9_000 });
        let (terminal, cents) = (random.u64(..30), amount % 100);
        writeln!(rows, "{id},{at_s},{customer},{terminal},{}.{cents:02},0", amount / 100).unwrap();
        payments.push(Payment { at_s, customer });
    }
    (rows, payments)
}

const PAYMENT_ARGUMENTS: [&str; 8] =
    ["--subject", "payments.card", "--id-field", "tx_id", "--time-field", "time", "--omit", "is_fraud"];
const RULES: [&str; 2] = ["customer-velocity", "terminal-risk"];

/// The alerts of both rules over the test's payments.
async fn velocity(rows: &str, kills: u64) -> BTreeMap<String, Vec<String>> {
    let scene = scene("PAYMENTS", "payments.>").await;
    for rule in RULES {
        scene.put("card-velocity", rule);
    }
    // Enough for each engine to be killed at work.
    let mut published = 0;
    let lines: Vec<&str> = rows.lines().collect();
    let (head, lines) = lines.split_first().unwrap();
    let part = lines.len().div_ceil(usize::try_from(kills + 1).unwrap());
    let mut engine = scene.place.spawn(&scene.server.url()).unwrap();
    for (number, rows) in lines.chunks(part).enumerate() {
        if number > 0 {
            scene.until_reached(RULES[0], "PAYMENTS", published - 500).await;
            engine.kill().unwrap();
            engine = scene.place.spawn(&scene.server.url()).unwrap();
        }
        scene.publish(&format!("{head}\n{}\n", rows.join("\n")), &PAYMENT_ARGUMENTS);
        published += rows.len() as u64;
    }
    for rule in RULES {
        scene.until_reached(rule, "PAYMENTS", PAYMENTS).await;
    }
    scene.alerts().await
}

/// Payments of whose customer there were more than three in the hour up to them, as buckets of five minutes have it.
fn bursts(payments: &[Payment]) -> BTreeMap<u64, usize> {
    let (mut recent, mut bursts) = (BTreeMap::<u64, VecDeque<u64>>::new(), BTreeMap::new());
    for Payment { at_s, customer } in payments {
        let bucket = at_s / 300;
        let recent = recent.entry(*customer).or_default();
        recent.push_back(bucket);
        while recent.front().is_some_and(|first| first + 12 <= bucket) {
            recent.pop_front();
        }
        if recent.len() > 3 {
            *bursts.entry(*customer).or_default() += 1;
        }
    }
    bursts
}

#[tokio::test(flavor = "multi_thread")]
async fn card_velocity_tells_the_same_however_often_it_is_killed() {
    let (rows, payments) = payments();
    let calm = velocity(&rows, 0).await;
    let mut counted = BTreeMap::new();
    for (key, alerts) in &calm {
        let bursts = alerts
            .iter()
            .filter(|alert| alert.contains("\"count: ") && alert.contains("within 3600 s"))
            .count();
        if let (Some(customer), true) = (key.strip_prefix("alerts.card.customer-velocity "), bursts > 0) {
            counted.insert(customer.trim_matches('"').parse().unwrap(), bursts);
        }
    }
    assert_eq!(counted, bursts(&payments));
    assert!(calm.keys().any(|key| key.starts_with("alerts.card.terminal-risk")));
    assert!(calm.values().flatten().all(|alert| !alert.contains("is_fraud")));
    assert_eq!(velocity(&rows, KILLS).await, calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensor_threshold_tells_of_ranges_and_swings() {
    let scene = scene("SENSORS", "sensors.>").await;
    scene.put("sensor-threshold", "sensor-threshold");
    // Every five minutes, as the file of the machine's temperature has it: warm, too hot for a while, and a sudden fall.
    let values = [80.0, 90.5, 101.0, 104.9, 105.5, 103.0, 106.25, 99.75, 95.0, 90.0, 70.25, 90.0];
    let mut rows = "timestamp,value\n".to_owned();
    for (at, value) in values.iter().enumerate() {
        writeln!(rows, "2013-12-02 21:{:02}:00,{value}", at * 5).unwrap();
    }
    scene.publish(&rows, &["--subject", "sensors.m1.temperature", "--time-field", "timestamp"]);
    let _engine = scene.place.spawn(&scene.server.url()).unwrap();
    scene.until_reached("sensor-threshold", "SENSORS", values.len() as u64).await;
    let told: Vec<Value> = streams::read(&scene.bus, "ALERTS")
        .await
        .unwrap()
        .iter()
        .map(|alert| serde_json::from_slice(&alert.payload).unwrap())
        .collect();
    let at = |minute: u32| format!("2013-12-02T21:{minute:02}:00Z");
    let wanted = [
        json!({"sensor": "m1", "time": at(20), "kind": "high", "value": 105.5, "limit": 105.0}),
        json!({"sensor": "m1", "time": at(20), "kind": "change", "value": 105.5, "limit": 25.0, "seconds": 3_600, "reached": [80.0, 105.5]}),
        json!({"sensor": "m1", "time": at(35), "kind": "normal", "value": 99.75, "limit": 100.0, "seconds": 900, "reached": [106.25]}),
    ];
    assert_eq!(told, wanted);
}
