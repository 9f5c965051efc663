//! What comes in to a partition: events, redrives, and records that were found in its bucket.

use std::sync::Arc;

use super::intake::{Bad, Found, Read, Told, What};
use super::partition::{MOST_QUEUED, Partition};
use super::queued::{Delivery, Queued};
use super::redrives::{Redrive, Redriven};
use super::setback::set_aside;
use super::turn::Held;
use crate::bus::BusError;
use crate::faults::{failpoint, mutant};
use crate::limits::MIB;
use crate::manifest::PluginClock;

/// The most positions between the first that is not done and the last that was read.
const MOST_OPEN: usize = 262_144;

const NANOS: u64 = 1_000_000_000;

/// The most events without a key that are being set aside.
const MOST_ASIDE: usize = 256;

/// What became of something without a key.
pub(super) enum Aside {
    /// Its letter is stored: an event of a source, and its sequence there.
    Read(usize, u64),
    /// A redrive, with its sequence among them.
    Redriven(u64),
    /// It comes again to whoever owns the partition next.
    Left,
}

impl Partition {
    /// Has the outputs of records stored that an owner before left.
    pub(super) fn take_up(&mut self, left: Vec<Held>) {
        for held in left {
            self.lanes.take_up(Arc::from(held.record.key.as_str()), held);
        }
    }

    pub(super) fn found(&mut self, found: Found) {
        let key = Arc::<str>::from(found.key);
        if found.message.payload.is_empty() {
            return;
        }
        // It has one, even if it is none that can be used: whoever has its turn next must not take it for new.
        self.memory.know(&key);
        // A lane may have taken it up already, or be about to; its end tells the rest.
        if self.lanes.has(&key) || mutant!("timers-not-rescanned") {
            return;
        }
        if let Ok(held) = self.ground.held(&found.message.payload, found.sequence) {
            self.memory.found(key, held);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let keyed = &self.ground.keyed;
        let most_bytes = u64::from(keyed.plugin.version.load().manifest.limits.in_flight_mib) * MIB as u64;
        self.lanes.queued() < MOST_QUEUED
            && self.aside.len() < MOST_ASIDE
            && self.sources.iter().all(|source| source.progress.span() < MOST_OPEN)
            && keyed.plugin.share.has_room(most_bytes)
    }

    /// Hears what a reader has to say.
    pub(super) fn hear(&mut self, told: Told) -> Result<(), BusError> {
        match told {
            Told::Read(read) => self.take(*read)?,
            Told::Opened { source, pending } => {
                if let Some(source) = self.sources.get_mut(source) {
                    source.pending = pending;
                }
            }
            Told::Redriven(redriven) => self.take_redriven(*redriven),
            Told::BadRedrive(bad) => self.set_redrive_aside(*bad),
            Told::Ended(err) => return Err(err),
        }
        Ok(())
    }

    pub(super) fn aside_done(&mut self, aside: &Aside) {
        match aside {
            Aside::Read(source, sequence) => self.done(*source, *sequence),
            Aside::Redriven(sequence) => _ = self.redriving.remove(sequence),
            Aside::Left => {}
        }
    }

    /// Takes a message in.
    fn take(&mut self, read: Read) -> Result<(), BusError> {
        let Some(source) = self.sources.get_mut(read.source) else { return Ok(()) };
        source.read(&read)?;
        let (at, sequence) = (read.source, read.sequence);
        let keyed = Arc::clone(&self.ground.keyed);
        match read.what {
            What::Passed => source.progress.pass(sequence),
            What::Bad(bad) => {
                source.progress.read(sequence);
                let (ground, delivery) = (Arc::clone(&self.ground), Delivery::new(&keyed));
                self.aside.push(Box::pin(async move {
                    match set_aside(&ground, bad, delivery).await {
                        true => Aside::Read(at, sequence),
                        false => Aside::Left,
                    }
                }));
            }
            What::Event { key, event, message, origin, input } => {
                let delivery = Delivery::new(&keyed);
                failpoint!("event-read");
                source.progress.read(sequence);
                if mutant!("cursor-too-early") {
                    source.progress.done(sequence);
                }
                let version = keyed.plugin.version.load();
                let settings = &version.manifest.state;
                // One event that claims to be of another century must not end what all keys wait for.
                let latest_ns = read.stored_ns.saturating_add(settings.max_ahead_s.saturating_mul(NANOS));
                self.event_clock_ns = self.event_clock_ns.max(event.time_ns.min(latest_ns));
                let clock_ns = match settings.clock {
                    PluginClock::Wall => read.stored_ns,
                    PluginClock::Event => self.event_clock_ns,
                };
                source.mark(sequence, self.event_clock_ns);
                let taken = keyed.plugin.share.take(message.wire_bytes() as u64);
                let queued = Queued {
                    event,
                    message,
                    origin,
                    input,
                    source: at,
                    sequence,
                    redrive: None,
                    clock_ns,
                    delivery,
                    _taken: taken,
                };
                self.lanes.push(Arc::from(key), queued);
            }
        }
        Ok(())
    }

    fn take_redriven(&mut self, redriven: Redriven) {
        let Redriven { key, event, message, origin, input, redrive } = redriven;
        let sequence = redrive.sequence;
        // One that waits for long is delivered again meanwhile.
        if !self.redriving.insert(sequence) {
            return;
        }
        let keyed = &self.ground.keyed;
        let delivery = Delivery::new(keyed);
        let taken = keyed.plugin.share.take(message.wire_bytes() as u64);
        let queued = Queued {
            event,
            message,
            origin,
            input,
            source: 0,
            sequence,
            redrive: Some(redrive),
            clock_ns: self.clock_ns(),
            delivery,
            _taken: taken,
        };
        self.lanes.push(Arc::from(key), queued);
    }

    fn set_redrive_aside(&mut self, (bad, redrive): (Bad, Redrive)) {
        if !self.redriving.insert(redrive.sequence) {
            return;
        }
        let (ground, delivery) = (Arc::clone(&self.ground), Delivery::new(&self.ground.keyed));
        self.aside.push(Box::pin(async move {
            let sequence = redrive.sequence;
            if !set_aside(&ground, bad, delivery).await {
                return Aside::Left;
            }
            redrive.settle(&*ground.keyed.plugin.bus).await;
            Aside::Redriven(sequence)
        }));
    }
}
