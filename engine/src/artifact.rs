//! What a plugin's code comes as: WebAssembly, or source text that a runner executes.

use serde::{Deserialize, Serialize};

use crate::manifest::Isolation;

/// What a plugin's code comes as. Its file's ending tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Artifact {
    /// A component, or a core module that becomes one on loading: `<name>.wasm`.
    #[default]
    Wasm,
    /// Python source: `<name>.py`.
    Python,
    /// JavaScript source, an ES module: `<name>.js`.
    JavaScript,
}

impl Artifact {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wasm, Self::Python, Self::JavaScript];

    /// The ending of its file, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Python => "py",
            Self::JavaScript => "js",
        }
    }

    /// What a file of this ending is; none if it is no plugin's code.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artifact| artifact.extension() == extension)
    }

    /// The name that people know it by.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Wasm => "WebAssembly",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// Whether a runner executes it.
    #[must_use]
    pub fn is_source(self) -> bool {
        self != Self::Wasm
    }

    /// The isolation of a plugin whose manifest gives none. Starting an interpreter and reading the source for each event
    /// costs a hundred times what the call costs.
    #[must_use]
    pub fn default_isolation(self) -> Isolation {
        if self.is_source() { Isolation::Reuse } else { Isolation::Fresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_and_back() {
        for artifact in Artifact::ALL {
            assert_eq!(Artifact::of_extension(artifact.extension()), Some(artifact));
        }
        assert_eq!(Artifact::of_extension("toml"), None);
        assert_eq!(Artifact::of_extension("PY"), None);
    }
}
