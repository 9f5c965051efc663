//! Builds, tests, demonstrates and measures Wasmill. `cargo xtask help` lists the commands.
//!
//! - [`commands`]: one function for each command, in the order in which a newcomer needs them.
//! - [`lint`]: the checks that need no test run.
//! - [`components`]: plugins and test guests, from source to the folders that run them.
//! - [`tools`]: what a command needs beside cargo, fetched on first use and pinned.
//! - [`process`]: running a program so that its failure says what to do.
//! - [`workspace`]: where things are.
//!
//! No library does here what a few lines can: every command waits for this crate to compile.

mod commands;
mod components;
mod lint;
mod process;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::process::{print, say};
use crate::workspace::Workspace;

/// One command of `cargo xtask`.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "demo",
        arguments: "[arguments of `wasmill demo`]",
        about: "run the demo on the in-memory bus, with the first-party plugins; builds what is missing",
        run: commands::demo,
    },
    Task {
        name: "build",
        arguments: "",
        about: "the release binary and every plugin, copied to target/plugins and beside the examples' manifests",
        run: commands::build,
    },
    Task {
        name: "test",
        arguments: "[filter] [-- arguments of the test runner]",
        about: "all tests; fetches nats-server and the wasm target if they are missing",
        run: commands::test,
    },
    Task {
        name: "lint",
        arguments: "[--require-advisories]",
        about: "formatting, clippy for host and guests, documentation, licences and dependencies",
        run: lint::lint,
    },
    Task {
        name: "bench",
        arguments: "[arguments of wasmill-bench]",
        about: "measure the sandbox and the way from JetStream through a plugin and back",
        run: commands::bench,
    },
    Task {
        name: "doctor",
        arguments: "",
        about: "say which tools are there and which will be fetched",
        run: commands::doctor,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            say(&format!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        print(&help());
        bail!("no command given");
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print(&help());
        return Ok(());
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        bail!("there is no command {name:?}\n  hint: `cargo xtask help` lists the commands");
    };
    let ours = rest.iter().take_while(|argument| *argument != "--");
    if ours.into_iter().any(|argument| argument == "--help" || argument == "-h") {
        print(&format!("cargo xtask {} {}\n\n{}\n", task.name, task.arguments, task.about));
        return Ok(());
    }
    (task.run)(&Workspace::locate()?, rest)
}

fn help() -> String {
    let mut text = String::from("cargo xtask <command>\n\n");
    for task in TASKS {
        text.push_str(&format!("  {:<7} {}\n", task.name, task.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_unknown_command_names_the_way_to_the_list() {
        let err = dispatch(&words("biuld")).unwrap_err().to_string();
        assert!(err.contains("cargo xtask help"), "{err}");
        assert!(dispatch(&[]).is_err());
    }

    #[test]
    fn help_runs_nothing() {
        for task in TASKS {
            dispatch(&words(&format!("{} --help", task.name))).unwrap();
        }
    }
}
