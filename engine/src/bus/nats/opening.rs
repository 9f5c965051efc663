//! How a stream is taken up: for the first time, and again where it was left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::sync::watch;

use super::api::MESSAGE_NOT_FOUND;
use super::consumer::PullLimits;
use super::ephemeral::Ephemeral;
use super::read::{self, Got, Raw};
use super::source::Source;
use super::{Core, streams, unreadable};
use crate::bus::follow::made_anew;
use crate::bus::{Begin, BusError, FollowSpec, Followed, Position, StreamInfo, check_name};

/// The first pause before a stream is looked for again; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a stream has to be gone, or another, before it is believed: servers that have just started may not know all of
/// it yet.
const PROOFS: u32 = 4;
/// The most unreadable messages to pass over in one go.
const MOST_UNREADABLE: usize = 256;

/// What is known of the stream and of our place in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    incarnation_ms: u64,
    /// The next sequence of interest.
    pub(super) next: u64,
    /// The last sequence that was handed out; 0 before the first.
    pub(super) read_to: u64,
}

/// A stream taken up.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) consumer: Ephemeral,
    pub(super) connections: watch::Receiver<u64>,
    pub(super) known: Known,
    /// What comes first: messages that the client library cannot read.
    pub(super) aside: VecDeque<Followed>,
}

/// Takes a stream up where the subscription says.
pub(super) async fn first(core: &Arc<Core>, spec: &FollowSpec) -> Result<Opened, BusError> {
    check_name("follow a stream", &spec.stream)?;
    let connections = core.link.connections();
    let info = streams::lookup(core, &spec.stream).await?;
    // As a sequence it stays the same if the consumer is lost before its first message.
    let begin = if spec.begin == Begin::New { Begin::At(info.last_sequence + 1) } else { spec.begin };
    let consumer = Ephemeral::create(core, spec, begin).await?;
    let next = match begin {
        Begin::At(sequence) => sequence.max(consumer.first),
        _ => consumer.first,
    };
    let known = Known { incarnation_ms: info.incarnation_ms, next, read_to: 0 };
    attach(core, spec, consumer, connections, known, VecDeque::new()).await
}

/// Takes it up where it was left, as soon as that can be. None once the bus is closed.
pub(super) async fn again(
    core: Arc<Core>,
    spec: Arc<FollowSpec>,
    known: Known,
    reason: String,
) -> Result<Option<Opened>, BusError> {
    let (mut pause, mut told, mut proofs) = (PAUSE, false, 0);
    loop {
        if core.link.is_closed() {
            return Ok(None);
        }
        match resume(&core, &spec, known).await {
            Ok(opened) => return Ok(Some(opened)),
            Err(error @ (BusError::StreamMissing(_) | BusError::StreamReplaced { .. })) => {
                proofs += 1;
                if proofs >= PROOFS {
                    return Err(error);
                }
            }
            Err(error) => {
                proofs = 0;
                if !told && !error.is_transient() {
                    told = true;
                    tracing::warn!(stream = spec.stream, reason, %error, "no events come in; still trying");
                }
            }
        }
        let jitter = pause.mul_f64(fastrand::f64() / 2.0);
        tokio::time::sleep(pause / 2 + jitter).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn resume(core: &Arc<Core>, spec: &FollowSpec, mut known: Known) -> Result<Opened, BusError> {
    let connections = core.link.connections();
    let info = streams::lookup(core, &spec.stream).await?;
    check_same(&info, known)?;
    let aside = unreadable_ahead(core, spec, &mut known).await?;
    let consumer = Ephemeral::create(core, spec, Begin::At(known.next)).await?;
    attach(core, spec, consumer, connections, known, aside).await
}

async fn attach(
    core: &Arc<Core>,
    spec: &FollowSpec,
    consumer: Ephemeral,
    connections: watch::Receiver<u64>,
    known: Known,
    aside: VecDeque<Followed>,
) -> Result<Opened, BusError> {
    let limits = PullLimits::default();
    let source = Source::attach(core, &spec.stream, &consumer.name, known.incarnation_ms, limits).await?;
    Ok(Opened { source, consumer, connections, known, aside })
}

/// Whether it is the stream that was read, with all that was read of it.
fn check_same(info: &StreamInfo, known: Known) -> Result<(), BusError> {
    if info.incarnation_ms != known.incarnation_ms {
        return Err(made_anew(&info.name));
    }
    if info.last_sequence < known.read_to {
        let (last, read) = (info.last_sequence, known.read_to);
        return Err(BusError::StreamReplaced {
            stream: info.name.clone(),
            reason: format!("has lost messages: its last is {last}, and {read} was read of it"),
        });
    }
    Ok(())
}

/// The next messages, as long as they are such that the client library cannot read them. One of these may be what broke the
/// connection, and would break it again for ever. It can only be the next: what comes before it was handed out.
async fn unreadable_ahead(
    core: &Core,
    spec: &FollowSpec,
    known: &mut Known,
) -> Result<VecDeque<Followed>, BusError> {
    let mut found = VecDeque::new();
    while found.len() < MOST_UNREADABLE {
        let Some(raw) = next_of_interest(core, spec, known.next).await? else { break };
        let block = BASE64_STANDARD.decode(&raw.hdrs).unwrap_or_default();
        if block.is_empty() || unreadable::fault(&block).is_none() {
            break;
        }
        let stored = read::stored(&operation(spec), raw)?;
        known.next = stored.sequence + 1;
        known.read_to = stored.sequence;
        let mut message = stored.message;
        if spec.headers_only {
            message.payload.clear();
        }
        let position = Position {
            stream: spec.stream.clone(),
            incarnation_ms: known.incarnation_ms,
            sequence: stored.sequence,
            stored_ns: stored.stored_ns,
            attempt: 1,
        };
        found.push_back(Followed { message, position, pending: 0 });
    }
    Ok(found)
}

async fn next_of_interest(core: &Core, spec: &FollowSpec, from: u64) -> Result<Option<Raw>, BusError> {
    let all = [">"];
    let filters: Vec<&str> = spec.filters.iter().map(|filter| filter.as_str()).collect();
    let filters: &[&str] = if filters.is_empty() { &all } else { &filters };
    let mut nearest: Option<Raw> = None;
    for filter in filters {
        let verb = format!("STREAM.MSG.GET.{}", spec.stream);
        let body = json!({ "seq": from, "next_by_subj": filter });
        let got = core.api.request::<Got>(&core.link, &operation(spec), &verb, Some(&body)).await?;
        match got {
            Ok(Got { message }) if nearest.as_ref().is_none_or(|have| message.seq < have.seq) => {
                nearest = Some(message);
            }
            Ok(_) => {}
            Err(error) if error.err_code == MESSAGE_NOT_FOUND => {}
            Err(error) => return Err(super::api::refused(&operation(spec), &error)),
        }
    }
    Ok(nearest)
}

fn operation(spec: &FollowSpec) -> String {
    format!("follow stream {:?}", spec.stream)
}
