//! Plugins and test guests: from source to the folders that run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, run};
use crate::tools;
use crate::workspace::{CONFORMANCE, GUESTS, Workspace, entries, place, stem};

/// The target that guests are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// First line of a manifest that runs a plugin under another name: `# component: amount-threshold`. A manifest named
/// as a plugin needs no such line.
const COMPONENT_LINE: &str = "# component:";

/// Examples that are projects of their own: folder and package.
pub const EXAMPLES: [(&str, &str); 1] = [("rhai", "scripted-rule")];

/// The plugins of this workspace: one for each folder in plugins/ and examples/ that is a package of the same name. Examples that
/// are projects of their own are not among them.
pub fn first_party(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let folders = [entries(&workspace.root.join("plugins"))?, entries(&workspace.root.join("examples"))?];
    for dir in folders.into_iter().flatten() {
        let Ok(package) = fs::read_to_string(dir.join("Cargo.toml")) else { continue };
        if !package.lines().any(|line| line.trim() == "version.workspace = true") {
            continue;
        }
        let name = stem(&dir)?;
        if !package.lines().any(|line| line.trim() == format!("name = \"{name}\"")) {
            bail!("{}/Cargo.toml: the package is not named {name:?} as its folder is", dir.display());
        }
        names.push(name);
    }
    Ok(names)
}

/// Builds every plugin of this workspace into target/plugins, and with `guests` the test guests and examples into target/guests and the
/// conformance plugin in Rust into target/languages. One cargo run for all but the examples, so that what they share is
/// compiled once.
pub fn build(workspace: &Workspace, guests: bool) -> Result<()> {
    tools::wasm_target(workspace)?;
    let plugins = first_party(workspace)?;
    let of_tests = GUESTS.into_iter().chain([CONFORMANCE]).filter(|_| guests);
    let mut command = cargo(workspace);
    command.args(["build", "--profile", "plugin", "--target", TARGET]);
    for name in plugins.iter().map(String::as_str).chain(of_tests) {
        command.args(["--package", name]);
    }
    run("plugins", &mut command)?;
    for name in &plugins {
        install(workspace, name, &workspace.plugins().join(format!("{name}.wasm")))?;
    }
    if guests {
        for name in GUESTS {
            install(workspace, name, &workspace.guests().join(format!("{name}.wasm")))?;
        }
        install(workspace, CONFORMANCE, &workspace.languages().join("rust.wasm"))?;
        for (folder, name) in EXAMPLES {
            build_example(workspace, folder)?;
            install(workspace, name, &workspace.guests().join(format!("{name}.wasm")))?;
        }
    }
    Ok(())
}

/// Builds an example as its README tells, but into the same folder as all else.
fn build_example(workspace: &Workspace, folder: &str) -> Result<()> {
    let mut command = example(workspace, folder);
    command.args(["build", "--locked", "--profile", "plugin", "--target", TARGET]);
    run(&format!("example {folder}"), command.arg("--target-dir").arg(&workspace.target))
}

/// Runs the tests that the examples have of their own.
pub fn test_examples(workspace: &Workspace) -> Result<()> {
    for (folder, _) in EXAMPLES {
        let mut command = example(workspace, folder);
        command.args(["test", "--locked", "--target-dir"]).arg(&workspace.target);
        run(&format!("tests of example {folder}"), &mut command)?;
    }
    Ok(())
}

/// Cargo in an example's folder.
pub fn example(workspace: &Workspace, folder: &str) -> Command {
    let mut command = cargo(workspace);
    command.current_dir(workspace.root.join("examples").join(folder));
    command
}

fn install(workspace: &Workspace, name: &str, to: &Path) -> Result<()> {
    let built = workspace.target.join(TARGET).join("plugin").join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = fs::read(&built).with_context(|| {
        format!("{name} left no component at {}: is its crate-type cdylib?", built.display())
    })?;
    place(to, &bytes)
}

/// A manifest in a plugin folder and the component that it runs.
pub struct Placement {
    /// The manifest.
    pub manifest: PathBuf,
    /// The first-party plugin.
    pub component: String,
}

/// What a plugin folder runs, read from its manifests.
pub fn placements(workspace: &Workspace, folder: &Path) -> Result<Vec<Placement>> {
    let known = first_party(workspace)?;
    let mut found = Vec::new();
    for manifest in entries(folder)? {
        // A rule in source is its own code: there is nothing to put beside it.
        let is_source = ["py", "js"].iter().any(|ending| manifest.with_extension(ending).is_file());
        if is_source || manifest.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text =
            fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let component = match named_component(&text) {
            Some(name) => name.to_owned(),
            None => stem(&manifest)?,
        };
        if !known.contains(&component) {
            bail!(
                "{}: there is no plugin {component:?}\n  hint: begin the manifest with `{COMPONENT_LINE} <one of {}>`",
                manifest.display(),
                known.join(", ")
            );
        }
        found.push(Placement { manifest, component });
    }
    Ok(found)
}

fn named_component(manifest: &str) -> Option<&str> {
    manifest.lines().next()?.strip_prefix(COMPONENT_LINE).map(str::trim)
}

/// Puts the components beside the manifests of every example.
pub fn place_in_examples(workspace: &Workspace) -> Result<()> {
    for example in entries(&workspace.root.join("examples"))? {
        for placement in placements(workspace, &example.join("plugins"))? {
            place_component(workspace, &placement, &placement.manifest.with_extension("wasm"))?;
        }
    }
    Ok(())
}

/// Puts one placement's component where it is to run.
pub fn place_component(workspace: &Workspace, placement: &Placement, to: &Path) -> Result<()> {
    let from = workspace.plugins().join(format!("{}.wasm", placement.component));
    place(to, &fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_may_name_its_component() {
        assert_eq!(named_component("# component: amount-threshold\nx = 1"), Some("amount-threshold"));
        assert_eq!(named_component("x = 1\n# component: a"), None);
        assert_eq!(named_component(""), None);
    }

    #[test]
    fn a_manifest_of_no_plugin_is_refused_by_name() {
        let workspace = Workspace::locate().unwrap();
        let folder = std::env::temp_dir().join(format!("xtask-placements-{}", std::process::id()));
        place(&folder.join("ghost.toml"), b"").unwrap();
        let err = placements(&workspace, &folder).err().unwrap().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(err.contains("no plugin \"ghost\""), "{err}");
    }

    #[test]
    fn every_folder_in_plugins_is_found() {
        assert!(first_party(&Workspace::locate().unwrap()).unwrap().contains(&"amount-threshold".to_owned()));
    }
}
