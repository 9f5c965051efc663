//! One step: an event or a moment, and what it makes of the unfinished matches.

use super::check::Error;
use super::define::{Link, Pattern};
use super::found::{Events, Found, Seen, Step, Taken};
use super::state::{Held, Run, State, Stored, Take, Time};
use super::ways::Way;

/// The step under way; the state is not touched before it succeeds.
pub(super) struct Work<'a, E> {
    pub pattern: &'a Pattern<E>,
    pub events: Events<'a, E>,
    /// Ordered by first event.
    pub runs: Vec<Run>,
    /// Ordered by first event, then by when they were done.
    pub held: Vec<Held>,
    /// Those whose time ended at the present moment.
    pub expired: Vec<Run>,
    pub step: Step<E>,
}

/// What an event makes of one run.
#[derive(Default)]
struct Fed {
    /// The run itself, if it can still go on.
    waits: Option<Run>,
    /// It with the event, once for each stage that takes it.
    goes_on: Vec<Run>,
    /// What is a match now.
    done: Vec<Vec<Take>>,
}

impl<E: Clone> Pattern<E> {
    /// Takes one event, of `time` in nanoseconds. Unfinished matches whose time is up by then are closed first. While
    /// something is under way, an event that is older than what came before it counts as of the same time.
    ///
    /// # Errors
    /// [`Error`]; the state is as before.
    pub fn advance(&self, state: &mut State<E>, event: E, time: u64) -> Result<Step<E>, Error> {
        self.check()?;
        let shape = self.check_state(state)?;
        let number = state.next;
        let time = time.max(state.clock.0);
        let mut work = Work::new(self, state, Some((number, time, &event)));
        work.close_until(time);
        work.take(number, time, &event);
        work.bound()?;
        let Work { runs, held, step, .. } = work;
        let new = Some(Stored(number, Time(time), event));
        *state = settle(state, new, State { shape, clock: Time(time), runs, held, ..State::default() });
        Ok(step)
    }

    /// Closes the unfinished matches whose time is up at `now`, nanoseconds. Call it when [`due`](Self::due) says so;
    /// earlier does no harm.
    ///
    /// # Errors
    /// [`Error`]; the state is as before.
    pub fn on_time(&self, state: &mut State<E>, now: u64) -> Result<Step<E>, Error> {
        self.check()?;
        let shape = self.check_state(state)?;
        let now = now.max(state.clock.0);
        let mut work = Work::new(self, state, None);
        work.close_until(now);
        let Work { runs, held, step, .. } = work;
        *state = settle(state, None, State { shape, clock: Time(now), runs, held, ..State::default() });
        Ok(step)
    }

    /// When the first unfinished match runs out of time, nanoseconds: [`on_time`](Self::on_time) is needed then, unless
    /// an event comes first. None if nothing waits for time to pass.
    #[must_use]
    pub fn due(&self, state: &State<E>) -> Option<u64> {
        let first = state.event(state.runs.first()?.start())?;
        Some(first.1.0.saturating_add(self.within?))
    }
}

/// The state after a step: with the events, old and new, that are still named.
fn settle<E>(before: &mut State<E>, new: Option<Stored<E>>, after: State<E>) -> State<E> {
    if after.is_idle() {
        return State::default();
    }
    let takes = after.runs.iter().map(|run| &run.2).chain(after.held.iter().map(|held| &held.1));
    let mut used: Vec<u64> = takes.flatten().map(|take| take.1).collect();
    used.sort_unstable();
    let next = before.next.saturating_add(new.is_some().into());
    let mut events = std::mem::take(&mut before.events);
    events.extend(new);
    events.retain(|event| used.binary_search(&event.0).is_ok());
    State { next, events, ..after }
}

impl<'a, E: Clone> Work<'a, E> {
    fn new(pattern: &'a Pattern<E>, state: &'a State<E>, new: Option<(u64, u64, &'a E)>) -> Self {
        Self {
            pattern,
            events: Events { state, new },
            runs: state.runs.clone(),
            held: state.held.clone(),
            expired: Vec::new(),
            step: Step::default(),
        }
    }

    /// Lets time pass, one moment after another.
    fn close_until(&mut self, now: u64) {
        let Some(within) = self.pattern.within else { return };
        while let Some(first) = self.runs.first() {
            let moment = self.events.time(first.start()).saturating_add(within);
            if moment > now {
                return;
            }
            let rest = self
                .runs
                .iter()
                .position(|run| self.events.time(run.start()).saturating_add(within) > moment);
            let later = self.runs.split_off(rest.unwrap_or(self.runs.len()));
            let ended = std::mem::replace(&mut self.runs, later);
            let end = 1 << self.pattern.end();
            let (done, open): (Vec<Run>, Vec<Run>) = ended.into_iter().partition(|run| run.0 & end != 0);
            self.expired = open.into_iter().filter(|run| !run.1).collect();
            self.expired.sort_by(|a, b| self.pattern.prefer(&a.2, &b.2));
            self.complete(done.into_iter().map(|run| run.2).collect(), moment);
            for run in std::mem::take(&mut self.expired) {
                let found = self.found(&run.2, moment);
                self.step.timeouts.push(found);
            }
        }
    }

    /// Gives the event to each run, and begins new ones.
    fn take(&mut self, number: u64, time: u64, event: &E) {
        let mut done = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            let fed = self.feed(run, number, time, event);
            self.runs.extend(fed.waits);
            self.runs.extend(fed.goes_on);
            done.extend(fed.done);
        }
        let begin = Run(u32::MAX, true, Vec::new());
        let fed = self.feed(begin, number, time, event);
        self.runs.extend(fed.goes_on);
        done.extend(fed.done);
        self.complete(done, time);
    }

    fn feed(&self, run: Run, number: u64, time: u64, event: &E) -> Fed {
        let Run(open, mut matched, takes) = run;
        let ways = self.pattern.ways(&takes);
        let mut open = open & bits(&ways);
        let seen = Seen { pattern: self.pattern, events: &self.events, takes: &takes, time };
        let right_after = takes.last().is_some_and(|take| take.1.checked_add(1) == Some(number));
        let mut fed = Fed::default();
        let mut taken = 0;
        for way in &ways {
            if open & way.bit() == 0 {
                continue;
            }
            let refused =
                way.nots.iter().any(|not| (right_after || !not.next) && (not.condition)(event, &seen));
            if refused || way.greedy.iter().any(|stage| taken & (1 << stage) != 0) {
                open &= !way.bit();
            } else if way.target == self.pattern.end() {
                if !takes.is_empty() && way.ends(open) {
                    open &= !way.bit();
                    matched = true;
                    fed.done.push(takes.clone());
                }
            } else if let Some(variable) = self.variable(way, event, &seen) {
                taken |= way.bit();
                if way.link != Link::FollowedByAny {
                    open &= !way.bit();
                }
                self.grow(&mut fed, &takes, (variable, number));
            } else if way.link == Link::Next {
                open &= !way.bit();
            }
        }
        if open != 0 && !takes.is_empty() {
            fed.waits = Some(Run(open, matched, takes));
        }
        fed
    }

    /// The first of the stage's variables that the event is.
    fn variable(&self, way: &Way<'_, E>, event: &E, seen: &Seen<'_, E>) -> Option<usize> {
        let stage = self.pattern.stages.get(way.target)?;
        let mut alternatives = self.pattern.alternatives(stage);
        alternatives.find(|(_, variable)| (variable.condition)(event, seen)).map(|(number, _)| number)
    }

    /// A run that took one more event, and the match that it may be at once.
    fn grow(&self, fed: &mut Fed, takes: &[Take], take: Take) {
        let mut takes = takes.to_vec();
        takes.push(take);
        let ways = self.pattern.ways(&takes);
        let mut open = bits(&ways);
        let mut matched = false;
        if let Some(end) = ways.last().filter(|way| way.target == self.pattern.end())
            && end.nots.is_empty()
            && end.greedy.is_empty()
        {
            open &= !end.bit();
            matched = true;
            fed.done.push(takes.clone());
        }
        if open != 0 {
            fed.goes_on.push(Run(open, matched, takes));
        }
    }

    pub(super) fn found(&self, takes: &[Take], at: u64) -> Found<E> {
        let events = takes.iter().filter_map(|take| {
            let (time, event) = self.events.get(take.1)?;
            let name = self.pattern.variables.get(take.0)?.name.clone();
            Some(Taken { name, time, event: event.clone() })
        });
        Found { at, events: events.collect() }
    }

    /// Holds to the limit.
    fn bound(&mut self) -> Result<(), Error> {
        loop {
            let runs: usize = self.runs.iter().map(|run| run.2.len()).sum();
            let held: usize = self.held.iter().map(|held| held.1.len()).sum();
            if runs + held <= self.pattern.limit {
                return Ok(());
            }
            if !self.pattern.evict || self.runs.is_empty() {
                return Err(Error::Full { limit: self.pattern.limit });
            }
            let oldest = self.runs.remove(0);
            let now = self.events.new.map_or(0, |(_, time, _)| time);
            let found = self.found(&oldest.2, now);
            self.step.evicted.push(found);
            self.release();
        }
    }
}

fn bits<E>(ways: &[Way<'_, E>]) -> u32 {
    ways.iter().fold(0, |bits, way| bits | way.bit())
}

impl<E> Way<'_, E> {
    /// Whether the end is reached after an event that did not close it: nothing is waited for but more of a greedy
    /// stage, and that can take no more.
    fn ends(&self, open: u32) -> bool {
        self.nots.iter().all(|not| not.next) && self.greedy.iter().all(|stage| open & (1 << stage) == 0)
    }
}
