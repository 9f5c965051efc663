//! What is up to date: a stamp holds the hash of all that a thing was made from.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, entries, place};

/// What tool chains leave in a folder of sources.
const LEFT_BEHIND: [&str; 6] = ["build", "node_modules", "target", "__pycache__", ".tools", "zig-out"];

/// The stamp of one thing.
pub struct Stamp {
    file: PathBuf,
    hash: String,
}

impl Stamp {
    /// What the stamp must say for a thing made from these files and folders, by these words.
    pub fn new(workspace: &Workspace, name: &str, inputs: &[PathBuf], words: &str) -> Result<Self> {
        // Its keys are fixed, and what is at stake is a needless build, not an attack.
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        for input in inputs {
            read_into(&mut hasher, input)?;
        }
        let file = workspace.languages().join("stamps").join(name);
        Ok(Self { file, hash: format!("{:016x}", hasher.finish()) })
    }

    /// Whether the thing was made from just this, and is there.
    pub fn is_fresh(&self, made: &[PathBuf]) -> bool {
        made.iter().all(|file| file.exists())
            && fs::read_to_string(&self.file).is_ok_and(|stamped| stamped == self.hash)
    }

    /// Says that the thing is made.
    pub fn set(&self) -> Result<()> {
        place(&self.file, self.hash.as_bytes())
    }
}

fn read_into(hasher: &mut DefaultHasher, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    if LEFT_BEHIND.iter().any(|left| name == *left) {
        return Ok(());
    }
    name.hash(hasher);
    if path.is_dir() {
        entries(path)?.iter().try_for_each(|inside| read_into(hasher, inside))
    } else {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(hasher);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_makes_a_stamp_stale_and_what_is_built_does_not() {
        let root = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let workspace = Workspace { root: root.clone(), target: root.join("out") };
        let source = root.join("source");
        let stamp = || Stamp::new(&workspace, "thing", std::slice::from_ref(&source), "made so").unwrap();
        place(&source.join("a/b.txt"), b"one").unwrap();
        assert!(!stamp().is_fresh(&[]));
        stamp().set().unwrap();
        assert!(stamp().is_fresh(&[]) && !stamp().is_fresh(&[root.join("gone")]));
        place(&source.join("build/x"), b"left").unwrap();
        assert!(stamp().is_fresh(&[]));
        place(&source.join("a/b.txt"), b"two").unwrap();
        assert!(!stamp().is_fresh(&[]));
        assert!(Stamp::new(&workspace, "thing", &[root.join("gone")], "").is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
