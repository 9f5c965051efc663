//! The examples of plugins with a key, each run as its README tells: its events go in, and what is in `outputs.txt` comes out.

use std::path::Path;
use std::process::Command;

use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{PATIENCE, Process};
use wasmill_tests::{parts, streams};

use crate::cli::{run, wasmill};
use crate::examples::{copied, from_readme};

/// Puts the component beside each manifest of an example; a rule in source lies there already.
fn put_components(example: &Path) {
    for entry in std::fs::read_dir(example.join("plugins")).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "toml")
            && !["py", "js"].iter().any(|ending| path.with_extension(ending).is_file())
        {
            let component = parts::plugin(path.file_stem().unwrap().to_str().unwrap()).unwrap();
            std::fs::copy(component, path.with_extension("wasm")).unwrap();
        }
    }
}

/// The lines that stand for outputs: subject and payload.
async fn told(bus: &async_nats::jetstream::Context, stream: &str) -> Vec<String> {
    let stored = streams::read(bus, stream).await.unwrap();
    let line = |stored: &streams::Stored| format!("{} {}", stored.subject, stored.payload.escape_ascii());
    stored.iter().map(|stored| line(stored).replace("\\\"", "\"")).collect()
}

/// Outputs of one key have one subject and an order; those of different keys have none.
fn by_subject(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_by_key(|line| line.split(' ').next().unwrap().to_owned());
    lines
}

/// Runs an example, and compares what it tells with `outputs.txt`, which its README shows part of.
async fn tells_what_it_should(example: &str, stream: &str) {
    let server = NatsServer::start().unwrap();
    let bus = streams::connect(&server.url()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    copied(example, dir.path());
    put_components(&dir.path().join("examples").join(example));
    let url = server.url();
    let mut command = wasmill(dir.path(), &from_readme(example, "run"));
    command.args(["--bus-url", &url, "--admin-listen", "127.0.0.1:0"]).env("WASMILL_LOG__FORMAT", "json");
    command.env("WASMILL_PLUGINS__RUNNERS", &parts::runner_dirs().unwrap()[0]);
    let engine = Process::start(&mut command).unwrap();
    let publish = [&from_readme(example, "publish")[..], &["--bus-url".to_owned(), url]].concat();
    run(dir.path(), &publish).done();

    let folder = parts::root().join("examples").join(example);
    let outputs = std::fs::read_to_string(folder.join("outputs.txt")).unwrap();
    let wanted: Vec<String> = outputs.lines().map(str::to_owned).collect();
    let deadline = std::time::Instant::now() + PATIENCE;
    while streams::count(&bus, stream).await.unwrap() < wanted.len() as u64 {
        assert!(std::time::Instant::now() < deadline, "{:#?}\n{}", told(&bus, stream).await, engine.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // What it is at comes to an end with it: nothing more is told.
    engine.signal("TERM").unwrap();
    assert_eq!(engine.exit_code().unwrap(), Some(0));
    assert_eq!(by_subject(told(&bus, stream).await), by_subject(wanted), "{example}");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let shown: Vec<_> = readme.lines().filter(|line| outputs.lines().any(|output| output == *line)).collect();
    assert!(!shown.is_empty(), "the README of {example} shows no output of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn vitals_alert_tells_sustained_breaches_and_silence() {
    tells_what_it_should("vitals-alert", "ALERTS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cart_abandonment_reminds_of_carts_left_alone() {
    tells_what_it_should("cart-abandonment", "REMINDERS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_saga_reports_what_is_stuck() {
    tells_what_it_should("order-saga", "REPORTS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notification_digest_gathers_sessions() {
    tells_what_it_should("notification-digest", "DIGESTS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_reorder_orders_once() {
    tells_what_it_should("inventory-reorder", "PURCHASES").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_feed_tells_the_best_of_each_minute() {
    tells_what_it_should("dashboard-feed", "FEED").await;
}

/// Runs a program in a folder, and shows what it said if it fails.
fn passes(command: &mut Command) {
    let ended = command.output().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}");
}

#[test]
fn the_rule_in_python_passes_its_own_tests() {
    let mut command = Command::new("python3");
    command.arg("test_inventory_reorder.py").current_dir(parts::root().join("examples/inventory-reorder"));
    command.env("PYTHONPATH", parts::root().join("plugin-sdk/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    passes(&mut command);
}

#[test]
fn the_rule_in_javascript_passes_its_own_tests() {
    let dir = tempfile::tempdir().unwrap();
    copied("dashboard-feed", dir.path());
    std::fs::write(dir.path().join("package.json"), "{\"type\":\"module\"}").unwrap();
    std::fs::create_dir(dir.path().join("node_modules")).unwrap();
    let sdk = parts::root().join("plugin-sdk/javascript");
    std::os::unix::fs::symlink(sdk, dir.path().join("node_modules/wasmill")).unwrap();
    // Where no node is installed, the project's own copy lies among the tools of the languages.
    let tools = parts::target().unwrap().join("tools/languages/bin");
    let path = std::env::join_paths(
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).chain([tools]),
    );
    let mut command = Command::new("node");
    command.args(["--test", "examples/dashboard-feed/dashboard-feed.test.js"]);
    passes(command.current_dir(dir.path()).env("PATH", path.unwrap()));
}
