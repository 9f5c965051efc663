//! Publishes messages in the order of their rows with many acks under way, in step with a rate, and counts.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use crate::bus::{Bus, BusError, OnlyIf, Stored};
use crate::message::Message;

/// How many acks may be outstanding: the measured throughput of a stream flattens out here.
const WINDOW: usize = 1_024;
/// Rows this little ahead of their time are not waited for: timers tick in milliseconds.
const PACE_SLACK: Duration = Duration::from_millis(1);

/// A message and the row it was made of.
pub(super) struct Numbered {
    /// The row, from 1.
    pub(super) row: u64,
    /// The message.
    pub(super) message: Message,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Messages handed to the bus.
    pub(super) published: u64,
    /// Of those, stored now.
    pub(super) stored: u64,
    /// Of those, stored before under the same id.
    pub(super) duplicates: u64,
}

/// Why publishing ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The bus did not store a row.
    #[error("row {row}: {error}")]
    Row {
        /// The first row that failed.
        row: u64,
        /// What the bus says.
        error: BusError,
    },
    /// A row went into a stream other than the expected one.
    #[error("row {row} was stored in stream {found:?}, not in {wanted:?}")]
    OtherStream {
        /// The row.
        row: u64,
        /// The stream that took it.
        found: String,
        /// The stream that `--stream` names.
        wanted: String,
    },
}

impl SendError {
    pub(super) fn row(&self) -> u64 {
        match self {
            Self::Row { row, .. } | Self::OtherStream { row, .. } => *row,
        }
    }
}

type Ack = BoxFuture<'static, (u64, Result<Option<Stored>, BusError>)>;

/// Sends what the reader makes.
pub(super) struct Sender<'a> {
    bus: &'a dyn Bus,
    core: bool,
    /// Rows leave on one connection: those after one that got lost with it would overtake it.
    connection: u64,
    wanted_stream: Option<&'a str>,
    pace: Option<Pace>,
    under_way: FuturesUnordered<Ack>,
    /// What happened so far.
    pub(super) counts: Counts,
    failed: Option<SendError>,
}

impl<'a> Sender<'a> {
    /// With `core`, nothing is stored and no answer awaited. `rate` is in rows a second.
    pub(super) fn new(
        bus: &'a dyn Bus,
        core: bool,
        wanted_stream: Option<&'a str>,
        rate: Option<f64>,
    ) -> Self {
        Self {
            bus,
            core,
            connection: bus.posting(),
            wanted_stream,
            pace: rate.map(Pace::new),
            under_way: FuturesUnordered::new(),
            counts: Counts::default(),
            failed: None,
        }
    }

    /// Sends all that comes until the reader ends, an error or `stop`; then waits for the answers still under way.
    pub(super) async fn run(
        &mut self,
        mut batches: Receiver<Vec<Numbered>>,
        mut progress: impl FnMut(Counts),
        stop: impl Future<Output = ()>,
    ) -> Result<(), SendError> {
        let mut stop = std::pin::pin!(stop);
        while self.failed.is_none() {
            tokio::select! {
                biased;
                () = &mut stop => break,
                batch = batches.recv() => match batch {
                    Some(batch) => self.send_batch(batch, stop.as_mut()).await,
                    None => break,
                },
                Some(ack) = self.under_way.next() => self.count(ack),
            }
            progress(self.counts);
        }
        drop(batches);
        while let Some(ack) = self.under_way.next().await {
            self.count(ack);
        }
        if self.core
            && self.failed.is_none()
            && let Err(error) = self.bus.flush().await
        {
            self.failed = Some(SendError::Row { row: self.counts.published, error });
        }
        progress(self.counts);
        self.failed.take().map_or(Ok(()), Err)
    }

    async fn send_batch(
        &mut self,
        batch: Vec<Numbered>,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) {
        for Numbered { row, message } in batch {
            let due = self.pace.as_mut().and_then(Pace::wait);
            if let Some(due) = due {
                tokio::select! {
                    () = &mut stop => return,
                    () = self.collect_until(due) => {}
                }
            }
            self.counts.published += 1;
            tokio::select! {
                () = &mut stop => return,
                () = self.hand_over(row, message) => {}
            }
            if self.failed.is_some() {
                return;
            }
        }
    }

    /// Sends a row, and collects answers meanwhile. Its own is awaited later.
    async fn hand_over(&mut self, row: u64, message: Message) {
        let bus = self.bus;
        if self.core {
            let answer = bus.publish_core(message).await.map(|()| None);
            return self.count((row, answer));
        }
        let mut handed = bus.post(message, OnlyIf::on(self.connection));
        let handed = loop {
            tokio::select! {
                biased;
                handed = &mut handed => break handed,
                Some(ack) = self.under_way.next() => self.count(ack),
            }
        };
        match handed {
            Ok(stored) => self.under_way.push(stored.map(move |stored| (row, stored.map(Some))).boxed()),
            Err(error) => self.count((row, Err(error))),
        }
        while self.under_way.len() >= WINDOW {
            match self.under_way.next().await {
                Some(ack) => self.count(ack),
                None => break,
            }
        }
    }

    /// Collects answers until it is time for the next row.
    async fn collect_until(&mut self, due: Instant) {
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(due.into()));
        loop {
            tokio::select! {
                () = &mut alarm => return,
                Some(ack) = self.under_way.next() => self.count(ack),
            }
        }
    }

    /// Answers arrive out of order; the error kept is that of the earliest row.
    fn count(&mut self, (row, answer): (u64, Result<Option<Stored>, BusError>)) {
        let failure = match answer {
            Ok(None) => None,
            Ok(Some(stored)) => {
                if stored.duplicate {
                    self.counts.duplicates += 1;
                } else {
                    self.counts.stored += 1;
                }
                self.wanted_stream.filter(|wanted| *wanted != stored.stream).map(|wanted| {
                    SendError::OtherStream { row, found: stored.stream.clone(), wanted: wanted.to_owned() }
                })
            }
            Err(error) => Some(SendError::Row { row, error }),
        };
        if let Some(failure) = failure
            && self.failed.as_ref().is_none_or(|known| known.row() > row)
        {
            self.failed = Some(failure);
        }
    }
}

/// Holds rows to a rate without drifting: each row's time is counted from the first one's.
struct Pace {
    rate: f64,
    start: Option<Instant>,
    rows: u64,
}

impl Pace {
    fn new(rate: f64) -> Self {
        Self { rate, start: None, rows: 0 }
    }

    /// When the next row is due, if that is worth waiting for.
    fn wait(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let start = *self.start.get_or_insert(now);
        let due = self.due(start);
        self.rows += 1;
        (due > now + PACE_SLACK).then_some(due)
    }

    fn due(&self, start: Instant) -> Instant {
        let after = Duration::try_from_secs_f64(self.rows as f64 / self.rate).unwrap_or(Duration::MAX);
        // A rate so low that the clock has no such time: a year is as good as never.
        start.checked_add(after).unwrap_or(start + Duration::from_hours(24 * 365))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_does_not_drift() {
        let start = Instant::now();
        for (rate, rows, wanted_ms) in
            [(10.0, 0, 0), (10.0, 5, 500), (0.5, 3, 6_000), (100_000.0, 100_000, 1_000)]
        {
            let pace = Pace { rate, start: Some(start), rows };
            assert_eq!(pace.due(start).duration_since(start), Duration::from_millis(wanted_ms));
        }
        let mut pace = Pace::new(1e-300);
        assert!(pace.wait().is_none());
        assert!(pace.wait().is_some());
    }
}
