//! The one writer of a partition's bucket.
//!
//! Every write says which sequence the bucket's stream must end with, so writes go out one behind the other without waiting.
//! Whoever takes over writes more values of its own there than can be on their way (`fence`): from then on nothing of the
//! owner before is stored. A write that fails for other reasons makes those behind it doubtful as well; then the journal
//! finds out what is stored, and writes the rest again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::FuturesOrdered;
use tokio::sync::{mpsc, oneshot};

use super::bucket::{Bucket, Owner};
use crate::bus::{Bus, BusError, OnlyIf, Stored};
use crate::faults::failpoint;
use crate::message::Message;
use crate::progress::Progress;

/// The most writes whose answers are awaited at once.
const WINDOW: usize = 256;
/// Writes that may wait to be sent. Whoever writes holds a lane, which is the real bound.
const WAITING: usize = 1_024;
/// The wait before a write that failed is tried again, first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Keeps out all that is on its way to a bucket from whoever wrote there before; answers the sequence that its stream ends
/// with then.
///
/// One write would not do: it takes the place of the first that is on its way, and the second, which counted on the first,
/// would find the sequence that it wants. As many as can be on their way, and one more, leave none that could fit.
///
/// # Errors
/// [`BusError::Overtaken`] if something was stored meanwhile; then nothing is known to be kept out.
pub(super) async fn fence(bus: &dyn Bus, message: &Message, last: u64) -> Result<u64, BusError> {
    let mut sent = Vec::with_capacity(WINDOW + 1);
    for ahead in 0..=WINDOW as u64 {
        sent.push(bus.post(message.clone(), OnlyIf::after(last + ahead)).await?);
    }
    let mut end = last;
    for confirmation in sent {
        end = confirmation.await?.sequence;
    }
    Ok(end)
}

/// Another engine owns the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fenced;

/// One write, and who waits for it.
struct Write {
    message: Message,
    /// What the owner's value is from then on, if this is that.
    owner: Option<Owner>,
    reply: oneshot::Sender<Result<u64, Fenced>>,
}

/// Hands writes to the writer.
#[derive(Clone)]
pub(super) struct Journal {
    writes: mpsc::Sender<Write>,
    settled: Settled,
}

/// The sequences of records in the bucket, and which of them have their outputs stored.
#[derive(Clone)]
pub(super) struct Settled(Arc<Mutex<Progress>>);

impl Settled {
    /// A record was written, in order.
    pub fn written(&self, sequence: u64) {
        self.with(|progress| progress.read(sequence));
    }

    /// The outputs of a record are stored.
    pub fn settle(&self, sequence: u64) {
        self.with(|progress| progress.done(sequence));
    }

    /// Up to which sequence all are.
    pub fn cursor(&self) -> u64 {
        self.with(|progress| progress.cursor())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Journal {
    /// A journal for who owns the bucket, and what writes; that ends when the journal is dropped, or when another engine owns
    /// the bucket. `last` is the sequence that the bucket's stream ends with.
    pub fn new(
        bus: Arc<dyn Bus>,
        bucket: Bucket,
        owner: Owner,
        last: u64,
    ) -> (Self, impl Future<Output = Option<Fenced>>) {
        let (writes, waiting) = mpsc::channel(WAITING);
        let settled = Settled(Arc::new(Mutex::new(Progress::new(owner.settled))));
        let journal = Self { writes, settled: settled.clone() };
        let writer =
            Writer { bus, stream: bucket.stream(), bucket, owner, last, failed: Vec::new(), settled };
        (journal, writer.run(waiting))
    }

    /// Which of the records written have their outputs stored.
    pub fn settled(&self) -> &Settled {
        &self.settled
    }

    /// Writes a record; resolves when it is stored.
    pub async fn write(&self, message: Message) -> Result<u64, Fenced> {
        self.send(message, None).await
    }

    /// Writes the owner's value.
    pub async fn renew(&self, owner: Owner, message: Message) -> Result<u64, Fenced> {
        self.send(message, Some(owner)).await
    }

    /// Hands a record in, behind those handed in before; what it answers resolves when it is stored.
    pub async fn begin(
        &self,
        message: Message,
    ) -> Result<impl Future<Output = Result<u64, Fenced>> + use<>, Fenced> {
        self.hand_in(message, None).await
    }

    async fn send(&self, message: Message, owner: Option<Owner>) -> Result<u64, Fenced> {
        self.hand_in(message, owner).await?.await
    }

    async fn hand_in(
        &self,
        message: Message,
        owner: Option<Owner>,
    ) -> Result<impl Future<Output = Result<u64, Fenced>> + use<>, Fenced> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Write { message, owner, reply }).await.map_err(|_| Fenced)?;
        Ok(async { answer.await.unwrap_or(Err(Fenced)) })
    }
}

struct Writer {
    bus: Arc<dyn Bus>,
    bucket: Bucket,
    stream: String,
    owner: Owner,
    /// The sequence that the stream ends with once all that was sent is stored.
    last: u64,
    /// Writes of which it is not known whether they are stored, in order.
    failed: Vec<Write>,
    settled: Settled,
}

type Sent = FuturesOrdered<BoxFuture<'static, (Write, u64, Result<Stored, BusError>)>>;

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Write>) -> Option<Fenced> {
        let mut sent = Sent::new();
        loop {
            if sent.is_empty() && !self.failed.is_empty() {
                if let Err(Fenced) = self.recover(&mut sent).await {
                    return Some(Fenced);
                }
                continue;
            }
            tokio::select! {
                biased;
                Some((write, sequence, ended)) = sent.next(), if !sent.is_empty() => self.answered(write, sequence, ended),
                write = waiting.recv(), if sent.len() < WINDOW && self.failed.is_empty() => match write {
                    Some(write) => self.send(write, &mut sent).await,
                    None => break,
                },
            }
        }
        while let Some((write, sequence, ended)) = sent.next().await {
            self.answered(write, sequence, ended);
        }
        None
    }

    async fn send(&mut self, write: Write, sent: &mut Sent) {
        failpoint!("record-write");
        match self.bus.post(write.message.clone(), OnlyIf::after(self.last)).await {
            Ok(confirmation) => {
                self.last += 1;
                let sequence = self.last;
                sent.push_back(confirmation.map(move |ended| (write, sequence, ended)).boxed());
            }
            Err(err) => self.note(write, &err),
        }
    }

    fn answered(&mut self, write: Write, sequence: u64, ended: Result<Stored, BusError>) {
        match ended {
            // Behind one that failed: what is stored is found out in order.
            Ok(_) if !self.failed.is_empty() => self.failed.push(write),
            Ok(stored) if stored.sequence == sequence => self.finish(write, sequence),
            Ok(stored) => {
                tracing::warn!(
                    bucket = self.bucket.name(),
                    "stored at {} instead of {sequence}",
                    stored.sequence
                );
                self.failed.push(write);
            }
            Err(err) => self.note(write, &err),
        }
    }

    fn note(&mut self, write: Write, err: &BusError) {
        if self.failed.is_empty() {
            tracing::debug!(bucket = self.bucket.name(), "a write failed, looking what is stored: {err}");
        }
        self.failed.push(write);
    }

    fn finish(&mut self, write: Write, sequence: u64) {
        failpoint!("record-written");
        self.settled.written(sequence);
        if let Some(owner) = write.owner {
            self.owner = owner;
            self.settled.settle(sequence);
        }
        // Whoever waited may have been told to stop.
        let _gone = write.reply.send(Ok(sequence));
    }

    /// Finds out which of the writes that failed are stored, and sends the others again.
    async fn recover(&mut self, sent: &mut Sent) -> Result<(), Fenced> {
        let mut wait = AGAIN.0;
        while let Err(err) = self.refence().await? {
            if !err.is_transient() {
                tracing::warn!(
                    bucket = self.bucket.name(),
                    "the state cannot be written: {err}; trying again in {wait:?}"
                );
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
        let mut failed = std::mem::take(&mut self.failed).into_iter();
        while let Some(write) = failed.next() {
            match self.bus.last(&self.stream, &write.message.subject).await {
                Ok(Some(stored)) if stored.message.payload == write.message.payload => {
                    self.finish(write, stored.sequence);
                }
                Ok(_) => {
                    self.send(write, sent).await;
                }
                Err(err) => {
                    self.note(write, &err);
                }
            }
            if !self.failed.is_empty() {
                // Behind one that is to be sent again, in order.
                self.failed.extend(failed);
                break;
            }
        }
        Ok(())
    }

    /// Writes the owner's value anew, so that nothing that may still be on its way can be stored.
    async fn refence(&mut self) -> Result<Result<(), BusError>, Fenced> {
        let tried = async {
            // The end first: if the owner changes after that, the write is refused.
            let last = self.bus.stream(&self.stream).await?.last_sequence;
            let found = self.bus.last(&self.stream, &self.bucket.owner()?).await?;
            let found = found.and_then(|stored| Owner::read(&stored.message.payload));
            if found.is_none_or(|owner| owner.epoch != self.owner.epoch || owner.engine != self.owner.engine)
            {
                return Ok(Err(Fenced));
            }
            self.last = fence(&*self.bus, &self.owner.message(&self.bucket)?, last).await?;
            Ok(Ok(()))
        };
        match tried.await {
            Ok(Ok(())) => Ok(Ok(())),
            // A bucket that is gone is nobody's: whoever makes it anew owns it.
            Ok(Err(Fenced)) | Err(BusError::StreamMissing(_)) => Err(Fenced),
            Err(err) => Ok(Err(err)),
        }
    }
}
