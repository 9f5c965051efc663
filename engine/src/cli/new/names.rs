//! What a plugin may be called, which its language has a say in.

use anyhow::bail;

use super::files;
use crate::cli::language::Language;
use crate::manifest::PluginName;

/// Crate names that cargo or the compiler would refuse: keywords, what the template depends on, the language's own crates.
const RUST_TAKEN: &str = "\
    abstract alloc as async await become box break build cargo const continue core crate deps do \
    dyn else enum examples extern false final fn for gen if impl in incremental let loop macro \
    match mod move mut override priv proc_macro pub ref return self serde static std struct super \
    test trait true try type unsafe wasmill_sdk";

/// A name that serves as plugin and folder, and as what the template of a language makes of it.
///
/// # Errors
/// Says what is wrong with it, and how it could be.
pub fn checked(text: &str, language: Language) -> anyhow::Result<PluginName> {
    let name = PluginName::new(text)?;
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.contains(|c: char| c.is_ascii_uppercase())
    {
        bail!(
            "{text:?} is no name for a plugin's project\n  hint: lower-case letters, digits, '-' and '_', beginning with \
             a letter"
        );
    }
    let (taken, owner) = taken(language);
    if taken.split_whitespace().any(|taken| taken == identifier(text, language)) {
        bail!("{text:?} is taken: {owner} means something else by it\n  hint: as in {text}-rule");
    }
    if let Some(file) = files::doubly_used(language, &name) {
        bail!(
            "{text:?} is taken: its manifest would be {file}, which the tools read\n  hint: as in {text}-rule"
        );
    }
    Ok(name)
}

/// What the language's tools make of a name.
fn identifier(name: &str, language: Language) -> String {
    if language == Language::Rust { name.replace('-', "_") } else { name.to_owned() }
}

/// Names that a language's tools refuse or understand otherwise, and whose they are. Where the template's files and modules
/// are called the same in every plugin, there is nothing to refuse.
fn taken(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Rust => (RUST_TAKEN, "cargo or the compiler"),
        Language::Javascript | Language::Typescript => ("node_modules", "npm"),
        Language::Python | Language::Go | Language::C | Language::Cpp | Language::Zig => ("", "nobody"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_make_no_project_are_refused() {
        for (language, name, wanted) in [
            (Language::Rust, "", "no plugin name"),
            (Language::Rust, "../x", "no plugin name"),
            (Language::Rust, "a.b", "no plugin name"),
            (Language::Rust, "1st", "no name for a plugin's project"),
            (Language::Rust, "Rule", "no name for a plugin's project"),
            (Language::Python, "Rule", "no name for a plugin's project"),
            (Language::Rust, "test", "cargo or the compiler means something else"),
            (Language::Rust, "wasmill-sdk", "is taken"),
            (Language::Rust, "fn", "is taken"),
            (Language::Rust, "rust-toolchain", "would be rust-toolchain.toml"),
            (Language::Rust, "cargo", "is taken"),
            (Language::Javascript, "node_modules", "npm means something else"),
            (Language::Python, "build", "would be build.toml"),
            (Language::Zig, "build", "would be build.toml"),
        ] {
            let err = checked(name, language).unwrap_err().to_string();
            assert!(err.contains(wanted), "{language} {name}: {err}");
        }
        for language in Language::ALL {
            assert!(checked("large-amount_2", language).is_ok(), "{language}");
        }
        assert!(checked("fn", Language::Python).is_ok());
    }
}
