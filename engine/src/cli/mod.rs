//! The command line: one file a command.
//!
//! [`main`] parses and dispatches, [`exit`] says how a command can end, [`out`] is the only place that prints, [`settings`]
//! reads the configuration.

pub mod completions;
pub mod config;
pub mod exit;
pub mod new;
pub mod out;
pub mod plugin;
pub mod publish;
pub mod settings;

use std::process::ExitCode;

use clap::Parser;

use self::exit::{Exit, Failure};

/// Runs WebAssembly plugins on the events of NATS
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, after_help = exit::HELP, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(new::NewArgs),
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Publish(Box<publish::PublishArgs>),
    Completions(completions::CompletionsArgs),
}

/// Runs one command and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(&Cli::parse()) {
        Ok(()) => Exit::Ok.into(),
        Err(Failure { exit, error }) => {
            if let Some(error) = error {
                out::failure(&error);
            }
            exit.into()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::New(args) => new::run(args),
        Command::Plugin(command) => plugin::run(command),
        Command::Config(command) => config::run(command),
        Command::Publish(args) => publish::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
