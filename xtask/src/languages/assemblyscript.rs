//! AssemblyScript, which has an example in place of a template: npm builds it and the conformance plugin, which is core
//! modules both.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::stamp::Stamp;
use super::{node, with_tools};
use crate::process::{output, run};
use crate::workspace::{Workspace, place};

/// Its name: of its folders, and on the command line.
pub const NAME: &str = "assemblyscript";

/// Builds the example, runs its tests and has the engine check it; builds the conformance plugin and
/// tries it with the SDK's engine of unit tests. Nothing is done that is up to date. Answers what it was built with.
pub fn build(workspace: &Workspace, engine: &Path) -> Result<String> {
    node::provide(workspace)?;
    let example = workspace.root.join("examples").join(NAME);
    let conformance = workspace.root.join("tests/languages").join(NAME);
    let module = workspace.languages().join(format!("{NAME}.wasm"));
    let inputs =
        [example.clone(), conformance.clone(), workspace.root.join("xtask/src/languages/assemblyscript.rs")];
    let stamp = Stamp::new(workspace, NAME, &inputs, "")?;
    let compiler = example.join("node_modules/.bin/asc");
    if !stamp.is_fresh(&[module.clone(), compiler.clone()]) {
        npm(workspace, &example, &["ci", "--no-audit", "--no-fund"])?;
        npm(workspace, &example, &["run", "build"])?;
        npm(workspace, &example, &["test"])?;
        check(workspace, engine, &example)?;
        npm(workspace, &conformance, &["ci", "--no-audit", "--no-fund"])?;
        npm(workspace, &conformance, &["run", "build"])?;
        npm(workspace, &conformance, &["test"])?;
        copy(&conformance.join("build/conformance.wasm"), &module)?;
        stamp.set()?;
    }
    let said = output(with_tools(workspace, compiler)?.current_dir(&workspace.root).arg("--version"))?;
    Ok(format!("asc {}", said.trim().trim_start_matches("Version ")))
}

fn npm(workspace: &Workspace, folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = with_tools(workspace, "npm")?;
    let name = folder.strip_prefix(&workspace.root).unwrap_or(folder);
    run(
        &format!("{}: npm {}", name.display(), arguments.join(" ")),
        command.current_dir(folder).args(arguments),
    )
}

/// Puts the example's two files together as its README says, and asks the engine whether it takes them.
fn check(workspace: &Workspace, engine: &Path, example: &Path) -> Result<()> {
    let dir = workspace.languages().join("example-assemblyscript");
    let plugin = dir.join("large-payment.wasm");
    copy(&example.join("large-payment.toml"), &dir.join("large-payment.toml"))?;
    copy(&example.join("build/large-payment.wasm"), &plugin)?;
    run("the example in the engine", with_tools(workspace, engine)?.args(["check", "--strict"]).arg(plugin))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    place(to, &fs::read(from).with_context(|| format!("cannot read {}", from.display()))?)
}
