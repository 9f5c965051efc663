//! `wasmill check`: the verdict, and the reason for it.

use std::path::Path;

use wasmill_tests::guests::text_folder;

use super::{Ended, run};
use crate::delivery::{LARGE_AMOUNT, amount_threshold};

/// A plugin that must be refused: its name, its component, its manifest, and what the report says of it.
struct Bad {
    name: &'static str,
    component: Vec<u8>,
    manifest: String,
    faults: &'static [&'static str],
}

fn bad() -> Vec<Bad> {
    let good = amount_threshold();
    let wat = |name: &str| wat::parse_file(text_folder().join(format!("{name}.wat"))).unwrap();
    let bad = |name, component: Vec<u8>, manifest: &str, faults| Bad {
        name,
        component,
        manifest: manifest.to_owned(),
        faults,
    };
    vec![
        bad("empty", Vec::new(), LARGE_AMOUNT, &["the file is empty"]),
        bad("prose", b"#!/bin/sh\n".to_vec(), LARGE_AMOUNT, &["no WebAssembly"]),
        bad("truncated", good[..good.len() / 2].to_vec(), LARGE_AMOUNT, &["ends too early"]),
        bad("core", wat("core-module"), LARGE_AMOUNT, &["core module", "wasm32-wasip2"]),
        bad("missing", wat("missing-handler"), LARGE_AMOUNT, &["wasmill:plugin/handler@0.1.0 is missing"]),
        bad("other", wat("other-version"), LARGE_AMOUNT, &["handler@0.1.0"]),
        bad("import", wat("unknown-import"), LARGE_AMOUNT, &["import"]),
        bad(
            "large",
            [&good[..], &[0, 0x80, 0x80, 0x40][..], &vec![0; 1 << 20]].concat(),
            &format!("{LARGE_AMOUNT}[limits]\ncomponent_mib = 1\n"),
            &["over its limit of 1 MiB", "limits.component_mib"],
        ),
        bad(
            "typo",
            good.clone(),
            &format!("{LARGE_AMOUNT}[limit]\n"),
            &["typo.toml", "did you mean `limits`"],
        ),
        bad("reserved", good.clone(), &LARGE_AMOUNT.replace("alerts.>", "$JS.>"), &["$JS.>"]),
        bad("wild", good, &LARGE_AMOUNT.replace("\"alerts.>\"", "\"*.x\""), &["*.x"]),
    ]
}

fn put(dir: &Path, name: &str, component: &[u8], manifest: &str) -> String {
    let file = dir.join(format!("{name}.wasm"));
    std::fs::write(&file, component).unwrap();
    std::fs::write(file.with_extension("toml"), manifest).unwrap();
    format!("{name}.wasm")
}

/// A check that refuses: the findings are data, so that they are on stdout, and nothing is left to say.
#[track_caller]
fn refused(checked: &Ended) {
    assert_eq!(checked.code, Some(1), "{checked:#?}");
    assert!(!checked.stderr.contains("error"), "{checked:#?}");
}

#[test]
fn a_good_plugin_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let file = put(dir.path(), "large-amount", &amount_threshold(), LARGE_AMOUNT);
    let checked = run(dir.path(), &["check", "--strict", &file]).done();
    for wanted in [
        "large-amount.wasm: ok",
        "amount-threshold 0.1.0:",
        "PAYMENTS: payments.card",
        "alerts.>",
        "64 MiB memory, 100 ms CPU",
        &wasmill::digest::Digest::of(&amount_threshold()).to_string(),
    ] {
        assert!(checked.stdout.contains(wanted), "no {wanted:?} in {}", checked.stdout);
    }
    assert_eq!(checked.stderr, "");

    // The manifest means the plugin too.
    let reports = run(dir.path(), &["check", "large-amount.toml", "-o", "json"]).done().json();
    let report = &reports[0];
    assert_eq!(report["file"], "large-amount.wasm");
    assert_eq!(report["faults"].as_array().unwrap().len(), 0);
    assert_eq!(report["about"]["name"], "amount-threshold");
    assert_eq!(report["manifest"]["subscribe"][0]["stream"], "PAYMENTS");
}

#[test]
fn a_bad_plugin_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bad = bad();
    let files: Vec<_> =
        bad.iter().map(|bad| put(dir.path(), bad.name, &bad.component, &bad.manifest)).collect();
    let mut args = vec!["check"];
    args.extend(files.iter().map(String::as_str));
    args.push("gone.wasm");

    let text = run(dir.path(), &args);
    refused(&text);
    let json = run(dir.path(), &[&args[..], &["-o", "json"]].concat());
    refused(&json);
    let reports = json.json();
    assert_eq!(
        reports.as_array().unwrap().len(),
        bad.len() + 1,
        "a bad file does not hide the ones behind it"
    );
    for (report, bad) in reports.as_array().unwrap().iter().zip(&bad) {
        let fault = report["faults"].to_string();
        for wanted in bad.faults {
            assert!(fault.contains(wanted), "{}: no {wanted:?} in {report:#}", bad.name);
        }
        assert!(text.stdout.contains(&format!("{}.wasm: refused", bad.name)), "{}", text.stdout);
    }
    let gone = &reports[bad.len()]["faults"];
    assert!(gone.to_string().contains("cannot be read"), "{gone}");
}

#[test]
fn a_manifest_unlike_the_description_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    for (name, manifest, wanted) in [
        ("emits", LARGE_AMOUNT.replace("\"alerts.>\"", "\"other.>\""), "it emits to alerts.>, which"),
        ("hears", LARGE_AMOUNT.replace("payments.card", "orders.placed"), "it is made for payments.>, which"),
    ] {
        let file = put(dir.path(), name, &amount_threshold(), &manifest);
        let checked = run(dir.path(), &["check", &file]).done();
        assert!(checked.stdout.contains(wanted), "no {wanted:?} in {}", checked.stdout);
        refused(&run(dir.path(), &["check", "--strict", &file]));
    }
    std::fs::write(dir.path().join("bare.wasm"), amount_threshold()).unwrap();
    let checked = run(dir.path(), &["check", "bare.wasm"]).done();
    assert!(checked.stdout.contains("no manifest bare.toml beside it"), "{}", checked.stdout);
}

#[test]
fn plugins_that_feed_each_other_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let back = LARGE_AMOUNT.replace("payments.card", "alerts.*").replace("\"alerts.>\"", "\"payments.card\"");
    let files = [
        put(dir.path(), "there", &amount_threshold(), &LARGE_AMOUNT.replace("alerts.>", "alerts.a")),
        put(dir.path(), "back", &amount_threshold(), &back),
    ];
    let ended = run(dir.path(), &["check", "--strict", &files[0], &files[1]]);
    let text = ended.stdout;
    assert!(text.contains("there emits alerts.a, then back emits payments.card, which there"), "{text}");
}
