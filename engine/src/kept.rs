//! Good versions, kept beside the engine's other data: the one in service and the one before it. A rollback takes the
//! latter; a restart that finds a bad file in the plugin directory goes on with the former.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::PluginName;
use crate::plan::Files;

/// Why something could not be kept or brought back.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct KeepError {
    /// The file.
    path: PathBuf,
    /// Why.
    reason: String,
}

/// What is kept of one plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// In service, or last in service.
    pub current: Option<Files>,
    /// In service before that.
    pub previous: Option<Files>,
    /// The files in the plugin directory that a rollback set aside: they are not loaded until they change.
    pub set_aside: Option<Files>,
}

/// The directory of kept versions.
#[derive(Debug, Clone)]
pub struct Kept {
    root: PathBuf,
}

impl Kept {
    /// Uses a directory, making it on the first write.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// What is kept of a plugin; nothing if it was never in service.
    ///
    /// # Errors
    /// If the record is there and cannot be read.
    pub fn record(&self, name: &PluginName) -> Result<Record, KeepError> {
        let path = self.root.join(name.as_str()).join("record.json");
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|err| KeepError { path, reason: err.to_string() })
            }
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(err) => Err(KeepError { path, reason: err.to_string() }),
        }
    }

    /// Keeps a version that has come into service, and the one before it. Older ones go.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(
        &self,
        name: &PluginName,
        files: Files,
        component: &[u8],
        manifest: &str,
    ) -> Result<Record, KeepError> {
        // A record that cannot be read costs a rollback, not the keeping of this version.
        let before = self.record(name).unwrap_or_default();
        let dir = self.dir(name)?;
        write_once(&dir.join(component_file(&files)), component)?;
        write_once(&dir.join(format!("{}.toml", files.manifest)), manifest.as_bytes())?;
        let previous = if before.current == Some(files) { before.previous } else { before.current };
        let record = Record { current: Some(files), previous, set_aside: None };
        self.write_record(name, record)?;
        Ok(record)
    }

    /// Notes a rollback: current and previous change places, and what lies in the plugin directory is set aside.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn roll_back(&self, name: &PluginName, set_aside: Option<Files>) -> Result<Record, KeepError> {
        let before = self.record(name)?;
        // Back to what lies in the directory: nothing is set aside any more.
        let set_aside = set_aside.filter(|files| Some(*files) != before.previous);
        let record = Record { current: before.previous, previous: before.current, set_aside };
        self.write_record(name, record)?;
        Ok(record)
    }

    /// Reads a kept version.
    ///
    /// # Errors
    /// If it is not there any more, or not as it was.
    pub fn read(&self, name: &PluginName, files: &Files) -> Result<(Vec<u8>, String), KeepError> {
        let dir = self.root.join(name.as_str());
        let component = read_checked(&dir.join(component_file(files)), files.component)?;
        let path = dir.join(format!("{}.toml", files.manifest));
        let manifest = read_checked(&path, files.manifest)?;
        let manifest =
            String::from_utf8(manifest).map_err(|err| KeepError { path, reason: err.to_string() })?;
        Ok((component, manifest))
    }

    fn dir(&self, name: &PluginName) -> Result<PathBuf, KeepError> {
        let dir = self.root.join(name.as_str());
        std::fs::create_dir_all(&dir)
            .map_err(|err| KeepError { path: dir.clone(), reason: err.to_string() })?;
        Ok(dir)
    }

    fn write_record(&self, name: &PluginName, record: Record) -> Result<(), KeepError> {
        let dir = self.dir(name)?;
        let path = dir.join("record.json");
        let text = serde_json::to_vec(&record)
            .map_err(|err| KeepError { path: path.clone(), reason: err.to_string() })?;
        write_atomically(&path, &text)?;
        remove_others(&dir, record)
    }
}

fn component_file(files: &Files) -> String {
    format!("{}.{}", files.component, files.artifact.extension())
}

fn read_checked(path: &Path, wanted: Digest) -> Result<Vec<u8>, KeepError> {
    let fault = |reason: String| KeepError { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|err| fault(err.to_string()))?;
    if Digest::of(&bytes) == wanted {
        Ok(bytes)
    } else {
        Err(fault("it has changed since it was kept".into()))
    }
}

fn write_once(path: &Path, bytes: &[u8]) -> Result<(), KeepError> {
    if path.exists() { Ok(()) } else { write_atomically(path, bytes) }
}

fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), KeepError> {
    let draft = path.with_extension("draft");
    let written = std::fs::File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|err| KeepError { path: path.to_owned(), reason: err.to_string() })
}

fn remove_others(dir: &Path, record: Record) -> Result<(), KeepError> {
    let fault = |err: std::io::Error| KeepError { path: dir.to_owned(), reason: err.to_string() };
    let wanted: Vec<String> = [record.current, record.previous]
        .into_iter()
        .flatten()
        .flat_map(|files| [component_file(&files), format!("{}.toml", files.manifest)])
        .collect();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        let name = name.to_string_lossy();
        if name != "record.json" && !wanted.iter().any(|wanted| *wanted == name) {
            std::fs::remove_file(dir.join(&*name)).map_err(fault)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Artifact;

    #[test]
    fn two_versions_are_kept_and_change_places() {
        let temp = tempfile::tempdir().unwrap();
        let kept = Kept::new(temp.path().join("kept"));
        let name = PluginName::new("p").unwrap();
        let files = |text: &str| Files {
            artifact: Artifact::Wasm,
            component: Digest::of(text.as_bytes()),
            manifest: Digest::of(b"m"),
        };
        assert_eq!(kept.record(&name).unwrap(), Record::default());
        for text in ["one", "two", "three", "three"] {
            kept.keep(&name, files(text), text.as_bytes(), "m").unwrap();
        }
        let record = kept.record(&name).unwrap();
        assert_eq!((record.current, record.previous), (Some(files("three")), Some(files("two"))));
        assert!(kept.read(&name, &files("one")).is_err(), "older versions go");
        let back = kept.roll_back(&name, Some(files("three"))).unwrap();
        assert_eq!(back.current, Some(files("two")));
        assert_eq!(back.set_aside, Some(files("three")));
        assert_eq!(kept.read(&name, &files("two")).unwrap(), (b"two".to_vec(), "m".to_owned()));
        kept.keep(&name, files("four"), b"four", "m").unwrap();
        assert_eq!(kept.record(&name).unwrap().set_aside, None);
    }

    #[test]
    fn a_decayed_file_is_not_brought_back() {
        let temp = tempfile::tempdir().unwrap();
        let kept = Kept::new(temp.path().to_owned());
        let name = PluginName::new("p").unwrap();
        let files =
            Files { artifact: Artifact::Wasm, component: Digest::of(b"one"), manifest: Digest::of(b"m") };
        kept.keep(&name, files, b"one", "m").unwrap();
        std::fs::write(temp.path().join("p").join(format!("{}.wasm", files.component)), b"0ne").unwrap();
        assert!(kept.read(&name, &files).unwrap_err().to_string().contains("changed"));
    }
}
