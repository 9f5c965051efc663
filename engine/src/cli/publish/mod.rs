//! `wasmill publish`: rows of a file become events on the bus.
//!
//! In reading order: `input` opens the file, `rows` reads it row by row into JSON (`cell` types CSV cells), `envelope`
//! makes a message of a row (`template` its subject), `send` publishes them, `report` says how it went.

mod cell;
mod envelope;
mod input;
mod report;
mod rows;
mod send;
mod template;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use tokio::sync::mpsc;

use self::envelope::{Envelope, EnvelopeError};
use self::input::{Input, Syntax};
use self::report::{Progress, Report};
use self::rows::{Row, RowError, Rows, Selection};
use self::send::{Numbered, Sender};
use self::template::Template;
use super::exit::{Exit, Failure};
use super::out::Format;
use super::settings::{BusFlag, FileFlag, connect, runtime};
use crate::bus::Bus;
use crate::config::Settings;
use crate::message::Message;

/// Rows handed over at once: enough that the hand-over costs nothing beside a row.
const BATCH_ROWS: usize = 256;
/// Batches read ahead of the bus.
const BATCHES_AHEAD: usize = 8;

const NOTES: &str = "\
Rows become JSON objects. CSV cells that are plain decimal numbers or true/false become numbers and booleans, empty
ones null. What a number would not hold exactly stays text (007, 1e5, integers of more than 15 digits), and so does
every column named by --text.

Ids: a row's Nats-Msg-Id is its --id-field, or else file name, row number and a hash of its content. Publishing the
same file again within the stream's duplicate window therefore stores nothing twice, and a row changed in between is
stored. Rows from stdin have ids of their own each time.

With --id-field, --time-field, --type or --source, messages are CloudEvents in binary mode. --time-field sets the
event's time; it does not pace: --rate does.";

/// Publish the rows of a file as events
#[derive(Debug, clap::Args)]
#[command(after_long_help = NOTES)]
pub struct PublishArgs {
    /// CSV or NDJSON, plain or gzip; `-` reads stdin
    file: PathBuf,
    /// Where to publish; `{field}` stands for a row's value, as in payments.{country}
    #[arg(short, long, value_name = "SUBJECT")]
    subject: String,
    /// What the file is written in [default: by its name, else by its content]
    #[arg(long, value_name = "SYNTAX")]
    format: Option<Syntax>,
    /// Rows a second at most
    #[arg(long, value_name = "ROWS")]
    rate: Option<f64>,
    /// Stop after this many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Leave out the first rows
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    skip: u64,
    /// The field whose value is the event's id
    #[arg(long, value_name = "FIELD")]
    id_field: Option<String>,
    /// The field whose value is the event's time
    #[arg(long, value_name = "FIELD")]
    time_field: Option<String>,
    /// The events' CloudEvents type [default: wasmill.row]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The events' CloudEvents source [default: the file's name]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only these fields go into the event
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with = "omit")]
    columns: Vec<String>,
    /// These fields do not go into the event
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    omit: Vec<String>,
    /// CSV: these fields stay text, even if they look like numbers
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    text: Vec<String>,
    /// Fail unless this stream stores the rows
    #[arg(long, value_name = "STREAM", conflicts_with = "core")]
    stream: Option<String>,
    /// Publish without a stream: whoever listens now gets the rows, at most once
    #[arg(long)]
    core: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    config: FileFlag,
    #[command(flatten)]
    bus: BusFlag,
}

/// What is wrong with a row, and where.
#[derive(Debug, thiserror::Error)]
#[error("row {row} (line {line}): {fault}")]
struct BadRow {
    row: u64,
    line: u64,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Input(#[from] RowError),
    #[error(transparent)]
    Message(#[from] EnvelopeError),
}

/// Runs the command.
///
/// # Errors
/// The first row that cannot be published, with its number; exit code 3 if the bus is away.
pub fn run(args: &PublishArgs) -> Result<(), Failure> {
    if args.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Failure::usage("--rate must be more than 0"));
    }
    let template = Template::parse(&args.subject).map_err(Failure::usage)?;
    let settings = args.bus.load(&args.config)?.settings()?;
    let input = input::open(&args.file, args.format)?;
    let progress = Progress::new(input.size, &input.read);
    let feed = Feed::new(args, template, input)?;
    runtime()?.block_on(publish(args, &settings, feed, progress))
}

async fn publish(
    args: &PublishArgs,
    settings: &Settings,
    mut feed: Feed,
    mut progress: Progress,
) -> Result<(), Failure> {
    let bus = connect(settings).await?;
    if !args.core {
        prepare_streams(bus.as_ref(), args, settings, &feed.envelope.subject).await?;
    }
    feed.envelope.max_bytes = bus.max_message_bytes();
    let (batches, incoming) = mpsc::channel(BATCHES_AHEAD);
    let reader = std::thread::spawn(move || feed.read_into(&batches));
    let started = Instant::now();
    let mut interrupted = false;
    let mut sender = Sender::new(bus.as_ref(), args.core, args.stream.as_deref(), args.rate);
    let sent = sender
        .run(incoming, |counts| progress.update(counts), async {
            interrupted = tokio::signal::ctrl_c().await.is_ok();
        })
        .await;
    progress.end();
    let mut report = Report::new(args, sender.counts, started.elapsed());
    let ended = match sent {
        Err(error) => {
            report.failed_row = Some(error.row());
            Err(Failure::from(error))
        }
        // The reader may wait for stdin for ever; after an interrupt nobody waits for it.
        Ok(()) if interrupted => Err(Failure::silent(Exit::Interrupted)),
        Ok(()) => match reader.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(bad)) => {
                report.failed_row = Some(bad.row);
                Err(Failure::from(bad))
            }
            Err(_) => Err(Failure::from(anyhow!("the reading thread panicked"))),
        },
    };
    report.print(args.output)?;
    ended
}

/// Streams that the configuration declares for these subjects are made if absent, as `wasmill run` would: it must not
/// matter which of the two commands comes first.
async fn prepare_streams(
    bus: &dyn Bus,
    args: &PublishArgs,
    settings: &Settings,
    template: &Template,
) -> Result<(), Failure> {
    let pattern = template.pattern()?;
    for spec in &settings.streams {
        if spec.subjects.iter().any(|subjects| subjects.overlaps(&pattern)) {
            bus.ensure_stream(spec).await.map_err(Failure::bus)?;
        }
    }
    if let Some(name) = &args.stream {
        let stream = bus.stream(name).await.map_err(Failure::bus)?;
        if !stream.subjects.iter().any(|subjects| subjects.overlaps(&pattern)) {
            let stored = stream.subjects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(anyhow!("stream {name:?} stores {stored}, not {}", args.subject).into());
        }
    }
    Ok(())
}

/// The reading side: rows in, messages out.
struct Feed {
    rows: Rows,
    envelope: Envelope,
    skip: u64,
    last: u64,
    batch_rows: usize,
}

impl Feed {
    fn new(args: &PublishArgs, template: Template, input: Input) -> Result<Self, Failure> {
        let mut picked = template.fields().to_vec();
        let mut pick = |field: &Option<String>| {
            let field = field.as_ref()?;
            picked.push(field.clone());
            Some(picked.len() - 1)
        };
        let (id, time) = (pick(&args.id_field), pick(&args.time_field));
        let is_cloud_event = id.is_some() || time.is_some() || args.kind.is_some() || args.source.is_some();
        let cloud_event = is_cloud_event.then(|| {
            let source = crate::event::encode_attribute(args.source.as_ref().unwrap_or(&input.name));
            let kind = args.kind.as_deref().unwrap_or("wasmill.row");
            (source, crate::event::encode_attribute(kind))
        });
        // Whoever pipes the same text in twice means it twice; whoever names a file may be trying again.
        let id_prefix =
            if input.live { format!("stdin-{:016x}", fastrand::u64(..)) } else { input.name.clone() };
        let envelope = Envelope {
            subject: template,
            id,
            time,
            id_prefix,
            repeatable: !args.core,
            cloud_event,
            max_bytes: usize::MAX,
        };
        let batch_rows = if input.live { 1 } else { BATCH_ROWS };
        let selection = Selection {
            picked,
            only: args.columns.clone(),
            omit: args.omit.clone(),
            text: args.text.clone(),
        };
        let name = input.name.clone();
        let rows = Rows::of(input, selection).map_err(|fault| anyhow!("{name}: {fault}"))?;
        let last = args.limit.map_or(u64::MAX, |limit| args.skip.saturating_add(limit));
        Ok(Self { rows, envelope, skip: args.skip, last, batch_rows })
    }

    fn read_into(mut self, batches: &mpsc::Sender<Vec<Numbered>>) -> Result<(), BadRow> {
        let mut row = Row::default();
        let mut batch = Vec::with_capacity(self.batch_rows);
        let ended = loop {
            match self.step(&mut row) {
                Ok(Step::Message(message)) => batch.push(Numbered { row: row.number, message }),
                Ok(Step::Skipped) => {}
                Ok(Step::End) => break Ok(()),
                Err(fault) => break Err(BadRow { row: row.number, line: row.line, fault }),
            }
            if batch.len() >= self.batch_rows {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(self.batch_rows));
                if batches.blocking_send(full).is_err() {
                    return Ok(());
                }
            }
        };
        // What came before a bad row still goes out. A receiver that went away has seen enough.
        drop(batches.blocking_send(batch));
        ended
    }

    fn step(&mut self, row: &mut Row) -> Result<Step, Fault> {
        if row.number >= self.last || !self.rows.next(row)? {
            return Ok(Step::End);
        }
        if row.number <= self.skip {
            return Ok(Step::Skipped);
        }
        Ok(Step::Message(self.envelope.seal(row)?))
    }
}

enum Step {
    Message(Message),
    Skipped,
    End,
}
