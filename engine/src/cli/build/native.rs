//! C, C++ and Zig: zig compiles all three to a core module.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::Recipe;
use super::process::run;
use super::strip::without_debug_sections;
use super::tools::{Tool, Toolbox};

const ZIG_TOOL: Tool = Tool {
    program: "zig",
    does: "compiles C, C++ and Zig",
    package: "ziglang",
    module: Some("ziglang"),
    version: &["version"],
};

/// From `src/plugin.zig` to a core module.
pub const ZIG: Recipe = Recipe { tools: &[&ZIG_TOOL], compile: compile_zig };

/// The guest's stack. zig's own default is sixty times as much, of which each fresh instance would have a copy.
const STACK_BYTES: u32 = 256 * 1_024;

fn compile_zig(toolbox: &Toolbox<'_>) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let mut zig = toolbox.find(&ZIG_TOOL)?.command();
    let module = |name: &str, file: &Path| format!("-M{name}={}", file.display());
    zig.args(["build-exe", "-target", "wasm32-freestanding", "-mcpu", "generic", "-OReleaseSafe"]);
    // Traces are made of names.
    zig.args(["-fno-strip", "-fno-entry", "-rdynamic", "--stack", &STACK_BYTES.to_string()]);
    zig.args(["--name", "plugin", "--dep", "wasmill", "--dep", "plugin"]);
    zig.arg(module("root", &project.sdk.join("root.zig")));
    zig.args(["--dep", "wasmill"]).arg(module("plugin", &project.folder.join("src/plugin.zig")));
    zig.arg(module("wasmill", &project.sdk.join("wasmill.zig")));
    made(toolbox, zig)
}

/// Runs a command of zig's that makes the module, and reads that.
fn made(toolbox: &Toolbox<'_>, mut zig: Command) -> anyhow::Result<Vec<u8>> {
    let work = toolbox.project().work_folder()?;
    let module = work.join("plugin.wasm");
    zig.arg(format!("-femit-bin={}", module.display()));
    zig.env("ZIG_LOCAL_CACHE_DIR", work.join("zig")).current_dir(&work);
    run(&mut zig)?;
    let bytes = fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    Ok(without_debug_sections(&bytes))
}
