//! A durable subscription: one task pulls ahead, and whoever asks is handed what it has.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::Core;
use super::ahead::Ahead;
use super::source::{HEARTBEAT, Heard, Resume, Source};
use super::unreadable;
use crate::bus::{BusError, Delivery, DurableSpec, Intake, Settlement};

/// The first pause before a lost consumer is looked for again, in milliseconds; it doubles with each further one.
const REOPEN_BASE_MS: u64 = 50;
/// The longest such pause, in milliseconds.
const REOPEN_MAX_MS: u64 = 5_000;
/// Heartbeats that may be missing before the inbox is taken to be dead.
const SILENT_HEARTBEATS: u32 = 2;
/// The most messages to pull ahead, whatever is asked for: a quarter of what the client's buffer takes.
const MAX_PREFETCH: usize = 65_536;
/// How many messages are moved on before credit and stop are looked at again.
const AT_ONCE: usize = 256;

type Handed = Result<Delivery, BusError>;

/// What the data plane holds.
struct DurableIntake {
    ready: mpsc::Receiver<Handed>,
    credit: Arc<Semaphore>,
    ahead: Arc<Ahead>,
    /// Takes what nobody asked for back to the task, which gives it back to the server.
    stop: Option<oneshot::Sender<mpsc::Receiver<Handed>>>,
}

impl Intake for DurableIntake {
    fn next(&mut self) -> BoxFuture<'_, Option<Handed>> {
        Box::pin(async {
            let handed = self.ready.recv().await;
            if let Some(Ok(delivery)) = &handed {
                self.ahead.goes(delivery);
                self.credit.add_permits(1);
            }
            handed
        })
    }

    fn dropped(&self) -> u64 {
        0
    }
}

impl Drop for DurableIntake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let (_, empty) = mpsc::channel(1);
            let ready = std::mem::replace(&mut self.ready, empty);
            // An error means that the task has ended by itself and holds nothing.
            let _ = stop.send(ready);
        }
    }
}

/// The task's side.
struct Puller {
    core: Arc<Core>,
    spec: DurableSpec,
    ready: mpsc::Sender<Handed>,
    /// Permits for messages that may be asked for: what is asked for, at hand and permitted makes up the prefetch.
    credit: Arc<Semaphore>,
    ahead: Arc<Ahead>,
    connections: watch::Receiver<u64>,
    resume: Resume,
    /// Deliveries that came after the intake was dropped.
    unwanted: Vec<Delivery>,
}

/// Why pulling from one source ended.
enum End {
    Stopped,
    Broken(String),
}

/// Subscribes; the first look at stream and consumer is the caller's to wait for, so that its errors are too.
pub(super) async fn open(core: &Arc<Core>, spec: &DurableSpec) -> Result<Box<dyn Intake>, BusError> {
    let spec = DurableSpec { prefetch: spec.prefetch.clamp(1, MAX_PREFETCH), ..spec.clone() };
    let connections = core.link.connections();
    let (source, resume) = Source::open(core, &spec, None).await?;
    // One more than there is credit for: the error that ends the intake needs a place too.
    let (sender, ready) = mpsc::channel(spec.prefetch + 1);
    let credit = Arc::new(Semaphore::new(spec.prefetch));
    let ahead = Arc::new(Ahead::new(spec.prefetch_bytes, core.link.client.max_payload()));
    let (stop, stopped) = oneshot::channel();
    let puller = Puller {
        core: Arc::clone(core),
        spec,
        ready: sender,
        credit: Arc::clone(&credit),
        ahead: Arc::clone(&ahead),
        connections,
        resume,
        unwanted: Vec::new(),
    };
    core.tasks.spawn(puller.run(source, stopped));
    Ok(Box::new(DurableIntake { ready, credit, ahead, stop: Some(stop) }))
}

impl Puller {
    async fn run(mut self, mut source: Source, mut stopped: oneshot::Receiver<mpsc::Receiver<Handed>>) {
        loop {
            // The connection that the source was opened on is the one to watch.
            let end = tokio::select! {
                biased;
                ready = &mut stopped => return self.give_back(source, ready.ok()).await,
                end = self.pump(&mut source) => end,
            };
            let reason = match end {
                End::Stopped => return self.give_back(source, None).await,
                End::Broken(reason) => reason,
            };
            tracing::debug!(stream = self.spec.stream, durable = self.spec.durable, reason, "intake reopens");
            let unfilled = source.asked();
            let left = source.close(&self.core).await;
            self.credit.add_permits(unfilled.saturating_sub(left.len()));
            for delivery in left {
                self.hand_over(delivery);
            }
            let reopened = tokio::select! {
                biased;
                ready = &mut stopped => return self.return_all(ready.ok()).await,
                reopened = self.reopen(&reason) => reopened,
            };
            match reopened {
                Ok(next) => source = next,
                Err(error) => {
                    // Full only if nobody takes anything, and then nobody would read the error either.
                    let _ = self.ready.try_send(Err(error));
                    return;
                }
            }
        }
    }

    /// Pulls and hands over until the source is of no more use.
    async fn pump(&mut self, source: &mut Source) -> End {
        let (credit, ahead) = (Arc::clone(&self.credit), Arc::clone(&self.ahead));
        let chunk = u32::try_from(self.spec.prefetch.div_ceil(2).max(1)).unwrap_or(u32::MAX);
        let mut heartbeats = tokio::time::interval(HEARTBEAT);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            let room = ahead.room(source.asked_bytes(), chunk as usize).is_some();
            tokio::select! {
                biased;
                heard = source.next() => {
                    silent = 0;
                    if let Some(end) = self.take_in(source, heard) {
                        return end;
                    }
                }
                changed = self.connections.changed() => {
                    let what = if changed.is_ok() { "the connection was made anew" } else { "the bus is gone" };
                    return End::Broken(what.to_owned());
                }
                () = ahead.taken(), if !room => {}
                permits = credit.acquire_many(chunk), if room => {
                    let Ok(permits) = permits else { return End::Stopped };
                    permits.forget();
                    let wanted = chunk as usize + credit.forget_permits(credit.available_permits());
                    if let Err(error) = self.pull(source, wanted).await {
                        return End::Broken(error.to_string());
                    }
                }
                _ = heartbeats.tick() => {
                    silent = if source.asked() == 0 { 0 } else { silent + 1 };
                    // The tick after the last message may follow it at once, so it is not counted.
                    if silent > SILENT_HEARTBEATS {
                        return End::Broken("the server sends no heartbeats".to_owned());
                    }
                }
            }
        }
    }

    async fn pull(&self, source: &mut Source, mut wanted: usize) -> Result<(), BusError> {
        while wanted > 0 {
            let count = wanted.min(source.pull_at_most());
            let Some(bytes) = self.ahead.room(source.asked_bytes(), count) else {
                self.credit.add_permits(wanted);
                return Ok(());
            };
            wanted -= count;
            // Counted as asked even if it fails, so that its credit comes back when the source is closed.
            if let Err(error) = source.pull(&self.core, count, bytes).await {
                self.credit.add_permits(wanted);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deals with a message, and with those that are right behind it.
    fn take_in(&mut self, source: &mut Source, first: Heard) -> Option<End> {
        let mut next = Some(first);
        for _ in 0..AT_ONCE {
            match next {
                None => break,
                Some(Heard::Delivery(delivery)) => self.hand_over(*delivery),
                Some(Heard::Unfilled(count)) => self.credit.add_permits(count),
                Some(Heard::Heartbeat | Heard::Stray) => {}
                Some(Heard::Broken(reason)) => return Some(End::Broken(reason)),
            }
            next = source.next_at_hand();
        }
        // The bound was met with one in hand.
        match next {
            Some(Heard::Delivery(delivery)) => self.hand_over(*delivery),
            Some(Heard::Unfilled(count)) => self.credit.add_permits(count),
            Some(Heard::Broken(reason)) => return Some(End::Broken(reason)),
            Some(Heard::Heartbeat | Heard::Stray) | None => {}
        }
        None
    }

    fn hand_over(&mut self, delivery: Delivery) {
        if let Some(position) = &delivery.position {
            self.resume.next_sequence = self.resume.next_sequence.max(position.sequence + 1);
        }
        self.ahead.comes(&delivery);
        if let Err(refused) = self.ready.try_send(Ok(delivery)) {
            // Credit bounds what comes, so it is closed rather than full: the intake is being dropped.
            self.unwanted.extend(refused.into_inner().ok());
        }
    }

    /// Looks for stream and consumer until they are there again. Only a consumer that somebody set up otherwise ends it.
    async fn reopen(&mut self, reason: &str) -> Result<Source, BusError> {
        let mut pause_ms = REOPEN_BASE_MS;
        let mut told = false;
        loop {
            self.connections.mark_unchanged();
            match Source::open(&self.core, &self.spec, Some(self.resume)).await {
                Ok((source, resume)) => {
                    self.resume = resume;
                    self.hand_over_unreadable().await;
                    return Ok(source);
                }
                Err(error @ BusError::ConsumerConflict { .. }) => return Err(error),
                Err(error) if !told && !error.is_transient() => {
                    told = true;
                    let (stream, durable) = (&self.spec.stream, &self.spec.durable);
                    tracing::warn!(stream, durable, reason, %error, "no events come in; still trying");
                }
                Err(_) => {}
            }
            let jitter_ms = fastrand::u64(0..=pause_ms / 2);
            tokio::time::sleep(Duration::from_millis(pause_ms / 2 + jitter_ms)).await;
            pause_ms = (pause_ms * 2).min(REOPEN_MAX_MS);
        }
    }

    /// Before anything is pulled again, what may have broken the connection is taken out of the way.
    async fn hand_over_unreadable(&mut self) {
        let found = match unreadable::find(&self.core, &self.spec, self.resume.incarnation_ms).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(stream = self.spec.stream, %error, "unreadable messages were not looked for");
                return;
            }
        };
        for delivery in found {
            // Each takes a place that would have been asked for. Without one it waits for the next break.
            let Ok(permit) = self.credit.try_acquire() else { return };
            permit.forget();
            self.hand_over(delivery);
        }
    }

    /// Stops pulling, then returns what nobody took. In this order, or it would come straight back to us.
    async fn give_back(mut self, source: Source, ready: Option<mpsc::Receiver<Handed>>) {
        let left = source.close(&self.core).await;
        self.unwanted.extend(left);
        self.return_all(ready).await;
    }

    async fn return_all(mut self, ready: Option<mpsc::Receiver<Handed>>) {
        if let Some(mut ready) = ready {
            ready.close();
            while let Ok(handed) = ready.try_recv() {
                self.unwanted.extend(handed.ok());
            }
        }
        for receipt in self.unwanted.iter().filter_map(|delivery| delivery.receipt.as_ref()) {
            // One that cannot be returned comes again after the ack wait.
            if self.core.settle(receipt, Settlement::Nak(Duration::ZERO)).await.is_err() {
                return;
            }
        }
    }
}
