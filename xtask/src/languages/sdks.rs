//! The SDKs of interpreted languages, tested natively as an author's own tests run: seconds, and nothing to build.

use std::path::PathBuf;

use anyhow::Result;

use super::{stamp::Stamp, with_tools};
use crate::process::run;
use crate::workspace::Workspace;

/// One SDK.
struct Sdk {
    /// The language whose folder under `plugin-sdk` it is.
    language: &'static str,
    /// What runs its tests, in that folder.
    program: &'static str,
    /// What that is told.
    arguments: &'static [&'static str],
}

const PYTHON: Sdk = Sdk {
    language: "python",
    program: "python3",
    arguments: &["-m", "unittest", "discover", "-q", "-s", "tests"],
};
const JAVASCRIPT: Sdk =
    Sdk { language: "javascript", program: "node", arguments: &["--test", "--test-reporter=dot", "tests/"] };

/// Tests the SDK of Python.
pub fn python(workspace: &Workspace) -> Result<()> {
    test(workspace, &PYTHON)
}

/// Tests the SDK of JavaScript and TypeScript; Node.js must be there.
pub fn javascript(workspace: &Workspace) -> Result<()> {
    test(workspace, &JAVASCRIPT)
}

/// Runs the tests of an SDK, unless they passed and neither it nor the vectors of all languages changed since.
fn test(workspace: &Workspace, sdk: &Sdk) -> Result<()> {
    let folder = workspace.root.join("plugin-sdk").join(sdk.language);
    let inputs: [PathBuf; 2] = [folder.clone(), workspace.root.join("plugin-sdk/tests/vectors")];
    let stamp = Stamp::new(workspace, &format!("sdk-{}", sdk.language), &inputs, "")?;
    if stamp.is_fresh(&[]) {
        return Ok(());
    }
    let mut command = with_tools(workspace, sdk.program)?;
    command.current_dir(&folder).args(sdk.arguments);
    // What Python would leave behind does not belong into the folder.
    command.env("PYTHONPATH", ".").env("PYTHONDONTWRITEBYTECODE", "1");
    run(&format!("tests of the SDK for {}", sdk.language), &mut command)?;
    stamp.set()
}
