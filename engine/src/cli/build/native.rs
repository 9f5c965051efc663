//! C, C++ and Zig: zig compiles all three to a core module.

use std::fs;
use std::iter::once;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

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

/// From `src/*.c` to a core module.
pub const C: Recipe = Recipe { tools: &[&ZIG_TOOL], compile: |toolbox| compile_c(toolbox, &C_COMPILER) };
/// From `src/*.cpp` to a core module.
pub const CPP: Recipe = Recipe { tools: &[&ZIG_TOOL], compile: |toolbox| compile_c(toolbox, &CPP_COMPILER) };
/// From `src/plugin.zig` to a core module.
pub const ZIG: Recipe = Recipe { tools: &[&ZIG_TOOL], compile: compile_zig };

/// The guest's stack. zig's own default is sixty times as much, of which each fresh instance would have a copy.
const STACK_BYTES: u32 = 256 * 1_024;

/// What is made, in the project's folder for such things, where zig runs.
const MODULE: &str = "plugin.wasm";

/// How zig compiles a language of the C family.
struct Compiler {
    /// The name that zig gives to it.
    command: &'static str,
    /// How source files end.
    endings: &'static [&'static str],
    /// What it is told beside what holds for all.
    flags: &'static [&'static str],
}

const C_COMPILER: Compiler = Compiler { command: "cc", endings: &["c"], flags: &[] };
const CPP_COMPILER: Compiler = Compiler {
    command: "c++",
    endings: &["cpp", "cc", "cxx", "c"],
    // The engine knows no WebAssembly exceptions, so there is nothing to throw with.
    flags: &["-fno-exceptions", "-fno-rtti"],
};

fn compile_c(toolbox: &Toolbox<'_>, compiler: &Compiler) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let (sdk, c_sdk) = (&project.sdk, c_folder(&project.sdk));
    let mut zig = toolbox.find(&ZIG_TOOL)?.command();
    zig.args([compiler.command, "-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-g"]);
    zig.args(["-Wall", "-Wextra"]).args(compiler.flags);
    zig.arg(format!("-Wl,-z,stack-size={STACK_BYTES}"));
    // The component, and the places that it names in traces, are the same wherever it is built.
    zig.arg(format!("-ffile-prefix-map={}/=", project.folder.display()));
    for folder in once(sdk).chain(Some(&c_sdk).filter(|c_sdk| *c_sdk != sdk)) {
        zig.arg(format!("-ffile-prefix-map={}/=wasmill/", folder.display())).arg("-I").arg(folder);
    }
    zig.args(sources(&project.folder.join("src"), compiler.endings)?);
    zig.args(sources(&c_sdk, C_COMPILER.endings)?);
    zig.args(["-o", MODULE]);
    made(toolbox, zig)
}

/// Where the C part of an SDK is: C++'s stands on it, in the same folder in a project, in the one beside it in a checkout.
fn c_folder(sdk: &Path) -> PathBuf {
    match sdk.parent() {
        Some(parent) if !sdk.join("wasmill.h").is_file() => parent.join("c"),
        _ => sdk.to_owned(),
    }
}

/// The source files right in a folder, by name.
fn sources(folder: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_source).collect();
    found.sort();
    if found.is_empty() {
        bail!("{} holds no source that ends in .{}", folder.display(), endings.join(", ."));
    }
    Ok(found)
}

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
    zig.arg(format!("-femit-bin={MODULE}"));
    made(toolbox, zig)
}

/// Runs a command of zig's that makes the module, and reads that.
fn made(toolbox: &Toolbox<'_>, mut zig: Command) -> anyhow::Result<Vec<u8>> {
    let work = toolbox.project().work_folder()?;
    let module = work.join(MODULE);
    zig.env("ZIG_LOCAL_CACHE_DIR", work.join("zig")).current_dir(&work);
    run(&mut zig)?;
    let bytes = fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    // What is left in the project's folder is what became of it: a core module runs as it is, too.
    let stripped = without_debug_sections(&bytes);
    fs::write(&module, &stripped).with_context(|| format!("write {}", module.display()))?;
    Ok(stripped)
}
