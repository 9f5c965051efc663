//! The tools that recipes use: where they are looked for, which version they are, and how to get them.
//!
//! They are looked for in the project's `.tools` and `node_modules`, in the folder that `WASMILL_TOOLS` names, and on the
//! path. Another version than the pinned one is used, with a warning: it may well do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{anyhow, bail};

use super::pins::{self, Registry};
use super::process::answer;
use super::project::Project;
use crate::cli::out;

/// The variable that names a folder of tools, for many projects to share: it holds what `.tools` does.
pub const SHARED: &str = "WASMILL_TOOLS";
/// The project's own folder of tools.
const OWN: &str = ".tools";

/// A program that a recipe runs.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// What it is called.
    pub program: &'static str,
    /// What it does, after "which".
    pub does: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// The Python module that is the same program, for packages that install no script of that name.
    pub module: Option<&'static str>,
    /// The arguments that make it say its version.
    pub version: &'static [&'static str],
}

/// A tool that is there.
#[derive(Debug, Clone)]
pub struct Found {
    words: Vec<OsString>,
    version: Option<String>,
}

impl Found {
    /// A command that runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command.args(words);
        command
    }
}

/// Where a project's tools are.
#[derive(Debug)]
pub struct Toolbox<'a> {
    project: &'a Project,
    registry: Registry,
    /// What pins their versions.
    pins: String,
    /// Where prebuilt parts of the engine may be.
    runners: Vec<PathBuf>,
}

impl<'a> Toolbox<'a> {
    /// The tools of a project that is not in Rust.
    ///
    /// # Errors
    /// If its file of versions cannot be read.
    pub fn new(project: &'a Project, registry: Registry, runners: Vec<PathBuf>) -> anyhow::Result<Self> {
        Ok(Self { project, registry, pins: pins::text_of(project, registry, registry.pin_file())?, runners })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &'a Project {
        self.project
    }

    /// The folders of the runners of source plugins, and of what else of the engine is built in advance.
    #[must_use]
    pub fn runners(&self) -> &[PathBuf] {
        &self.runners
    }

    /// Where tools are installed: the shared folder if there is one, else the project's own.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        shared().unwrap_or_else(|| self.project.folder.join(OWN))
    }

    /// Finds a tool, and warns if it is not of the pinned version.
    ///
    /// # Errors
    /// If it is nowhere: says which version is wanted, and how to get it.
    pub fn find(&self, tool: &Tool) -> anyhow::Result<Found> {
        let Some(found) = self.candidates(tool).into_iter().find_map(|words| probed(tool, words)) else {
            bail!(self.missing(tool));
        };
        if let (Some(pinned), Some(version)) = (self.pinned(tool), &found.version)
            && pinned != *version
        {
            out::say(format_args!(
                "warning: {} is {version}, and {} says {pinned}\n  hint: `wasmill build --install` fetches that",
                found.words.first().map(|word| word.to_string_lossy()).unwrap_or_default(),
                self.registry.pin_file(),
            ));
        }
        Ok(found)
    }

    /// Whether a tool is there, of the pinned version, and not by chance: installed for this project, or to be shared.
    #[must_use]
    pub fn has_pinned(&self, tool: &Tool) -> bool {
        let places = self.folders();
        let own = self.candidates(tool).into_iter().filter(|words| {
            let program = words.first().map(PathBuf::from).unwrap_or_default();
            places.iter().any(|place| program.starts_with(place))
        });
        let pinned = self.pinned(tool);
        own.filter_map(|words| probed(tool, words)).any(|found| found.version == pinned)
    }

    fn pinned(&self, tool: &Tool) -> Option<String> {
        pins::version(self.registry, &self.pins, tool.package)
    }

    fn folders(&self) -> Vec<PathBuf> {
        let folder = &self.project.folder;
        let own = [folder.join(OWN), folder.join("node_modules")];
        own.into_iter().chain(shared()).collect()
    }

    /// How the tool may be run, the best way first.
    fn candidates(&self, tool: &Tool) -> Vec<Vec<OsString>> {
        let mut folders: Vec<PathBuf> = self
            .folders()
            .iter()
            .flat_map(|folder| ["bin", "node_modules/.bin", ".bin"].map(|inside| folder.join(inside)))
            .collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        let mut ways = Vec::new();
        for folder in folders {
            ways.push(vec![folder.join(tool.program).into()]);
            if let Some(module) = tool.module {
                ways.push(vec![folder.join("python3").into(), "-m".into(), module.into()]);
            }
        }
        ways.retain(|words| words.first().is_some_and(|program| Path::new(program).is_file()));
        ways
    }

    fn missing(&self, tool: &Tool) -> anyhow::Error {
        // A python3 that lacks a module is no broken tool.
        if let Some([program]) =
            self.candidates(tool).iter().find(|words| words.len() == 1).map(Vec::as_slice)
        {
            let program = Path::new(program).display();
            return match self.registry {
                Registry::Npm => anyhow!(
                    "{program} is there and does not run\n  hint: Node.js 20 or newer runs it: `node --version`"
                ),
                Registry::Pip => anyhow!("{program} is there and does not run\n  hint: try it by hand"),
            };
        }
        let pinned = self.pinned(tool);
        let (by_hand, exact) = match self.registry {
            Registry::Pip => ("python3 -m pip install", "=="),
            Registry::Npm => ("npm install --save-dev", "@"),
        };
        let package = match &pinned {
            Some(version) => format!("{}{exact}{version}", tool.package),
            None => tool.package.to_owned(),
        };
        let version = pinned.map(|version| format!(" {version}")).unwrap_or_default();
        anyhow!(
            "{}{version} is missing, which {}\n  hint: `wasmill build --install` fetches it into {}\n  hint: or have it on \
             the PATH: {by_hand} {package}",
            tool.program,
            tool.does,
            self.home().display(),
        )
    }
}

/// The folder of tools that many projects share, if there is one.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os(SHARED).filter(|named| !named.is_empty())?;
    std::path::absolute(named).ok()
}

/// The tool, if it can be run this way at all: a python3 may lack the module.
fn probed(tool: &Tool, words: Vec<OsString>) -> Option<Found> {
    let mut found = Found { words, version: None };
    let said = answer(found.command().args(tool.version))?;
    found.version = version_in(&said);
    Some(found)
}

/// The first word of a text that is a version: `0.25.1` of `componentize-py 0.25.1`, `1.27.3` of `go version go1.27.3 x/y`.
fn version_in(said: &str) -> Option<String> {
    said.split_whitespace().find_map(|word| {
        let version = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let begins = version.split('.').take(2).filter(|part| part.parse::<u32>().is_ok()).count() == 2;
        begins.then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (said, wanted) in [
            ("componentize-py 0.25.1", Some("0.25.1")),
            ("go version go1.27.3 linux/amd64", Some("1.27.3")),
            ("0.28.2", Some("0.28.2")),
            ("Version 7.0.2", Some("7.0.2")),
            ("v22.1.0", Some("22.1.0")),
            ("what?", None),
        ] {
            assert_eq!(version_in(said).as_deref(), wanted, "{said}");
        }
    }
}
