//! Which versions of tools a project is made for: `requirements.txt` of pip, `package.json` of npm.
//!
//! A project made by `wasmill new` has its own; one without is built with those of the template.

use std::fs;

use anyhow::{Context, anyhow};

use super::project::Project;
use crate::cli::language::Language;

/// Where tools are had from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// PyPI, by pip.
    Pip,
    /// npm.
    Npm,
}

impl Registry {
    /// The one that has a language's tools; none for Rust.
    #[must_use]
    pub fn of(language: Language) -> Option<Self> {
        match language {
            Language::Rust => None,
            Language::Javascript | Language::Typescript => Some(Self::Npm),
            Language::Python | Language::Go | Language::C | Language::Cpp | Language::Zig => Some(Self::Pip),
        }
    }

    /// The file that pins versions for it.
    #[must_use]
    pub fn pin_file(self) -> &'static str {
        match self {
            Self::Pip => "requirements.txt",
            Self::Npm => "package.json",
        }
    }

    /// The files that an installation needs, the first of which pins.
    #[must_use]
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Pip => &["requirements.txt"],
            Self::Npm => &["package.json", "package-lock.json"],
        }
    }
}

/// Whether a project says itself what to install.
#[must_use]
pub fn has_own(project: &Project, registry: Registry) -> bool {
    registry.files().iter().all(|file| project.folder.join(file).is_file())
}

/// The text of a file that says what to install: the project's, or the template's if the project does not say all.
///
/// # Errors
/// If neither has it.
pub fn text_of(project: &Project, registry: Registry, file: &str) -> anyhow::Result<String> {
    let own = project.folder.join(file);
    if has_own(project, registry) {
        return fs::read_to_string(&own).with_context(|| format!("read {}", own.display()));
    }
    let templates = project.language.template().iter();
    let mut named = templates.filter(|(path, _)| path.strip_suffix(".tmpl").unwrap_or(path) == file);
    let (_, text) = named.next().ok_or_else(|| anyhow!("{} projects have no {file}", project.language))?;
    // The name in a package.json is of no meaning to npm's installation, but must be a name.
    Ok(text.replace("{{name}}", project.name.as_str()).replace("{{crate}}", "plugin"))
}

/// The version that a package is pinned to.
#[must_use]
pub fn version(registry: Registry, text: &str, package: &str) -> Option<String> {
    match registry {
        Registry::Pip => text.lines().find_map(|line| {
            let (name, version) = line.trim().split_once("==")?;
            let version = version.split([' ', '\\', ';']).next()?;
            (name.trim() == package).then(|| version.to_owned())
        }),
        Registry::Npm => {
            let json: serde_json::Value = serde_json::from_str(text).ok()?;
            let tables = ["devDependencies", "dependencies"];
            let mut versions = tables.iter().filter_map(|table| json.get(table)?.get(package)?.as_str());
            versions.next().map(str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let pip = "# tools\ncomponentize-py==0.25.1 \\\n    --hash=sha256:aa\nother==2\n";
        let npm = r#"{"devDependencies": {"esbuild": "0.28.2"}, "dependencies": {"x": "1.0.0"}}"#;
        for (registry, text, package, wanted) in [
            (Registry::Pip, pip, "componentize-py", Some("0.25.1")),
            (Registry::Pip, pip, "other", Some("2")),
            (Registry::Pip, pip, "none", None),
            (Registry::Npm, npm, "esbuild", Some("0.28.2")),
            (Registry::Npm, npm, "x", Some("1.0.0")),
            (Registry::Npm, npm, "none", None),
            (Registry::Npm, "{", "none", None),
        ] {
            assert_eq!(version(registry, text, package).as_deref(), wanted, "{package}");
        }
    }
}
