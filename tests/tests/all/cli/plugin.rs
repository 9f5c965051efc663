//! `wasmill plugin` and the pages of a running engine, which is a process of its own.

use std::time::{Duration, Instant};

use serde_json::Value;
use wasmill::digest::Digest;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{PATIENCE, Place, Process};
use wasmill_tests::streams;

use super::{Ended, run};
use crate::delivery::{LARGE_AMOUNT, amount_threshold, payment};

/// The component with a section that nobody reads: other bytes, the same behaviour.
fn variant(number: u8) -> Vec<u8> {
    [&amount_threshold()[..], &[0, 3, 1, b'v', number]].concat()
}

struct Scene {
    /// Gone first, so that the engine does not complain about its server.
    engine: Process,
    place: Place,
    bus: async_nats::jetstream::Context,
    _server: NatsServer,
}

impl Scene {
    async fn start(manifest: &str) -> Self {
        let server = NatsServer::start().unwrap();
        let bus = streams::connect(&server.url()).await.unwrap();
        streams::create(&bus, "PAYMENTS", "payments.>").await.unwrap();
        streams::create(&bus, "ALERTS", "alerts.>").await.unwrap();
        let place = Place::new().unwrap();
        place.put("large-amount", &variant(1), manifest).unwrap();
        let engine = place.spawn(&server.url()).unwrap();
        Self { engine, place, bus, _server: server }
    }

    /// `wasmill plugin` with this engine.
    fn plugin(&self, line: &str) -> Ended {
        let words: Vec<_> = line.split_whitespace().collect();
        run(&self.place.plugins(), &[&["plugin"], &words[..], &["--admin", self.engine.admin()]].concat())
    }

    /// Asks until the plugin's status is as wanted.
    async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let page = || self.engine.page("/api/plugins/large-amount").unwrap().1;
        let read = || serde_json::from_str(&page()).unwrap_or(Value::Null);
        until(&format!("{what}\n{}", self.engine.log()), read, holds).await
    }

    async fn serving(&self, component: &[u8]) -> Value {
        let digest = Digest::of(component).to_string();
        self.until("serving", |status| status["state"] == "running" && status["running"]["digest"] == *digest)
            .await
    }
}

/// Asks again and again: over HTTP there is nothing to wait on.
async fn until<T>(what: &str, ask: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T
where
    T: std::fmt::Debug,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "never {what}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_listed_and_shown() {
    let scene = Scene::start(LARGE_AMOUNT).await;
    let status = scene.serving(&variant(1)).await;
    let payments = (0..5).map(|id| payment(id, if id < 2 { 221.0 } else { 220.0 }));
    streams::publish(&scene.bus, "payments.card", payments).await.unwrap();
    streams::drained(&scene.bus, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    scene.until("through", |status| status["counters"]["done"] == 5).await;

    let table = scene.plugin("ls").done().stdout;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let digest = status["running"]["digest"].as_str().unwrap();
    assert_eq!(rows[0][..6], ["NAME", "STATE", "VERSION", "DIGEST", "RECEIVED", "DONE"]);
    assert_eq!(
        rows[1],
        ["large-amount", "running", "0.1.0", &digest[..12], "5", "5", "0", "0", "0", "2", "0"]
    );
    assert_eq!(rows.len(), 2, "{table}");
    let list = scene.plugin("ls -o json").done().json();
    assert_eq!(list["plugins"][0]["counters"]["outputs"], 2);

    let shown = scene.plugin("show large-amount").done().stdout;
    for (name, value) in [
        ("state", "running"),
        ("previous", "-"),
        ("receives", "PAYMENTS: payments.card"),
        ("emits", "alerts.>"),
        ("isolation", "fresh"),
        ("done", "5"),
        ("outputs", "2"),
    ] {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(line.map(str::trim), Some(value), "{name} in {shown}");
    }
    assert_eq!(scene.plugin("show large-amount -o json").done().json(), list["plugins"][0]);
    scene.plugin("show nobody").failed(1, "there is no plugin \"nobody\"");
    scene.plugin("rollback nobody").failed(1, "there is no plugin \"nobody\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_can_be_taken_back() {
    let scene = Scene::start(LARGE_AMOUNT).await;
    scene.serving(&variant(1)).await;
    scene.plugin("rollback large-amount").failed(1, "no earlier version of plugin large-amount is kept");

    scene.place.put_component("large-amount", &variant(2)).unwrap();
    let status = scene.serving(&variant(2)).await;
    assert_eq!(status["previous"]["digest"], Digest::of(&variant(1)).to_string());
    assert_eq!(status["previous"]["version"], "0.1.0");

    scene.place.put_manifest("large-amount", &LARGE_AMOUNT.replace("[config]", "[confg]")).unwrap();
    scene.until("refused", |status| status["problem"].is_string()).await;
    let table = scene.plugin("ls").done().stdout;
    assert!(table.contains(" running ") && table.contains("did you mean `config`"), "{table}");

    let back = scene.plugin("rollback large-amount -o json").done().json();
    assert_eq!(back["running"]["digest"], Digest::of(&variant(1)).to_string());
    assert_eq!((&back["state"], &back["rolled_back"]), (&"running".into(), &true.into()));
    assert!(scene.plugin("ls").done().stdout.contains("running (rolled back)"));

    scene.place.put("large-amount", &variant(3), LARGE_AMOUNT).unwrap();
    let status = scene.serving(&variant(3)).await;
    assert_eq!(status["rolled_back"], false);
    // A new manifest makes a new version: the one before it is the same component.
    let manifest = LARGE_AMOUNT.replace("threshold = 220", "threshold = 300");
    let since = status["running"]["since"].clone();
    scene.place.put_manifest("large-amount", &manifest).unwrap();
    let status = scene.until("in service again", |status| status["running"]["since"] != since).await;
    assert_eq!(status["previous"]["digest"], Digest::of(&variant(3)).to_string());
    assert_eq!(status["previous"]["since"], since);
}

/// Every metric, but for those that need a failure first.
const METRICS: [&str; 13] = [
    "wasmill_events_received_total{plugin=\"large-amount\"}",
    "wasmill_events_ended_total{plugin=\"large-amount\",outcome=\"done\",",
    "wasmill_event_failures_total{plugin=\"large-amount\",reason=\"rejected\"} 1",
    "wasmill_outputs_total{plugin=\"large-amount\"} 1",
    "wasmill_outputs_repeated_total{plugin=\"large-amount\"} 0",
    "wasmill_events_in_flight{plugin=\"large-amount\"} 0",
    "wasmill_call_seconds_count{plugin=\"large-amount\"} 2",
    "wasmill_plugin_swaps_total{plugin=\"large-amount\"} 1",
    "wasmill_plugin_refusals_total{plugin=\"large-amount\"} 0",
    "wasmill_plugin_state{plugin=\"large-amount\",state=\"running\"} 1",
    "wasmill_bus_connected 1",
    "wasmill_bus_connects_total 1",
    "wasmill_core_dropped_total 0",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_ready_once_its_plugins_have_their_streams() {
    let scene = Scene::start(&LARGE_AMOUNT.replace("PAYMENTS", "LATER").replace("payments.", "later.")).await;
    let ready = || scene.engine.page("/readyz").unwrap();
    let waiting = |page: &(u16, String)| page.1.contains("plugin large-amount is waiting");
    let page = until("waiting for its stream", ready, waiting).await;
    assert_eq!(page.0, 503);
    assert_eq!(scene.engine.page("/livez").unwrap().0, 200);
    let shown = scene.plugin("show large-amount").done().stdout;
    assert!(shown.contains("stream \"LATER\" does not exist"), "{shown}");
    assert!(scene.plugin("ls").done().stdout.contains("waiting"));

    streams::create(&scene.bus, "LATER", "later.>").await.unwrap();
    until("ready", ready, |page| page.0 == 200).await;
    streams::publish(&scene.bus, "later.card", [payment(1, 999.0), "no JSON".into()]).await.unwrap();
    let page = || scene.engine.page("/metrics").unwrap().1;
    let ended = |page: &String| {
        page.contains("outcome=\"dead-lettered\",reason=\"rejected\"} 1")
            && page.contains("outcome=\"done\",reason=\"\"} 1")
    };
    let page = until("both ended", page, ended).await;
    for metric in METRICS {
        assert!(page.lines().any(|line| line.starts_with(metric)), "no {metric} in {page}");
        let name = metric.split('{').next().unwrap().split(' ').next().unwrap();
        let family = name.trim_end_matches("_total").trim_end_matches("_count");
        assert!(page.contains(&format!("# HELP {family} ")), "{family} is not explained");
    }
    assert_eq!(scene.engine.page("/elsewhere").unwrap().0, 404);
    assert_eq!(scene.engine.page("/api/plugins/nobody").unwrap().0, 404);
}

#[test]
fn an_engine_that_cannot_be_asked_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmill.toml"), "[admin]\nlisten = \"off\"\n").unwrap();
    run(dir.path(), &["plugin", "ls"]).failed(1, "turns the admin API off");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(dir.path(), &["run", "--admin-listen", &address])
        .failed(1, &format!("{address} cannot be listened on"));
}
