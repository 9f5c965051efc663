//! The examples, each run as its README tells.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::Process;
use wasmill_tests::{parts, streams};

use crate::cli::{ended, run, wasmill};
use crate::delivery::{amount_threshold, balance, scene};

const CONFIGURATION: &str = "examples/card-fraud/wasmill.toml";

/// A copy of an example, so that what it leaves behind does not stay in the checkout.
pub fn copied(example: &str, root: &Path) {
    for folder in ["", "plugins"] {
        let (from, to) = (parts::root().join("examples").join(example), root.join("examples").join(example));
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
            // Components are put in by the test; what the checkout holds may be of another build.
            if entry.file_type().unwrap().is_file()
                && entry.path().extension().is_none_or(|kind| kind != "wasm")
            {
                std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}

/// The arguments of a command that stands in the example's README, line continuations joined.
pub fn from_readme(example: &str, subcommand: &str) -> Vec<String> {
    let readme =
        std::fs::read_to_string(parts::root().join("examples").join(example).join("README.md")).unwrap();
    let joined = readme.replace("\\\n", " ");
    let line = joined.lines().find(|line| line.contains(&format!("/wasmill {subcommand}"))).unwrap();
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn card_fraud_raises_twelve_alerts() {
    let server = NatsServer::start().unwrap();
    let bus = streams::connect(&server.url()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    copied("card-fraud", dir.path());
    std::fs::write(dir.path().join("examples/card-fraud/plugins/large-amount.wasm"), amount_threshold())
        .unwrap();

    let url = server.url();
    let mut command = wasmill(dir.path(), &from_readme("card-fraud", "run"));
    command.args(["--bus-url", &url, "--admin-listen", "127.0.0.1:0"]).env("WASMILL_LOG__FORMAT", "json");
    let engine = Process::start(&mut command).unwrap();
    let publish = [&from_readme("card-fraud", "publish")[..], &["--bus-url".to_owned(), url]].concat();
    let published = run(dir.path(), &publish).done();
    assert!(published.stderr.contains("200 rows published to payments.card"), "{}", published.stderr);
    assert!(published.stderr.contains(": 200 stored"), "{}", published.stderr);
    let again = run(dir.path(), &publish).done();
    assert!(again.stderr.contains(": 0 stored, 200 not stored again"), "{}", again.stderr);
    streams::drained(&bus, "PAYMENTS", "wasmill-large-amount").await.unwrap();

    let alerts = streams::read(&bus, "ALERTS").await.unwrap();
    assert_eq!((alerts.len(), streams::count(&bus, "PAYMENTS").await.unwrap()), (12, 200));
    assert!(alerts.iter().all(|alert| alert.subject == "alerts.card.large-amount"));
    for alert in &alerts {
        let alert: Value = serde_json::from_slice(&alert.payload).unwrap();
        let fields: Vec<_> = alert["event"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            fields,
            ["tx_id", "time", "customer_id", "terminal_id", "amount"],
            "no label, and all else"
        );
        assert!(alert["event"]["amount"].as_f64().unwrap() > 220.0);
    }
    // The alert that the README shows, letter for letter.
    let readme = std::fs::read_to_string(parts::root().join("examples/card-fraud/README.md")).unwrap();
    let shown = readme.lines().find(|line| line.starts_with("{\"rule\"")).unwrap();
    assert!(alerts.iter().any(|alert| alert.payload == shown.as_bytes()), "no alert is {shown}");

    let show = [&from_readme("card-fraud", "plugin")[..], &["--admin".to_owned(), engine.admin().to_owned()]]
        .concat();
    let shown = run(dir.path(), &show).done().stdout;
    for (name, count) in [("received", "200"), ("done", "200"), ("outputs", "12")] {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(line.map(str::trim), Some(count), "{name} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_in_source_raise_twelve_alerts_each() {
    let server = NatsServer::start().unwrap();
    let bus = streams::connect(&server.url()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    copied("source-rules", dir.path());
    copied("card-fraud", dir.path());

    let url = server.url();
    let mut command = wasmill(dir.path(), &from_readme("source-rules", "run"));
    command.args(["--bus-url", &url, "--admin-listen", "127.0.0.1:0"]).env("WASMILL_LOG__FORMAT", "json");
    command.env("WASMILL_PLUGINS__RUNNERS", &parts::runner_dirs().unwrap()[0]);
    let engine = Process::start(&mut command).unwrap();
    let publish = [&from_readme("source-rules", "publish")[..], &["--bus-url".to_owned(), url]].concat();
    run(dir.path(), &publish).done();
    for rule in ["python", "javascript"] {
        streams::drained(&bus, "PAYMENTS", &format!("wasmill-{rule}-rule")).await.unwrap();
    }

    let alerts = streams::read(&bus, "ALERTS").await.unwrap();
    let of = |subject: &str| {
        let mut told: Vec<Value> = alerts
            .iter()
            .filter(|alert| alert.subject == subject)
            .map(|alert| serde_json::from_slice(&alert.payload).unwrap())
            .collect();
        told.sort_by_key(|alert| alert["payment"].as_u64());
        told
    };
    assert_eq!((of("alerts.python").len(), alerts.len()), (12, 24));
    assert_eq!(of("alerts.python"), of("alerts.javascript"), "two languages, one rule");
    let readme = std::fs::read_to_string(parts::root().join("examples/source-rules/README.md")).unwrap();
    let shown = readme.lines().find(|line| line.starts_with("{\"payment\"")).unwrap();
    assert!(alerts.iter().any(|alert| alert.payload == shown.as_bytes()), "no alert is {shown}");

    let list =
        [&from_readme("source-rules", "plugin")[..], &["--admin".to_owned(), engine.admin().to_owned()]]
            .concat();
    let shown = run(dir.path(), &list).done().stdout;
    assert_eq!(shown.matches("running").count(), 2, "{shown}");
}

#[test]
fn every_example_configuration_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    copied("card-fraud", dir.path());
    std::fs::write(dir.path().join("examples/card-fraud/plugins/large-amount.wasm"), amount_threshold())
        .unwrap();
    let checked = ended(&mut wasmill(dir.path(), &["config", "check", "-c", CONFIGURATION])).done();
    assert_eq!(checked.stdout.lines().count(), 2, "{}", checked.stdout);
    run(dir.path(), &["check", "--strict", "examples/card-fraud/plugins/large-amount.wasm"]).done();
}

/// `scripted-rule.toml` in the folder `rhai`, with another script in it if there is one.
fn scripted(script: Option<&str>) -> String {
    let path = parts::root().join("examples/rhai/scripted-rule.toml");
    let manifest = std::fs::read_to_string(path).unwrap().replace("[emit]", "[retry]\nattempts = 1\n[emit]");
    let own = manifest.split("'''").nth(1).unwrap().to_owned();
    script.map_or(manifest.clone(), |script| manifest.replace(&own, script))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_in_a_manifest_raises_alerts() {
    let scene = scene().await;
    let component = std::fs::read(parts::example("scripted-rule").unwrap()).unwrap();
    scene.place.put("rule", &component, &scripted(None)).unwrap();
    let amounts = [10.0, 220.0, 220.5, 999.0];
    let payments =
        amounts.map(|amount| Bytes::from(json!({"id": format!("p{amount}"), "amount": amount}).to_string()));
    streams::publish(&scene.jetstream, "payments.card", payments).await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", [Bytes::from_static(b"{}")]).await.unwrap();
    let running = scene.start().await;
    running.ended("rule", 5).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-rule").await.unwrap();
    balance(&running, "rule");
    let mut alerts: Vec<Value> = streams::read(&scene.jetstream, "ALERTS")
        .await
        .unwrap()
        .iter()
        .map(|alert| serde_json::from_slice(&alert.payload).unwrap())
        .collect();
    alerts.sort_by_key(|alert| alert["payment"].to_string());
    let wanted = [json!({"payment": "p220.5", "over_by": 0.5}), json!({"payment": "p999", "over_by": 779.0})];
    assert_eq!(alerts, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_rule_in_a_manifest_is_told_with_its_place() {
    let scene = scene().await;
    let component = std::fs::read(parts::example("scripted-rule").unwrap()).unwrap();
    let faults = [
        ("let a = event.data;\na.missing + 1;", "exception", "line 2, column 3: Property not found: missing"),
        ("let a = 1\nlet b = 2;", "exception", "line 2, column 1: "),
        ("fn deep(n) { deep(n + 1) + 1 }\ndeep(0);", "exception", "column 1: Stack overflow"),
        ("loop {}", "cpu-limit", "100 ms"),
    ];
    for (number, (script, ..)) in faults.iter().enumerate() {
        scene.place.put(&format!("rule-{number}"), &component, &scripted(Some(script))).unwrap();
    }
    streams::publish(&scene.jetstream, "payments.card", [Bytes::from_static(b"{}")]).await.unwrap();
    let running = scene.start().await;
    for (number, (script, reason, detail)) in faults.iter().enumerate() {
        let status = running.ended(&format!("rule-{number}"), 1).await.unwrap();
        let failure = status.last_failure.unwrap();
        assert_eq!((status.counters.dead_lettered, failure.reason.as_str()), (1, *reason), "{script}");
        assert!(failure.detail.contains(detail), "{script}: {}", failure.detail);
    }
}
