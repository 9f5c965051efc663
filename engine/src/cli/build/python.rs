//! Python: componentize-py runs the plugin's imports and keeps what they left in memory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Recipe;
use super::process::run;
use super::tools::{Tool, Toolbox};
use crate::cli::language;

const COMPONENTIZE_PY: Tool = Tool {
    program: "componentize-py",
    does: "makes a component of Python",
    package: "componentize-py",
    module: None,
    version: &["--version"],
};

/// From `plugin.py` to a component.
pub const RECIPE: Recipe = Recipe { tools: &[&COMPONENTIZE_PY], compile };

/// The part of the contract that the SDK implements.
const WORLD: &str = "wasmill:plugin/full-plugin";
/// What the SDK calls the module that componentize-py makes of the contract.
const BINDINGS: &str = "wasmill_world";
/// Where componentize-py's Python looks for packages in a virtual environment.
const PACKAGES: &str = "lib/python3.14/site-packages";
/// The SDK's module around the author's.
const ENTRY: &str = "wasmill.component";

fn compile(toolbox: &Toolbox<'_>) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let tool = toolbox.find(&COMPONENTIZE_PY)?;
    let work = project.work_folder()?;
    let (wit, component) = (work.join("wit"), work.join("component.wasm"));
    write_contract(&wit)?;
    let mut command = tool.command();
    // An error of the author's would be buried under a trace through the tool itself.
    command.env("VIRTUAL_ENV", empty_environment(&work)?).env("RUST_BACKTRACE", "0");
    command.arg("--quiet").arg("--wit-path").arg(&wit);
    command.args(["--world", WORLD, "--world-module", BINDINGS, "componentize"]);
    for folder in [&project.folder, &package_parent(&project.sdk)] {
        command.arg("--python-path").arg(folder);
    }
    command.arg(ENTRY).arg("--output").arg(&component);
    run(&mut command)?;
    fs::read(&component).with_context(|| format!("read {}", component.display()))
}

/// The folder from which the SDK's package is imported: a project has the package itself, a checkout has more around it.
fn package_parent(sdk: &Path) -> PathBuf {
    let is_package = sdk.join("__init__.py").is_file();
    sdk.parent().filter(|_| is_package).unwrap_or(sdk).to_owned()
}

/// A virtual environment without a package. Otherwise the plugin could import what happens to be installed on the machine,
/// and would not be the same on another.
fn empty_environment(work: &Path) -> anyhow::Result<PathBuf> {
    let environment = work.join("venv");
    let packages = environment.join(PACKAGES);
    fs::create_dir_all(&packages).with_context(|| format!("make {}", packages.display()))?;
    Ok(environment)
}

fn write_contract(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    for (path, text) in language::contract() {
        fs::write(folder.join(path), text)
            .with_context(|| format!("write {}", folder.join(path).display()))?;
    }
    Ok(())
}
