//! JavaScript and TypeScript: esbuild makes one file of the plugin's modules, and a prebuilt module that holds QuickJS takes
//! it in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::Recipe;
use super::process::run;
use super::project::Project;
use super::tools::{Tool, Toolbox};
use crate::sandbox::snapshot::{SnapshotError, Source, snapshot};

const ESBUILD: Tool = Tool {
    program: "esbuild",
    does: "bundles JavaScript",
    package: "esbuild",
    module: None,
    version: &["--version"],
};
const TSC: Tool = Tool {
    program: "tsc",
    does: "checks the types of TypeScript",
    package: "typescript",
    module: None,
    version: &["--version"],
};

/// From `plugin.js` to a core module.
pub const JAVASCRIPT: Recipe = Recipe { tools: &[&ESBUILD], compile: bundle };
/// From `plugin.ts` to a core module.
pub const TYPESCRIPT: Recipe = Recipe { tools: &[&TSC, &ESBUILD], compile: check_and_bundle };

/// The module that takes a source in. It comes with the engine, as the runners of source plugins do.
const RUNTIME: &str = "javascript-plugin.wasm";
/// What the author's file may be called.
const ENTRIES: [&str; 2] = ["plugin.js", "plugin.ts"];
/// One module for no platform in particular; the runtime brings the SDK. Without the sources in it, the map is as small as
/// line numbers can be.
const BUNDLE: [&str; 11] = [
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    "--main-fields=module,main",
    "--conditions=module,import",
    "--target=es2023",
    "--external:wasmill",
    "--charset=utf8",
    "--sourcemap=external",
    "--sources-content=false",
    "--log-level=warning",
];

fn check_and_bundle(toolbox: &Toolbox<'_>) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let mut tsc = toolbox.find(&TSC)?.command();
    // Found before it is needed, so that one build tells of both.
    toolbox.find(&ESBUILD)?;
    run(tsc.args(["--noEmit", "--project", "tsconfig.json"]).current_dir(&project.folder))?;
    bundle(toolbox)
}

fn bundle(toolbox: &Toolbox<'_>) -> anyhow::Result<Vec<u8>> {
    let project = toolbox.project();
    let name = format!("{}.js", project.name);
    let bundled = project.work_folder()?.join(&name);
    let mut esbuild = toolbox.find(&ESBUILD)?.command();
    esbuild.arg(entry(project)?).args(BUNDLE).arg(format!("--outfile={}", bundled.display()));
    run(esbuild.current_dir(&project.folder))?;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let (text, map) = (read(&bundled)?, read(&bundled.with_extension("js.map"))?);
    let runtime = runtime(toolbox.runners())?;
    let source = Source { name: &name, text: &text, map: &map };
    snapshot(&runtime, source).map_err(|err| match err {
        SnapshotError::Source(fault) => anyhow!("the top level of {} fails: {fault}", project.name),
        other => anyhow!(other),
    })
}

fn entry(project: &Project) -> anyhow::Result<&'static str> {
    let there = ENTRIES.into_iter().find(|entry| project.folder.join(entry).is_file());
    there.ok_or_else(|| anyhow!("{} has no {}", project.folder.display(), ENTRIES.join(" or ")))
}

/// The first of these folders that has it decides.
fn runtime(folders: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let Some(path) = folders.iter().map(|folder| folder.join(RUNTIME)).find(|path| path.is_file()) else {
        let looked = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>();
        bail!(
            "{RUNTIME} is missing, which runs JavaScript: {} holds none\n  hint: it comes with wasmill, in `runners`; `cargo \
             xtask build` makes it in a checkout\n  hint: `--runners DIR` says where it is",
            looked.join(" or ")
        );
    };
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}
