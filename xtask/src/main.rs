//! Builds, tests, demonstrates and measures Wasmill. `cargo xtask help` lists the commands.
//!
//! - [`commands`]: one function for each command, in the order in which a newcomer needs them.
//! - [`lint`]: the checks that need no test run.
//! - [`components`]: plugins and test guests, from source to the folders that run them.
//! - [`languages`]: the same plugin in every language, built and held against each other.
//! - [`tools`]: what a command needs beside cargo, fetched on first use and pinned.
//! - [`process`]: running a program so that its failure says what to do.
//! - [`workspace`]: where things are.
//!
//! No library does here what a few lines can: every command waits for this crate to compile.

mod commands;
mod components;
mod languages;
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
        about: "the release binary, every plugin, copied to target/plugins and beside the examples' manifests, and the runners",
        run: commands::build,
    },
    Task {
        name: "test",
        arguments: "[filter] [-- arguments of the test runner]",
        about: "all tests; fetches nats-server, the wasm target and the tools of two languages if they are missing",
        run: commands::test,
    },
    Task {
        name: "lint",
        arguments: "[--require-advisories]",
        about: "formatting, clippy for host and guests, documentation, licences and dependencies",
        run: lint::lint,
    },
    Task {
        name: "languages",
        arguments: "[--only NAME,…] [--no-figures] [--report]",
        about: "the SDK, the conformance plugin and the template of every language, tested, built, checked and measured; fetches the tools",
        run: languages::languages,
    },
    Task {
        name: "bench",
        arguments: "[arguments of wasmill-bench]",
        about: "measure the sandbox and the way from JetStream through a plugin and back",
        run: commands::bench,
    },
    Task {
        name: "chaos",
        arguments: "[arguments of wasmill-chaos]",
        about: "kill, cut off and swap real engines under load, and judge what came of it",
        run: commands::chaos,
    },
    Task {
        name: "simulate",
        arguments: "[--optimize] [arguments of wasmill-simulate]",
        about: "delivery under faults, from seeds; with --mutant all, whether deliberate defects are found",
        run: commands::simulate,
    },
    Task {
        name: "doctor",
        arguments: "",
        about: "say which tools are there and which will be fetched",
        run: commands::doctor,
    },
];

/// What a command line asks for.
enum Wanted<'a> {
    /// To be told something.
    Text(String),
    /// A task, with its arguments.
    Run(&'static Task, &'a [String]),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = understand(&arguments).and_then(|wanted| match wanted {
        Wanted::Text(text) => {
            print(&text);
            Ok(())
        }
        Wanted::Run(task, rest) => (task.run)(&Workspace::locate()?, rest),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            say(&format!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

fn understand(arguments: &[String]) -> Result<Wanted<'_>> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{}", help());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return Ok(Wanted::Text(help()));
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        bail!("there is no command {name:?}\n  hint: `cargo xtask help` lists the commands");
    };
    let mut ours = rest.iter().take_while(|argument| *argument != "--");
    if ours.any(|argument| argument == "--help" || argument == "-h") {
        return Ok(Wanted::Text(format!("cargo xtask {} {}\n\n{}\n", task.name, task.arguments, task.about)));
    }
    Ok(Wanted::Run(task, rest))
}

fn help() -> String {
    let mut text = String::from("cargo xtask <command>\n\n");
    for task in TASKS {
        text.push_str(&format!("  {:<9} {}\n", task.name, task.about));
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
        let err = understand(&words("biuld")).err().unwrap().to_string();
        assert!(err.contains("cargo xtask help"), "{err}");
        assert!(understand(&[]).is_err());
    }

    #[test]
    fn help_runs_nothing_and_arguments_pass_through() {
        for task in TASKS {
            let asked = words(&format!("{} --help", task.name));
            assert!(matches!(understand(&asked), Ok(Wanted::Text(_))), "{}", task.name);
        }
        let asked = words("test hostile -- --help");
        assert!(matches!(understand(&asked), Ok(Wanted::Run(task, [_, _, _])) if task.name == "test"));
    }
}
