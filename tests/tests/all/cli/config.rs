//! `wasmill config`: which source wins, what is hidden, what editors get.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{ended, run, wasmill};

const FILE: &str = "# Comment.\n[bus]\nurl = \"nats://file:1\"\nname = \"of-the-file\"\npublish_window = 7\n\
                    [plugins]\ndir = \"file-plugins\"\n";

fn folder(file: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmill.toml"), file).unwrap();
    dir
}

fn show(dir: &Path, environment: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = wasmill(dir, &[&["config", "show", "--origin", "-o", "json"], args].concat());
    command.envs(environment.iter().copied());
    command
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let dir = folder(FILE);
    let environment = [("WASMILL_BUS__URL", "nats://env:2"), ("WASMILL_BUS__NAME", "of-the-environment")];
    let shown = ended(&mut show(dir.path(), &environment, &["--bus-url", "nats://flag:3"])).done();
    assert_eq!(shown.stderr, "");
    let shown = shown.json();
    for (key, value, origin) in [
        ("bus.url", Value::from("nats://flag:3"), "flag --bus-url"),
        ("bus.name", Value::from("of-the-environment"), "environment variable WASMILL_BUS__NAME"),
        ("bus.publish_window", Value::from(7), "wasmill.toml:5"),
        ("plugins.dir", Value::from("file-plugins"), "wasmill.toml:7"),
        ("bus.connect_timeout_ms", Value::from(5_000), "default"),
        ("admin.listen", Value::from("127.0.0.1:9464"), "default"),
    ] {
        assert_eq!((&shown[key]["value"], shown[key]["origin"].as_str()), (&value, Some(origin)), "{key}");
    }
    let shown = ended(&mut show(dir.path(), &environment, &[])).done().json();
    assert_eq!(shown["bus.url"]["value"], "nats://env:2");
}

#[test]
fn a_file_elsewhere_brings_its_folder_along() {
    let dir = folder("");
    let elsewhere = dir.path().join("etc");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("engine.toml"), FILE).unwrap();
    let flag = run(dir.path(), &["config", "show", "-o", "json", "-c", "etc/engine.toml"]).done().json();
    let variable = [("WASMILL_CONFIG", "etc/engine.toml")];
    let variable = ended(wasmill(dir.path(), &["config", "show", "-o", "json"]).envs(variable)).done().json();
    for shown in [flag, variable] {
        assert_eq!(shown["plugins"]["dir"], "etc/file-plugins");
        assert_eq!(shown["data"]["dir"], "etc/.wasmill");
    }
    // A flag is typed where one stands.
    let flag =
        run(dir.path(), &["config", "show", "-o", "json", "-c", "etc/engine.toml", "--plugins-dir", "here"]);
    assert_eq!(flag.done().json()["plugins"]["dir"], "here");
}

#[test]
fn what_is_shown_in_text_can_be_used_as_a_file() {
    let dir = folder(FILE);
    let shown = run(dir.path(), &["config", "show"]).done().stdout;
    let again = folder(&shown);
    assert_eq!(run(again.path(), &["config", "show"]).done().stdout, shown);
}

#[test]
fn settings_that_nobody_knows_are_refused() {
    for (file, environment, wanted) in [
        ("[plugin]\n", [("IGNORED", "")], &["wasmill.toml:1", "did you mean `plugins`"][..]),
        ("[bus]\nulr = \"x\"\n", [("IGNORED", "")], &["wasmill.toml:2", "did you mean `url`"]),
        ("[log]\nformat = \"jsn\"\n", [("IGNORED", "")], &["wasmill.toml:2", "did you mean `json`"]),
        ("[bus]\nurl = 1\n", [("IGNORED", "")], &["wasmill.toml:2", "expected a string"]),
        ("[bus\n", [("IGNORED", "")], &["wasmill.toml:1"]),
        ("", [("WASMILL_BUS__ULR", "x")], &["WASMILL_BUS__ULR", "did you mean `url`"]),
        ("", [("WASMILL_BUS_URL", "x")], &["WASMILL_BUS_URL has no effect", "WASMILL_BUS__URL"]),
        ("", [("WASMILL_BUS__PUBLISH_WINDOW", "many")], &["WASMILL_BUS__PUBLISH_WINDOW"]),
        ("", [("WASMILL_ADMIN__LISTEN", "here")], &["WASMILL_ADMIN__LISTEN", "\"here\" is no address"]),
    ] {
        let dir = folder(file);
        for command in ["show", "check"] {
            let refused = ended(wasmill(dir.path(), &["config", command]).envs(environment));
            for wanted in wanted {
                refused.failed(1, wanted);
            }
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let dir = folder("[bus]\nurl = \"nats://me:hunter2@a:1\"\n");
    let environment = [("WASMILL_BUS__TOKEN", "hunter2")];
    for (file, environment) in [
        ("[bus]\nurl = \"nats://me:hunter2@a:1\"\n", None),
        ("[bus]\nuser = \"me\"\npassword = \"hunter2\"\n", None),
        ("", Some(environment)),
    ] {
        std::fs::write(dir.path().join("wasmill.toml"), file).unwrap();
        for args in
            [&["config", "show"][..], &["config", "show", "--origin"], &["config", "show", "-o", "json"]]
        {
            let shown = ended(wasmill(dir.path(), args).envs(environment.into_iter().flatten())).done();
            assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
            assert!(shown.stdout.contains("<secret>"), "it says that there is one: {}", shown.stdout);
        }
    }
}

#[test]
fn check_goes_through_the_plugin_folder_too() {
    const GOOD: &str = "[[subscribe]]\nsubjects = [\"a\"]\n";
    let dir = folder("");
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for name in ["good.toml", "good.wasm"] {
        std::fs::write(plugins.join(name), GOOD).unwrap();
    }
    let good = run(dir.path(), &["config", "check"]).done();
    assert_eq!(good.stdout, "wasmill.toml: ok\nplugins/good.toml: ok\n");

    std::fs::write(plugins.join("bad.toml"), GOOD.replace("subjects", "subject")).unwrap();
    std::fs::write(plugins.join("lonely.wasm"), "").unwrap();
    let bad = run(dir.path(), &["config", "check"]);
    assert_eq!((bad.code, bad.stderr.as_str()), (Some(1), ""), "findings are data: {bad:#?}");
    for wanted in [
        "plugins/bad.toml:",
        "did you mean `subjects`",
        "plugins/lonely.wasm: there is no manifest",
        "good.toml: ok",
    ] {
        assert!(bad.stdout.contains(wanted), "no {wanted:?} in {}", bad.stdout);
    }
    let json = run(dir.path(), &["config", "check", "-o", "json"]);
    assert_eq!(json.code, Some(1));
    assert_eq!(json.json()["ok"], false);
    assert_eq!(json.json()["manifests"].as_array().unwrap().len(), 3);
}

#[test]
fn editors_get_a_schema() {
    let dir = tempfile::tempdir().unwrap();
    for (args, paths) in [
        (
            &["config", "schema"][..],
            &[
                "bus.url",
                "bus.tls.ca",
                "plugins.dir",
                "admin.listen",
                "streams.name",
                "streams.subjects",
                "log.level",
            ][..],
        ),
        (
            &["config", "schema", "--manifest"],
            &[
                "subscribe.stream",
                "emit.subjects",
                "limits.memory_mib",
                "retry.attempts",
                "isolation",
                "config",
            ],
        ),
    ] {
        let schema = run(dir.path(), args).done().json();
        for path in paths {
            let found = path.split('.').try_fold(&schema, |at, name| property(&schema, at, name));
            let found = found.unwrap_or_else(|| panic!("no {path} in {schema:#}"));
            assert!(found["description"].is_string() || found["$ref"].is_string(), "{path} is not explained");
        }
        assert_eq!(
            schema["additionalProperties"], false,
            "a key that nobody knows is an error in the editor too"
        );
    }
}

/// One property of a schema that may stand in another place, or be the items of a list, or be null as well.
fn property<'a>(root: &'a Value, at: &'a Value, name: &str) -> Option<&'a Value> {
    let at = at["anyOf"].get(0).unwrap_or(at);
    let at = at.get("items").unwrap_or(at);
    let at = match at["$ref"].as_str() {
        Some(place) => root.pointer(place.trim_start_matches('#'))?,
        None => at,
    };
    at["properties"].get(name)
}
