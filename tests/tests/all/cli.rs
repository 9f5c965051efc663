//! The command line as people and scripts meet it: exit codes, data on stdout, talk on stderr.

mod build;
mod check;
mod config;
mod new;
mod plugin;
mod publish;
mod state;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use wasmill_tests::parts;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// `wasmill` in a folder, without the settings of whoever runs the tests.
pub fn wasmill<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Command {
    let mut command = Command::new(parts::wasmill().unwrap());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("WASMILL_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).stdin(Stdio::null()).args(args);
    command
}

/// Runs a command to its end.
pub fn run<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Ended {
    ended(&mut wasmill(dir, args))
}

/// Runs a prepared command to its end.
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a prepared command with a text on its stdin.
pub fn ended_with_input(command: &mut Command, input: &str) -> Ended {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// It did what it was asked to.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It failed with this code: the reason on stderr, nothing on stdout.
    #[track_caller]
    pub fn failed(&self, code: i32, reason: &str) {
        assert_eq!(self.code, Some(code), "wanted {reason:?}: {self:#?}");
        assert!(self.stderr.contains(reason), "wanted {reason:?}: {self:#?}");
        assert_eq!(self.stdout, "", "a reader of stdout would take this for data");
    }

    /// Its stdout is one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("{err}: {self:#?}"))
    }
}

/// A folder with a file of rows, a configuration that cannot be read, and one whose plugin folder is away.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("rows.csv", "id,amount\na,1\n"),
        ("typo.toml", "[bus]\nulr = \"nats://x\"\n"),
        ("no-plugins.toml", "[plugins]\ndir = \"nowhere\"\n[admin]\nlisten = \"off\"\n"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn failures_have_their_exit_code_and_leave_stdout_alone() {
    let dir = folder();
    // Nothing listens on port 1 of loopback: it is tcpmux, which nobody runs, and only root could.
    let (bus, engine) = ("nats://127.0.0.1:1", "127.0.0.1:1");
    for (line, code, reason) in [
        ("", 2, "Usage: wasmill"),
        ("fly", 2, "unrecognized subcommand 'fly'"),
        ("publsih rows.csv --subject a", 2, "a similar subcommand exists: 'publish'"),
        ("run --bus nats://x", 2, "--bus-url"),
        ("check", 2, "<FILE>"),
        ("publish rows.csv", 2, "--subject"),
        ("publish rows.csv --subject a.>", 2, "wildcard"),
        ("publish rows.csv --subject a.{", 2, "placeholder"),
        ("publish rows.csv --subject a --rate 0", 2, "--rate must be more than 0"),
        ("publish rows.csv --subject a --columns id --omit id", 2, "cannot be used with"),
        ("demo --rate 0", 2, "--rate must be more than 0"),
        ("run -c none.toml", 1, "none.toml"),
        ("run -c typo.toml", 1, "typo.toml:2: unknown field `ulr`"),
        ("run -c typo.toml", 1, "did you mean `url`"),
        ("config show -c typo.toml", 1, "did you mean `url`"),
        ("config check -c typo.toml", 1, "did you mean `url`"),
        ("run --admin-listen 9464", 1, "flag --admin-listen: admin.listen: \"9464\" is no address"),
        ("publish none.csv --subject a", 1, "open none.csv"),
        ("publish . --subject a", 1, "is a folder"),
        ("publish rows.csv --subject a --id-field ids", 1, "did you mean \"id\"?"),
        ("new Bad.Name", 1, "no plugin name"),
        ("new self", 1, "is taken"),
        ("new fine --sdk-path .", 1, "not the wasmill-sdk crate"),
        ("new fine --sdk-path . --lang go", 2, "--sdk-path is for Rust"),
        ("new fine --lang pyhton", 2, "a similar value exists: 'python'"),
        ("new build --lang zig", 1, "its manifest would be build.toml"),
        ("build", 1, "neither build.toml nor Cargo.toml"),
        ("demo --dir .", 1, "cargo xtask demo"),
        ("plugin show ../x", 1, "no plugin name"),
        ("dead-letter ls --since yesterday", 2, "neither a time"),
        ("dl redrive", 2, "which letters to redrive?"),
        ("dl show x", 2, "invalid digit"),
        ("state ls a.b", 2, "no plugin name"),
        ("state delete p", 2, "which key to delete?"),
        ("state import p none.ndjson", 1, "open none.ndjson"),
        ("plugin reset p", 2, "--to-sequence"),
        (&format!("state get p k --bus-url {bus}"), 3, "127.0.0.1:1"),
        (&format!("plugin reset p --to-sequence 1 --bus-url {bus}"), 3, "127.0.0.1:1"),
        (&format!("dead-letter ls --bus-url {bus}"), 3, "127.0.0.1:1"),
        (&format!("dl redrive --all --bus-url {bus}"), 3, "127.0.0.1:1"),
        (&format!("publish rows.csv --subject a --bus-url {bus}"), 3, "127.0.0.1:1"),
        (&format!("run --bus-url {bus} --admin-listen off"), 3, "127.0.0.1:1"),
        (&format!("plugin ls --admin {engine}"), 4, "is `wasmill run` up"),
        (&format!("plugin show p --admin {engine}"), 4, "no engine answers at http://127.0.0.1:1"),
        (&format!("plugin rollback p --admin http://{engine}/ -o json"), 4, "no engine answers"),
    ] {
        run(dir.path(), &line.split_whitespace().collect::<Vec<_>>()).failed(code, reason);
    }
    assert!(!dir.path().join("fine").exists(), "a refused plugin leaves no folder behind");
}

#[test]
fn every_command_explains_itself_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        "run",
        "demo",
        "new",
        "build",
        "check",
        "plugin",
        "plugin ls",
        "plugin show",
        "plugin rollback",
        "plugin reset",
        "state",
        "state ls",
        "state get",
        "state export",
        "state import",
        "state delete",
        "config",
        "config check",
        "config show",
        "config schema",
        "publish",
        "dead-letter",
        "dead-letter ls",
        "dead-letter show",
        "dead-letter redrive",
        "dead-letter edit",
        "dead-letter purge",
        "completions",
    ] {
        let mut args: Vec<_> = command.split(' ').collect();
        args.push("--help");
        let help = run(dir.path(), &args).done();
        assert!(help.stdout.contains(&format!("Usage: wasmill {command}")), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
    let help = run(dir.path(), &["--help"]).done().stdout;
    for code in ["0    done", "1    refused", "2    wrong usage", "3    the bus", "4    the engine"] {
        assert!(help.contains(code), "{help}");
    }
    assert!(help.contains("stdout carries data"), "{help}");
    let version = run(dir.path(), &["--version"]).done().stdout;
    assert_eq!(version, format!("wasmill {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(dir.path(), &["completions", shell]).done();
        for word in ["publish", "rollback", "bus-url", "dead-letter", "redrive", "dry-run", "typescript"] {
            assert!(script.stdout.contains(word), "{shell}: no {word}");
        }
        assert_eq!(script.stderr, "");
    }
}

#[test]
fn a_reader_that_went_away_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["config", "schema"][..], &["completions", "bash"], &["config", "show"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        // Gone before the first byte, as `head` is at some point; waiting for that point would be a race.
        drop(reader);
        let ended = ended_into(&mut wasmill(dir.path(), args), writer);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

fn ended_into(command: &mut Command, stdout: std::io::PipeWriter) -> Ended {
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended { code: output.status.code(), stdout: String::new(), stderr }
}
