//! `wasmill dead-letter show`: all about one letter.

use serde::Serialize;

use super::told::{self, Told};
use super::{Place, failed};
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format};
use crate::cli::payload::{self, Payload};
use crate::dead_letter::Archive;

/// `show`
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The letter's number, as `ls` shows it
    #[arg(value_name = "SEQ")]
    sequence: u64,
    /// Write the event's payload and nothing else, byte for byte
    #[arg(long, conflicts_with = "output")]
    payload: bool,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    letter: Told<'a>,
    headers: Vec<(&'a str, &'a str)>,
    payload_bytes: usize,
    payload: Payload,
}

/// Runs the command.
pub(super) async fn run(args: &ShowArgs, archive: &Archive) -> Result<(), Failure> {
    let filed = archive.one(args.sequence).await.map_err(failed)?;
    let event = &filed.letter.event.message;
    if args.payload {
        return out::bytes(&event.payload);
    }
    let marks = archive.marks(&filed.letter.plugin, filed.sequence).await.map_err(Failure::bus)?;
    match args.output {
        Format::Json => out::json(&Whole {
            letter: told::told(&filed, marks),
            headers: event.headers.iter().collect(),
            payload_bytes: event.payload.len(),
            payload: Payload::of(&event.payload),
        }),
        Format::Text => {
            let mut text = out::table(&told::rows(&filed, marks), &[]);
            if !event.headers.is_empty() {
                text.push_str(&format!("\n\nheaders\n{}", told::headers(&event.headers)));
            }
            let bytes = event.payload.len();
            text.push_str(&format!(
                "\n\npayload ({bytes} bytes)\n{}",
                payload::shown(&event.payload, "--payload writes them")
            ));
            out::data(text.trim_end())
        }
    }
}
