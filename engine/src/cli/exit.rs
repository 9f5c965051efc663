//! Exit codes, and the one error type of the command line.

use std::process::ExitCode;

use crate::bus::BusError;

/// How a command ended. `--help` prints [`HELP`]; scripts may rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to.
    Ok = 0,
    /// Something was refused or a check failed: a plugin, a configuration, a row, a file that cannot be read.
    Refused = 1,
    /// The command line itself is wrong. clap uses the same number.
    Usage = 2,
    /// No bus, or it went away.
    Bus = 3,
    /// The engine's admin API does not answer.
    Engine = 4,
    /// Ended at once by an interrupt (128 + SIGINT), as a shell reports it.
    Interrupted = 130,
    /// Ended at once by a request to terminate (128 + SIGTERM).
    Terminated = 143,
}

/// What `--help` says about exit codes.
pub const HELP: &str = "Exit codes:
  0    done
  1    refused, or a check failed: a plugin, a configuration, a row, an unreadable file
  2    wrong usage
  3    the bus cannot be reached
  4    the engine's admin API cannot be reached
  130  ended at once by an interrupt
  143  ended at once by a request to terminate

stdout carries data, stderr everything else.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, and how it therefore ends.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What to say; none if all was said already, or if there is nobody left to say it to.
    pub error: Option<anyhow::Error>,
}

impl Failure {
    /// A failure with an exit code of its own.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: Some(error.into()) }
    }

    /// Wrong usage that clap cannot see.
    pub fn usage(text: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, anyhow::anyhow!("{text}"))
    }

    /// A bare exit code: what there is to say has been said.
    #[must_use]
    pub fn silent(exit: Exit) -> Self {
        Self { exit, error: None }
    }

    /// What the bus refused (1) or could not do (3).
    #[must_use]
    pub fn bus(error: BusError) -> Self {
        Self::new(if error.is_transient() { Exit::Bus } else { Exit::Refused }, error)
    }

    /// Names the work that this failure ended, and what to do now.
    #[must_use]
    pub fn ended(self, work: &str, hint: impl std::fmt::Display) -> Self {
        let Self { exit, error: Some(error) } = self else { return self };
        Self::new(exit, anyhow::anyhow!("{work} ended early: {error:#}\n  hint: {hint}"))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Refused, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_exit_code() {
        for exit in [
            Exit::Ok,
            Exit::Refused,
            Exit::Usage,
            Exit::Bus,
            Exit::Engine,
            Exit::Interrupted,
            Exit::Terminated,
        ] {
            let number = (exit as u8).to_string();
            assert!(HELP.lines().any(|line| line.split_whitespace().next() == Some(&number)), "{exit:?}");
        }
    }

    #[test]
    fn a_bus_that_is_away_differs_from_a_bus_that_refuses() {
        let away =
            BusError::TimedOut { operation: "publish".into(), after: std::time::Duration::from_secs(1) };
        assert_eq!(Failure::bus(away).exit, Exit::Bus);
        assert_eq!(Failure::bus(BusError::StreamMissing("S".into())).exit, Exit::Refused);
    }

    #[test]
    fn work_that_ended_keeps_its_exit_code_and_says_what_to_do() {
        let missing = Failure::bus(BusError::StreamMissing("S".into()));
        let why = missing.error.as_ref().map(ToString::to_string).unwrap_or_default();
        let ended = missing.ended("the reset", "run it again");
        assert_eq!(ended.exit, Exit::Refused);
        let said = ended.error.map(|error| error.to_string());
        assert_eq!(said, Some(format!("the reset ended early: {why}\n  hint: run it again")));
        assert!(Failure::silent(Exit::Bus).ended("the reset", "").error.is_none());
    }
}
