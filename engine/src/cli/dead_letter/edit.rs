//! `wasmill dead-letter edit`: a letter is corrected, in an editor or by flags.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde_json::json;

use super::{Place, failed};
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format};
use crate::dead_letter::{Archive, ArchiveError, NotEdited};
use crate::message::Message;

const NOTES: &str = "\
Without --data, --header or --remove-header, $VISUAL or $EDITOR opens on the payload. If the editor fails or nothing is
changed, nothing is stored.

The corrected letter is a new one, which names the old one; the old one is marked as done. Then redrive the new one.

Examples:
  wasmill dead-letter edit 17
  wasmill dead-letter show 17 --payload | jq '.amount = 12' | wasmill dead-letter edit 17 --data -
  wasmill dead-letter edit 17 --remove-header Wasmill-Hops";

/// `edit`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub struct EditArgs {
    /// The letter's number, as `ls` shows it
    #[arg(value_name = "SEQ")]
    sequence: u64,
    /// The new payload; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Give a header this value; may stand more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Take a header away; may stand more than once
    #[arg(long, value_name = "NAME")]
    remove_header: Vec<String>,
    /// Even if it was redriven or edited before
    #[arg(long)]
    force: bool,
    /// How to write what was done: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it like NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the command.
pub(super) async fn run(args: &EditArgs, archive: &Archive) -> Result<(), Failure> {
    let filed = archive.one(args.sequence).await.map_err(failed)?;
    let marks = archive.marks(&filed.letter.plugin, filed.sequence).await.map_err(Failure::bus)?;
    if marks.is_done() && !args.force {
        // Before the editor opens, not after.
        return Err(NotEdited::Done(filed.sequence).into());
    }
    let before = &filed.letter.event.message;
    let message = changed(args, before)?;
    if message == *before {
        return Err(anyhow!("nothing was changed, so nothing was stored").into());
    }
    let edited = archive.edit(&filed, marks, args.force, message).await.map_err(|error| match error {
        NotEdited::Archive(error @ ArchiveError::Bus(_)) => failed(error),
        error => error.into(),
    })?;
    match args.output {
        Format::Json => out::json(&json!({ "sequence": edited, "edited_from": filed.sequence })),
        Format::Text => {
            out::say(format_args!(
                "letter {edited} stands for letter {}\n  hint: wasmill dead-letter redrive {edited}",
                filed.sequence
            ));
            Ok(())
        }
    }
}

fn changed(args: &EditArgs, before: &Message) -> Result<Message, Failure> {
    let mut message = before.clone();
    for name in &args.remove_header {
        if !message.headers.remove(name) {
            return Err(anyhow!(
                "the event has no header {name:?}\n  hint: `wasmill dead-letter show {}`",
                args.sequence
            )
            .into());
        }
    }
    for (name, _) in &args.header {
        message.headers.remove(name);
    }
    for (name, value) in &args.header {
        message.headers.try_push(name, value)?;
    }
    let by_flags = !args.header.is_empty() || !args.remove_header.is_empty();
    match &args.data {
        Some(path) => message.payload = read(path)?,
        None if by_flags => {}
        None => message.payload = in_editor(args.sequence, &before.payload)?,
    }
    Ok(message)
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("read the payload from stdin")?;
        return Ok(bytes.into());
    }
    Ok(fs::read(path).with_context(|| format!("read the payload from {}", path.display()))?.into())
}

/// A file for an editor, gone when dropped.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // An editor may have taken it away itself.
        drop(fs::remove_file(&self.0));
    }
}

impl Draft {
    /// Nobody else can read it: the payload may be anybody's secret.
    fn new(sequence: u64, payload: &[u8]) -> std::io::Result<Self> {
        let ending =
            if serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok() { "json" } else { "txt" };
        let name = format!("wasmill-letter-{sequence}-{:016x}.{ending}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let draft = Self(path);
        file.write_all(payload)?;
        Ok(draft)
    }
}

fn in_editor(sequence: u64, payload: &Bytes) -> Result<Bytes, Failure> {
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|e| !e.is_empty()));
    let editor = editor.ok_or_else(|| {
        anyhow!("there is no editor: neither VISUAL nor EDITOR is set\n  hint: --data FILE takes the new payload from a file")
    })?;
    let draft = Draft::new(sequence, payload).context("write the payload to a file for the editor")?;
    // Through a shell, as other tools do it: the variable may hold flags.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), &editor])
        .arg(&draft.0)
        .status()
        .with_context(|| format!("run the editor {editor:?}"))?;
    if !status.success() {
        return Err(anyhow!("the editor {editor:?} failed ({status}), so nothing was stored").into());
    }
    let mut edited = fs::read(&draft.0).context("read what the editor left")?;
    // Editors end the last line of a text. A payload that did not end so was hardly meant to.
    if edited.ends_with(b"\n") && !payload.ends_with(b"\n") {
        edited.pop();
    }
    Ok(edited.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;

    fn args(header: &[&str], remove: &[&str]) -> EditArgs {
        EditArgs {
            sequence: 1,
            data: None,
            header: header.iter().map(|text| super::header(text).unwrap()).collect(),
            remove_header: remove.iter().map(|name| (*name).to_owned()).collect(),
            force: false,
            output: Format::Text,
            place: Place::default(),
        }
    }

    #[test]
    fn headers_are_set_and_taken_away() {
        let mut before = Message::new(Subject::received("a"), "x");
        for (name, value) in [("a", "1"), ("A", "2"), ("b", "3")] {
            before.headers.push_received(name, value);
        }
        let after = changed(&args(&["a=4", "c=5=6"], &["B"]), &before).unwrap();
        let headers: Vec<_> = after.headers.iter().collect();
        assert_eq!(headers, [("a", "4"), ("c", "5=6")]);
        assert_eq!(after.payload, before.payload);
        for (header, remove, wanted) in
            [(&[][..], &["none"][..], "no header \"none\""), (&["a=\n"], &[], "line break")]
        {
            let error = changed(&args(header, remove), &before).unwrap_err().error.unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(super::header("novalue").is_err());
    }
}
