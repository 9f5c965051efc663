//! A stream in memory read in order, without acks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Inner;
use super::log::{Entry, Log};
use super::reading::as_kept;
use crate::bus::follow::{SIZE_HEADER, made_anew};
use crate::bus::{Begin, BusError, Follow, FollowSpec, Followed, Position, Retention, check_name};
use crate::subject::Pattern;

/// It holds nothing ahead: each message is taken when it is asked for.
pub(super) struct MemoryFollow {
    bus: Arc<Inner>,
    stream: String,
    incarnation_ms: u64,
    filters: Vec<Pattern>,
    headers_only: bool,
    /// The last messages of their subjects when it began, which come before all others.
    firsts: VecDeque<u64>,
    next: u64,
    /// Up to where messages are counted in `pending`.
    counted: u64,
    pending: u64,
    bell: Arc<Notify>,
    ended: bool,
}

impl Inner {
    pub(super) fn follow(self: &Arc<Self>, spec: &FollowSpec) -> Result<MemoryFollow, BusError> {
        check_name("follow a stream", &spec.stream)?;
        let mut state = self.open("follow a stream")?;
        let stream = state
            .streams
            .get_mut(&spec.stream)
            .ok_or_else(|| BusError::StreamMissing(spec.stream.clone()))?;
        let log = &mut stream.log;
        if log.retention == Retention::WorkQueue {
            return Err(BusError::Refused {
                operation: format!("follow stream {:?}", spec.stream),
                reason: "workqueue stream requires explicit ack".to_owned(),
            });
        }
        log.trim(Instant::now());
        let mut follow = MemoryFollow {
            bus: Arc::clone(self),
            stream: spec.stream.clone(),
            incarnation_ms: log.incarnation_ms,
            filters: spec.filters.clone(),
            headers_only: spec.headers_only,
            firsts: VecDeque::new(),
            next: log.last_sequence() + 1,
            counted: log.last_sequence(),
            pending: 0,
            bell: Arc::clone(&stream.bell),
            ended: false,
        };
        follow.begin(log, spec.begin);
        Ok(follow)
    }
}

impl MemoryFollow {
    fn begin(&mut self, log: &Log, begin: Begin) {
        match begin {
            Begin::New => {}
            Begin::At(sequence) => self.next = sequence.max(1),
            Begin::Time(time) => {
                let first = log.from(0).find(|entry| entry.stored_ns >= time);
                self.next = first.map_or(self.next, |entry| entry.sequence);
            }
            Begin::LastPerSubject => {
                let wanted = log.from(0).filter(|entry| self.wants(entry));
                let last: HashMap<&str, u64> =
                    wanted.map(|entry| (entry.message.subject.as_str(), entry.sequence)).collect();
                let mut firsts: Vec<u64> = last.into_values().collect();
                firsts.sort_unstable();
                self.pending = firsts.len() as u64;
                self.firsts = firsts.into();
            }
        }
        if matches!(begin, Begin::At(_) | Begin::Time(_)) {
            self.counted = self.next - 1;
            self.count(log);
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let subject = entry.message.subject.as_str();
        self.filters.is_empty() || self.filters.iter().any(|pattern| pattern.matches(subject))
    }

    fn count(&mut self, log: &Log) {
        let new = log.from(self.counted + 1).filter(|entry| self.wants(entry)).count();
        self.pending += new as u64;
        self.counted = self.counted.max(log.last_sequence());
    }

    /// The next message that is there, if one is.
    fn advance(&mut self, log: &Log) -> Option<Followed> {
        self.count(log);
        while let Some(sequence) = self.firsts.pop_front() {
            self.pending = self.pending.saturating_sub(1);
            if let Some(entry) = log.at(sequence) {
                return Some(self.followed(entry));
            }
        }
        let found = log.from(self.next).find(|entry| self.wants(entry));
        let Some(entry) = found else {
            self.next = self.next.max(log.last_sequence() + 1);
            self.pending = 0;
            return None;
        };
        self.next = entry.sequence + 1;
        self.pending = self.pending.saturating_sub(1);
        // What was overwritten or erased since it was counted is not to come any more.
        if !log.from(self.next).any(|entry| self.wants(entry)) {
            self.pending = 0;
        }
        Some(self.followed(entry))
    }

    fn followed(&self, entry: &Entry) -> Followed {
        let mut message = as_kept(&entry.message);
        if self.headers_only {
            message.headers.push(SIZE_HEADER, message.payload.len().to_string());
            message.payload.clear();
        }
        Followed {
            message,
            position: Position {
                stream: self.stream.clone(),
                incarnation_ms: self.incarnation_ms,
                sequence: entry.sequence,
                stored_ns: entry.stored_ns,
                attempt: 1,
            },
            pending: self.pending,
        }
    }

    /// The next message, if it is there.
    fn look(&mut self) -> Looked {
        let bus = Arc::clone(&self.bus);
        let mut state = bus.lock();
        if state.closed {
            return Looked::Closed;
        }
        let Some(stream) = state.streams.get_mut(&self.stream) else {
            return Looked::Ended(BusError::StreamMissing(self.stream.clone()));
        };
        if stream.log.incarnation_ms != self.incarnation_ms {
            return Looked::Ended(made_anew(&self.stream));
        }
        stream.log.trim(Instant::now());
        self.advance(&stream.log).map_or(Looked::Nothing, |followed| Looked::Found(Box::new(followed)))
    }

    async fn take(&mut self) -> Option<Result<Followed, BusError>> {
        if self.ended {
            return None;
        }
        // Otherwise a busy stream would keep every other task of a one-threaded runtime from running.
        tokio::task::coop::consume_budget().await;
        let (bus, bell) = (Arc::clone(&self.bus), Arc::clone(&self.bell));
        let mut closing = std::pin::pin!(bus.closing.notified());
        closing.as_mut().enable();
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            // From here on a ring is not missed, so what follows sees all that came before it.
            rung.as_mut().enable();
            match self.look() {
                Looked::Found(followed) => return Some(Ok(*followed)),
                Looked::Closed => return None,
                Looked::Ended(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Looked::Nothing => {}
            }
            tokio::select! {
                // In order, so that the same run is the same again.
                biased;
                () = &mut rung => {}
                () = &mut closing => return None,
            }
        }
    }
}

enum Looked {
    Found(Box<Followed>),
    Nothing,
    Ended(BusError),
    Closed,
}

impl Follow for MemoryFollow {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Followed, BusError>>> {
        self.take().boxed()
    }

    fn pending(&self) -> u64 {
        self.pending
    }
}
