//! The runners of source plugins: components that hold an interpreter, built once and shared by all plugins of a language.

use std::path::PathBuf;

use anyhow::Result;

use super::{pip, stamp::Stamp, tools_home, with_tools};
use crate::process::run;
use crate::workspace::{Workspace, place};

/// How one language's runner is made.
pub struct Runner {
    /// The language, which is also the runner's name.
    pub language: &'static str,
    /// Whether the default tests run plugins with it.
    pub in_default_tests: bool,
    /// The file that pins its tool.
    requirements: &'static str,
    /// Folders it is made from.
    sources: &'static [&'static str],
    /// The command, in the root of the work tree; the path of the component follows.
    command: &'static [&'static str],
}

/// Every runner.
pub const RUNNERS: &[Runner] = &[Runner {
    language: "python",
    in_default_tests: true,
    requirements: "engine/templates/python/requirements.txt",
    sources: &["engine/runners/python", "engine/runners/wit", "plugin-sdk/python", "plugin-sdk/wit"],
    command: &[
        "componentize-py",
        "--quiet",
        "--wit-path=plugin-sdk/wit",
        "--wit-path=engine/runners/wit",
        "--world=wasmill:runner/runner",
        "--world-module=wasmill_world",
        "componentize",
        "--python-path=engine/runners/python",
        "--python-path=plugin-sdk/python",
        "runner",
        "--output",
    ],
}];

/// Where a runner is.
pub fn path(workspace: &Workspace, runner: &Runner) -> PathBuf {
    workspace.runners().join(format!("{}.wasm", runner.language))
}

/// Builds a runner that is not up to date.
pub fn build(workspace: &Workspace, runner: &Runner) -> Result<()> {
    let requirements = workspace.root.join(runner.requirements);
    let mut inputs: Vec<_> = runner.sources.iter().map(|source| workspace.root.join(source)).collect();
    inputs.push(requirements.clone());
    let name = format!("runner-{}", runner.language);
    let stamp = Stamp::new(workspace, &name, &inputs, &runner.command.join(" "))?;
    let path = path(workspace, runner);
    if stamp.is_fresh(std::slice::from_ref(&path)) {
        return Ok(());
    }
    pip(workspace, &requirements)?;
    // A folder that an engine may be reading from: the finished file takes its place in one step.
    let draft = workspace.languages().join(format!("{name}.wasm"));
    let (program, arguments) = runner.command.split_first().unwrap_or((&"", &[]));
    let mut command = with_tools(workspace, tools_home(workspace).join("bin").join(program))?;
    command.current_dir(&workspace.root).args(arguments).arg(&draft);
    // componentize-py takes the packages of the Python that it finds into the component, and of an empty one none.
    let empty = workspace.languages().join("no-packages");
    std::fs::create_dir_all(empty.join("lib/python3.14/site-packages"))?;
    command.env("VIRTUAL_ENV", empty);
    run(&format!("runner of {} source", runner.language), &mut command)?;
    place(&path, &std::fs::read(&draft)?)?;
    std::fs::remove_file(&draft)?;
    stamp.set()
}
