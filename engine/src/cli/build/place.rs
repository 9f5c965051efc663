//! Putting the result into a folder that an engine may be watching.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context;

use super::project::Project;

/// Writes the manifest and then the component: a component without its manifest would be a fault.
///
/// # Errors
/// What the file system says, with the path.
pub fn place(project: &Project, component: &[u8], out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let (source, target) = (project.manifest(), out.join(format!("{}.toml", project.name)));
    // With the project's own folder as --out, it is there already.
    if source.is_file() && source.canonicalize().ok() != target.canonicalize().ok() {
        let text = fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        replace(&target, &text)?;
    }
    replace(&target.with_extension("wasm"), component)
}

/// Writes a file in one step, so that nobody reads half of it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden and without a known ending: an engine passes over it.
    let draft = path.with_file_name(format!(".{name}.{:016x}.draft", fastrand::u64(..)));
    let written = File::create_new(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The error that counts is the one before; a draft that was never made cannot be removed either.
        drop(fs::remove_file(&draft));
    }
    written.with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::language::Language;
    use crate::manifest::PluginName;

    #[test]
    fn the_result_is_there_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project {
            folder: dir.path().join("rule"),
            name: PluginName::new("rule").unwrap(),
            language: Language::Zig,
            sdk: dir.path().to_owned(),
        };
        fs::create_dir(&project.folder).unwrap();
        let out = dir.path().join("plugins/live");
        for round in ["one", "two"] {
            fs::write(project.manifest(), round).unwrap();
            place(&project, round.as_bytes(), &out).unwrap();
            assert_eq!(fs::read_to_string(out.join("rule.toml")).unwrap(), round);
            assert_eq!(fs::read_to_string(out.join("rule.wasm")).unwrap(), round);
            assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
        }
        place(&project, b"three", &project.folder).unwrap();
        assert_eq!(fs::read_to_string(project.manifest()).unwrap(), "two", "the source stays as it is");
        let err = format!("{:#}", place(&project, b"", &project.manifest()).unwrap_err());
        assert!(err.contains("make "), "{err}");
    }
}
