//! The checks that need no test run. Each runs even if one before it failed, so that one look shows all there is to mend.

use std::process::Command;

use anyhow::{Result, bail};

use crate::commands::HOST_PACKAGES;
use crate::components::{EXAMPLES, TARGET, example, first_party};
use crate::process::{cargo, output, run, say};
use crate::tools;
use crate::workspace::{CONFORMANCE, GUESTS, Workspace};

type Check = (&'static str, fn(&Workspace) -> Result<()>);

const CHECKS: [Check; 6] = [
    ("formatting", |workspace| run("formatting", cargo(workspace).args(["fmt", "--all", "--check"]))),
    ("clippy", clippy),
    ("clippy for guests", clippy_for_guests),
    ("examples", examples),
    ("documentation", documentation),
    ("dependencies", dependencies),
];

/// `cargo xtask lint`
pub fn lint(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let require_advisories = match arguments {
        [] => false,
        [only] if only == "--require-advisories" => true,
        _ => bail!(
            "cargo xtask lint takes --require-advisories and nothing else, and got {}",
            arguments.join(" ")
        ),
    };
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        if let Err(err) = check(workspace) {
            say(&format!("error: {err:#}"));
            failed.push(name);
        }
    }
    match advisories(workspace) {
        Ok(Advisories::Clean) => {}
        Ok(Advisories::NotChecked(why)) => {
            say(&format!("warning: SECURITY ADVISORIES WERE NOT CHECKED: {why}"));
            say(
                "  hint: run `cargo xtask lint --require-advisories` where the advisory database can be fetched",
            );
            if require_advisories {
                failed.push("advisories (not checked)");
            }
        }
        Err(err) => {
            say(&format!("error: {err:#}"));
            failed.push("advisories");
        }
    }
    if !failed.is_empty() {
        bail!("lint found faults in: {}", failed.join(", "));
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace);
    command.arg("clippy").args(HOST_PACKAGES).args(["--all-targets", "--", "--deny", "warnings"]);
    run("clippy", &mut command)
}

/// Guests are compiled for another target, where other code of theirs is in force. The profile is the one that they are
/// built with, so that their macros are compiled once for both.
fn clippy_for_guests(workspace: &Workspace) -> Result<()> {
    tools::wasm_target(workspace)?;
    let mut command = cargo(workspace);
    command.args(["clippy", "--profile", "plugin", "--target", TARGET, "--lib"]);
    command.args(["--package", "wasmill-sdk"]);
    let plugins = first_party(workspace)?;
    for name in plugins.iter().map(String::as_str).chain(GUESTS).chain([CONFORMANCE]) {
        command.args(["--package", name]);
    }
    run("clippy for guests", command.args(["--", "--deny", "warnings"]))
}

/// Examples that are projects of their own are held to the same.
fn examples(workspace: &Workspace) -> Result<()> {
    for (folder, _) in EXAMPLES {
        let mut command = example(workspace, folder);
        run(&format!("formatting of example {folder}"), command.args(["fmt", "--check"]))?;
        let mut command = example(workspace, folder);
        command.args(["clippy", "--locked", "--all-targets"]).arg("--target-dir").arg(&workspace.target);
        run(&format!("clippy for example {folder}"), command.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace);
    command.arg("doc").args(HOST_PACKAGES).arg("--no-deps").env("RUSTDOCFLAGS", "--deny warnings");
    run("documentation", &mut command)
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    let mut command = deny(workspace)?;
    // A list of exceptions only shrinks: what is not needed any more is a fault like any other.
    command.args([
        "check",
        "--deny",
        "unmatched-skip",
        "--deny",
        "unnecessary-skip",
        "bans",
        "licenses",
        "sources",
    ]);
    run("licences, duplicates and sources", &mut command)
}

enum Advisories {
    Clean,
    NotChecked(String),
}

/// The advisory database lies on a host of its own, which not every network reaches: without it nothing is known, and
/// that is neither a pass nor a fault of the tree. Fetching and checking are therefore two steps.
fn advisories(workspace: &Workspace) -> Result<Advisories> {
    if let Err(err) = output(deny(workspace)?.args(["fetch", "db"])) {
        let text = err.to_string();
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Ok(Advisories::NotChecked(format!("their database cannot be fetched ({})", last.trim())));
    }
    run("advisories", deny(workspace)?.args(["check", "--disable-fetch", "advisories"]))?;
    Ok(Advisories::Clean)
}

fn deny(workspace: &Workspace) -> Result<Command> {
    let mut command = Command::new(tools::cargo_deny(workspace)?);
    command.current_dir(&workspace.root).args(["--locked", "--all-features"]);
    Ok(command)
}
