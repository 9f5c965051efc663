//! What is to be built: `build.toml`, or the Cargo.toml of a Rust plugin.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use crate::cli::language::Language;
use crate::hint::with_suggestion;
use crate::limits::MAX_MANIFEST_BYTES;
use crate::manifest::PluginName;

/// What says how to build a plugin that is not in Rust.
const FILE: &str = "build.toml";
/// Where a project keeps what is built.
pub const BUILD_FOLDER: &str = "build";

/// A plugin's sources.
#[derive(Debug)]
pub struct Project {
    /// The folder of all that follows, absolute.
    pub folder: PathBuf,
    /// The plugin.
    pub name: PluginName,
    /// What it is written in.
    pub language: Language,
    /// The folder of the SDK's files, absolute; of no meaning in Rust.
    pub sdk: PathBuf,
}

/// `build.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildFile {
    language: Language,
    name: PluginName,
    #[serde(default = "BuildFile::default_sdk")]
    sdk: PathBuf,
}

impl BuildFile {
    fn default_sdk() -> PathBuf {
        PathBuf::from("wasmill")
    }
}

/// The part of Cargo.toml that matters here.
#[derive(Debug, Deserialize)]
struct CargoFile {
    package: Option<CargoPackage>,
}

#[derive(Debug, Deserialize)]
struct CargoPackage {
    name: PluginName,
}

impl Project {
    /// Reads what a folder says of itself.
    ///
    /// # Errors
    /// A folder that is no project, or a file of it that makes no sense, with its place.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder).with_context(|| format!("find {}", folder.display()))?;
        if !folder.is_dir() {
            bail!("{} is no folder\n  hint: name the folder of the plugin's sources", folder.display());
        }
        let (build_file, cargo_file) = (folder.join(FILE), folder.join("Cargo.toml"));
        if build_file.is_file() {
            return Self::from_build_file(folder, &build_file);
        }
        if cargo_file.is_file() {
            return Self::from_cargo(folder, &cargo_file);
        }
        bail!(
            "{} is no plugin's project: it has neither {FILE} nor Cargo.toml\n  hint: `wasmill new NAME` makes one to \
             start from",
            folder.display()
        )
    }

    fn from_build_file(folder: PathBuf, file: &Path) -> anyhow::Result<Self> {
        let BuildFile { language, name, sdk } = parsed(file)?;
        if language == Language::Rust {
            bail!(
                "{}: a plugin in Rust needs no {FILE}\n  hint: remove it, Cargo.toml says all",
                file.display()
            );
        }
        let sdk = folder.join(sdk);
        if !sdk.is_dir() {
            bail!(
                "{}: sdk: there is no folder {}\n  hint: `wasmill new NAME --lang {}` makes a project that has it",
                file.display(),
                sdk.display(),
                language.key()
            );
        }
        Ok(Self { folder, name, language, sdk })
    }

    fn from_cargo(folder: PathBuf, file: &Path) -> anyhow::Result<Self> {
        let Some(CargoPackage { name }) = parsed::<CargoFile>(file)?.package else {
            bail!("{} is of a workspace\n  hint: name the folder of one of its packages", file.display());
        };
        Ok(Self { sdk: folder.clone(), folder, name, language: Language::Rust })
    }

    /// The plugin's manifest.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    /// A folder for what tools make on the way. It stays: what they find there of the last build makes the next one faster.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn work_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(BUILD_FOLDER).join("work");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }
}

/// Reads a file of TOML; what is wrong with it is told with its place.
fn parsed<T: serde::de::DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let at = |line: Option<usize>| match line {
        Some(line) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    };
    let size = std::fs::metadata(file).with_context(|| at(None))?.len();
    if size > MAX_MANIFEST_BYTES {
        bail!("{}: {size} bytes are more than anybody writes there", at(None));
    }
    let text = std::fs::read_to_string(file).with_context(|| at(None))?;
    toml::from_str(&text).map_err(|err| {
        let line = err.span().and_then(|span| Some(text.get(..span.start)?.matches('\n').count() + 1));
        anyhow!("{}: {}", at(line), with_suggestion(err.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Project, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("wasmill")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Project::read(dir.path()).map_err(|err| format!("{err:#}"))
    }

    #[test]
    fn a_folder_says_what_it_is() {
        const PYTHON: &str = "language = \"python\"\nname = \"rule\"\n";
        let project = read(&[("build.toml", PYTHON)]).unwrap();
        assert_eq!((project.language, project.name.as_str()), (Language::Python, "rule"));
        assert!(project.sdk.ends_with("wasmill"));
        assert!(project.manifest().ends_with("rule.toml"));
        let project = read(&[("Cargo.toml", "[package]\nname = \"a-b\"\nedition = \"2024\"\n")]).unwrap();
        assert_eq!((project.language, project.name.as_str()), (Language::Rust, "a-b"));
        let project = read(&[("Cargo.toml", "[workspace]"), ("build.toml", PYTHON)]).unwrap();
        assert_eq!(project.language, Language::Python, "what is said to us comes first");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for (text, wanted) in [
            ("language = \"python\"\nnmae = \"x\"\n", "build.toml:2: unknown field `nmae`"),
            ("language = \"python\"\nnmae = \"x\"\n", "did you mean `name`?"),
            ("language = \"pyhton\"\nname = \"x\"\n", "build.toml:1: unknown variant `pyhton`"),
            ("language = \"pyhton\"\nname = \"x\"\n", "did you mean `python`?"),
            ("language = \"python\"\n", "missing field `name`"),
            ("language = \"python\"\nname = \"../x\"\n", "build.toml:2: \"../x\" is no plugin name"),
            ("language = \"rust\"\nname = \"x\"\n", "needs no build.toml"),
            ("language = \"go\"\nname = \"x\"\nsdk = \"nowhere\"\n", "sdk: there is no folder"),
            ("language = ", "build.toml:1: "),
        ] {
            let err = read(&[("build.toml", text)]).unwrap_err();
            assert!(err.contains(wanted), "{text}: {err}");
        }
        assert!(read(&[]).unwrap_err().contains("neither build.toml nor Cargo.toml"));
        assert!(read(&[("Cargo.toml", "[workspace]")]).unwrap_err().contains("one of its packages"));
        let err = Project::read(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(err.to_string().contains("is no folder"), "{err}");
    }
}
