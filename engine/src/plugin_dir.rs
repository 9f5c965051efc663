//! The plugin directory: what is in it, and when to look again. The only place that knows the file watcher.
//!
//! The watcher never says what changed, only that something may have. A scan then reads whole files and hashes them, so
//! that adding, replacing, renaming over, writing in place and flipping a symlink all look the same: other bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::limits::{MAX_MANIFEST_BYTES, MAX_PLUGINS, SETTLE_MS, WRITING_GRACE_MS};
use crate::manifest::PluginName;
use crate::plan::{Files, Found};

/// The largest component that is read at all, in bytes; the manifest's own limit is checked on loading.
const MAX_COMPONENT_BYTES: u64 = 1_024 * 1_024 * 1_024;

/// Why the directory, or a file in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Reading failed.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Watching failed.
    #[error("{path} cannot be watched: {reason}", path = path.display())]
    Watch {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Not what a scan found a moment ago.
    #[error("{path} has changed since it was found", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// A file of code.
type Code = (Artifact, PathBuf);

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// By plugin.
    pub plugins: BTreeMap<PluginName, Found>,
    /// What is wrong with files that belong to no plugin.
    pub faults: Vec<String>,
    /// Why a plugin is [`Found::Unreadable`].
    pub unreadable: BTreeMap<PluginName, String>,
    /// Whether a file is still changing, so that another scan is due soon.
    pub unsettled: bool,
}

/// The directory, with what is remembered of its files so that unchanged ones are not read again.
pub struct PluginDir {
    path: PathBuf,
    seen: BTreeMap<PathBuf, (Stamp, Digest)>,
}

/// What tells that a file was written: if none of these changed, neither did its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: SystemTime,
    changed_ns: i64,
    changed_s: i64,
}

enum Look {
    Digest(Digest),
    Unsettled,
    Fault(String),
}

impl PluginDir {
    /// A directory; it need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: BTreeMap::new() }
    }

    /// Starts watching: a unit comes whenever something may have changed. The watcher stops when it is dropped.
    ///
    /// # Errors
    /// If the system gives no watch.
    pub fn watch(&self) -> Result<(Watcher, mpsc::Receiver<()>), DirError> {
        // One waiting nudge says as much as many.
        let (nudge, nudges) = mpsc::channel(1);
        let fault = |err: notify::Error| DirError::Watch { path: self.path.clone(), reason: err.to_string() };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let only_read = event.is_ok_and(|event| event.kind.is_access());
            if !only_read {
                // Full means that one is waiting already.
                let _waiting = nudge.try_send(());
            }
        })
        .map_err(fault)?;
        watcher.watch(&self.path, RecursiveMode::NonRecursive).map_err(fault)?;
        Ok((Watcher(watcher), nudges))
    }

    /// Looks at every file.
    ///
    /// # Errors
    /// If the directory itself cannot be read: then nothing is known, least of all that plugins are gone.
    pub fn scan(&mut self) -> Result<Scan, DirError> {
        let mut components: BTreeMap<PluginName, Vec<Code>> = BTreeMap::new();
        let mut manifests = BTreeMap::new();
        let mut scan = Scan::default();
        for path in self.list()? {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let artifact = Artifact::of_extension(ending);
            if artifact.is_none() && ending != "toml" {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if stem.starts_with('.') {
                continue;
            }
            match PluginName::new(stem) {
                Ok(name) => match artifact {
                    Some(artifact) => components.entry(name).or_default().push((artifact, path)),
                    None => {
                        manifests.insert(name, path);
                    }
                },
                Err(err) => scan.faults.push(format!("{}: {err}", path.display())),
            }
        }
        self.seen.retain(|path, _| {
            let mut codes = components.values().flatten().map(|(_, code)| code);
            codes.any(|known| known == path) || manifests.values().any(|known| known == path)
        });
        let names: std::collections::BTreeSet<_> =
            components.keys().chain(manifests.keys()).cloned().collect();
        for (count, name) in names.into_iter().enumerate() {
            if count >= MAX_PLUGINS {
                // Left alone, not gone: a plugin that runs must not make way for a stray file.
                let fault = format!("more than {MAX_PLUGINS} plugins: {name} is left alone");
                scan.unreadable.insert(name.clone(), fault);
                scan.plugins.insert(name, Found::Unreadable);
                continue;
            }
            let code = components.get(&name).map(Vec::as_slice).unwrap_or_default();
            let found = self.pair(&name, code, manifests.get(&name), &mut scan);
            scan.plugins.insert(name, found);
        }
        Ok(scan)
    }

    fn list(&self) -> Result<Vec<PathBuf>, DirError> {
        let fault = |source| DirError::Read { path: self.path.clone(), source };
        let entries = std::fs::read_dir(&self.path).map_err(fault)?;
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(fault)).collect()
    }

    fn pair(
        &mut self,
        name: &PluginName,
        code: &[Code],
        manifest: Option<&PathBuf>,
        scan: &mut Scan,
    ) -> Found {
        let mut look = |path: &Path, limit: u64| match self.look(path, limit) {
            Look::Digest(digest) => Ok(digest),
            Look::Unsettled => {
                scan.unsettled = true;
                Err(Found::Unsettled)
            }
            Look::Fault(text) => {
                scan.unreadable.insert(name.clone(), text);
                Err(Found::Unreadable)
            }
        };
        let (artifact, component) = match code {
            [] => return Found::NoComponent,
            [(artifact, component)] => (*artifact, component),
            several => {
                // Which one is meant, nobody can tell: what runs goes on.
                let endings: Vec<_> =
                    several.iter().map(|(artifact, _)| format!("{name}.{}", artifact.extension())).collect();
                let fault = format!("{} are there: a plugin has one of them", endings.join(" and "));
                scan.unreadable.insert(name.clone(), fault);
                return Found::Unreadable;
            }
        };
        let Some(manifest) = manifest else { return Found::NoManifest(artifact) };
        let files = look(component, MAX_COMPONENT_BYTES).and_then(|component| {
            look(manifest, MAX_MANIFEST_BYTES).map(|manifest| Files { artifact, component, manifest })
        });
        files.map_or_else(|not_now| not_now, Found::Complete)
    }

    fn look(&mut self, path: &Path, limit: u64) -> Look {
        let fault = |err: std::io::Error| Look::Fault(format!("{} cannot be read: {err}", path.display()));
        let stamp = match std::fs::metadata(path) {
            Ok(meta) if !meta.is_file() => return Look::Fault(format!("{} is no file", path.display())),
            Ok(meta) => Stamp::of(&meta),
            Err(err) => return fault(err),
        };
        if stamp.size > limit {
            return Look::Fault(format!(
                "{} has {} bytes, over the most of {limit}",
                path.display(),
                stamp.size
            ));
        }
        match self.seen.entry(path.to_owned()) {
            Entry::Occupied(entry) if entry.get().0 == stamp => return Look::Digest(entry.get().1),
            _ if stamp.age() < Duration::from_millis(SETTLE_MS) => return Look::Unsettled,
            _ => {}
        }
        match std::fs::read(path) {
            Ok(bytes) if bytes.len() as u64 != stamp.size => Look::Unsettled,
            Ok(bytes) => {
                let digest = Digest::of(&bytes);
                self.seen.insert(path.to_owned(), (stamp, digest));
                Look::Digest(digest)
            }
            Err(err) => fault(err),
        }
    }

    /// Whether a plugin's code was written so lately that it may still be growing.
    #[must_use]
    pub fn may_be_growing(&self, name: &PluginName, artifact: Artifact) -> bool {
        let path = self.path.join(format!("{name}.{}", artifact.extension()));
        let age = std::fs::metadata(path).ok().map(|meta| Stamp::of(&meta).age());
        age.is_some_and(|age| age < Duration::from_millis(WRITING_GRACE_MS))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads the two files of a plugin in a directory.
///
/// # Errors
/// If one cannot be read or is not the one that was found.
pub fn read(dir: &Path, name: &PluginName, files: &Files) -> Result<(Vec<u8>, String), DirError> {
    let component = read_found(&dir.join(format!("{name}.{}", files.artifact.extension())), files.component)?;
    let path = dir.join(format!("{name}.toml"));
    let manifest = read_found(&path, files.manifest)?;
    // A manifest that is not UTF-8 shows up as one with strange keys, with line and column.
    Ok((component, String::from_utf8_lossy(&manifest).into_owned()))
}

fn read_found(path: &Path, wanted: Digest) -> Result<Vec<u8>, DirError> {
    let bytes = std::fs::read(path).map_err(|source| DirError::Read { path: path.to_owned(), source })?;
    if Digest::of(&bytes) == wanted { Ok(bytes) } else { Err(DirError::Changed { path: path.to_owned() }) }
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            changed_ns: meta.ctime_nsec(),
            changed_s: meta.ctime(),
        }
    }

    /// How long ago it was written. A time in the future counts as long ago: waiting for it would wait for ever.
    fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.modified).unwrap_or(Duration::MAX)
    }
}

/// Keeps a watch alive.
pub struct Watcher(
    #[allow(dead_code, reason = "held for its drop, which ends the watch")] notify::RecommendedWatcher,
);

#[cfg(test)]
mod tests;
