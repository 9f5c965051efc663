//! One partition while this engine owns it: events read in order, spread over keys, one turn of a key at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::arrivals::Aside;
use super::bucket::Owner;
use super::ground::Ground;
use super::intake::{Scanned, Told};
use super::journal::Fenced;
use super::lanes::{Errand, Lanes};
use super::memory::Memory;
use super::renewal::{Renewals, Renewed};
use super::source::Source;
use super::turn::{Held, Turn};
use crate::breaker::Gate;
use crate::bus::BusError;
use crate::faults::failpoint;
use crate::manifest::PluginClock;
use crate::record::Reached;

/// The most events that wait for their turn, over all keys.
pub(super) const MOST_QUEUED: usize = 16_384;
/// Messages that are taken in before turns are given again.
const HEARD_AT_ONCE: usize = 64;
/// The longest sleep before the clock is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Why a partition is not owned any more.
pub(super) enum Ended {
    /// Somebody else owns it.
    Fenced,
    /// It was told to stop, and has let go.
    Stopped,
    /// A stream cannot be read.
    Broken(BusError),
}

/// The partition.
pub(super) struct Partition {
    pub(super) ground: Arc<Ground>,
    renewals: Renewals,
    pub(super) sources: Vec<Source>,
    pub(super) lanes: Lanes,
    running: FuturesUnordered<BoxFuture<'static, Turn>>,
    pub(super) aside: FuturesUnordered<BoxFuture<'static, Aside>>,
    pub(super) memory: Memory,
    /// The redrives that are being handled.
    pub(super) redriving: HashSet<u64>,
    /// The latest time that any event bears.
    pub(super) event_clock_ns: u64,
    /// The plugin clock when it was looked at last.
    clock_ns: u64,
}

impl Partition {
    pub fn new(ground: Arc<Ground>, owner: Owner, sources: Vec<Source>, cache_bytes: u64) -> Self {
        Self {
            event_clock_ns: owner.clock_ns,
            clock_ns: 0,
            ground,
            renewals: Renewals::new(owner),
            sources,
            lanes: Lanes::default(),
            running: FuturesUnordered::new(),
            aside: FuturesUnordered::new(),
            memory: Memory::new(cache_bytes),
            redriving: HashSet::new(),
        }
    }

    /// Works until told to stop, or another engine owns the partition. `left` are the records whose outputs an owner before
    /// may not have had stored; `found` brings all records, to know which keys have timers.
    pub async fn run(
        mut self,
        left: Vec<Held>,
        mut found: mpsc::Receiver<Scanned>,
        mut read: mpsc::Receiver<Told>,
        mut writer: AbortOnDropHandle<Option<Fenced>>,
    ) -> Ended {
        self.take_up(left);
        let mut renew = tokio::time::interval(self.ground.renewal());
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let keyed = Arc::clone(&self.ground.keyed);
        let guard = &keyed.plugin.guard;
        let mut gate = guard.watch();
        let (mut scanning, mut found_first) = (true, false);
        let stop = self.ground.stop.clone();
        let ended = loop {
            self.start_turns();
            let freed = keyed.plugin.share.freed();
            let room = self.has_room();
            let sleep = self.sleep();
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ended::Stopped,
                _ended = &mut writer => break Ended::Fenced,
                renewed = self.renewals.over() => if self.renewed(renewed).is_err() { break Ended::Fenced },
                _ = renew.tick() => self.renewals.begin(&self.ground, &mut self.sources, false),
                Some(turn) = self.running.next(), if !self.running.is_empty() => if self.finished(turn).is_err() {
                    break Ended::Fenced;
                },
                Some(aside) = self.aside.next(), if !self.aside.is_empty() => self.aside_done(&aside),
                _changed = gate.changed() => {}
                _gate = guard.admitted(), if matches!(guard.gate(), Gate::Shut { .. }) => {}
                () = tokio::time::sleep(sleep.unwrap_or(LONGEST_SLEEP)), if sleep.is_some() => {}
                () = freed, if !room => {}
                input = input(&mut read, room, &mut found, scanning, found_first) => match input {
                    // Each reader says why it ends before it does.
                    Input::Told(told) if told.is_empty() => {
                        break Ended::Broken(BusError::Settings("its readers ended".to_owned()));
                    }
                    Input::Told(told) => {
                        if let Err(err) = told.into_iter().try_for_each(|told| self.hear(told)) {
                            break Ended::Broken(err);
                        }
                    }
                    Input::Found(Some(Scanned::Found(one, _room))) => self.found(one),
                    Input::Found(Some(Scanned::Through)) => self.memory.all_found(),
                    Input::Found(None) => scanning = false,
                },
            }
            found_first = !found_first;
            self.wake();
        };
        drop(read);
        match ended {
            Ended::Fenced => Ended::Fenced,
            ended => self.let_go(writer, ended).await,
        }
    }

    /// Lets turns end, and gives the lease up.
    async fn let_go(mut self, mut writer: AbortOnDropHandle<Option<Fenced>>, ended: Ended) -> Ended {
        self.ground.stop.cancel();
        failpoint!("stopping");
        let finishing = async {
            while let Some(turn) = self.running.next().await {
                self.finished(turn)?;
            }
            while let Some(aside) = self.aside.next().await {
                self.aside_done(&aside);
            }
            if self.renewals.under_way() {
                let renewed = self.renewals.over().await;
                self.renewed(renewed)?;
            }
            self.renewals.begin(&self.ground, &mut self.sources, true);
            let renewed = self.renewals.over().await;
            self.renewed(renewed)?;
            Ok::<_, Fenced>(())
        };
        tokio::select! {
            biased;
            finished = finishing => match finished {
                Ok(()) => ended,
                Err(Fenced) => Ended::Fenced,
            },
            _ended = &mut writer => Ended::Fenced,
        }
    }

    /// The plugin clock: the time of day once everything has been read. Until then it is that of what was read last: timers
    /// wait for events that were there before they were due. Without a connection nobody knows what there is.
    pub(super) fn clock_ns(&self) -> u64 {
        let keyed = &self.ground.keyed;
        if keyed.plugin.version.load().manifest.state.clock == PluginClock::Event {
            return self.event_clock_ns;
        }
        let behind =
            self.sources.iter().filter(|source| source.is_behind() || !keyed.plugin.bus.is_connected());
        // One that had nothing for long must not take the clock back.
        let stored_ns = behind.map(|source| source.stored_ns).min();
        stored_ns.map_or_else(|| keyed.now_ns(), |stored_ns| stored_ns.max(self.clock_ns))
    }

    /// How long nothing has to be looked at, if anything will have to be.
    fn sleep(&self) -> Option<Duration> {
        let retry = self.lanes.next_look();
        let timer =
            self.memory.next_wake().map(|due| Duration::from_nanos(due.saturating_sub(self.clock_ns())));
        // What comes in, and a turn that ends, wakes as well; and so does the renewal of the lease.
        let by_wall = self.ground.keyed.plugin.version.load().manifest.state.clock == PluginClock::Wall;
        let waits = self.lanes.ready() < MOST_QUEUED;
        let read = self.ground.keyed.plugin.bus.is_connected() && !self.sources.iter().any(Source::is_behind);
        let timer = timer.filter(|_| by_wall && waits && read);
        let soonest = retry.into_iter().chain(timer).min()?;
        Some(soonest.min(LONGEST_SLEEP))
    }

    /// Wakes lanes whose wait is over, and keys with timers that are due.
    fn wake(&mut self) {
        self.lanes.look();
        let clock_ns = self.clock_ns();
        self.clock_ns = clock_ns;
        // What is due beyond this has its turn when there is a free place again.
        while self.lanes.ready() < MOST_QUEUED
            && let Some(key) = self.memory.wake(clock_ns)
        {
            self.lanes.wake(key, clock_ns);
        }
    }

    /// Gives turns to lanes that wait for one.
    fn start_turns(&mut self) {
        let keyed = &self.ground.keyed;
        let places = match keyed.plugin.guard.gate() {
            Gate::Open => keyed.plugin.version.load().manifest.concurrency as usize,
            Gate::Probing => 1,
            Gate::Shut { .. } => 0,
        };
        let clock_ns = self.clock_ns();
        while self.running.len() < places
            && let Some(Errand { key, queue, held, due_by, tries }) = self.lanes.next()
        {
            let turn = Turn {
                ahead: self.memory.ahead(&key),
                held: held.or_else(|| self.memory.take(&key, &self.ground)),
                key,
                queue,
                due_by: Some(due_by.unwrap_or_default().max(clock_ns)),
                tries,
                done: Vec::new(),
                redriven: Vec::new(),
                traceless: Vec::new(),
                wait: Duration::ZERO,
                fenced: false,
            };
            self.running.push(Box::pin(turn.take(Arc::clone(&self.ground))));
        }
    }

    /// A turn is over.
    fn finished(&mut self, turn: Turn) -> Result<(), Fenced> {
        if turn.fenced {
            return Err(Fenced);
        }
        for (source, sequence) in &turn.traceless {
            if let Some(stream) = self.ground.streams.get(*source) {
                let reached = Reached { sequence: *sequence, ..stream.reached() };
                self.memory.traceless(&turn.key, *source, reached);
            }
        }
        for (source, sequence) in &turn.done {
            self.done(*source, *sequence);
        }
        for sequence in &turn.redriven {
            self.redriving.remove(sequence);
        }
        if let Some((key, held)) = self.lanes.finished(turn) {
            self.memory.put(key, held);
        }
        Ok(())
    }

    pub(super) fn done(&mut self, source: usize, sequence: u64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.progress.done(sequence);
        }
    }

    fn renewed(&mut self, renewed: Renewed) -> Result<(), Fenced> {
        let owner = self.renewals.note(renewed, &self.ground)?;
        for (at, source) in self.sources.iter().enumerate() {
            if let Some(reached) = owner.cursor.get(&source.stream.name) {
                self.memory.passed(at, reached.sequence);
            }
        }
        Ok(())
    }
}

/// What comes in.
enum Input {
    Told(Vec<Told>),
    Found(Option<Scanned>),
}

/// What comes next. Whoever asks gives precedence in turn, not by chance: a simulation is to be the same again.
async fn input(
    read: &mut mpsc::Receiver<Told>,
    room: bool,
    found: &mut mpsc::Receiver<Scanned>,
    scanning: bool,
    found_first: bool,
) -> Input {
    let mut told = Vec::new();
    let found = async {
        match scanning {
            true => Input::Found(found.recv().await),
            false => std::future::pending().await,
        }
    };
    let hear = async {
        match room {
            true => read.recv_many(&mut told, HEARD_AT_ONCE).await,
            false => std::future::pending().await,
        }
    };
    if found_first {
        tokio::select! { biased; input = found => input, _count = hear => Input::Told(told) }
    } else {
        tokio::select! { biased; _count = hear => Input::Told(told), input = found => input }
    }
}
