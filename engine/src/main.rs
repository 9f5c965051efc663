//! The `wasmill` binary: the command line, and under one hidden name the compiler that it runs as a child.

use std::process::ExitCode;

/// Events are allocated on one thread and freed on another all the time, which is what the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == wasmill::sandbox::CHILD_COMMAND) {
        return wasmill::sandbox::child_main();
    }
    wasmill::cli::main()
}
