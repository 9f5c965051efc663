//! The conformance plugin and the template of each language, built with nothing but what `wasmill build` does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{node, path_with_tools, stamp::Stamp, tools_home, with_tools};
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
    /// Whether its tools run on Node.js.
    needs_node: bool,
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
        needs_node: false,
        tools: &[("rustc", &["rustc", "--version"])],
    },
    Language {
        name: "python",
        in_default_tests: false,
        source: Some(("python-source.py", "plugin.py")),
        module: None,
        needs_node: false,
        tools: &[("componentize-py", &["componentize-py", "--version"])],
    },
    Language {
        name: "javascript",
        in_default_tests: false,
        source: Some(("javascript-source.js", "plugin.js")),
        module: None,
        needs_node: true,
        tools: &[("esbuild", &["esbuild", "--version"]), ("node", &["node", "--version"])],
    },
    Language {
        name: "typescript",
        in_default_tests: false,
        source: None,
        module: None,
        needs_node: true,
        tools: &[
            ("tsc", &["tsc", "--version"]),
            ("esbuild", &["esbuild", "--version"]),
            ("node", &["node", "--version"]),
        ],
    },
    Language {
        name: "go",
        in_default_tests: false,
        source: None,
        module: Some("go-module.wasm"),
        needs_node: false,
        tools: &[("go", &["go", "version"])],
    },
    Language {
        name: "c",
        in_default_tests: false,
        source: None,
        module: Some("c-module.wasm"),
        needs_node: false,
        tools: &[("zig", &["python3", "-m", "ziglang", "version"])],
    },
    Language {
        name: "cpp",
        in_default_tests: false,
        source: None,
        module: None,
        needs_node: false,
        tools: &[("zig", &["python3", "-m", "ziglang", "version"])],
    },
    Language {
        name: "zig",
        in_default_tests: true,
        source: None,
        module: Some("zig-module.wasm"),
        needs_node: false,
        tools: &[("zig", &["python3", "-m", "ziglang", "version"])],
    },
];

impl Language {
    /// What its plugins are made from, beside their own folder.
    fn inputs(&self, workspace: &Workspace) -> Vec<PathBuf> {
        let named = format!("plugin-sdk/{}", self.name);
        let template = format!("engine/templates/{}", self.name);
        // C++ stands on the SDK of C, and JavaScript on its interpreter.
        let (sdk, base) = match self.name {
            "rust" => ("plugin-sdk/src", None),
            "cpp" => (named.as_str(), Some("plugin-sdk/c")),
            "javascript" | "typescript" => ("plugin-sdk/javascript", Some("engine/runners/javascript")),
            _ => (named.as_str(), None),
        };
        let ours =
            ["plugin-sdk/wit", "engine/src/cli/build", "engine/src/cli/new", "engine/src/sandbox/encode"];
        let all = [sdk, template.as_str()].into_iter().chain(base).chain(ours);
        all.map(|path| workspace.root.join(path)).filter(|path| path.exists()).collect()
    }

    /// Whose SDK its plugins use.
    pub fn sdk(&self) -> &'static str {
        if self.name == "typescript" { "javascript" } else { self.name }
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
    if language.needs_node {
        node::provide(workspace)?;
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

/// Makes a plugin of a language as its author would and does what its README says first, which is to test and build it,
/// unless that has been done.
pub fn template(workspace: &Workspace, engine: &Path, language: &Language) -> Result<()> {
    let stamp =
        Stamp::new(workspace, &format!("template-{}", language.name), &language.inputs(workspace), "")?;
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
        // The versions of this checkout are on this machine; others may not be.
        fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    } else {
        share_tools(workspace, &folder)?;
    }
    let readme = fs::read_to_string(folder.join("README.md")).context("a new plugin has a README.md")?;
    let commands = first_commands(&readme);
    if !commands.iter().any(|command| command.starts_with("wasmill build")) {
        bail!("the README.md of a new plugin in {} does not begin with how to build it", language.name);
    }
    for line in commands {
        let mut command = with_tools(workspace, "sh")?;
        command
            .current_dir(&folder)
            .args(["-c", line])
            .env("PATH", path_with_tools(workspace, engine.parent())?);
        // Cargo builds beside what it has built before, not into the new folder.
        command.env("CARGO_TARGET_DIR", workspace.target.join("test-new"));
        run(&format!("{name}: {line}"), &mut command)?;
    }
    let built = folder.join("build").join(format!("{name}.wasm"));
    if !built.is_file() {
        bail!("a new plugin in {} was built, and is not at {}", language.name, built.display());
    }
    stamp.set()
}

/// The lines of the first block of shell commands.
fn first_commands(readme: &str) -> Vec<&str> {
    let lines = readme.lines().skip_while(|line| *line != "```sh").skip(1);
    lines.take_while(|line| *line != "```").collect()
}

/// A new plugin has tools of its own; here they are those of all.
#[cfg(unix)]
fn share_tools(workspace: &Workspace, folder: &Path) -> Result<()> {
    let home = tools_home(workspace);
    fs::create_dir_all(&home)?;
    Ok(std::os::unix::fs::symlink(home, folder.join(".tools"))?)
}

/// Here it gets its own.
#[cfg(not(unix))]
fn share_tools(_: &Workspace, _: &Path) -> Result<()> {
    Ok(())
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
    fn the_first_commands_of_a_readme_are_found() {
        let readme = "# x\n```toml\na = 1\n```\n```sh\ncargo test\nwasmill build\n```\n```sh\ncp a b\n```\n";
        assert_eq!(first_commands(readme), ["cargo test", "wasmill build"]);
        assert!(first_commands("no commands").is_empty());
    }

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(version_in("go version go1.27.3 linux/amd64"), Some("1.27.3"));
        assert_eq!(version_in("rustc 1.95.0 (59807616e 2026-04-14)"), Some("1.95.0"));
        assert_eq!(version_in("0.17.0\n"), Some("0.17.0"));
        assert_eq!(version_in("none"), None);
    }
}
