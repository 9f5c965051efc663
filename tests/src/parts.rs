//! Where the parts are that tests drive: programs and components.
//!
//! `cargo xtask test` makes them and names them in the environment. A plain `cargo test` finds what it left in the target
//! folder; what is missing is an error that says how to get it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The `wasmill` binary of this build.
///
/// # Errors
/// If it was not built.
pub fn wasmill() -> Result<PathBuf> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    part("the wasmill binary", "WASMILL_BIN", Path::new(profile).join(program("wasmill")))
}

/// The `xtask` binary, whose list of commands the README is held against.
///
/// # Errors
/// If it was not built.
pub fn xtask() -> Result<PathBuf> {
    part("the xtask binary", "WASMILL_XTASK", Path::new("debug").join(program("xtask")))
}

/// The component of a first-party plugin.
///
/// # Errors
/// If it was not built.
pub fn plugin(name: &str) -> Result<PathBuf> {
    inside(&format!("plugin {name}"), "WASMILL_COMPONENTS", "plugins", name)
}

/// The component of the test guests.
///
/// # Errors
/// If it was not built.
pub fn test_guests() -> Result<PathBuf> {
    inside("the component of the test guests", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-guests")
}

/// The component of an example that is a project of its own.
///
/// # Errors
/// If it was not built.
pub fn example(name: &str) -> Result<PathBuf> {
    inside(&format!("the component of example {name}"), "WASMILL_TEST_GUESTS", "guests", name)
}

/// The conformance plugin of a language, as the engine is given it.
///
/// # Errors
/// If it was not built.
pub fn language(name: &str, ending: &str) -> Result<PathBuf> {
    let path = languages()?.join(format!("{name}.{ending}"));
    if !path.is_file() {
        bail!(
            "the conformance plugin of {name} is not at {}\n  hint: `cargo xtask languages --only {name}` builds it",
            path.display()
        );
    }
    Ok(path)
}

/// The folder of the conformance plugins.
///
/// # Errors
/// If there is no target folder.
pub fn languages() -> Result<PathBuf> {
    match std::env::var_os("WASMILL_LANGUAGES") {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Ok(target()?.join("languages")),
    }
}

/// The component made for wasmCloud's messaging.
///
/// # Errors
/// If it was not built.
pub fn test_messaging() -> Result<PathBuf> {
    inside("the component of messaging", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-messaging")
}

/// The plugin with a key.
///
/// # Errors
/// If it was not built.
pub fn test_keyed() -> Result<PathBuf> {
    inside("the plugin with a key", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-keyed")
}

/// The plugin with a key that keeps account.
///
/// # Errors
/// If it was not built.
pub fn test_ledger() -> Result<PathBuf> {
    inside("the plugin that keeps account", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-ledger")
}

/// The plugin with a key that counts.
///
/// # Errors
/// If it was not built.
pub fn test_tally() -> Result<PathBuf> {
    inside("the plugin that counts", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-tally")
}

/// The program that reads events from its standard input.
///
/// # Errors
/// If it was not built.
pub fn test_command() -> Result<PathBuf> {
    inside("the program that reads lines", "WASMILL_TEST_GUESTS", "guests", "wasmill-test-command")
}

/// The folders that hold the runners of source plugins.
///
/// # Errors
/// If there is no target folder.
pub fn runner_dirs() -> Result<Vec<PathBuf>> {
    Ok(vec![match std::env::var_os("WASMILL_RUNNERS") {
        Some(dir) => PathBuf::from(dir),
        None => target()?.join("runners"),
    }])
}

/// The root of the work tree.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

fn part(what: &str, variable: &str, conventional: PathBuf) -> Result<PathBuf> {
    let path = match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => target()?.join(conventional),
    };
    present(what, path)
}

fn inside(what: &str, variable: &str, folder: &str, name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os(variable) {
        Some(dir) => PathBuf::from(dir),
        None => target()?.join(folder),
    };
    present(what, dir.join(format!("{name}.wasm")))
}

fn present(what: &str, path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!(
            "{what} is not at {}\n  hint: `cargo xtask test` builds and fetches all that tests need",
            path.display()
        );
    }
    Ok(path)
}

/// Cargo's target folder, which it marks for backup programs: the test binary runs somewhere inside.
///
/// # Errors
/// If it was moved out of there.
pub fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the test binary does not know where it is")?;
    let target = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    Ok(target.with_context(|| format!("{} is in no target folder", program.display()))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_says_how_to_get_it() {
        let err = present("wasmill", PathBuf::from("/nowhere")).unwrap_err().to_string();
        assert!(err.contains("cargo xtask test"), "{err}");
        assert!(target().unwrap().is_dir());
        assert!(root().join("Cargo.toml").is_file());
    }
}
