//! One of the plugin's streams, as far as a partition has come in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ground::StreamAt;
use super::intake::Read;
use crate::bus::BusError;
use crate::progress::Progress;
use crate::record::Reached;

/// A stream that is being read.
pub(super) struct Source {
    pub stream: StreamAt,
    pub progress: Progress,
    /// How many messages the stream had after the last one that was read.
    pub pending: u64,
    /// How many its reader holds out.
    unread: Arc<AtomicU64>,
    /// When the last one that was read was stored, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// Positions at which the clock of the events moved, and what it was then.
    marks: VecDeque<(u64, u64)>,
    /// That clock at the cursor.
    clock_ns: u64,
}

impl Source {
    /// One that has come this far.
    pub fn new(stream: StreamAt, cursor: u64, clock_ns: u64) -> Self {
        // Until it has been opened nobody knows that there is nothing to read.
        Self {
            stream,
            progress: Progress::new(cursor),
            pending: 1,
            unread: Arc::default(),
            stored_ns: 0,
            marks: VecDeque::new(),
            clock_ns,
        }
    }

    /// Takes note of a message.
    ///
    /// # Errors
    /// If it is of another stream of the same name.
    pub fn read(&mut self, read: &Read) -> Result<(), BusError> {
        if read.incarnation_ms != self.stream.incarnation_ms {
            return Err(BusError::StreamMissing(self.stream.name.clone()));
        }
        self.pending = read.pending;
        self.unread.fetch_sub(1, Ordering::Relaxed);
        self.stored_ns = read.stored_ns;
        Ok(())
    }

    /// Counts what its reader holds out, from the moment on at which it has it.
    pub fn unread(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unread)
    }

    /// Whether messages are still to be read.
    pub fn is_behind(&self) -> bool {
        self.pending > 0 || self.unread.load(Ordering::Relaxed) > 0
    }

    /// Takes note of the clock of the events at a position.
    pub fn mark(&mut self, sequence: u64, clock_ns: u64) {
        if self.marks.back().map_or(self.clock_ns, |(_, before)| *before) < clock_ns {
            self.marks.push_back((sequence, clock_ns));
        }
    }

    /// Up to where all is done.
    pub fn reached(&self) -> Reached {
        Reached { sequence: self.progress.cursor(), ..self.stream.reached() }
    }

    /// The clock of the events there.
    pub fn clock_at_cursor(&mut self) -> u64 {
        while let Some((sequence, clock_ns)) = self.marks.front() {
            if *sequence > self.progress.cursor() {
                break;
            }
            self.clock_ns = *clock_ns;
            self.marks.pop_front();
        }
        self.clock_ns
    }
}
