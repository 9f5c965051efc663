//! `wasmill demo` with the plugins of `examples/demo`: it adds up, and a manifest that changes is swapped while it runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use wasmill_tests::parts;
use wasmill_tests::place::PATIENCE;

use crate::cli::{ended, wasmill};

/// Each manifest of the demo, and the plugin that it is for.
const PLUGINS: [(&str, &str); 4] = [
    ("audit-trail", "audit-trail"),
    ("json-enrich", "json-enrich"),
    ("large-amount", "amount-threshold"),
    ("order-router", "order-router"),
];

/// The folder that `cargo xtask demo` makes.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let manifests = parts::root().join("examples/demo/plugins");
    assert_eq!(std::fs::read_dir(&manifests).unwrap().flatten().filter(is_manifest).count(), PLUGINS.len());
    for (name, component) in PLUGINS {
        let file = format!("{name}.toml");
        std::fs::copy(manifests.join(&file), plugins.join(&file)).unwrap();
        std::fs::copy(parts::plugin(component).unwrap(), plugins.join(format!("{name}.wasm"))).unwrap();
    }
    dir
}

fn is_manifest(entry: &std::fs::DirEntry) -> bool {
    entry.path().extension().is_some_and(|kind| kind == "toml")
}

fn demo(dir: &Path, args: &[&str]) -> Command {
    wasmill(dir, &[&["demo", "--dir", ".", "--rate", "5000"], args].concat())
}

/// The columns of a plugin in the summary's table: events for it, ended, outputs, retried, dead letters.
fn row(summary: &str, plugin: &str) -> Vec<u64> {
    let line = summary.lines().rfind(|line| line.starts_with(plugin) && line.contains(" running "));
    let line = line.unwrap_or_else(|| panic!("no {plugin} in {summary}"));
    line.split_whitespace().skip(2).map(|cell| cell.replace(',', "").parse().unwrap()).collect()
}

#[test]
fn two_thousand_events_add_up() {
    let dir = folder();
    let ended = ended(&mut demo(dir.path(), &["--events", "2000"])).done();
    let (_, summary) = ended.stdout.split_once("2,000 events went in:").unwrap();
    // A quarter of the events are orders.
    for (plugin, events) in
        [("audit-trail", 1_500), ("json-enrich", 500), ("large-amount", 1_500), ("order-router", 500)]
    {
        let row = row(summary, plugin);
        assert_eq!((row[0], row[1], row[3], row[4]), (events, events, 0, 0), "{plugin}: {summary}");
    }
    assert_eq!((row(summary, "audit-trail")[2], row(summary, "json-enrich")[2]), (1_500, 500));
    let verdict = summary.lines().last().unwrap();
    let alerts = row(summary, "large-amount")[2];
    assert_eq!(verdict, format!("{alerts} payments over 220, {alerts} alerts"));
    assert!(alerts > 0);
    assert!(ended.stderr.contains("try it: change `threshold`"), "{}", ended.stderr);
}

/// A demo whose lines are read as they come.
struct Watched {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watched {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            // Once the test has seen enough, nobody listens.
            stdout.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok())
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads on until a line tells what is wanted, or the demo ends without having told it.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("never {what}: {:#?}", self.seen));
            let told = wanted(&line);
            self.seen.push(line);
            if told {
                return;
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_changed_manifest_is_swapped_while_it_runs() {
    let dir = folder();
    let manifest = dir.path().join("plugins/large-amount.toml");
    let mut demo = Watched::start(&mut demo(dir.path(), &[]));
    let in_service = |line: &str| line.starts_with("large-amount: ") && line.contains(" in service since ");
    demo.until("in service", in_service);

    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("[config]", "[confg]")).unwrap();
    demo.until("refusing what is no manifest", |line| line.starts_with("large-amount: large-amount.toml"));
    std::fs::write(&manifest, text.replace("threshold = 220", "threshold = 50")).unwrap();
    demo.until("in service again", in_service);

    let sent = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    demo.until("summing up", |line| line.contains("the rule was changed on the way"));
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    let summary = demo.seen.join("\n");
    for (plugin, _) in PLUGINS {
        let row = row(&summary, plugin);
        assert_eq!((row[0], row[3], row[4]), (row[1], 0, 0), "{plugin}: {summary}");
    }
}
