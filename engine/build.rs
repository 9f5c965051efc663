//! Lists the files that `wasmill new` and `wasmill build` hold inside the binary: the templates, the SDKs of the languages
//! that have no package registry of ours, and the contract. The folders are walked, so that a new file cannot be forgotten.
//! And it turns the one piece of the engine that is WebAssembly in text into bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What people and tools leave in a source folder, and what only the repository needs.
const LEFT_OUT: &[&str] = &["__pycache__", "build", "node_modules", "target", "zig-out"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let mut listed = String::new();
    list(&mut listed, "TEMPLATES", &root.join("templates"), &[])?;
    list(&mut listed, "SDKS", &root.join("../plugin-sdk"), &["src", "tests"])?;
    println!("cargo::rerun-if-changed=build.rs");
    let made = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(made.join("embedded.rs"), listed)?;
    assemble(&root.join("src/sandbox/encode"), &made)?;
    Ok(())
}

/// Makes the two adapters for core modules, each of what they have in common and a part of its own.
fn assemble(folder: &Path, made: &Path) -> Result<(), Box<dyn Error>> {
    let text = |name: &str| {
        let path = folder.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(&path).map_err(|err| format!("{}: {err}", path.display()))
    };
    let common = text("adapter.wat")?;
    let (before, after) = common.split_once(";; PART\n").ok_or("adapter.wat has no line PART")?;
    for kind in ["plugin", "program"] {
        let whole = format!("{before}{}{after}", text(&format!("{kind}.wat"))?);
        let bytes = wat::parse_str(whole).map_err(|err| format!("the adapter of a {kind}: {err}"))?;
        fs::write(made.join(format!("{kind}.wasm")), bytes)?;
    }
    Ok(())
}

/// Writes a table of the folders in `root`, each with its files. `others` are folders there that are something else.
fn list(listed: &mut String, table: &str, root: &Path, others: &[&str]) -> Result<(), Box<dyn Error>> {
    let is_sdk = !others.is_empty();
    writeln!(listed, "pub(crate) static {table}: &[Folder] = &[")?;
    for folder in entries(root)?.into_iter().filter(|folder| folder.is_dir()) {
        let name = file_name(&folder);
        if others.contains(&name.as_str()) || is_left_out(&name) {
            continue;
        }
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(listed, "Folder {{ name: {name:?}, files: &[")?;
        for file in files(&folder, is_sdk)? {
            let path = file.strip_prefix(&folder)?.display().to_string();
            writeln!(listed, "({path:?}, include_str!({:?})),", file.display().to_string())?;
        }
        writeln!(listed, "] }},")?;
    }
    writeln!(listed, "];")?;
    Ok(())
}

/// Every file below a folder.
fn files(folder: &Path, is_sdk: bool) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let name = file_name(&path);
        if is_left_out(&name) || (is_sdk && is_test(&name)) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, is_sdk)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// What an SDK's own tests are called; a template's tests are part of it.
fn is_test(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem == "tests" || stem.starts_with("test_") || stem.ends_with("_test") || name.contains(".test.")
}

fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || LEFT_OUT.contains(&name)
}

/// What is in a folder, by name: the binary must not depend on a file system's order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
