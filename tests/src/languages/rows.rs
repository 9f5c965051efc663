//! The rows of the table: every way in which a language's plugin comes to the engine.

use wasmill::artifact::Artifact;

/// What a plugin is when it is handed to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component, as `wasmill build` makes it.
    Component,
    /// A core module, which the engine makes a component of on load.
    Module,
    /// Source, which a prebuilt runner runs.
    Source(Artifact),
}

impl Kind {
    /// The kind for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Module => "core module",
            Self::Source(_) => "source",
        }
    }

    /// What the engine is told that it is.
    #[must_use]
    pub fn artifact(self) -> Artifact {
        match self {
            Self::Component | Self::Module => Artifact::Wasm,
            Self::Source(artifact) => artifact,
        }
    }
}

/// What a language may be unable to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Can {
    /// Raise an error that becomes a failure with a trace. Without it, an error that nobody catches traps.
    Raise,
    /// Trap on purpose. Without it, the token `trap` raises.
    Trap,
    /// Tell an empty key from none.
    EmptyKey,
    /// Keep lists, maps and sets in fields. Without it, there are the bytes of a field, and counters.
    TypedFields,
}

impl Can {
    /// The verb for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Raise => "raise an exception",
            Self::Trap => "trap on purpose",
            Self::EmptyKey => "tell an empty key from none",
            Self::TypedFields => "keep lists, maps and sets in fields",
        }
    }
}

/// One language, in one way of running it.
#[derive(Debug)]
pub struct Row {
    /// Its name in the table and on the command line.
    pub name: &'static str,
    /// The folder of its plugin in `tests/languages`, which is also what it logs as `lang`.
    pub folder: &'static str,
    /// What the engine is given.
    pub kind: Kind,
    /// What it cannot do, and why.
    pub lacks: &'static [(Can, &'static str)],
    /// What a trace of its function `explode` may show instead of that name: the file where it stands.
    pub file: &'static str,
}

impl Row {
    const fn new(name: &'static str, folder: &'static str, kind: Kind, file: &'static str) -> Self {
        Self { name, folder, kind, lacks: &[], file }
    }

    const fn lacks(mut self, lacks: &'static [(Can, &'static str)]) -> Self {
        self.lacks = lacks;
        self
    }

    /// Whether this names it, or its language.
    fn is(&self, name: &str) -> bool {
        name == self.name || name == self.folder
    }

    /// Whether it can do this.
    #[must_use]
    pub fn can(&self, what: Can) -> bool {
        !self.lacks.iter().any(|(lacked, _)| *lacked == what)
    }
}

const PANICS: &[(Can, &str)] = &[(Can::Raise, "a panic ends the instance: it traps, with a backtrace")];

const ABORTS: &[(Can, &str)] =
    &[(Can::Raise, "an error that is thrown ends the instance: it is logged, and traps"), BYTES_AND_COUNTS];

const NO_TRAP: &[(Can, &str)] = &[(Can::Trap, "nothing in the language ends the instance but its limits")];

const ZERO_VALUE: &[(Can, &str)] =
    &[(Can::EmptyKey, "a key is a string, which is empty where there is none")];

const BYTES_AND_COUNTS: (Can, &str) =
    (Can::TypedFields, "a field is bytes, or a count; its SDK brings JSON for the rest");

/// Every row.
pub const ROWS: &[Row] = &[
    Row::new("rust", "rust", Kind::Component, "lib.rs").lacks(PANICS),
    Row::new("python", "python", Kind::Component, "plugin.py"),
    // The engine names a source after its plugin.
    Row::new("python-source", "python", Kind::Source(Artifact::Python), "conformance.py"),
    Row::new("javascript", "javascript", Kind::Component, "plugin.js").lacks(NO_TRAP),
    Row::new("javascript-source", "javascript", Kind::Source(Artifact::JavaScript), "conformance.js")
        .lacks(NO_TRAP),
    Row::new("typescript", "typescript", Kind::Component, "plugin.ts").lacks(NO_TRAP),
    Row::new("go", "go", Kind::Component, "harm.go").lacks(ZERO_VALUE),
    Row::new("go-module", "go", Kind::Module, "harm.go").lacks(ZERO_VALUE),
    Row::new("c", "c", Kind::Component, "plugin.c").lacks(&[BYTES_AND_COUNTS]),
    Row::new("c-module", "c", Kind::Module, "plugin.c").lacks(&[BYTES_AND_COUNTS]),
    Row::new("cpp", "cpp", Kind::Component, "plugin.cpp").lacks(&[BYTES_AND_COUNTS]),
    Row::new("zig", "zig", Kind::Component, "plugin.zig"),
    Row::new("zig-module", "zig", Kind::Module, "plugin.zig"),
    Row::new("assemblyscript", "assemblyscript", Kind::Module, "conformance.ts").lacks(ABORTS),
];

/// The rows of these names, or of the languages of these names, in the table's order; all if there are none.
///
/// # Errors
/// Names the first that there is not.
pub fn named(names: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.is(name))) {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        anyhow::bail!("there is no language {unknown:?}\n  hint: one of {}", known.join(", "));
    }
    Ok(ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| row.is(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_name() {
        assert_eq!(named(&[]).unwrap().len(), ROWS.len());
        assert_eq!(named(&["rust".to_owned()]).unwrap()[0].name, "rust");
        assert!(named(&["cobol".to_owned()]).unwrap_err().to_string().contains("one of rust"));
    }

    #[test]
    fn every_row_has_its_folder_and_its_own_name() {
        for (at, row) in ROWS.iter().enumerate() {
            let folder = crate::parts::root().join("tests/languages").join(row.folder);
            assert!(folder.is_dir(), "{}", folder.display());
            assert!(!ROWS.iter().skip(at + 1).any(|other| other.name == row.name), "{} twice", row.name);
        }
    }
}
