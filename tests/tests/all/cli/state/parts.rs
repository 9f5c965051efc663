//! Parts of an export brought back, imports that end early, and what is refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::owned;
use crate::keyed::{MANIFEST, Scene, keyed, scene};

impl Scene {
    /// Writes a file, and gives its path.
    fn written(&self, name: &str, text: &str) -> String {
        let file = self.place.file(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// The count that each key holds.
    fn held(&self) -> BTreeMap<String, u64> {
        let count = |line: &Value| line["fields"]["count"]["data"].as_u64().unwrap();
        self.exported().iter().map(|(key, line)| (key.clone(), count(line))).collect()
    }
}

fn counts<const N: usize>(wanted: [(&str, u64); N]) -> BTreeMap<String, u64> {
    wanted.map(|(key, count)| (key.to_owned(), count)).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_brought_back_and_other_keys_stay() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(3, 4).await;
    scene.emitted(12).await;
    let prefixed = scene.written("k1.ndjson", &scene.cli("state export ledger --prefix k1").done().stdout);
    let named = scene.written("k2.ndjson", &scene.cli("state export ledger k2").done().stdout);
    scene.cli("state export ledger nobody").failed(1, "plugin ledger has no record of key \"nobody\"");
    scene.cli("state export ledger k1 --prefix k").failed(2, "cannot be used with");
    scene.count(3, 2).await;
    scene.emitted(18).await;
    for (flags, code, reason) in [
        ("", 1, "plugin ledger has 3 keys\n  hint: --merge replaces those that the export has"),
        ("--merge", 1, "1 key of plugin ledger would be replaced, as 1 record would be stored"),
        ("--merge --replace --yes", 2, "cannot be used with"),
        ("--merge --rewind --yes", 2, "cannot be used with"),
        ("--merge --partitions 2 --yes", 2, "cannot be used with"),
    ] {
        scene.cli(&format!("state import ledger {prefixed} {flags}")).failed(code, reason);
    }
    // At once: the cursor that is stored may still be behind what the key had handled.
    scene.cli(&format!("state import ledger {prefixed} --merge --yes")).done();
    assert_eq!(scene.held(), counts([("k0", 6), ("k1", 4), ("k2", 6)]));
    owned(&running).await;
    scene.count(3, 1).await;
    scene.emitted(21).await;
    scene.cli("state delete ledger k2 --yes").done();
    // Nothing is lost by it, so nobody has to say yes.
    let report = scene.cli(&format!("state import ledger {named} --merge -o json")).done().json();
    assert_eq!((&report["records"], &report["replaced"]), (&json!(1), &json!(0)));
    owned(&running).await;
    scene.count(3, 1).await;
    scene.emitted(24).await;
    let counts = scene.counts().await;
    assert_eq!(counts["k0"], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(counts["k1"], [1, 2, 3, 4, 5, 6, 5, 6]);
    assert_eq!(counts["k2"], [1, 2, 3, 4, 5, 6, 7, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_an_imported_record_has_are_not_handled_again() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(2, 5).await;
    scene.emitted(10).await;
    let file = scene.written("k0.ndjson", &scene.cli("state export ledger k0").done().stdout);
    running.engine.stop(std::time::Duration::from_secs(5)).await;
    // The plugin is behind the export now: of k0 what the export has is passed over, of k1 nothing is.
    scene.cli("plugin reset ledger --to-sequence 1 --yes").done();
    scene.cli(&format!("state import ledger {file} --merge --yes")).done();
    let again = scene.start().await;
    owned(&again).await;
    scene.count(2, 1).await;
    scene.emitted(17).await;
    let counts = scene.counts().await;
    assert_eq!(counts["k0"], [1, 2, 3, 4, 5, 6]);
    assert_eq!(counts["k1"], [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_another_plugin_is_refused() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(1, 2).await;
    scene.emitted(2).await;
    let export = scene.cli("state export ledger").done().stdout;
    let other = export.replacen("\"plugin\":\"ledger\"", "\"plugin\":\"till\"", 1);
    let file = scene.written("till.ndjson", &other);
    let line = format!("state import ledger {file} --replace --yes");
    scene.cli(&line).failed(
        1,
        "the export is of plugin \"till\", not of ledger\n  hint: --from-other imports it all the same",
    );
    scene.cli(&format!("{line} --from-other")).done();
    owned(&running).await;
    scene.count(1, 1).await;
    scene.emitted(3).await;
    assert_eq!(scene.counts().await["k0"], [1, 2, 3]);
}

/// An export whose second record has an output without a stream to go to.
fn with_a_bad_output(export: &str) -> String {
    let payload = json!({ "text": "" });
    let output = json!({ "subject": "nowhere", "delivery": "stored", "headers": [], "payload": payload });
    let mut lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines[2]["outbox"] = json!([output]);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_ends_early_loses_no_key() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(3, 2).await;
    scene.emitted(6).await;
    let export = scene.cli("state export ledger").done().stdout;
    let good = scene.written("good.ndjson", &export);
    scene.count(3, 1).await;
    scene.order("late", json!([["add", 9]])).await;
    scene.emitted(10).await;

    let bad = scene.written("bad.ndjson", &with_a_bad_output(&export));
    let ended = scene.cli(&format!("state import ledger {bad} --replace --yes"));
    ended.failed(1, "the import ended early: an output of key \"");
    let wanted =
        "1 of 3 records were stored, all other keys are as they were; run it again with --replace --yes";
    assert!(ended.stderr.contains(wanted), "{ended:#?}");
    let mut held: Vec<_> = scene.held().into_values().collect();
    held.sort_unstable();
    assert_eq!(held, [2, 3, 3, 9]);

    scene.cli(&format!("state import ledger {good} --replace --yes")).done();
    let mut exported = scene.exported();
    // What may be left of the other is which events were handled.
    exported.retain(|_, line| line["fields"] != json!({}));
    assert_eq!(exported.len(), 3);
    owned(&running).await;
    scene.count(3, 1).await;
    scene.emitted(13).await;
    for (key, counts) in scene.counts_of_adds().await.into_iter().filter(|(key, _)| key != "late") {
        assert_eq!(counts, [1, 2, 3, 3], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_division_that_ends_early_is_taken_up_again() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(12, 2).await;
    scene.emitted(24).await;
    running.engine.stop(std::time::Duration::from_secs(5)).await;
    let before = scene.exported();
    let export = scene.cli("state export ledger").done().stdout;
    let good = scene.written("good.ndjson", &export);
    let bad = scene.written("bad.ndjson", &with_a_bad_output(&export));
    let flags = "--replace --partitions 3 --yes";
    let hint = format!("run it again with {flags}, and let no engine run the plugin until then");
    scene.cli(&format!("state import ledger {bad} {flags}")).failed(1, &hint);
    assert_eq!(scene.lines("state ls ledger --partitions -o json").len(), 1);
    assert_eq!(scene.exported().into_iter().filter(|(key, line)| before[key] == *line).count(), 12);

    scene.cli(&format!("state import ledger {good} {flags}")).done();
    assert_eq!(scene.lines("state ls ledger --partitions -o json").len(), 3);
    assert_eq!(scene.lines("state ls ledger -o json").len(), 12);
    assert_eq!(scene.exported(), before);
    scene.place.put("ledger", &keyed(), &format!("{MANIFEST}partitions = 3\n")).unwrap();
    let again = scene.start().await;
    owned(&again).await;
    scene.count(12, 1).await;
    scene.emitted(36).await;
    for (key, counts) in scene.counts().await {
        assert_eq!(counts, [1, 2, 3], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_without_any_stream_forgets_nothing() {
    let scene = scene().await;
    let head = json!({
        "wasmill_state": 1, "plugin": "ledger", "exported": "", "partitions": 1, "clock_ns": 0,
        "cursor": { "GONE": { "incarnation_ms": 1, "sequence": 7 }, "LOST": { "incarnation_ms": 1, "sequence": 9 } },
    });
    let record = json!({
        "key": "k0", "version": "", "touched_ns": 0, "applied": {}, "timers": {}, "settings": 0,
        "fields": { "count": { "data": 5 } },
    });
    let file = scene.written("gone.ndjson", &format!("{head}\n{record}\n"));
    scene.cli(&format!("state import ledger {file}")).done();
    let told = "none of the streams that plugin ledger has read is there: GONE, LOST";
    scene.cli("plugin reset ledger --to-time 2h --yes").failed(1, told);
    assert_eq!(scene.held(), counts([("k0", 5)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_ends_early_says_so_and_is_taken_up_again() {
    let scene = scene().await;
    let running = scene.start().await;
    scene.count(1, 2).await;
    scene.emitted(2).await;
    scene.order("big", json!([["add", 1], ["get", "count"], ["set", "text", "x".repeat(4_000)]])).await;
    scene.emitted(3).await;
    running.engine.stop(std::time::Duration::from_secs(5)).await;
    // The bucket takes any other record, and the owner.
    let bucket = "KV_wasmill-state-ledger-0";
    let mut config = scene.jetstream.get_stream(bucket).await.unwrap().cached_info().config.clone();
    let before = std::mem::replace(&mut config.max_message_size, 3_000);
    scene.jetstream.update_stream(&config).await.unwrap();
    let line = "plugin reset ledger --to-sequence 1 --keep-state --yes";
    let ended = scene.cli(line);
    assert!(ended.stderr.contains("hint: it has come to 1 key; run it again"), "{ended:#?}");
    ended.failed(1, "the reset ended early: the record of key \"big\" takes ");
    config.max_message_size = before;
    scene.jetstream.update_stream(&config).await.unwrap();
    scene.cli(line).done();
    let again = scene.start().await;
    owned(&again).await;
    scene.emitted(6).await;
    let counts = scene.counts_of_adds().await;
    assert_eq!((&counts["k0"][..], &counts["big"][..]), (&[1, 2, 3, 4][..], &[1, 2][..]));
}
