//! One partition while this engine owns it: events read in order, spread over keys, one turn of a key at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::Owner;
use super::ground::Ground;
use super::intake::{Found, Read, Told, What};
use super::journal::Fenced;
use super::memory::Memory;
use super::setback::set_aside;
use super::source::Source;
use super::timers;
use super::turn::{Held, Queued, Tries, Turn};
use crate::breaker::Gate;
use crate::bus::BusError;
use crate::faults::failpoint;
use crate::limits::MIB;
use crate::manifest::PluginClock;
use crate::record::Reached;

/// The most events that wait for their turn, over all keys.
const MOST_QUEUED: usize = 16_384;
/// The most positions between the first that is not done and the last that was read.
const MOST_OPEN: usize = 262_144;
/// Messages that are taken in before turns are given again.
const HEARD_AT_ONCE: usize = 64;
/// The longest sleep before the clock is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A key that has something to do, or is doing it.
#[derive(Default)]
struct Lane {
    queue: VecDeque<Queued>,
    held: Option<Held>,
    due_by: Option<u64>,
    tries: Tries,
    state: LaneState,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LaneState {
    /// Waits for a free place.
    #[default]
    Ready,
    /// Has its turn.
    Running,
    /// Waits for its next try.
    Waiting,
}

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
    ground: Arc<Ground>,
    owner: Owner,
    sources: Vec<Source>,
    lanes: HashMap<Arc<str>, Lane>,
    ready: VecDeque<Arc<str>>,
    /// Lanes that wait, by when; the number tells two of one moment apart.
    waiting: BTreeMap<(Instant, u64), Arc<str>>,
    waits: u64,
    running: FuturesUnordered<BoxFuture<'static, Turn>>,
    aside: FuturesUnordered<BoxFuture<'static, Option<(usize, u64)>>>,
    memory: Memory,
    queued: usize,
    /// The latest time that any event bears.
    event_clock_ns: u64,
    renewing: Option<BoxFuture<'static, (Owner, Instant, Result<u64, Fenced>)>>,
}

impl Partition {
    pub fn new(ground: Arc<Ground>, owner: Owner, sources: Vec<Source>, cache_bytes: u64) -> Self {
        Self {
            event_clock_ns: owner.clock_ns,
            ground,
            owner,
            sources,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            waits: 0,
            running: FuturesUnordered::new(),
            aside: FuturesUnordered::new(),
            memory: Memory::new(cache_bytes),
            queued: 0,
            renewing: None,
        }
    }

    /// Works until told to stop, or another engine owns the partition. `unsettled` are the records whose outputs may not be
    /// stored; `found` brings all records, to know which keys have timers.
    pub async fn run(
        mut self,
        unsettled: Vec<Found>,
        mut found: mpsc::Receiver<Found>,
        mut read: mpsc::Receiver<Told>,
        mut writer: AbortOnDropHandle<Option<Fenced>>,
    ) -> Ended {
        self.take_up(unsettled);
        let mut renew = tokio::time::interval(self.ground.renewal());
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let keyed = Arc::clone(&self.ground.keyed);
        let mut gate = keyed.guard.watch();
        let mut scanning = true;
        let stop = self.ground.stop.clone();
        let ended = loop {
            self.start_turns();
            let freed = keyed.share.freed();
            let room = self.has_room();
            let sleep = self.sleep();
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ended::Stopped,
                _ended = &mut writer => break Ended::Fenced,
                (owner, sent, renewed) = renewal(&mut self.renewing) => if self.was_renewed(owner, sent, renewed).is_err() {
                    break Ended::Fenced;
                },
                _ = renew.tick() => self.renew(false),
                Some(turn) = self.running.next(), if !self.running.is_empty() => if self.finished(turn).is_err() {
                    break Ended::Fenced;
                },
                Some(stored) = self.aside.next(), if !self.aside.is_empty() => self.aside_done(stored),
                _changed = gate.changed() => {}
                _gate = keyed.guard.admitted(), if matches!(keyed.guard.gate(), Gate::Shut { .. }) => {}
                () = tokio::time::sleep(sleep.unwrap_or(LONGEST_SLEEP)), if sleep.is_some() => {}
                () = freed, if !room => {}
                input = input(&mut read, room, &mut found, scanning) => match input {
                    Input::Told(told) => if let Err(err) = self.hear(told, &mut read) { break Ended::Broken(err) },
                    Input::Found(Some(one)) => self.found(one),
                    Input::Found(None) => {
                        scanning = false;
                        self.memory.all_found();
                    }
                },
            }
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
            while let Some(stored) = self.aside.next().await {
                self.aside_done(stored);
            }
            if let Some(renewing) = self.renewing.take() {
                renewing.await.2?;
            }
            self.renew(true);
            if let Some(renewing) = self.renewing.take() {
                renewing.await.2?;
            }
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

    /// Has the outputs of records stored that an owner before may have left.
    fn take_up(&mut self, unsettled: Vec<Found>) {
        let settled = self.ground.journal.settled().clone();
        for found in unsettled {
            settled.written(found.sequence);
            let Ok(mut held) = self.ground.held(found.message.payload, found.sequence) else {
                // Whoever needs it tells why it cannot be read.
                settled.settle(found.sequence);
                continue;
            };
            if held.record.outbox.is_empty() {
                settled.settle(found.sequence);
            } else {
                held.settled = false;
                let key = timers::shared(found.key);
                self.lanes.insert(Arc::clone(&key), Lane { held: Some(held), ..Lane::default() });
                self.ready.push_back(key);
            }
        }
    }

    fn found(&mut self, found: Found) {
        let key = timers::shared(found.key);
        if self.lanes.contains_key(&key) || found.message.payload.is_empty() {
            return;
        }
        if let Ok(held) = self.ground.held(found.message.payload, found.sequence) {
            self.memory.found(key, held);
        }
    }

    fn has_room(&self) -> bool {
        let keyed = &self.ground.keyed;
        let most_bytes = u64::from(keyed.version.load().manifest.limits.in_flight_mib) * MIB as u64;
        self.queued < MOST_QUEUED
            && self.sources.iter().all(|source| source.progress.span() < MOST_OPEN)
            && keyed.share.has_room(most_bytes)
    }

    /// Hears what readers have to say, and some more if they have.
    fn hear(&mut self, told: Option<Told>, read: &mut mpsc::Receiver<Told>) -> Result<(), BusError> {
        let mut next = told;
        for _ in 0..HEARD_AT_ONCE {
            match next {
                Some(Told::Read(read)) => self.take(*read)?,
                Some(Told::Opened { source, pending }) => {
                    if let Some(source) = self.sources.get_mut(source) {
                        source.behind = pending;
                    }
                }
                Some(Told::Ended(err)) => return Err(err),
                // Each says why it ends before it does.
                None => return Err(BusError::Settings("a reader ended".to_owned())),
            }
            if !self.has_room() {
                break;
            }
            match read.try_recv() {
                Ok(more) => next = Some(more),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn aside_done(&mut self, stored: Option<(usize, u64)>) {
        if let Some((source, sequence)) = stored {
            self.done(source, sequence);
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
                keyed.metrics.received();
                source.progress.read(sequence);
                let ground = Arc::clone(&self.ground);
                self.aside
                    .push(Box::pin(async move { set_aside(&ground, bad).await.then_some((at, sequence)) }));
            }
            What::Event { key, event, message, origin, input } => {
                keyed.metrics.received();
                failpoint!("event-read");
                source.progress.read(sequence);
                self.event_clock_ns = self.event_clock_ns.max(event.time_ns);
                let clock_ns = match keyed.version.load().manifest.state.clock {
                    PluginClock::Wall => read.stored_ns,
                    PluginClock::Event => self.event_clock_ns,
                };
                source.mark(sequence, self.event_clock_ns);
                let taken = keyed.share.take(message.wire_bytes() as u64);
                let queued =
                    Queued { event, message, origin, input, source: at, sequence, clock_ns, _taken: taken };
                self.queued += 1;
                let key = timers::shared(key);
                let lane = self.lanes.entry(Arc::clone(&key)).or_insert_with(|| {
                    self.ready.push_back(Arc::clone(&key));
                    Lane::default()
                });
                lane.queue.push_back(queued);
            }
        }
        Ok(())
    }

    /// The plugin clock: the time of day once everything has been read.
    fn clock_ns(&self) -> u64 {
        let keyed = &self.ground.keyed;
        if keyed.version.load().manifest.state.clock == PluginClock::Event {
            return self.event_clock_ns;
        }
        let behind = self.sources.iter().filter(|source| source.behind > 0).map(|source| source.stored_ns);
        behind.min().unwrap_or_else(|| keyed.now_ns())
    }

    /// How long nothing has to be looked at, if anything will have to be.
    fn sleep(&self) -> Option<Duration> {
        let retry = self.waiting.first_key_value().map(|((at, _), _)| at.duration_since(Instant::now()));
        let timer =
            self.memory.next_wake().map(|due| Duration::from_nanos(due.saturating_sub(self.clock_ns())));
        let by_wall = self.ground.keyed.version.load().manifest.state.clock == PluginClock::Wall;
        let timer = timer.filter(|_| by_wall && self.sources.iter().all(|source| source.behind == 0));
        let soonest = retry.into_iter().chain(timer).min()?;
        Some(soonest.min(LONGEST_SLEEP))
    }

    /// Wakes lanes whose wait is over, and keys with timers that are due.
    fn wake(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.state = LaneState::Ready;
                self.ready.push_back(key);
            }
        }
        let clock_ns = self.clock_ns();
        // What is due beyond this has its turn when there is a free place again.
        while self.ready.len() < MOST_QUEUED
            && let Some(key) = self.memory.wake(clock_ns)
        {
            // A lane that is at work tells anew at its end when its next timer is due.
            if !self.lanes.contains_key(&key) {
                let lane = Lane { due_by: Some(clock_ns), ..Lane::default() };
                self.lanes.insert(Arc::clone(&key), lane);
                self.ready.push_back(key);
            }
        }
    }

    /// Gives turns to lanes that wait for one.
    fn start_turns(&mut self) {
        let keyed = &self.ground.keyed;
        let places = match keyed.guard.gate() {
            Gate::Open => keyed.version.load().manifest.concurrency as usize,
            Gate::Probing => 1,
            Gate::Shut { .. } => 0,
        };
        let clock_ns = self.clock_ns();
        while self.running.len() < places
            && let Some(key) = self.ready.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            lane.state = LaneState::Running;
            let queue = std::mem::take(&mut lane.queue);
            let held = lane.held.take().or_else(|| self.memory.take(&key, &self.ground));
            let due_by = lane.due_by.take().map_or(clock_ns, |due_by| due_by.max(clock_ns));
            let turn = Turn {
                ahead: self.memory.ahead(&key),
                key,
                held,
                queue,
                due_by: Some(due_by),
                tries: lane.tries,
                done: Vec::new(),
                traceless: Vec::new(),
                wait: Duration::ZERO,
                fenced: false,
            };
            self.running.push(Box::pin(turn.take(Arc::clone(&self.ground))));
        }
    }

    /// A turn is over.
    fn finished(&mut self, turn: Turn) -> Result<(), Fenced> {
        let Turn { key, held, queue, tries, done, traceless, wait, fenced, .. } = turn;
        if fenced {
            return Err(Fenced);
        }
        for (source, sequence) in traceless {
            if let Some(stream) = self.ground.streams.get(source) {
                self.memory.traceless(&key, source, Reached { sequence, ..stream.reached() });
            }
        }
        self.queued -= done.len();
        for (source, sequence) in done {
            self.done(source, sequence);
        }
        let Some(lane) = self.lanes.get_mut(&key) else { return Ok(()) };
        lane.tries = tries;
        for queued in queue.into_iter().rev() {
            lane.queue.push_front(queued);
        }
        let unfinished = !wait.is_zero() || !lane.queue.is_empty();
        if !unfinished {
            self.lanes.remove(&key);
            if let Some(held) = held {
                self.memory.put(key, held);
            }
            return Ok(());
        }
        lane.held = held;
        if wait.is_zero() {
            lane.state = LaneState::Ready;
            self.ready.push_back(key);
        } else {
            lane.state = LaneState::Waiting;
            self.waits += 1;
            self.waiting.insert((Instant::now() + wait, self.waits), key);
        }
        Ok(())
    }

    fn done(&mut self, source: usize, sequence: u64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.progress.done(sequence);
        }
    }

    /// Writes how far it has come; that renews the lease.
    fn renew(&mut self, releases: bool) {
        if self.renewing.is_some() {
            return;
        }
        let mut owner = self.owner.clone();
        owner.released = releases;
        owner.settled = self.ground.journal.settled().cursor();
        for source in &mut self.sources {
            owner.cursor.insert(source.stream.name.clone(), source.reached());
            owner.clock_ns = owner.clock_ns.max(source.clock_at_cursor());
        }
        let Ok(message) = owner.message(&self.ground.bucket) else { return };
        let journal = self.ground.journal.clone();
        let sent = Instant::now();
        self.renewing = Some(Box::pin(async move {
            let renewed = journal.renew(owner.clone(), message).await;
            (owner, sent, renewed)
        }));
    }

    fn was_renewed(
        &mut self,
        owner: Owner,
        sent: Instant,
        renewed: Result<u64, Fenced>,
    ) -> Result<(), Fenced> {
        self.renewing = None;
        renewed?;
        self.ground.renewed(sent);
        for (at, source) in self.sources.iter().enumerate() {
            if let Some(reached) = owner.cursor.get(&source.stream.name) {
                self.memory.passed(at, reached.sequence);
            }
        }
        self.owner = owner;
        Ok(())
    }
}

/// What comes in.
enum Input {
    Told(Option<Told>),
    Found(Option<Found>),
}

/// What comes next; neither has precedence.
async fn input(
    read: &mut mpsc::Receiver<Told>,
    room: bool,
    found: &mut mpsc::Receiver<Found>,
    scanning: bool,
) -> Input {
    tokio::select! {
        told = read.recv(), if room => Input::Told(told),
        one = found.recv(), if scanning => Input::Found(one),
        else => std::future::pending().await,
    }
}

/// Resolves when a renewal that is under way has ended.
async fn renewal(
    renewing: &mut Option<BoxFuture<'static, (Owner, Instant, Result<u64, Fenced>)>>,
) -> (Owner, Instant, Result<u64, Fenced>) {
    match renewing {
        Some(renewing) => renewing.await,
        None => std::future::pending().await,
    }
}
