//! What runs plugins given as source, or holds those built of JavaScript: components and modules with an interpreter in them,
//! built once and shared by all plugins of a language.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{pip, stamp::Stamp, tools_home, with_tools};
use crate::process::{cargo, run};
use crate::tools;
use crate::workspace::{Workspace, place};

/// How one language's runner is made.
pub struct Runner {
    /// The language.
    pub language: &'static str,
    /// Whether the default tests run plugins with it.
    pub in_default_tests: bool,
    /// The file that pins its tool.
    requirements: &'static str,
    /// Files and folders it is made from.
    sources: &'static [&'static str],
    /// What is made of them.
    files: &'static [&'static str],
    /// Makes the files in a folder.
    make: fn(&Workspace, &Path, &Path) -> Result<()>,
}

/// Every runner.
pub const RUNNERS: &[Runner] = &[
    Runner {
        language: "python",
        in_default_tests: true,
        requirements: "engine/templates/python/requirements.txt",
        sources: &["engine/runners/python", "engine/runners/wit", "plugin-sdk/python", "plugin-sdk/wit"],
        files: &["python.wasm"],
        make: make_python,
    },
    Runner {
        language: "javascript",
        in_default_tests: false,
        requirements: "engine/templates/zig/requirements.txt",
        sources: &[
            "engine/runners/javascript",
            "engine/runners/wit",
            "engine/src/sandbox/encode",
            "engine/src/sandbox/snapshot.rs",
            "plugin-sdk/javascript",
            "plugin-sdk/wit",
            "xtask/src/languages/runners.rs",
        ],
        files: &["javascript.wasm", JAVASCRIPT_MODULE],
        make: make_javascript,
    },
];

/// Into which `wasmill build` puts a plugin.
const JAVASCRIPT_MODULE: &str = "javascript-plugin.wasm";
/// What JavaScript's interpreter is compiled for: it asks nothing of a system.
const BARE_TARGET: &str = "wasm32-unknown-unknown";

/// What a runner is made of and where it is.
pub fn files(workspace: &Workspace, runner: &Runner) -> Vec<PathBuf> {
    runner.files.iter().map(|file| workspace.runners().join(file)).collect()
}

/// Builds a runner that is not up to date. `engine` is the engine's program.
pub fn build(workspace: &Workspace, engine: &Path, runner: &Runner) -> Result<()> {
    let requirements = workspace.root.join(runner.requirements);
    let mut inputs: Vec<_> = runner.sources.iter().map(|source| workspace.root.join(source)).collect();
    inputs.push(requirements.clone());
    let name = format!("runner-{}", runner.language);
    let stamp = Stamp::new(workspace, &name, &inputs, "")?;
    if stamp.is_fresh(&files(workspace, runner)) {
        return Ok(());
    }
    pip(workspace, &requirements)?;
    let drafts = workspace.languages().join(name);
    fs::create_dir_all(&drafts)?;
    (runner.make)(workspace, engine, &drafts)?;
    for file in runner.files {
        // An engine may be reading from there: a finished file takes its place in one step.
        let draft = drafts.join(file);
        let bytes = fs::read(&draft).with_context(|| format!("cannot read {}", draft.display()))?;
        place(&workspace.runners().join(file), &bytes)?;
    }
    fs::remove_dir_all(&drafts)?;
    stamp.set()
}

fn make_python(workspace: &Workspace, _: &Path, drafts: &Path) -> Result<()> {
    let mut command = with_tools(workspace, tools_home(workspace).join("bin/componentize-py"))?;
    command.current_dir(&workspace.root);
    command.args(["--quiet", "--wit-path=plugin-sdk/wit", "--wit-path=engine/runners/wit"]);
    command.args(["--world=wasmill:runner/runner", "--world-module=wasmill_world", "componentize"]);
    command.args(["--python-path=engine/runners/python", "--python-path=plugin-sdk/python", "runner"]);
    command.arg("--output").arg(drafts.join("python.wasm"));
    // componentize-py takes the packages of the Python that it finds into the component, and of an empty one none.
    let empty = drafts.join("no-packages");
    fs::create_dir_all(empty.join("lib/python3.14/site-packages"))?;
    run("runner of Python source", command.env("VIRTUAL_ENV", empty))
}

fn make_javascript(workspace: &Workspace, engine: &Path, drafts: &Path) -> Result<()> {
    tools::target(workspace, BARE_TARGET)?;
    compile_javascript(workspace, &[], &drafts.join(JAVASCRIPT_MODULE))?;
    let module = drafts.join("javascript-runner.wasm");
    compile_javascript(workspace, &["--features", "runner"], &module)?;
    let mut command = with_tools(workspace, engine)?;
    command.arg("build-ahead").arg(module).arg(drafts.join("javascript.wasm"));
    run("runner of JavaScript source", &mut command)
}

fn compile_javascript(workspace: &Workspace, features: &[&str], to: &Path) -> Result<()> {
    let mut command = cargo(workspace);
    command.current_dir(workspace.root.join("engine/runners/javascript"));
    command.args(["build", "--release", "--locked", "--target", BARE_TARGET]).args(features);
    for (variable, tool) in [("CC", "cc"), ("AR", "ar")] {
        let script = zig_script(workspace, tool)?;
        command.env(format!("{variable}_{}", BARE_TARGET.replace('-', "_")), script);
    }
    run(&format!("JavaScript's interpreter {}", features.join(" ")), &mut command)?;
    let made = workspace.target.join(BARE_TARGET).join("release/wasmill_javascript.wasm");
    fs::copy(&made, to).with_context(|| format!("cannot copy {}", made.display()))?;
    Ok(())
}

/// zig as a C compiler under a name of its own. The target that Rust's build scripts name is none that zig knows.
fn zig_script(workspace: &Workspace, tool: &str) -> Result<PathBuf> {
    let bin = tools_home(workspace).join("bin");
    let script = bin.join(format!("zig-{tool}"));
    let target = if tool == "cc" { "-target wasm32-freestanding" } else { "" };
    let text = format!(
        "#!/bin/sh\nfor word do\n  shift\n  case $word in --target=*) ;; *) set -- \"$@\" \"$word\" ;; esac\ndone\n\
         exec '{}' -m ziglang {tool} {target} \"$@\"\n",
        bin.join("python3").display()
    );
    place(&script, text.as_bytes())?;
    tools::make_executable(&script)?;
    Ok(script)
}
