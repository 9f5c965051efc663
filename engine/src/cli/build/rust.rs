//! Rust: cargo makes a component by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::process::{answer, output, run};
use super::project::Project;

/// What the component is compiled for.
const TARGET: &str = "wasm32-wasip2";

/// A line of what cargo tells programs.
#[derive(Debug, Deserialize)]
struct Told {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compiles the package.
///
/// # Errors
/// A missing tool, the compiler's failure, or a package that makes no component.
pub fn compile(project: &Project, install: bool) -> anyhow::Result<Vec<u8>> {
    let folder = &project.folder;
    has_target(folder, install)?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder);
    let told = output(&mut cargo)?;
    let manifest = folder.join("Cargo.toml").canonicalize().context("find Cargo.toml")?;
    let Some(component) = component_of(&String::from_utf8_lossy(&told), &manifest) else {
        bail!(
            "{} makes no component\n  hint: it says [lib] crate-type = [\"cdylib\"]",
            folder.join("Cargo.toml").display()
        );
    };
    std::fs::read(&component).with_context(|| format!("read {}", component.display()))
}

/// The component among what cargo made of this package; what it made of others is their own.
fn component_of(told: &str, manifest: &Path) -> Option<PathBuf> {
    let lines = told.lines().filter_map(|line| serde_json::from_str::<Told>(line).ok());
    lines
        .filter(|told| told.reason == "compiler-artifact" && told.manifest_path == manifest)
        .flat_map(|told| told.filenames)
        .find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

/// Asks in the project's folder: its toolchain file may name another compiler.
fn has_target(folder: &Path, install: bool) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder);
    if answer(Command::new("cargo").arg("--version").current_dir(folder)).is_none() {
        bail!("cargo is missing, which compiles Rust\n  hint: https://rustup.rs says how to install it");
    }
    let is_there = |folder: String| Path::new(&folder).is_dir();
    if answer(&mut rustc).is_some_and(is_there) {
        return Ok(());
    }
    if install {
        return run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(folder));
    }
    bail!(
        "the Rust toolchain lacks the target {TARGET}\n  hint: rustup target add {TARGET}\n  hint: `wasmill build \
         --install` does that"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_that_of_the_package() {
        let told = r#"
{"reason":"compiler-artifact","manifest_path":"/dep/Cargo.toml","filenames":["/t/dep.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/own/Cargo.toml","filenames":["/t/own.rlib"]}
{"reason":"compiler-message","manifest_path":"/own/Cargo.toml","message":{}}
not json
{"reason":"compiler-artifact","manifest_path":"/own/Cargo.toml","filenames":["/t/own.d","/t/own.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(component_of(told, Path::new("/own/Cargo.toml")), Some("/t/own.wasm".into()));
        assert_eq!(component_of(told, Path::new("/else/Cargo.toml")), None);
    }
}
