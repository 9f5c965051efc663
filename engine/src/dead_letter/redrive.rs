//! A letter goes back to a plugin, and to nobody else: who else subscribes to its subject has handled the event already.
//!
//! The event travels through a work queue, in which each plugin has a subject of its own. Its message id and its input
//! name are made of the letter's input and the redrive's number, so the same redrive published twice within the queue's
//! duplicate window is one, and what the plugin emits is new beside what the failed tries may have emitted.
//!
//! First the event is published, then the letter is marked. Between the two,
//! - whoever redrives the same letter is told that this redrive is on its way, since it finds no mark and publishes under
//!   the same id; the mark is then made for the other;
//! - a command that is killed leaves a letter without a mark. The next redrive of it within the window is such a repeat.
//!   After it, the event goes to the plugin once more, under the same input name, and streams which remember ids for less
//!   long store its outputs once more. The other order would lose an event instead.

use std::time::Duration;

use super::archive::{Archive, ArchiveError, Mark, Marks};
use super::letter::{Filed, Letter, RedriveOf};
use super::wrap::{WrapError, Wrapped, number};
use super::{LETTER_HEADER, REDRIVE_HEADER, REST_HEADER, pattern, subject};
use crate::bus::{Bus, BusError, Delivery, DurableSpec, ReadSpec, Retention, Start, StreamSpec};
use crate::effects::PLUGIN_HEADER;
use crate::event::MSG_ID_HEADER;
use crate::limits::PREFETCH_BYTES;
use crate::manifest::PluginName;
use crate::message::Message;

/// The work queue.
pub const REDRIVES: &str = "WASMILL_REDRIVES";
/// Its subjects: this, then the name of the plugin that is to have the event.
const PREFIX: &str = "wasmill.redrive";
/// How long the queue remembers a redrive: a day. Redrives are few, and this is how long a command that broke off can be
/// repeated without harm.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Redrives to hold ahead of their handling: they come when an operator sends them, and other engines want some too.
const AHEAD: usize = 16;
/// Engines that may share a plugin's redrives.
const ENGINES: u32 = 4;

/// The work queue, as it is created if absent.
///
/// # Errors
/// Never, as the pattern is a literal; the type says so because patterns are checked where they are made.
pub fn redrives_spec() -> Result<StreamSpec, BusError> {
    Ok(StreamSpec {
        name: REDRIVES.to_owned(),
        subjects: vec![pattern(format!("{PREFIX}.>"))?],
        retention: Retention::WorkQueue,
        duplicate_window: WINDOW,
        max_bytes: None,
        max_age: None,
        replicas: 1,
        atomic: false,
    })
}

/// Where the redrives for a plugin stand.
#[must_use]
pub fn redrive_subject(plugin: &PluginName) -> String {
    format!("{PREFIX}.{plugin}")
}

/// The durable consumer through which a plugin has its redrives.
#[must_use]
pub fn redrive_durable(plugin: &PluginName) -> String {
    format!("wasmill-redrive-{plugin}")
}

/// The subscription of a plugin to its redrives; none if its subject cannot be written, which no plugin's name leads to.
/// `concurrency` is how many of its events may be in flight.
#[must_use]
pub fn redrives_subscription(plugin: &PluginName, concurrency: u32, ack_wait_ms: u64) -> Option<DurableSpec> {
    Some(DurableSpec {
        stream: REDRIVES.to_owned(),
        durable: redrive_durable(plugin),
        filters: vec![pattern(redrive_subject(plugin)).ok()?],
        start: Start::All,
        ack_wait: Duration::from_millis(ack_wait_ms),
        max_ack_pending: concurrency.saturating_mul(ENGINES),
        prefetch: AHEAD.min(concurrency as usize),
        prefetch_bytes: PREFETCH_BYTES,
    })
}

/// How letters are to be redriven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// To which plugin; none means the one that failed.
    pub to: Option<PluginName>,
    /// Also those that have been dealt with.
    pub force: bool,
}

/// Why a letter was not redriven.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// It was redriven or edited before.
    #[error("{}\n  hint: --force sends it again", dealt_with(.0))]
    Done(Marks),
    /// Somebody else sends it right now, or did and could not mark it.
    #[error(
        "its redrive {0} is on its way already: it was sent within the last day and not marked; it is marked now\n  hint: --force sends it again"
    )]
    Repeat(u32),
    /// It would wait in the queue for ever.
    #[error(
        "no engine has run plugin {0} on this server, so nobody would take it\n  hint: put the plugin into service first, or name another with --to"
    )]
    Nobody(PluginName),
    /// It cannot be had whole.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It was sent, but counts as open.
    #[error(
        "it was sent, but not marked as done: {0}\n  hint: redrive it again within a day: then it is marked and not sent twice"
    )]
    Unmarked(BusError),
}

fn dealt_with(marks: &Marks) -> String {
    match marks {
        Marks { edits: 1.., redrives: 0, .. } => {
            "it was edited: the corrected letter stands for it".to_owned()
        }
        Marks { redrives: 0, .. } => "it is marked as done".to_owned(),
        Marks { redrives: 1, .. } => "it was redriven already".to_owned(),
        Marks { redrives, .. } => format!("it was redriven already, {redrives} times"),
    }
}

impl Archive {
    /// Makes sure that the work queue is there.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn open_redrives(&self) -> Result<(), BusError> {
        self.bus.ensure_stream(&redrives_spec()?).await.map(|_| ())
    }

    /// Whether an engine has ever run this plugin on this bus, so that a redrive would not wait for nobody.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn is_known(&self, plugin: &PluginName) -> Result<bool, BusError> {
        match self.bus.has_durable(REDRIVES, &redrive_durable(plugin)).await {
            Err(BusError::StreamMissing(_)) => Ok(false),
            answered => answered,
        }
    }

    /// Sends a letter to a plugin and marks it; says which redrive of it that was.
    ///
    /// # Errors
    /// Why not.
    pub async fn redrive(&self, filed: Filed, marks: Marks, order: &Order) -> Result<u32, Unsent> {
        if marks.is_done() && !order.force {
            return Err(Unsent::Done(marks));
        }
        let filed = self.whole(filed).await?;
        let to = order.to.as_ref().unwrap_or(&filed.letter.plugin);
        let of = RedriveOf { letter: filed.sequence, number: marks.redrives.saturating_add(1) };
        let is_repeat = send(&*self.bus, &filed.letter, of, to).await.map_err(ArchiveError::Bus)?;
        let mark = Mark::Redriven { number: of.number, to: to.clone() };
        self.mark(&filed, &mark).await.map_err(Unsent::Unmarked)?;
        if is_repeat { Err(Unsent::Repeat(of.number)) } else { Ok(of.number) }
    }
}

/// Publishes a redrive; says whether the queue had it already.
async fn send(bus: &dyn Bus, letter: &Letter, of: RedriveOf, to: &PluginName) -> Result<bool, BusError> {
    let input = format!("{}:r{}", letter.event.input, of.number);
    let id = format!("redrive:{}:{input}", letter.plugin);
    let event = Wrapped { input, ..letter.event.clone() };
    let mut headers = event.headers();
    headers.push(LETTER_HEADER, of.letter.to_string());
    headers.push(REDRIVE_HEADER, of.number.to_string());
    headers.push(PLUGIN_HEADER, letter.plugin.as_str());
    headers.push(MSG_ID_HEADER, id.as_str());
    let payload = event.message.payload;
    let subject_of_it = redrive_subject(to);
    let whole = Message { headers, ..Message::new(subject(subject_of_it.clone())?, payload.clone()) };
    let stored = bus.publish(whole.clone()).await;
    if !matches!(stored, Err(BusError::TooLarge { .. })) {
        return stored.map(|stored| stored.duplicate);
    }
    // The event alone is nearly as large as a message may be. Its second half goes ahead, under a subject that nobody
    // reads: the first is handled as soon as it is there.
    let half = payload.len() / 2;
    let mut rest = Message::new(subject(format!("{subject_of_it}.rest"))?, payload.slice(half..));
    rest.headers.push(MSG_ID_HEADER, format!("{id}:rest"));
    let rest = bus.publish(rest).await?;
    let mut first = Message { payload: payload.slice(..half), ..whole };
    first.headers.push(REST_HEADER, rest.sequence.to_string());
    bus.publish(first).await.map(|stored| stored.duplicate)
}

/// An event that was redriven, as it was when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// The event, under its new input name.
    pub event: Wrapped,
    /// Which redrive it came by.
    pub of: RedriveOf,
    /// Where the second half of its payload stood: to be erased when all is done.
    pub rest: Option<u64>,
}

/// Takes the event out of a delivery of the work queue.
///
/// # Errors
/// The outer error is the bus's, and another try may go well; the inner one says why it is no redrive.
pub async fn restore(bus: &dyn Bus, delivery: &Delivery) -> Result<Result<Redriven, WrapError>, BusError> {
    let message = &delivery.message;
    let mut redriven = match read(message) {
        Ok(redriven) => redriven,
        Err(fault) => return Ok(Err(fault)),
    };
    if let Some(attempt) = delivery.position.as_ref().map(|position| position.attempt) {
        redriven.event.origin.attempt = attempt;
    }
    if let Some(sequence) = redriven.rest {
        let filter = pattern(format!("{PREFIX}.*.rest"))?;
        let spec = ReadSpec { stream: REDRIVES.to_owned(), from: sequence, filter: Some(filter), at_most: 1 };
        let rest = bus.read(&spec).await?.pop().filter(|rest| rest.sequence == sequence);
        let Some(rest) = rest else {
            return Ok(Err(super::wrap::bad(REST_HEADER, &sequence.to_string())));
        };
        let payload = &mut redriven.event.message.payload;
        *payload = [&payload[..], &rest.message.payload[..]].concat().into();
    }
    Ok(Ok(redriven))
}

fn read(message: &Message) -> Result<Redriven, WrapError> {
    let headers = &message.headers;
    let of = RedriveOf {
        letter: number(headers, LETTER_HEADER)?.ok_or(WrapError::Missing(LETTER_HEADER))?,
        number: number(headers, REDRIVE_HEADER)?.ok_or(WrapError::Missing(REDRIVE_HEADER))?,
    };
    let event = Wrapped::read(headers, message.payload.clone())?;
    Ok(Redriven { event, of, rest: number(headers, REST_HEADER)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::{MAX_MESSAGE_BYTES, MemoryBus};
    use crate::bus::{DurableSpec, Settlement, Start};
    use crate::dead_letter::letter::tests::letter;
    use crate::dead_letter::store::store;
    use crate::dead_letter::{Found, STREAM, Selection, stream_spec};

    /// An archive with one letter of as many bytes.
    async fn archive(bytes: usize) -> (std::sync::Arc<MemoryBus>, Archive, Letter) {
        let bus = MemoryBus::new();
        bus.ensure_stream(&stream_spec().unwrap()).await.unwrap();
        let archive = Archive::new(bus.clone());
        archive.open_redrives().await.unwrap();
        let mut letter = letter();
        letter.event.message.payload = (0..bytes).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        store(&*bus, &letter).await.unwrap();
        (bus, archive, letter)
    }

    async fn first(archive: &Archive) -> (Filed, Marks) {
        let mut search = archive.search(Selection::default()).await.unwrap();
        let mut page = search.next_page().await.unwrap();
        assert_eq!(page.len(), 1, "halves and marks are no letters");
        assert!(search.next_page().await.unwrap().is_empty());
        let Some((Found::Letter(filed), marks)) = page.pop() else { panic!("no letter") };
        (*filed, marks)
    }

    #[tokio::test]
    async fn an_event_goes_out_once_and_comes_back_as_it_was() {
        // The second and third do not fit beside the reason, the third not even beside the redrive's own headers.
        for bytes in [3, MAX_MESSAGE_BYTES - 600, MAX_MESSAGE_BYTES - 60] {
            let (bus, archive, letter) = archive(bytes).await;
            let (filed, marks) = first(&archive).await;
            assert_eq!(archive.redrive(filed.clone(), marks, &Order::default()).await.unwrap(), 1);
            let repeat = archive.redrive(filed, marks, &Order::default()).await.unwrap_err();
            assert!(matches!(repeat, Unsent::Repeat(1)), "{repeat}");
            let (filed, marks) = first(&archive).await;
            let refused = archive.redrive(filed, marks, &Order::default()).await.unwrap_err();
            assert!(matches!(refused, Unsent::Done(_)), "{refused}");

            let spec = DurableSpec {
                stream: REDRIVES.into(),
                durable: redrive_durable(&letter.plugin),
                filters: vec![pattern(redrive_subject(&letter.plugin)).unwrap()],
                start: Start::All,
                ack_wait: Duration::from_secs(30),
                max_ack_pending: 10,
                prefetch: 1,
                prefetch_bytes: crate::limits::PREFETCH_BYTES,
            };
            let mut intake = bus.consume(&spec).await.unwrap();
            let delivery = intake.next().await.unwrap().unwrap();
            let redriven = restore(&*bus, &delivery).await.unwrap().unwrap();
            let input = format!("{}:r1", letter.event.input);
            assert_eq!(redriven.event, Wrapped { input, ..letter.event }, "of {bytes} bytes");
            assert_eq!(redriven.of, RedriveOf { letter: 1, number: 1 });
            bus.settle(&delivery.receipt.unwrap(), Settlement::Ack).await.unwrap();
            let left = bus.messages(REDRIVES).len();
            assert_eq!(left, usize::from(redriven.rest.is_some()), "of {bytes} bytes");
        }
    }

    #[tokio::test]
    async fn force_makes_another_event_of_it() {
        let (bus, archive, _) = archive(3).await;
        for number in 1..=3 {
            let (filed, marks) = first(&archive).await;
            assert_eq!((marks.redrives, marks.is_done()), (number - 1, number > 1));
            let order = Order { force: true, ..Order::default() };
            assert_eq!(archive.redrive(filed, marks, &order).await.unwrap(), number);
        }
        assert_eq!((bus.messages(REDRIVES).len(), bus.messages(STREAM).len()), (3, 4));
        let (filed, _) = first(&archive).await;
        archive.remove(&Found::Letter(Box::new(filed))).await.unwrap();
        assert_eq!(bus.messages(STREAM), []);
    }
}
