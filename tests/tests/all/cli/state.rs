//! `wasmill state` and `wasmill plugin reset` on a real server, mostly while an engine is at work.

mod parts;
mod shown;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wasmill_tests::place::{PATIENCE, Running};
use wasmill_tests::streams;

use super::{Ended, ended, ended_with_input, run, wasmill};
use crate::keyed::{MANIFEST, Scene, keyed, scene};

impl Scene {
    /// A command on this server.
    pub fn cli(&self, line: &str) -> Ended {
        ended(&mut self.command(line))
    }

    fn command(&self, line: &str) -> std::process::Command {
        let url = self.server.url();
        let words: Vec<_> = line.split_whitespace().chain(["--bus-url", &url]).collect();
        wasmill(&self.place.plugins(), &words)
    }

    /// The lines that a command writes, as JSON.
    fn lines(&self, line: &str) -> Vec<Value> {
        let ended = self.cli(line).done();
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is exported, by key, outputs aside.
    fn exported(&self) -> BTreeMap<String, Value> {
        let lines = self.lines("state export ledger").into_iter().skip(1);
        let keyed = lines.map(|mut line| {
            line.as_object_mut().unwrap().remove("outbox");
            (line["key"].as_str().unwrap().to_owned(), line)
        });
        keyed.collect()
    }

    /// So many events of each key, each of which counts.
    async fn count(&self, keys: u32, rounds: u32) {
        for _ in 0..rounds {
            for key in 0..keys {
                self.order(&format!("k{key}"), json!([["add", 1], ["get", "count"]])).await;
            }
        }
    }

    /// Waits until so many outputs are stored.
    async fn emitted(&self, count: u64) {
        let wait = async {
            while streams::count(&self.jetstream, "OUT").await.unwrap() < count {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        let found = streams::count(&self.jetstream, "OUT").await.unwrap();
        assert!(
            waited.is_ok() && found == count,
            "wanted {count} outputs, found {found}: {:?}",
            self.counts().await
        );
    }

    /// The counts that each key told, in the order in which they were emitted.
    async fn counts(&self) -> BTreeMap<String, Vec<u64>> {
        let number = |words: &Value| words[1].as_str().unwrap().parse().unwrap();
        let said = self.said().await.into_iter();
        said.map(|(key, words)| (key, words.iter().map(number).collect())).collect()
    }
}

async fn owned(running: &Running) {
    running
        .until("ledger", "owned", |status| status.partitions.iter().all(|part| part.contains("owned")))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_listed_and_shown() {
    let scene = scene().await;
    scene.cli("state ls ledger").failed(1, "plugin ledger has no state: bucket \"wasmill-state-ledger-0\"");
    let engine = scene.place.spawn(&scene.server.url()).unwrap();
    let far = 4_000_000_000_000_000_000_u64;
    let orders = json!([
        ["add", 17],
        ["set", "window", "{\"panes\":[1,2]}"],
        ["set", "text", "two\nlines \u{1b}[2J"],
        ["set-zeros", "zeros", 3],
        ["timer", "idle", far, "[]"],
    ]);
    scene.order("c-1", orders).await;
    scene.emitted(1).await;
    scene.order("c-2", json!([["add", 1]])).await;
    scene.emitted(2).await;
    scene.order("other", json!([["get", "count"]])).await;
    scene.emitted(3).await;

    let table = scene.cli("state ls ledger").done();
    let rows: Vec<Vec<_>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..5], ["KEY", "PARTITION", "BYTES", "FIELDS", "TIMERS"]);
    assert_eq!((rows[1][0], &rows[1][3..6]), ("c-1", &["4", "1", "2096-10-02T07:06:40Z"][..]));
    assert_eq!((rows.len(), rows[2][0]), (3, "c-2"));
    assert!(table.stderr.contains("1 more that hold nothing"), "{table:?}");
    let keys = |line: &str| -> Vec<_> { scene.lines(line).iter().map(|line| line["key"].clone()).collect() };
    let mut all = keys("state ls ledger -o json --all");
    all.sort_by_key(ToString::to_string);
    assert_eq!(all, ["c-1", "c-2", "other"]);
    assert_eq!(keys("state ls ledger -o json --prefix c-"), ["c-1", "c-2"]);
    assert_eq!(keys("state ls ledger -o json --limit 1"), ["c-1"]);
    let listed = &scene.lines("state ls ledger -o json --prefix c-1")[0];
    assert_eq!((&listed["fields"], &listed["version"]), (&json!(4), &json!("1.0.0")));

    let part = &scene.lines("state ls ledger --partitions -o json")[0];
    assert_eq!((&part["bucket"], &part["resets"]), (&json!("wasmill-state-ledger-0"), &json!(0)));
    assert_eq!((&part["streams"][0]["stream"], &part["streams"][0]["last"]), (&json!("IN"), &json!(3)));
    assert!(scene.cli("state ls ledger --partitions").done().stdout.contains(" owned "));

    let shown = scene.cli("state get ledger c-1").done().stdout;
    for wanted in [
        "key        c-1\n",
        "version    1.0.0\n",
        "applied    IN up to 1\n",
        "fields (4)\ncount  17\n",
        "\ntext  (14 bytes)\n  two\n  lines \\u{1b}[2J",
        "\nwindow  {\"panes\":[1,2]}",
        "\nzeros  (3 bytes)\n  000000  00 00 00 ",
        "timers (1)\nNAME  DUE",
        "idle  2096-10-02T07:06:40.000Z  in ",
        "outputs of the last write (1, ",
    ] {
        assert!(shown.contains(wanted), "no {wanted:?} in {shown}");
    }
    assert_eq!(scene.cli("state get ledger c-1 --field window").done().stdout, "{\"panes\":[1,2]}");
    let told = scene.cli("state get ledger c-1 -o json").done().json();
    assert_eq!(
        (&told["fields"]["count"], &told["timers"]["idle"]["due_ns"]),
        (&json!({"data": 17}), &json!(far))
    );
    scene.cli("state get ledger nobody").failed(1, "has no record of key \"nobody\"");
    scene.cli("state get ledger c-1 --field cuont").failed(1, "did you mean \"count\"?");
    scene.cli("state get other c-1").failed(1, "plugin other has no state");

    let show =
        run(&scene.place.plugins(), &["plugin", "show", "ledger", "--admin", engine.admin()]).done().stdout;
    assert!(show.contains("\npartitions    0: owned\n"), "{show}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_comes_back_and_goes_on_counting() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(25, 8).await;
    let far = 4_000_000_000_000_000_000_u64;
    let odd =
        json!([["set", "odd", "{\"b\": 1e5}\n\u{0}"], ["set-zeros", "zeros", 9], ["timer", "t", far, "x"]]);
    scene.order("k0", odd).await;
    scene.emitted(201).await;
    let before = scene.exported();
    assert_eq!(before.len(), 25);
    let file = scene.place.file("state.ndjson");
    let export = scene.cli("state export ledger").done().stdout;
    std::fs::write(&file, &export).unwrap();
    let file = file.to_str().unwrap();

    scene.cli("state delete ledger").failed(2, "which key to delete?");
    scene.cli("state delete ledger --all").failed(1, "25 keys of plugin ledger would be deleted for good");
    scene.cli("state delete ledger k0").failed(1, "key \"k0\" of plugin ledger would be deleted for good");
    scene.cli("state delete ledger nobody --yes").failed(1, "holds nothing of key \"nobody\"");
    scene.cli(&format!("state import ledger {file}")).failed(1, "plugin ledger has 25 keys");
    scene.cli(&format!("state import ledger {file} --replace")).failed(1, "would be replaced by 25 records");
    assert_eq!(scene.exported(), before);

    scene.cli("state delete ledger --all --yes").done();
    assert!(scene.cli("state ls ledger").done().stderr.starts_with("no keys"));
    let url = scene.server.url();
    let line = ["state", "import", "ledger", "--bus-url", &url];
    ended_with_input(&mut wasmill(&scene.place.plugins(), &line), &export).done();
    assert_eq!(scene.exported(), before);
    owned(&running).await;
    scene.count(25, 2).await;
    scene.emitted(251).await;

    // Another key is not in the export, so it is gone; the others are as they were then.
    scene.order("late", json!([["add", 1]])).await;
    scene.emitted(252).await;
    scene.cli(&format!("state import ledger {file} --replace --yes")).done();
    let back = scene.exported();
    let fields = |state: &BTreeMap<String, Value>| -> Vec<_> {
        state.values().map(|line| line["fields"].clone()).collect()
    };
    let held: BTreeMap<_, _> = back.into_iter().filter(|(key, _)| key != "late").collect();
    assert_eq!(fields(&held), fields(&before));
    scene.count(25, 1).await;
    scene.emitted(277).await;
    let mut counts = scene.counts_of_adds().await;
    counts.remove("late");
    for (key, counts) in counts {
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9], "{key}");
    }

    // As a backup that the plugin catches up from.
    scene.cli(&format!("state import ledger {file} --replace --rewind --yes")).done();
    owned(&running).await;
    scene.count(25, 1).await;
    let wanted = |line: &Value| line["fields"]["count"] == json!({ "data": 12 });
    let wait = async {
        while !scene.exported().iter().filter(|(key, _)| *key != "late").all(|(_, line)| wanted(line)) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{:#?}", scene.exported()));
}

impl Scene {
    /// As [`Scene::counts`], of outputs that tell a count.
    async fn counts_of_adds(&self) -> BTreeMap<String, Vec<u64>> {
        let number = |words: &Value| words[1].as_str().and_then(|count| count.parse().ok());
        let said = self.said().await.into_iter();
        said.map(|(key, words)| (key, words.iter().filter_map(number).collect())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_begins_anew_and_nothing_else_changes() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(3, 4).await;
    scene.emitted(12).await;
    // At once: the cursor that is stored may still be behind.
    scene.cli("state delete ledger k1 --yes").done();
    owned(&running).await;
    scene.count(3, 2).await;
    scene.emitted(18).await;
    let counts = scene.counts().await;
    assert_eq!(counts["k0"], [1, 2, 3, 4, 5, 6]);
    assert_eq!(counts["k1"], [1, 2, 3, 4, 1, 2]);
    assert_eq!(counts["k2"], [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_handles_events_again_and_their_outputs_are_new() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(1, 6).await;
    scene.emitted(6).await;
    let between = jiff::Timestamp::now();
    scene.count(1, 4).await;
    scene.emitted(10).await;
    for (line, code, reason) in [
        ("", 2, "--to-sequence"),
        ("--to-sequence 0", 2, "0 is not in"),
        ("--to-sequence 1 --to-time 2h", 2, "cannot be used with"),
        ("--to-sequence 12", 1, "stream IN ends with 10, so that 12 is not there yet"),
        ("--to-sequence 1 --stream OUT", 1, "does not read stream \"OUT\"\n  hint: it reads IN"),
        ("--to-sequence 4", 1, "plugin ledger would forget 1 key and go to IN:4 (from "),
    ] {
        scene.cli(&format!("plugin reset ledger {line}")).failed(code, reason);
    }
    assert_eq!(scene.counts().await["k0"].len(), 10);

    scene.cli("plugin reset ledger --to-sequence 4 --yes").done();
    scene.emitted(17).await;
    let report = scene.cli(&format!("plugin reset ledger --to-time {between} --yes -o json")).done().json();
    assert_eq!((&report["streams"][0]["to_sequence"], &report["keys"]), (&json!(7), &json!(1)));
    scene.emitted(21).await;
    scene.cli("plugin reset ledger --to-sequence 9 --keep-state --yes").done();
    scene.emitted(23).await;
    owned(&running).await;
    // Nobody handles what comes while it is away, and then passes over it.
    running.engine.stop(std::time::Duration::from_secs(5)).await;
    scene.count(1, 3).await;
    scene.cli("plugin reset ledger --to-time 0s --keep-state --yes").done();
    let again = scene.start().await;
    owned(&again).await;
    scene.count(1, 1).await;
    scene.emitted(24).await;
    let counts = &scene.counts().await["k0"];
    let wanted: Vec<u64> = (1..=10).chain(1..=7).chain(1..=4).chain(5..=6).chain([7]).collect();
    assert_eq!(*counts, wanted);
    let part = &scene.lines("state ls ledger --partitions -o json")[0];
    assert_eq!(part["resets"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_in_the_middle_of_the_work_lose_and_repeat_nothing() {
    let scene = scene().await;
    let running = scene.start().await;
    for number in 0..6 {
        scene.order(&format!("other{number}"), json!([["add", 1], ["get", "count"]])).await;
    }
    scene.emitted(6).await;
    let publishing = scene.count(40, 150);
    let url = scene.server.url();
    let dir = scene.place.plugins();
    let commanding = tokio::task::spawn_blocking(move || {
        let cli = |line: &[&str]| run(&dir, &[line, &["--bus-url", &url]].concat());
        for number in 0..6 {
            cli(&["state", "delete", "ledger", &format!("other{number}"), "--yes"]).done();
            cli(&["state", "ls", "ledger"]).done();
            cli(&["state", "export", "ledger"]).done();
            cli(&["plugin", "reset", "ledger", "--to-sequence", "1"]).failed(1, "--yes does it");
        }
    });
    let ((), commanded) = tokio::join!(publishing, commanding);
    commanded.unwrap();
    scene.emitted(6_006).await;
    owned(&running).await;
    let wanted: Vec<u64> = (1..=150).collect();
    for (key, counts) in scene.counts().await.into_iter().filter(|(key, _)| key.starts_with('k')) {
        assert_eq!(counts, wanted, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_divided_anew_by_an_import() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(20, 5).await;
    scene.emitted(100).await;
    let before = scene.exported();
    let export = scene.cli("state export ledger").done().stdout;
    let file = scene.place.file("state.ndjson");
    std::fs::write(&file, &export).unwrap();
    let manifest = format!("{MANIFEST}partitions = 3\n");
    scene.place.put("ledger", &keyed(), &manifest).unwrap();
    let problem = "import PLUGIN FILE --replace --partitions 3";
    running
        .until("ledger", "refusing", |status| {
            status.problem.as_ref().is_some_and(|told| told.contains(problem))
        })
        .await
        .unwrap();
    let line = format!("state import ledger {} --replace --partitions 3 --yes", file.to_str().unwrap());
    scene.cli(&line).done();
    assert_eq!(scene.exported(), before);
    running
        .until("ledger", "owned in three parts", |status| {
            status.partitions.len() == 3 && status.partitions.iter().all(|part| part.ends_with(": owned"))
        })
        .await
        .unwrap();
    scene.count(20, 2).await;
    scene.emitted(140).await;
    for (key, counts) in scene.counts().await {
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7], "{key}");
    }
    assert_eq!(scene.lines("state ls ledger --partitions -o json").len(), 3);
    let one = format!("state import ledger {} --replace --partitions 1 --yes", file.to_str().unwrap());
    scene.cli(&one).done();
    assert_eq!(scene.lines("state ls ledger --partitions -o json").len(), 1);
    assert_eq!(scene.exported().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_export_changes_nothing() {
    let scene = scene().await;
    let head =
        r#"{"wasmill_state":1,"plugin":"ledger","exported":"","partitions":1,"cursor":{},"clock_ns":0}"#;
    let file = scene.place.file("bad.ndjson");
    for (text, reason) in [
        (String::new(), "is empty"),
        ("{}".to_owned(), "it is no export"),
        (format!("{head}\n\n{{\"key\":\"\"}}"), "bad.ndjson:3: missing field"),
        (head.replace("_state\":1", "_state\":9"), "format 9"),
    ] {
        std::fs::write(&file, &text).unwrap();
        scene.cli(&format!("state import ledger {}", file.to_str().unwrap())).failed(1, reason);
    }
    scene.cli("state import ledger none.ndjson").failed(1, "open none.ndjson");
    scene.cli("state export ledger").failed(1, "plugin ledger has no state");
    std::fs::write(&file, head).unwrap();
    scene.cli(&format!("state import ledger {}", file.to_str().unwrap())).done();
    assert!(scene.cli("state ls ledger").done().stderr.starts_with("no keys"));
}
