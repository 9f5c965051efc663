//! The streams that a plugin's outputs go to, as far as batches need to know them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Notify};

use crate::bus::{BATCH_OVERHEAD_BYTES, Bus, BusError, MAX_BATCH, StreamInfo};
use crate::effects::Output;
use crate::faults::mutant;
use crate::manifest::{Emit, OutputDelivery};
use crate::outcome::Failure;
use crate::subject::Pattern;

/// How old what is known may become.
const REFRESH: Duration = Duration::from_secs(60);
/// The shortest time between two looks, however often one is asked for.
const PAUSE: Duration = Duration::from_millis(250);

type Streams = Vec<StreamInfo>;

/// The streams. The first event that needs to know them looks them up.
#[derive(Default)]
pub struct Sinks {
    known: ArcSwapOption<Streams>,
    /// Held while they are looked up for the first time.
    looking: Mutex<()>,
    again: Notify,
}

/// How the outputs of one event are to be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each by itself.
    Singly,
    /// As one batch into this stream.
    Together(String),
}

impl Sinks {
    /// Looks the streams up anew, now and then and when asked to; never ends.
    pub(crate) async fn keep(&self, bus: &dyn Bus, emit: impl Fn() -> Emit) {
        loop {
            // Past the time is as good a reason as being asked.
            let _asked = tokio::time::timeout(REFRESH, self.again.notified()).await;
            if self.known.load().is_some()
                && let Ok(streams) = look_up(bus, &emit()).await
            {
                self.known.store(Some(streams));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Forgets what is known: the grants are others now.
    pub fn forget(&self) {
        self.known.store(None);
    }

    /// Has the streams looked up anew: something about them was not as expected.
    pub(crate) fn look_again(&self) {
        self.again.notify_one();
    }

    /// Makes no more batches for a stream until it was looked up anew.
    pub(super) fn no_batches(&self, stream: &str) {
        if let Some(known) = self.known.load_full() {
            let mut changed = Streams::clone(&known);
            changed.iter_mut().filter(|info| info.name == stream).for_each(|info| info.atomic = false);
            self.known.store(Some(Arc::new(changed)));
        }
        self.look_again();
    }

    /// How outputs are to be published. If they have to be stored together, and one never can be, none is sent.
    pub(super) async fn way(&self, bus: &dyn Bus, emit: &Emit, outputs: &[Output]) -> Result<Way, Failure> {
        let all_stored = || outputs.iter().all(|output| output.delivery == OutputDelivery::Stored);
        if !(2..=MAX_BATCH).contains(&outputs.len()) || !all_stored() {
            return Ok(Way::Singly);
        }
        let known = self.storable(bus, emit, outputs).await?;
        match common(&known, outputs) {
            Some(stream) if stream.atomic => together(stream, outputs, bus.max_message_bytes()),
            _ => Ok(Way::Singly),
        }
    }

    /// Checks that no output which is to be stored is without a stream, and tells what is known of the streams.
    pub(crate) async fn storable(
        &self,
        bus: &dyn Bus,
        emit: &Emit,
        outputs: &[Output],
    ) -> Result<Arc<Vec<StreamInfo>>, Failure> {
        let known = self.known(bus, emit).await;
        let unanswered = |index, err: BusError| Failure::Publish { index, reason: err.to_string() };
        // Without a connection nothing can be published either.
        let known = known.map_err(|err| unanswered(0, err))?;
        // One that no stream stores would be found out when others of them are stored already: so would one of which nobody
        // can tell.
        for (index, output) in outputs.iter().enumerate().filter(|(_, output)| output.is_stored()) {
            let subject = output.message.subject.as_str();
            if let Some(stream) = known.iter().find(|stream| stream.stores(subject)) {
                fits(stream, index, output.message.wire_bytes())?;
                continue;
            }
            match lacks_stream(bus, subject).await {
                Ok(true) => {
                    let reason = BusError::NoStream { subject: subject.to_owned() }.to_string();
                    return Err(Failure::Unstorable { index, reason });
                }
                Err(err) if err.is_transient() => return Err(unanswered(index, err)),
                // There is one, or who may not ask has to try.
                Ok(false) | Err(_) => {}
            }
        }
        Ok(known)
    }

    /// What is known of the streams behind the grants.
    pub(crate) async fn known(&self, bus: &dyn Bus, emit: &Emit) -> Result<Arc<Streams>, BusError> {
        if let Some(known) = self.known.load_full() {
            return Ok(known);
        }
        let _turn = self.looking.lock().await;
        if let Some(known) = self.known.load_full() {
            return Ok(known);
        }
        let streams = look_up(bus, emit).await?;
        self.known.store(Some(Arc::clone(&streams)));
        Ok(streams)
    }
}

/// The streams behind the grants. Who may not ask makes no batches.
async fn look_up(bus: &dyn Bus, emit: &Emit) -> Result<Arc<Streams>, BusError> {
    let mut streams = Streams::new();
    for pattern in &emit.subjects {
        let found = match bus.streams_for(pattern).await {
            Ok(found) => found,
            Err(err) if err.is_transient() => return Err(err),
            Err(err) => {
                tracing::warn!("no batches to {pattern}: its streams cannot be looked up: {err}");
                continue;
            }
        };
        for stream in found {
            if streams.iter().all(|known| known.name != stream.name) {
                streams.push(stream);
            }
        }
    }
    Ok(Arc::new(streams))
}

/// The stream that stores all of the outputs, if there is one.
fn common<'a>(streams: &'a [StreamInfo], outputs: &[Output]) -> Option<&'a StreamInfo> {
    streams.iter().find(|stream| outputs.iter().all(|output| stream.stores(output.message.subject.as_str())))
}

/// Whether no stream stores a subject. If nobody can tell, the event is not to blame.
pub(super) async fn lacks_stream(bus: &dyn Bus, subject: &str) -> Result<bool, BusError> {
    match Pattern::new(subject) {
        Ok(pattern) => match bus.streams_for(&pattern).await {
            Err(_) if mutant!("unknown-is-for-good") => Ok(true),
            streams => Ok(streams?.is_empty()),
        },
        Err(_) => Ok(true),
    }
}

/// Checks that a stream takes a message of this size.
fn fits(stream: &StreamInfo, index: usize, bytes: usize) -> Result<(), Failure> {
    match stream.max_message_bytes.filter(|limit| bytes > *limit) {
        None => Ok(()),
        Some(limit) => {
            let reason =
                format!("{bytes} bytes are over the max_msg_size of stream {}, {limit}", stream.name);
            Err(Failure::Unstorable { index, reason })
        }
    }
}

fn together(stream: &StreamInfo, outputs: &[Output], max_message_bytes: usize) -> Result<Way, Failure> {
    let limit = stream.largest_message(max_message_bytes);
    for (index, output) in outputs.iter().enumerate() {
        let bytes = output.message.wire_bytes();
        fits(stream, index, bytes)?;
        if bytes + BATCH_OVERHEAD_BYTES > limit {
            // By itself it fits, and with what makes it part of a batch it does not.
            return Ok(Way::Singly);
        }
    }
    Ok(Way::Together(stream.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::message::Message;
    use crate::subject::Subject;

    fn stream(name: &str, subjects: &str, atomic: bool) -> StreamInfo {
        StreamInfo {
            name: name.into(),
            subjects: vec![Pattern::new(subjects).unwrap()],
            duplicate_window: REFRESH,
            incarnation_ms: 1,
            messages: 0,
            last_sequence: 0,
            atomic,
            max_message_bytes: Some(1_000),
        }
    }

    fn to(subject: &str, bytes: usize) -> Output {
        let message = Message::new(Subject::new(subject).unwrap(), vec![0; bytes]);
        Output { message, delivery: OutputDelivery::Stored }
    }

    #[tokio::test]
    async fn only_what_one_stream_takes_together_is_a_batch() {
        let (sinks, bus, emit) = (Sinks::default(), MemoryBus::new(), Emit::default());
        let known = vec![stream("A", "a.>", true), stream("B", "b.>", true), stream("N", "n.>", false)];
        sinks.known.store(Some(Arc::new(known)));
        let core = Output { delivery: OutputDelivery::Core, ..to("a.2", 1) };
        for (outputs, wanted) in [
            (vec![to("a.1", 1), to("a.2", 1)], Way::Together("A".into())),
            (vec![to("a.1", 1)], Way::Singly),
            (vec![to("a.1", 1), to("b.1", 1)], Way::Singly),
            (vec![to("n.1", 1), to("n.1", 1)], Way::Singly),
            (vec![to("a.1", 1), core], Way::Singly),
            (vec![to("a.1", 1); MAX_BATCH + 1], Way::Singly),
            (vec![to("a.1", 1), to("a.1", 990)], Way::Singly),
        ] {
            assert_eq!(sinks.way(&*bus, &emit, &outputs).await, Ok(wanted), "{outputs:?}");
        }
        let too_large = sinks.way(&*bus, &emit, &[to("a.1", 1), to("a.1", 1_001)]).await;
        assert!(matches!(too_large, Err(Failure::Unstorable { index: 1, .. })), "{too_large:?}");
        let homeless = sinks.way(&*bus, &emit, &[to("a.1", 1), to("x.1", 1)]).await;
        assert!(matches!(homeless, Err(Failure::Unstorable { index: 1, .. })), "{homeless:?}");
        sinks.no_batches("A");
        assert_eq!(sinks.way(&*bus, &emit, &[to("a.1", 1), to("a.1", 1)]).await, Ok(Way::Singly));
    }

    #[tokio::test]
    async fn without_a_connection_nothing_goes() {
        let bus = MemoryBus::new();
        bus.close().await.unwrap();
        let emit = Emit { subjects: vec![Pattern::new("a.>").unwrap()], ..Emit::default() };
        let way = Sinks::default().way(&*bus, &emit, &[to("a.1", 1), to("a.2", 1)]).await;
        assert!(matches!(way, Err(Failure::Publish { .. })), "{way:?}");
    }
}
