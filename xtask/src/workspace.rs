//! Where things are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The packages of guests that only tests run: those that misbehave, one made for another host, a program, and those with a
/// key. They are built for wasm only.
pub const GUESTS: [&str; 6] = [
    "wasmill-test-guests",
    "wasmill-test-messaging",
    "wasmill-test-command",
    "wasmill-test-keyed",
    "wasmill-test-ledger",
    "wasmill-test-tally",
];

/// The conformance plugin in Rust. It is built for wasm only, too.
pub const CONFORMANCE: &str = "conformance";

/// The work tree and the folder for what is built from it.
pub struct Workspace {
    /// The folder of the root Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds the work tree that this program was built from. `CARGO_TARGET_DIR` is heeded.
    pub fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir).context("CARGO_TARGET_DIR")?,
            None => root.join("target"),
        };
        Ok(Self { root: root.to_owned(), target })
    }

    /// Programs fetched or built for the project's own use.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The first-party plugins, one component each.
    pub fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The components that only tests run.
    pub fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The conformance plugins, one for each language and way of running it.
    pub fn languages(&self) -> PathBuf {
        self.target.join("languages")
    }

    /// The runners of source plugins.
    pub fn runners(&self) -> PathBuf {
        self.target.join("runners")
    }

    /// A program that cargo built: `profile` is the folder's name, `debug` or `release`.
    pub fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// The entries of a folder in order of name; none if there is no such folder.
pub fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let read = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("cannot read {}", dir.display()))?;
    paths.sort();
    Ok(paths)
}

/// A path's last part without its ending, as text.
pub fn stem(path: &Path) -> Result<String> {
    let stem = path.file_stem().and_then(OsStr::to_str);
    Ok(stem.with_context(|| format!("{} has no readable name", path.display()))?.to_owned())
}

/// Puts `bytes` at `path` unless they are there already, in one step: an engine that watches the folder sees either
/// the old file or the new one, and nothing at all if nothing changed.
pub fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let dir = path.parent().context("a file needs a folder")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let unfinished = dir.join(format!(".{}.{}.part", stem(path)?, std::process::id()));
    fs::write(&unfinished, bytes).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}
