//! The tests that the SDKs have of their own: they run on the machine itself, without an engine.

use std::fs;

use anyhow::{Context, Result};

use super::{stamp::Stamp, with_tools};
use crate::process::run;
use crate::workspace::Workspace;

/// One SDK's tests. That of Rust is a crate of the workspace, whose tests are among all others.
struct Tests {
    /// The language, which is also the SDK's folder.
    language: &'static str,
    /// What beside it they read: the SDK that it stands on, the vectors of all languages.
    base: Option<&'static str>,
    /// What runs them, in the SDK's folder; `$MADE` is a folder for what it builds.
    command: &'static str,
}

const TESTS: &[Tests] = &[
    Tests { language: "go", base: None, command: "go vet ./... && go test ./..." },
    Tests {
        language: "c",
        base: None,
        command: "cc -std=gnu11 -Wall -Wextra -Werror -I. *.c tests/sdk_test.c -lm -o \"$MADE/test\" && \"$MADE/test\"",
    },
    Tests {
        language: "cpp",
        base: Some("c"),
        command: "for file in ../c/*.c; do cc -std=gnu11 -c $file -o \"$MADE/$(basename $file).o\" || exit; done && \
                  c++ -std=c++17 -Wall -Wextra -Werror -I. -I../c tests/sdk_test.cpp \"$MADE\"/*.o -lm -o \"$MADE/test\" && \"$MADE/test\"",
    },
    Tests { language: "zig", base: None, command: "python3 -m ziglang test tests.zig" },
    Tests {
        language: "python",
        base: Some("tests/vectors"),
        command: "PYTHONPATH=. python3 -m unittest discover -q -s tests",
    },
    Tests {
        language: "javascript",
        base: Some("tests/vectors"),
        command: "node --test --test-reporter=dot tests/*.test.js",
    },
];

/// Runs the tests of a language's SDK, unless they have passed and neither it nor what they read changed since. What they are run
/// with must be there.
pub fn test(workspace: &Workspace, language: &str) -> Result<()> {
    let Some(tests) = TESTS.iter().find(|tests| tests.language == language) else { return Ok(()) };
    let sdks = workspace.root.join("plugin-sdk");
    // The vectors are what several languages answer alike.
    let parts = [Some(language), tests.base, Some("tests/vectors")];
    let inputs: Vec<_> = parts.into_iter().flatten().map(|part| sdks.join(part)).collect();
    let stamp = Stamp::new(workspace, &format!("sdk-{language}"), &inputs, tests.command)?;
    if stamp.is_fresh(&[]) {
        return Ok(());
    }
    let made = workspace.languages().join("sdk-tests").join(language);
    fs::create_dir_all(&made).with_context(|| format!("cannot create {}", made.display()))?;
    let mut command = with_tools(workspace, "sh")?;
    command.current_dir(sdks.join(language)).args(["-c", tests.command]).env("MADE", &made);
    command.env("ZIG_LOCAL_CACHE_DIR", &made).env("PYTHONDONTWRITEBYTECODE", "1");
    run(&format!("tests of the SDK of {language}"), &mut command)?;
    stamp.set()
}
