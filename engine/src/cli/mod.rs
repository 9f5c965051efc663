//! The command line: one file a command.
//!
//! [`main`] parses and dispatches, [`exit`] says how a command can end, [`out`] is the only place that prints, [`settings`]
//! reads the configuration.

pub mod ahead;
pub mod build;
pub mod check;
pub mod completions;
pub mod config;
pub mod dead_letter;
pub mod demo;
pub mod exit;
pub mod language;
pub mod logging;
pub mod new;
pub mod out;
pub mod payload;
pub mod plugin;
pub mod publish;
pub mod run;
pub mod settings;
pub mod signals;
pub mod state;

use std::process::ExitCode;

use clap::Parser;

use self::exit::{Exit, Failure};

/// Run WebAssembly plugins on the events of NATS
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, after_help = exit::HELP, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Demo(demo::DemoArgs),
    New(new::NewArgs),
    Build(build::BuildArgs),
    Check(check::CheckArgs),
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Publish(Box<publish::PublishArgs>),
    #[command(subcommand, visible_alias = "dl")]
    DeadLetter(Box<dead_letter::DeadLetterCommand>),
    #[command(subcommand)]
    State(Box<state::StateCommand>),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    BuildAhead(ahead::AheadArgs),
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
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Check(args) => check::run(args),
        Command::Plugin(command) => plugin::run(command),
        Command::Config(command) => config::run(command),
        Command::Publish(args) => publish::run(args),
        Command::DeadLetter(command) => dead_letter::run(command),
        Command::State(command) => state::run(command),
        Command::Completions(args) => completions::run(args),
        Command::BuildAhead(args) => ahead::run(args),
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
