//! Checks every manifest of a plugin folder without running anything.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::artifact::Artifact;
use crate::limits::MAX_MANIFEST_BYTES;
use crate::manifest::{Manifest, PluginName};

/// What became of one file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, beginning with the path; none if it is good.
    pub fault: Option<String>,
}

/// Checks the manifests of a folder, and that each component has one and each one a component; by name.
#[must_use]
pub fn check_all(dir: &Path) -> Vec<Checked> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) => return vec![finding(dir, format!("the plugin folder cannot be read: {error}"))],
    };
    files.sort();
    files.iter().filter_map(|path| check_file(path)).collect()
}

fn finding(path: &Path, fault: impl std::fmt::Display) -> Checked {
    Checked { path: path.to_owned(), fault: Some(format!("{}: {fault}", path.display())) }
}

/// One file of the folder; none if it is neither a manifest nor a component.
fn check_file(path: &Path) -> Option<Checked> {
    let kind = path.extension().and_then(|kind| kind.to_str())?;
    // Editors and unfinished copies leave hidden files behind; the engine passes over them too.
    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
        return None;
    }
    let has = |artifact: &Artifact| path.with_extension(artifact.extension()).exists();
    if kind == "toml" {
        return Some(match read_manifest(path) {
            Err(fault) => Checked { path: path.to_owned(), fault: Some(fault) },
            Ok(_) if !Artifact::ALL.iter().any(has) => finding(path, "there is no component beside it"),
            Ok(_) => Checked { path: path.to_owned(), fault: None },
        });
    }
    let without_manifest = Artifact::of_extension(kind).is_some() && !path.with_extension("toml").exists();
    without_manifest.then(|| {
        finding(path, "there is no manifest beside it\n  hint: `wasmill new` writes one to start from")
    })
}

/// Reads a manifest from its file.
///
/// # Errors
/// The finding, beginning with the path.
pub fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let at = |fault: String| format!("{}: {fault}", path.display());
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    PluginName::new(stem).map_err(|err| at(err.to_string()))?;
    let size = std::fs::metadata(path).map_err(|err| at(err.to_string()))?.len();
    if size > MAX_MANIFEST_BYTES {
        return Err(at(format!("{size} bytes are over the limit of {MAX_MANIFEST_BYTES} for a manifest")));
    }
    let text = std::fs::read_to_string(path).map_err(|err| at(err.to_string()))?;
    Manifest::parse(&text).map_err(|err| at(err.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_finding() {
        const GOOD: &str = "[[subscribe]]\nsubjects = [\"a\"]\n";
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("good.toml", GOOD),
            ("good.wasm", ""),
            ("bad.toml", "[[subscribe]]\nsubject = [\"a\"]\n"),
            ("bad.wasm", ""),
            ("lonely.wasm", ""),
            ("alone.toml", GOOD),
            ("ä.toml", GOOD),
            (".good.toml.swp", ""),
            ("README.md", ""),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let checked = check_all(dir.path());
        let fault = |name: &str| {
            let found = checked.iter().find(|checked| checked.path.ends_with(name));
            found.unwrap_or_else(|| panic!("{name}")).fault.clone().unwrap_or_default()
        };
        assert_eq!(fault("good.toml"), "");
        assert!(fault("bad.toml").contains("did you mean `subjects`"));
        assert!(fault("lonely.wasm").contains("no manifest"));
        assert!(fault("alone.toml").contains("no component"));
        assert!(fault("ä.toml").contains("no plugin name"));
        assert_eq!(checked.len(), 5);
        assert!(check_all(&dir.path().join("none"))[0].fault.is_some());
    }
}
