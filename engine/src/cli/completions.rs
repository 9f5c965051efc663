//! `wasmill completions`: a script that teaches a shell our flags.

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::Failure;
use super::out;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// If stdout cannot be written to.
pub fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "wasmill", &mut script);
    out::data(String::from_utf8_lossy(&script).trim_end())
}
