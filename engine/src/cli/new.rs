//! `wasmill new`: a Rust plugin that builds and passes its own test at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::exit::Failure;
use super::out;
use crate::manifest::PluginName;

/// The files of a new plugin: where each goes, and its text. Names and texts hold `{{placeholders}}`.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("new_template/Cargo.toml.tmpl")),
    ("README.md", include_str!("new_template/README.md.tmpl")),
    (".gitignore", include_str!("new_template/gitignore.tmpl")),
    ("{{name}}.toml", include_str!("new_template/manifest.toml.tmpl")),
    ("rust-toolchain.toml", include_str!("new_template/rust-toolchain.toml.tmpl")),
    ("src/lib.rs", include_str!("new_template/src/lib.rs.tmpl")),
];

/// The crate on crates.io, for plugins made outside of a checkout.
const SDK_RELEASE: &str = "wasmill-sdk = \"0.1\"";

/// Crate names that cargo or the compiler would refuse: keywords, what the template depends on, the language's own crates.
const TAKEN: &str = "\
    abstract alloc as async await become box break build cargo const continue core crate deps do \
    dyn else enum examples extern false final fn for gen if impl in incremental let loop macro \
    match mod move mut override priv proc_macro pub ref return self serde static std struct super \
    test trait true try type unsafe wasmill_sdk";

/// Make a new Rust plugin, ready to build and test
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The plugin's name; its folder is made here
    name: String,
    /// The folder of the wasmill-sdk crate to depend on [default: the checkout around this folder, else crates.io]
    #[arg(long, value_name = "DIR")]
    sdk_path: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A name that is none, a folder that exists, an SDK that is not there.
pub fn run(args: &NewArgs) -> Result<(), Failure> {
    let name = checked_name(&args.name)?;
    let here = std::env::current_dir().context("find the working directory")?;
    let sdk = match &args.sdk_path {
        Some(path) => {
            Some(std::path::absolute(path).with_context(|| format!("--sdk-path {}", path.display()))?)
        }
        None => here.ancestors().map(|folder| folder.join("plugin-sdk")).find(|folder| is_sdk(folder)),
    };
    if let Some(sdk) = sdk.as_ref().filter(|sdk| !is_sdk(sdk)) {
        return Err(anyhow!(
            "{} is not the wasmill-sdk crate\n  hint: it holds a Cargo.toml of that name",
            sdk.display()
        )
        .into());
    }
    let folder = here.join(name.as_str());
    if folder.exists() {
        return Err(anyhow!("{name} exists already\n  hint: choose another name, or remove it").into());
    }
    let dependency =
        sdk.map_or_else(|| SDK_RELEASE.to_owned(), |sdk| path_dependency(&relative(&folder, &sdk)));
    write(&folder, &name, &dependency)?;
    out::say(format_args!(
        "{name} is ready:\n  cd {name}\n  cargo test\n  cargo build --release --target wasm32-wasip2\nREADME.md there says how to run it."
    ));
    Ok(())
}

fn write(folder: &Path, name: &PluginName, dependency: &str) -> anyhow::Result<()> {
    for (path, text) in FILES {
        let path = folder.join(filled(path, name, dependency));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        fs::write(&path, filled(text, name, dependency))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn filled(text: &str, name: &PluginName, dependency: &str) -> String {
    text.replace("{{name}}", name.as_str())
        .replace("{{crate}}", &name.as_str().replace('-', "_"))
        .replace("{{sdk_dependency}}", dependency)
}

/// A name that serves as plugin, folder and crate.
fn checked_name(text: &str) -> anyhow::Result<PluginName> {
    let name = PluginName::new(text)?;
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.contains(|c: char| c.is_ascii_uppercase())
    {
        bail!(
            "{text:?} is no name for a crate\n  hint: lower-case letters, digits, '-' and '_', beginning with a letter"
        );
    }
    if TAKEN.split_whitespace().any(|taken| taken == text.replace('-', "_")) {
        bail!(
            "{text:?} is taken: cargo or the compiler means something else by it\n  hint: as in {text}-rule"
        );
    }
    Ok(name)
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
    fn names_that_make_no_crate_are_refused() {
        for (name, wanted) in [
            ("", "no plugin name"),
            ("../x", "no plugin name"),
            ("a.b", "no plugin name"),
            ("1st", "no name for a crate"),
            ("Rule", "no name for a crate"),
            ("test", "is taken"),
            ("wasmill-sdk", "is taken"),
            ("fn", "is taken"),
        ] {
            let err = checked_name(name).unwrap_err().to_string();
            assert!(err.contains(wanted), "{name}: {err}");
        }
        assert!(checked_name("large-amount_2").is_ok());
    }

    #[test]
    fn every_file_is_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("big-spender");
        write(&folder, &checked_name("big-spender").unwrap(), "wasmill-sdk = \"0.1\"").unwrap();
        for path in
            ["Cargo.toml", "README.md", ".gitignore", "big-spender.toml", "rust-toolchain.toml", "src/lib.rs"]
        {
            let text = fs::read_to_string(folder.join(path)).unwrap();
            assert!(!text.contains("{{"), "{path} has a placeholder left");
        }
        let manifest = fs::read_to_string(folder.join("big-spender.toml")).unwrap();
        crate::manifest::Manifest::parse(&manifest).unwrap();
        let cargo: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(cargo["dependencies"]["wasmill-sdk"].as_str(), Some("0.1"));
    }

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
}
