//! A private folder for the time of one command.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder; it goes with the value.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder that nobody else can have put anything into: compiled code is run as it is found there.
    pub(super) fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!(
            "wasmill-check-{}-{:016x}",
            std::process::id(),
            fastrand::u64(..)
        ));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever cleans the temporary folder finds what could not be removed here.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
