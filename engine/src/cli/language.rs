//! The languages that plugins are made in, and the files for each that the binary holds.

use std::fmt;

use serde::Deserialize;

/// A language with a template, and with a recipe of `wasmill build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// With the wasmill-sdk crate
    Rust,
    /// Compiled by componentize-py
    #[value(alias = "py")]
    Python,
    /// Bundled by esbuild, run by QuickJS
    #[value(alias = "js")]
    Javascript,
    /// As JavaScript, with types for the contract
    #[value(alias = "ts")]
    Typescript,
    /// Compiled by the ordinary go
    #[value(alias = "golang")]
    Go,
    /// Compiled by zig cc
    C,
    /// Compiled by zig c++
    #[value(alias = "c++")]
    Cpp,
    /// Compiled by zig
    Zig,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rust,
        Self::Python,
        Self::Javascript,
        Self::Typescript,
        Self::Go,
        Self::C,
        Self::Cpp,
        Self::Zig,
    ];

    /// Its name on the command line, in `build.toml` and of its template's folder.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Go => "go",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
        }
    }

    /// The files of its template, as they are in the repository.
    #[must_use]
    pub fn template(self) -> &'static [Embedded] {
        files_of(TEMPLATES, self.key())
    }

    /// The files of its SDK. Rust's is a crate; C++'s stands on that of C, and says in its place what both hold.
    #[must_use]
    pub fn sdk(self) -> Vec<Embedded> {
        match self {
            Self::Rust => Vec::new(),
            Self::Typescript => Self::Javascript.sdk(),
            Self::Cpp => {
                let own = files_of(SDKS, self.key());
                let base = files_of(SDKS, Self::C.key()).iter();
                let base = base.filter(|(path, _)| !own.iter().any(|(mine, _)| mine == path));
                own.iter().chain(base).copied().collect()
            }
            other => files_of(SDKS, other.key()).to_vec(),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Javascript => "JavaScript",
            Self::Typescript => "TypeScript",
            Self::Go => "Go",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Zig => "Zig",
        })
    }
}

/// The contract's own files, which some tools read.
#[must_use]
pub fn contract() -> &'static [Embedded] {
    files_of(SDKS, "wit")
}

/// A file inside the binary: its path in its folder, and its text.
pub type Embedded = (&'static str, &'static str);

/// A folder inside the binary.
pub(crate) struct Folder {
    name: &'static str,
    files: &'static [Embedded],
}

fn files_of(folders: &'static [Folder], name: &str) -> &'static [Embedded] {
    folders.iter().find(|folder| folder.name == name).map_or(&[], |folder| folder.files)
}

// The tables TEMPLATES and SDKS, which the build script makes of the folders.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_language_has_its_files() {
        for language in Language::ALL {
            assert_eq!(language.to_possible_value().unwrap().get_name(), language.key());
            let read: Language = serde_json::from_value(language.key().into()).unwrap();
            assert_eq!(read, language);
            assert!(!language.template().is_empty(), "{language} has no template");
            assert_eq!(language.sdk().is_empty(), language == Language::Rust, "{language}");
        }
        assert_eq!(TEMPLATES.len(), Language::ALL.len(), "a template of no language");
        assert!(contract().iter().any(|(path, _)| *path == "worlds.wit"));
    }
}
