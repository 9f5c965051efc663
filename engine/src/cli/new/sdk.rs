//! Which wasmill-sdk crate a new Rust plugin depends on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The crate on crates.io, for plugins made outside of a checkout.
const RELEASE: &str = "wasmill-sdk = \"0.1\"";

/// The line of Cargo.toml, in the new `folder` in `here`: the crate that was given, else that of the checkout around.
///
/// # Errors
/// If the given folder is not the crate.
pub fn dependency(here: &Path, folder: &Path, given: Option<&Path>) -> anyhow::Result<String> {
    let sdk = match given {
        Some(path) => {
            let path = std::path::absolute(path).with_context(|| format!("--sdk-path {}", path.display()))?;
            if !is_sdk(&path) {
                bail!(
                    "{} is not the wasmill-sdk crate\n  hint: it holds a Cargo.toml of that name",
                    path.display()
                );
            }
            Some(path)
        }
        None => here.ancestors().map(|folder| folder.join("plugin-sdk")).find(|folder| is_sdk(folder)),
    };
    Ok(sdk.map_or_else(|| RELEASE.to_owned(), |sdk| path_dependency(&relative(folder, &sdk))))
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .ok()
        .and_then(|text| text.parse::<toml::Table>().ok())
        .and_then(|manifest| manifest.get("package")?.get("name")?.as_str().map(|name| name == "wasmill-sdk"))
        .unwrap_or(false)
}

fn path_dependency(path: &Path) -> String {
    // TOML's own quoting: a folder's name may hold anything.
    let path = toml::Value::String(path.to_string_lossy().into_owned());
    format!("wasmill-sdk = {{ path = {path} }}")
}

/// The way from one folder to another, so that a checkout can be moved with the plugins in it. Folders that share nothing
/// but the root are named in full.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    if shared <= 1 {
        return to.to_owned();
    }
    let up = from.components().skip(shared).map(|_| "..");
    up.map(PathBuf::from)
        .chain(to.components().skip(shared).map(|part| PathBuf::from(part.as_os_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_sdk_is_relative_where_it_can_be() {
        for (from, to, wanted) in [
            ("/w/rule", "/w/plugin-sdk", "../plugin-sdk"),
            ("/w/examples/x/rule", "/w/plugin-sdk", "../../../plugin-sdk"),
            ("/home/rule", "/srv/sdk", "/srv/sdk"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(wanted));
        }
        assert_eq!(path_dependency(Path::new("../a\"b")), "wasmill-sdk = { path = '../a\"b' }");
    }

    #[test]
    fn outside_of_a_checkout_it_is_the_release() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(dependency(dir.path(), &dir.path().join("rule"), None).unwrap(), RELEASE);
        let err = dependency(dir.path(), &dir.path().join("rule"), Some(dir.path())).unwrap_err();
        assert!(err.to_string().contains("not the wasmill-sdk crate"), "{err}");
    }
}
