//! `wasmill new`: what it makes builds, passes its own test, and is taken by the engine.

use std::path::Path;
use std::process::Command;

use wasmill_tests::parts;

use super::{ended, run};

/// cargo as a newcomer runs it in the new folder, but without a network and with this checkout's compiler.
fn cargo(folder: &Path, target: &Path, line: &str) -> Command {
    let toolchain = std::fs::read_to_string(parts::root().join("rust-toolchain.toml")).unwrap();
    let toolchain: toml::Table = toolchain.parse().unwrap();
    let mut command = Command::new("cargo");
    command
        .args(line.split(' '))
        .arg("--offline")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTUP_TOOLCHAIN", toolchain["toolchain"]["channel"].as_str().unwrap());
    command
}

#[test]
fn a_new_plugin_builds_passes_its_test_and_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = parts::root().join("plugin-sdk");
    let made = run(dir.path(), &["new", "big-spender", "--sdk-path", sdk.to_str().unwrap()]).done();
    assert_eq!(made.stdout, "", "nothing of it is data");
    assert!(made.stderr.contains("cargo build --release --target wasm32-wasip2"), "{}", made.stderr);
    run(dir.path(), &["new", "big-spender"]).failed(1, "exists already");

    let folder = dir.path().join("big-spender");
    // The versions of this checkout are on this machine; others may not be.
    std::fs::copy(parts::root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let target = parts::target().unwrap().join("test-new");
    let tested = ended(&mut cargo(&folder, &target, "test")).done();
    assert!(tested.stdout.contains("3 passed"), "{}", tested.stdout);
    ended(&mut cargo(&folder, &target, "build --release --target wasm32-wasip2")).done();

    let component = target.join("wasm32-wasip2/release/big_spender.wasm");
    std::fs::copy(component, folder.join("big-spender.wasm")).unwrap();
    let checked = run(&folder, &["check", "--strict", "big-spender.wasm"]).done();
    assert!(checked.stdout.contains("big-spender.wasm: ok"), "{}", checked.stdout);
    assert!(checked.stdout.contains("payments.> (core, at most once)"), "{}", checked.stdout);
}
