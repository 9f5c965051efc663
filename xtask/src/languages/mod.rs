//! `cargo xtask languages`: the tools of every language, the plugins made with them, and the suite that holds them
//! against each other.
//!
//! - [`assemblyscript`]: an example and its conformance plugin.
//! - [`node`]: what runs the tools of JavaScript.
//! - [`plugins`]: the conformance plugin of each language, built as its author would, and the template tried out.
//! - [`runners`]: the components that run plugins given as source.
//! - [`sdks`]: the tests that the SDKs have of their own.
//! - [`stamp`]: what is up to date, so that a second run is quick.

mod assemblyscript;
mod node;
mod plugins;
mod runners;
mod sdks;
mod stamp;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::HOST_PACKAGES;
use crate::components;
use crate::process::{cargo, run, say};
use crate::workspace::{Workspace, place};

pub use plugins::LANGUAGES;
pub use runners::RUNNERS;

/// Where the languages' tools are installed: `wasmill build` finds and installs them there.
pub fn tools_home(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("languages")
}

/// What the command line asks for.
struct Wanted {
    only: Vec<String>,
    report: bool,
    rest: Vec<String>,
}

impl Wanted {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut wanted = Self { only: Vec::new(), report: false, rest: Vec::new() };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => {
                    let names = words.next().context("--only wants names, as in --only python,zig")?;
                    wanted.only.extend(names.split(',').map(str::to_owned));
                }
                "--report" => wanted.report = true,
                "--no-figures" => wanted.rest.push(word.clone()),
                _ => bail!("cargo xtask languages takes --only, --no-figures and --report, and got {word:?}"),
            }
        }
        let known: Vec<_> = LANGUAGES.iter().map(|known| known.name).chain([assemblyscript::NAME]).collect();
        if let Some(unknown) = wanted.only.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("there is no language {unknown:?}\n  hint: one of {}", known.join(", "));
        }
        if wanted.report && !(wanted.only.is_empty() && wanted.rest.is_empty()) {
            bail!("a report is of all languages and has figures");
        }
        Ok(wanted)
    }

    /// TypeScript is JavaScript once it is built.
    fn wants_runner(&self, language: &str) -> bool {
        self.has(language) || (language == "javascript" && self.has("typescript"))
    }

    fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// `cargo xtask languages`
pub fn languages(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let wanted = Wanted::parse(arguments)?;
    // Figures for a document are those of what is shipped; to see whether all is well, what the tests use does.
    let profile = if wanted.report { "release" } else { "debug" };
    let mut command = cargo(workspace);
    command.arg("build").args(HOST_PACKAGES).args(["--bin", "wasmill", "--bin", "wasmill-languages"]);
    if wanted.report {
        command.arg("--release");
    }
    run(&format!("wasmill and its suite, {profile}"), &mut command)?;
    components::build(workspace, true)?;
    let engine = workspace.binary(profile, "wasmill");
    // First: plugins in JavaScript are built into what is built here.
    for runner in RUNNERS.iter().filter(|runner| wanted.wants_runner(runner.language)) {
        runners::build(workspace, &engine, runner)?;
    }
    let mut made_by = String::new();
    for language in LANGUAGES.iter().filter(|language| wanted.has(language.name)) {
        plugins::source(workspace, language)?;
        plugins::conformance(workspace, &engine, language)?;
        // What they need has been installed for the plugin.
        sdks::test(workspace, language.sdk())?;
        plugins::template(workspace, &engine, language)?;
        made_by.push_str(&format!("{}\t{}\n", language.name, plugins::versions(workspace, language)?));
    }
    if wanted.has(assemblyscript::NAME) {
        let version = assemblyscript::build(workspace, &engine)?;
        made_by.push_str(&format!("{}\t{version}\n", assemblyscript::NAME));
    }
    place(&workspace.languages().join("tools.txt"), made_by.as_bytes())?;
    let mut suite = Command::new(workspace.binary(profile, "wasmill-languages"));
    suite.current_dir(&workspace.root).args(&wanted.rest).env("WASMILL_BIN", &engine);
    suite.env("WASMILL_LANGUAGES", workspace.languages()).env("WASMILL_RUNNERS", workspace.runners());
    if !wanted.only.is_empty() {
        suite.args(["--only", &wanted.only.join(",")]);
    }
    if wanted.report {
        suite.args(["--report", "docs/languages.md"]);
    }
    run("conformance suite", &mut suite)
}

/// What the default tests need: an interpreter with its runner, and a core module. Those of SDKs that take seconds are run.
pub fn for_tests(workspace: &Workspace) -> Result<()> {
    let engine = workspace.binary("debug", "wasmill");
    sdks::test(workspace, "python")?;
    // Node.js is not fetched for this.
    if node::is_there(workspace) {
        sdks::test(workspace, "javascript")?;
    }
    for language in LANGUAGES {
        plugins::source(workspace, language)?;
        if language.in_default_tests {
            plugins::conformance(workspace, &engine, language)?;
        }
    }
    for runner in RUNNERS.iter().filter(|runner| runner.in_default_tests) {
        runners::build(workspace, &engine, runner)?;
    }
    // Compiled before the tests begin: beside them it would take longer than they wait.
    let rules = workspace.root.join("examples/source-rules/plugins");
    let mut check = Command::new(&engine);
    check.current_dir(&rules).args(["check", "python-rule.py", "javascript-rule.js"]);
    check.env("XDG_CACHE_HOME", workspace.target.join("test-cache")).stdout(std::process::Stdio::null());
    run("runners compiled for the tests", &mut check)
}

/// The runners of source plugins, for an engine that is built to be used.
pub fn all_runners(workspace: &Workspace, engine: &Path) -> Result<()> {
    for runner in RUNNERS {
        runners::build(workspace, engine, runner)?;
        for file in runners::files(workspace, runner) {
            say(&format!("built  {}", file.display()));
        }
    }
    Ok(())
}

/// A command with the languages' tools before all others on its path.
fn with_tools(workspace: &Workspace, program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(program);
    command.env("PATH", path_with_tools(workspace, None)?).env("WASMILL_TOOLS", tools_home(workspace));
    Ok(command)
}

/// The path with the languages' tools before all others, and with this folder before them.
fn path_with_tools(workspace: &Workspace, first: Option<&Path>) -> Result<OsString> {
    let home = tools_home(workspace);
    let own = first.map(Path::to_owned).into_iter().chain([home.join("bin"), home.join("node_modules/.bin")]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(own.chain(std::env::split_paths(&path)))?)
}

/// Installs what a requirements file pins by hash, unless it is installed already.
fn pip(workspace: &Workspace, requirements: &Path) -> Result<()> {
    let home = tools_home(workspace);
    let name = requirements.to_string_lossy().replace(['/', '.'], "-");
    let stamp = stamp::Stamp::new(workspace, &format!("pip{name}"), &[requirements.to_owned()], "")?;
    if stamp.is_fresh(&[home.join("bin/python3")]) {
        return Ok(());
    }
    if !home.join("bin/python3").is_file() {
        run("a place for tools", Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    let mut pip = Command::new(home.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"])
        .args(["--only-binary=:all:", "--requirement"])
        .arg(requirements);
    run(&format!("tools of {}", requirements.display()), &mut pip)?;
    stamp.set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wanted> {
        Wanted::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn languages_are_named_and_a_report_is_of_all() {
        let wanted = parse("--only rust --no-figures").unwrap();
        assert!(wanted.has("rust") && !wanted.has("python"));
        assert!(parse("").unwrap().has("python"));
        assert!(parse("--only cobol").err().unwrap().to_string().contains("one of rust"));
        assert!(parse("--report --only rust").is_err());
        assert!(parse("--fast").is_err());
    }
}
