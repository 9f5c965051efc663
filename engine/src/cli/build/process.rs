//! Running tools: what they say passes through, and a failure names the command.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a tool to its end. What it prints goes to stderr: on stdout it would be taken for data.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let talk = std::io::stderr().as_fd().try_clone_to_owned().context("pass a tool's output on")?;
    let status = command
        .stdin(Stdio::null())
        .stdout(talk)
        .status()
        .with_context(|| format!("start `{}`", line_of(command)))?;
    succeeded(command, status)
}

/// Runs a tool for what it writes to stdout; its talk passes through.
///
/// # Errors
/// As [`run`].
pub fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let ended = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{}`", line_of(command)))?;
    succeeded(command, ended.status)?;
    Ok(ended.stdout)
}

/// What a tool says to a question, on whichever side, if it can be asked at all.
#[must_use]
pub fn answer(command: &mut Command) -> Option<String> {
    let ended = command.stdin(Stdio::null()).output().ok().filter(|ended| ended.status.success())?;
    let said = if ended.stdout.is_empty() { ended.stderr } else { ended.stdout };
    Some(String::from_utf8_lossy(&said).trim().to_owned())
}

fn succeeded(command: &Command, status: std::process::ExitStatus) -> anyhow::Result<()> {
    if status.success() {
        return Ok(());
    }
    let place = command.get_current_dir().map(|dir| format!(" (in {})", dir.display())).unwrap_or_default();
    bail!("`{}` ended with {status}{place}\n  hint: what it said about that is above", line_of(command))
}

/// The command as one would type it.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_command() {
        let err = run(Command::new("sh").args(["-c", "exit 3"]).current_dir("/")).unwrap_err().to_string();
        assert!(err.contains("`sh -c 'exit 3'` ended with exit status: 3 (in /)"), "{err}");
        let err = format!("{:#}", run(&mut Command::new("/nowhere/tool")).unwrap_err());
        assert!(err.contains("start `/nowhere/tool`"), "{err}");
        assert_eq!(answer(&mut Command::new("/nowhere/tool")), None);
        assert_eq!(answer(Command::new("sh").args(["-c", "echo ' a '"])).as_deref(), Some("a"));
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
    }
}
