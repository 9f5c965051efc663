//! The `wasmill` binary: the command line, and under one hidden name the compiler that it runs as a child.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == wasmill::sandbox::CHILD_COMMAND) {
        return wasmill::sandbox::child_main();
    }
    wasmill::cli::main()
}
