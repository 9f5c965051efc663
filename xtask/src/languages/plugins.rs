//! The conformance plugin and the template of each language, built with nothing but what `wasmill build` does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{stamp::Stamp, tools_home, with_tools};
use crate::process::{output, run};
use crate::workspace::{Workspace, place};

/// One language.
pub struct Language {
    /// Its name: of its folders, and on the command line.
    pub name: &'static str,
    /// Whether the default tests run its conformance plugin.
    pub in_default_tests: bool,
    /// What the suite is given as source: its name there, and the file in the plugin's folder.
    source: Option<(&'static str, &'static str)>,
    /// What the suite is given as a core module: its name there. `wasmill build` leaves it where it works.
    module: Option<&'static str>,
    /// The command that runs the tests of a plugin made from its template.
    test: &'static [&'static str],
    /// What its plugins are built with: a name, and the command that tells the version.
    tools: &'static [(&'static str, &'static [&'static str])],
}

/// Where `wasmill build` leaves the core module that it made a component of.
const MODULE: &str = "build/work/plugin.wasm";

/// Every language.
pub const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        in_default_tests: false,
        source: None,
        module: None,
        test: &["cargo", "test"],
        tools: &[("rustc", &["rustc", "--version"])],
    },
    Language {
        name: "python",
        in_default_tests: false,
        source: Some(("python-source.py", "plugin.py")),
        module: None,
        test: &["python3", "-m", "unittest"],
        tools: &[("componentize-py", &["componentize-py", "--version"])],
    },
    Language {
        name: "go",
        in_default_tests: false,
        source: None,
        module: Some("go-module.wasm"),
        test: &["go", "test", "./..."],
        tools: &[("go", &["go", "version"])],
    },
    Language {
        name: "zig",
        in_default_tests: true,
        source: None,
        module: Some("zig-module.wasm"),
        test: &["zig", "test"],
        tools: &[("zig", &["python3", "-m", "ziglang", "version"])],
    },
];

impl Language {
    /// What its plugins are made from, beside their own folder.
    fn inputs(&self, workspace: &Workspace) -> Vec<PathBuf> {
        let sdk = match self.name {
            "rust" => "plugin-sdk/src".to_owned(),
            name => format!("plugin-sdk/{name}"),
        };
        let template = format!("engine/templates/{}", self.name);
        let ours =
            ["plugin-sdk/wit", "engine/src/cli/build", "engine/src/cli/new", "engine/src/sandbox/encode"];
        let all = [sdk.as_str(), template.as_str()].into_iter().chain(ours);
        all.map(|path| workspace.root.join(path)).filter(|path| path.exists()).collect()
    }

    fn folder(&self, workspace: &Workspace) -> PathBuf {
        workspace.root.join("tests/languages").join(self.name)
    }
}

/// Hands the suite the conformance plugin of a language as source, if it has a runner.
pub fn source(workspace: &Workspace, language: &Language) -> Result<()> {
    let Some((name, file)) = language.source else { return Ok(()) };
    copy(&language.folder(workspace).join(file), &workspace.languages().join(name))
}

/// Builds the conformance plugin of a language, if it is not up to date.
pub fn conformance(workspace: &Workspace, engine: &Path, language: &Language) -> Result<()> {
    // The one in Rust is built with the other guests: compiled twice, its dependencies would be too.
    if language.name == "rust" {
        return Ok(());
    }
    let folder = language.folder(workspace);
    let component = workspace.languages().join(format!("{}.wasm", language.name));
    let module = language.module.map(|name| workspace.languages().join(name));
    let mut inputs = language.inputs(workspace);
    inputs.push(folder.clone());
    let stamp = Stamp::new(workspace, &format!("conformance-{}", language.name), &inputs, "")?;
    if stamp.is_fresh(&module.iter().chain([&component]).cloned().collect::<Vec<_>>()) {
        return Ok(());
    }
    let mut build = with_tools(workspace, engine)?;
    build.args(["build", "--install"]).arg(&folder);
    run(&format!("conformance plugin in {}", language.name), &mut build)?;
    copy(&folder.join("build/conformance.wasm"), &component)?;
    if let Some(module) = module {
        copy(&folder.join(MODULE), &module)?;
    }
    stamp.set()
}

/// Makes a plugin of a language as its author would, runs its tests and builds it, unless that has been done.
pub fn template(workspace: &Workspace, engine: &Path, language: &Language) -> Result<()> {
    let inputs = language.inputs(workspace);
    let stamp =
        Stamp::new(workspace, &format!("template-{}", language.name), &inputs, &language.test.join(" "))?;
    if stamp.is_fresh(&[]) {
        return Ok(());
    }
    let (dir, name) = (workspace.languages().join("templates"), format!("new-{}", language.name));
    let folder = dir.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let mut new = with_tools(workspace, engine)?;
    new.current_dir(&dir).args(["new", &name, "--lang", language.name]);
    if language.name == "rust" {
        new.arg("--sdk-path").arg(workspace.root.join("plugin-sdk"));
    }
    run(&format!("a new plugin in {}", language.name), &mut new)?;
    if language.name == "rust" {
        fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    }
    let in_folder = |program: &Path, arguments: &[&str]| -> Result<()> {
        let mut command = with_tools(workspace, program)?;
        // Cargo builds beside what it has built before, not into the new folder.
        command
            .current_dir(&folder)
            .args(arguments)
            .env("CARGO_TARGET_DIR", workspace.target.join("test-new"));
        run(&format!("{name}: {}", arguments.join(" ")), &mut command)
    };
    in_folder(engine, &["build", "--install"])?;
    let (program, arguments) = language.test.split_first().context("a template has a test")?;
    in_folder(Path::new(program), arguments)?;
    stamp.set()
}

/// What a language's plugins were built with, on one line.
pub fn versions(workspace: &Workspace, language: &Language) -> Result<String> {
    let mut told = Vec::new();
    for (tool, words) in language.tools {
        let (program, arguments) = words.split_first().context("a program has a name")?;
        let own = tools_home(workspace).join("bin").join(program);
        let program = if own.is_file() { own } else { PathBuf::from(program) };
        let said = output(with_tools(workspace, program)?.current_dir(&workspace.root).args(arguments))?;
        told.push(format!("{tool} {}", version_in(&said).unwrap_or("of unknown version")));
    }
    Ok(told.join(", "))
}

/// The first word that is a version: `1.27.3` of `go version go1.27.3 linux/amd64`.
fn version_in(said: &str) -> Option<&str> {
    let words = said.split_whitespace().map(|word| word.trim_start_matches(char::is_alphabetic));
    words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    place(to, &fs::read(from).with_context(|| format!("cannot read {}", from.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(version_in("go version go1.27.3 linux/amd64"), Some("1.27.3"));
        assert_eq!(version_in("rustc 1.95.0 (59807616e 2026-04-14)"), Some("1.95.0"));
        assert_eq!(version_in("0.17.0\n"), Some("0.17.0"));
        assert_eq!(version_in("none"), None);
    }
}
