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
    /// What the suite is given beside the component: a name there, and the file in the plugin's folder.
    beside: &'static [(&'static str, &'static str)],
    /// The command that runs the tests of a plugin made from its template.
    test: &'static [&'static str],
    /// Programs that tell their version.
    versions: &'static [&'static [&'static str]],
}

/// Every language.
pub const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        in_default_tests: false,
        beside: &[],
        test: &["cargo", "test"],
        versions: &[&["rustc", "--version"]],
    },
    Language {
        name: "python",
        in_default_tests: true,
        beside: &[("python-source.py", "plugin.py")],
        test: &["python3", "-m", "unittest"],
        versions: &[&["componentize-py", "--version"]],
    },
];

impl Language {
    /// What its plugins are made from, beside their own folder.
    fn inputs(&self, workspace: &Workspace) -> Vec<PathBuf> {
        let sdk = if self.name == "rust" {
            "plugin-sdk/src".to_owned()
        } else {
            format!("plugin-sdk/{}", self.name)
        };
        let template = format!("engine/templates/{}", self.name);
        let all =
            [sdk.as_str(), template.as_str(), "plugin-sdk/wit", "engine/src/cli/build", "engine/src/cli/new"];
        all.iter().map(|path| workspace.root.join(path)).filter(|path| path.exists()).collect()
    }
}

/// Builds the conformance plugin of a language, if it is not up to date.
pub fn conformance(workspace: &Workspace, engine: &Path, language: &Language) -> Result<()> {
    // The one in Rust is built with the other guests: compiled twice, its dependencies would be too.
    if language.name == "rust" {
        return Ok(());
    }
    let folder = workspace.root.join("tests/languages").join(language.name);
    let component = workspace.languages().join(format!("{}.wasm", language.name));
    let mut inputs = language.inputs(workspace);
    inputs.push(folder.clone());
    let stamp = Stamp::new(workspace, &format!("conformance-{}", language.name), &inputs, "")?;
    let beside = language.beside.iter().map(|(name, _)| workspace.languages().join(name));
    if stamp.is_fresh(&beside.chain([component.clone()]).collect::<Vec<_>>()) {
        return Ok(());
    }
    let mut build = with_tools(workspace, engine)?;
    build.args(["build", "--install"]).arg(&folder);
    run(&format!("conformance plugin in {}", language.name), &mut build)?;
    copy(&folder.join("build/conformance.wasm"), &component)?;
    for (name, file) in language.beside {
        copy(&folder.join(file), &workspace.languages().join(name))?;
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
    for words in language.versions {
        let (program, arguments) = words.split_first().context("a program has a name")?;
        let own = tools_home(workspace).join("bin").join(program);
        let program = if own.is_file() { own } else { PathBuf::from(program) };
        let said = output(with_tools(workspace, program)?.current_dir(&workspace.root).args(arguments))?;
        told.push(said.lines().next().unwrap_or_default().trim().to_owned());
    }
    Ok(told.join(", "))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    place(to, &fs::read(from).with_context(|| format!("cannot read {}", from.display()))?)
}
