//! `wasmill new`: what it makes builds, passes its own test, and is taken by the engine.

use std::path::Path;
use std::process::Command;

use wasmill_tests::parts;

use super::{ended, run, wasmill};

/// Rust's tools as a newcomer runs them in the new folder, but without a network and with this checkout's compiler.
fn as_newcomer<'a>(command: &'a mut Command, folder: &Path, target: &Path) -> &'a mut Command {
    let toolchain = std::fs::read_to_string(parts::root().join("rust-toolchain.toml")).unwrap();
    let toolchain: toml::Table = toolchain.parse().unwrap();
    command
        .current_dir(folder)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTUP_TOOLCHAIN", toolchain["toolchain"]["channel"].as_str().unwrap())
}

#[test]
fn a_new_plugin_in_rust_passes_its_test_and_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = parts::root().join("plugin-sdk");
    let made = run(dir.path(), &["new", "big-spender", "--sdk-path", sdk.to_str().unwrap()]).done();
    assert_eq!(made.stdout, "", "nothing of it is data");
    for wanted in ["cd big-spender", "cargo test", "wasmill build"] {
        assert!(made.stderr.contains(wanted), "no {wanted:?} in {}", made.stderr);
    }
    run(dir.path(), &["new", "big-spender", "--lang", "go"]).failed(1, "exists already");

    let folder = dir.path().join("big-spender");
    // The versions of this checkout are on this machine; others may not be.
    std::fs::copy(parts::root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let target = parts::target().unwrap().join("test-new");
    let tested = ended(as_newcomer(Command::new("cargo").arg("test"), &folder, &target)).done();
    assert!(tested.stdout.contains("3 passed"), "{}", tested.stdout);

    let built = ended(as_newcomer(&mut wasmill(&folder, &["build"]), &folder, &target)).done();
    assert_eq!(built.stdout, "", "nothing of it is data");
    for wanted in
        ["build/big-spender.wasm: built and checked", "digest", "cp build/big-spender.toml build/big"]
    {
        assert!(built.stderr.contains(wanted), "no {wanted:?} in {}", built.stderr);
    }
    let checked = run(&folder, &["check", "--strict", "build/big-spender.wasm"]).done();
    assert!(checked.stdout.contains("payments.> (core, at most once)"), "{}", checked.stdout);

    // A plugin directory gets what was built, or nothing.
    let line = ["build", "big-spender", "--out", "plugins"];
    ended(as_newcomer(&mut wasmill(dir.path(), &line), dir.path(), &target)).done();
    let placed = |name: &str| std::fs::read(dir.path().join("plugins").join(name)).unwrap();
    assert_eq!(placed("big-spender.wasm"), std::fs::read(folder.join("build/big-spender.wasm")).unwrap());
    let before = placed("big-spender.toml");
    std::fs::write(folder.join("big-spender.toml"), "[[subscribe]]\nsubject = [\"a\"]\n").unwrap();
    ended(as_newcomer(&mut wasmill(dir.path(), &line), dir.path(), &target))
        .failed(1, "did you mean `subjects`?");
    assert_eq!(placed("big-spender.toml"), before);
}

#[test]
fn a_new_plugin_has_all_it_needs_in_every_language() {
    for (lang, handler) in [
        ("rust", "src/lib.rs"),
        ("python", "plugin.py"),
        ("javascript", "plugin.js"),
        ("typescript", "plugin.ts"),
        ("go", "main.go"),
        ("c", "src/plugin.c"),
        ("cpp", "src/plugin.cpp"),
        ("zig", "src/plugin.zig"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let made = run(dir.path(), &["new", "big-spender", "--lang", lang]).done();
        assert!(made.stderr.contains("wasmill build"), "{}", made.stderr);
        let folder = dir.path().join("big-spender");
        for file in [handler, "big-spender.toml", "README.md", ".gitignore"] {
            assert!(folder.join(file).is_file(), "{lang}: no {file}");
        }
        assert_eq!(folder.join("wasmill/README.md").is_file(), lang != "rust", "{lang}: the SDK");
        let manifest = std::fs::read_to_string(folder.join("big-spender.toml")).unwrap();
        wasmill::manifest::Manifest::parse(&manifest).unwrap();
        if lang != "rust" {
            let build: toml::Table =
                std::fs::read_to_string(folder.join("build.toml")).unwrap().parse().unwrap();
            assert_eq!(build["language"].as_str(), Some(lang));
            assert_eq!(build["name"].as_str(), Some("big-spender"));
        }
    }
}
