//! The examples, each run as its README tells.

use std::path::Path;

use serde_json::Value;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::Process;
use wasmill_tests::{parts, streams};

use crate::cli::{ended, run, wasmill};
use crate::delivery::amount_threshold;

const CONFIGURATION: &str = "examples/card-fraud/wasmill.toml";

/// A copy of an example, so that what it leaves behind does not stay in the checkout.
fn copied(example: &str, root: &Path) {
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
fn from_readme(example: &str, subcommand: &str) -> Vec<String> {
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
