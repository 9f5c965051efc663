//! Plugins with a key under fire: whatever happens to engines and server, each event changes its key's state once.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use wasmill_tests::checker::ledger::Entry;
use wasmill_tests::checker::ledger::scene::SUBJECT;

use crate::arena::{Arena, ENGINES, IN_SERVICE};
use crate::args::Args;
use crate::engine::was_killed;
use crate::entries::{Entries, Publisher};
use crate::stage::{Ended, Fired};

/// Where an engine kills itself, and how often it comes by there for certain while it owns the keys.
const FAILPOINTS: &[(&str, u64)] = &[
    ("taking-over", 1),
    ("taken-over", 1),
    ("event-read", 100),
    ("batch-call", 60),
    ("batch-called", 60),
    ("migrated", 5),
    ("record-write", 60),
    ("record-written", 60),
    ("outbox-post", 60),
    ("outbox-stored", 60),
];
/// Of a hundred kills, so many are at failpoints, if the engines have such.
const AT_FAILPOINTS: u32 = if cfg!(feature = "failpoints") { 60 } else { 0 };
/// For so many kills an owner is frozen once.
const KILLS_PER_FREEZE: u32 = 20;
/// For so many kills the server is restarted once.
const KILLS_PER_RESTART: u32 = 10;
/// How long a failpoint is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long another engine may take to take over from one that is dead or frozen.
const TAKE_OVER: Duration = Duration::from_secs(20);
/// Timers of one key in the run of timers.
const TIMERS_PER_KEY: usize = 5;
/// How long after its event such a timer is due: longer than it takes to handle them all.
const DUE: Duration = Duration::from_secs(45);

/// One thing that is done to engines or server.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The other engine is killed, and the one that takes over kills itself here, when it comes by for this time at most.
    Failpoint(&'static str, u64),
    Kill,
    Freeze,
    Restart,
}

/// Two engines compete for the keys of a plugin while events come in.
pub fn under_fire(args: &Args) -> Result<Ended> {
    let mut arena = Arena::new(args)?;
    (0..ENGINES).try_for_each(|number| arena.start(number, None))?;
    let entries = Entries::new(arena.rng.fork(), args.amount.keys);
    let publisher = Publisher::start(arena.server.url(), SUBJECT.to_owned(), entries);
    let mut blows = plan(args.amount.kills);
    arena.rng.shuffle(&mut blows);
    let share = args.amount.events / blows.len().max(1);
    publisher.grant(args.amount.events - share * blows.len());
    let began = Instant::now();
    for (number, blow) in blows.iter().enumerate() {
        publisher.grant(share / 2);
        arena.strike(*blow, || publisher.grant(share - share / 2))?;
        if (number + 1) % 10 == 0 {
            eprintln!(
                "{} of {} blows after {} s: {}",
                number + 1,
                blows.len(),
                began.elapsed().as_secs(),
                arena.tally
            );
        }
    }
    // Random moments may find nobody at work: as many as it takes.
    while arena.tally.kills() < args.amount.kills {
        arena.strike(Blow::Kill, || {})?;
    }
    let book = publisher.finish()?;
    let fired = arena.has_fired(args.amount.kills);
    arena.end(&book, args.amount.events as u64, fired)
}

fn plan(kills: u32) -> Vec<Blow> {
    // Each of these kills two engines.
    let failpoints = FAILPOINTS.iter().cycle().take((kills * AT_FAILPOINTS).div_ceil(200) as usize);
    let mut blows: Vec<_> = failpoints.map(|(name, at)| Blow::Failpoint(name, *at)).collect();
    let more = kills.saturating_sub(2 * u32::try_from(blows.len()).unwrap_or_default());
    for (blow, count) in [
        (Blow::Kill, more),
        (Blow::Freeze, kills.div_ceil(KILLS_PER_FREEZE)),
        (Blow::Restart, kills.div_ceil(KILLS_PER_RESTART)),
    ] {
        blows.extend((0..count).map(|_| blow));
    }
    blows
}

impl Arena {
    /// `more` is called in the middle of it, for there to be something to do.
    fn strike(&mut self, blow: Blow, more: impl FnOnce()) -> Result<()> {
        if self.rng.u32(..10) == 0 {
            self.swap()?;
        }
        match blow {
            Blow::Failpoint(name, at) => self.failpoint(name, at, more),
            Blow::Kill => {
                let victim = self.wait_for_owner()?;
                more();
                self.pause(0, 300);
                self.kill(victim)?;
                self.pause(0, 300);
                self.start(victim, None)
            }
            Blow::Freeze => self.freeze(more),
            Blow::Restart => {
                more();
                self.pause(0, 400);
                self.server.kill()?;
                self.pause(0, 700);
                self.server.restart()?;
                self.tally.server_restarts += 1;
                Ok(())
            }
        }
    }

    fn failpoint(&mut self, name: &'static str, at: u64, more: impl FnOnce()) -> Result<()> {
        let other = self.wait_for_owner()?;
        let victim = (other + 1) % ENGINES;
        self.kill(victim)?;
        if name == "migrated" {
            self.swap()?;
        }
        // Either nothing leaves the process any more, or all that was handed to its other threads does.
        let how = if self.rng.bool() { "kill" } else { "linger" };
        let order = format!("{name}={how}@{}", 1 + self.rng.u64(..at));
        self.start(victim, Some(&order))?;
        self.pause(0, 300);
        self.kill(other)?;
        more();
        match self.engine(victim)?.wait(PATIENCE)? {
            Some(status) => {
                ensure!(was_killed(status), "an engine ended with {status} on its way to {order}");
                *self.tally.at_failpoints.entry(name).or_default() += 1;
            }
            None => {
                eprintln!("{order} never came");
                self.tally.in_vain += 1;
                self.kill(victim)?;
            }
        }
        // Whoever comes up first has the keys; the other competes.
        for number in [victim, other] {
            self.engine(number)?.start(None)?;
        }
        (0..ENGINES).try_for_each(|number| self.engine(number)?.wait_until_in_service(1, IN_SERVICE))
    }

    pub fn wait_for_owner(&mut self) -> Result<usize> {
        let deadline = Instant::now() + TAKE_OVER;
        while self.owner().is_none() && Instant::now() < deadline {
            self.pause(5, 20);
        }
        self.owner().context("nobody owns the keys")
    }

    /// Freezes the owner until another engine has taken its place, and a little longer.
    fn freeze(&mut self, more: impl FnOnce()) -> Result<()> {
        let owner = self.wait_for_owner()?;
        more();
        self.pause(0, 200);
        let (before, _) = self.scene.standing();
        self.engine(owner)?.signal("STOP")?;
        let deadline = Instant::now() + TAKE_OVER;
        let mut after = before;
        while after == before && Instant::now() < deadline {
            after = self.scene.standing().0;
        }
        self.pause(0, 1_500);
        let frozen = self.engine(owner)?.is_frozen()?;
        self.engine(owner)?.signal("CONT")?;
        self.tally.frozen += u32::from(frozen && after > before);
        Ok(())
    }

    fn has_fired(&self, kills: u32) -> Fired {
        let tally = &self.tally;
        if tally.kills() < kills {
            return Err(format!("only {} kills", tally.kills()));
        }
        let planned = (kills * AT_FAILPOINTS / 200) as usize;
        let missed =
            FAILPOINTS.iter().take(planned).find(|(name, _)| !tally.at_failpoints.contains_key(name));
        match missed {
            Some((name, _)) => Err(format!("nobody was killed at {name}")),
            None if tally.frozen == 0 => Err("nobody was frozen past its lease".to_owned()),
            None => Ok(()),
        }
    }
}

/// Timers are set, half of them cancelled; then all engines are killed, and started when all timers are due.
pub fn timers(args: &Args) -> Result<Ended> {
    let mut arena = Arena::new(args)?;
    (0..ENGINES).try_for_each(|number| arena.start(number, None))?;
    let (sets, cancels) = timer_entries(args.amount.events);
    let first_due = SystemTime::now() + DUE;
    arena.scene.publish(&sets)?;
    let all_due = SystemTime::now() + DUE;
    // One more kill while they are set and cancelled.
    arena.kill(0)?;
    arena.start(0, None)?;
    arena.scene.publish(&cancels)?;
    let end = arena.scene.book.entries.last().map_or(0, |(sequence, _)| *sequence);
    while arena.scene.standing().1 < end {
        ensure!(
            SystemTime::now() < first_due,
            "the machine is too slow for this run\n  hint: ask for fewer --events"
        );
        arena.pause(20, 50);
    }
    (0..ENGINES).try_for_each(|number| arena.kill(number))?;
    let in_time = SystemTime::now() < first_due;
    while let Ok(left) = all_due.duration_since(SystemTime::now()) {
        std::thread::sleep(left.min(Duration::from_secs(1)));
    }
    for kill in 0..args.amount.kills {
        let number = kill as usize % ENGINES;
        arena.start(number, None)?;
        arena.pause(100, 1_500);
        arena.kill(number)?;
    }
    (0..ENGINES).try_for_each(|number| arena.start(number, None))?;
    let fired = if in_time { Ok(()) } else { Err("timers were due while engines lived".to_owned()) };
    let book = std::mem::take(&mut arena.scene.book);
    arena.end(&book, (sets.len() + cancels.len()) as u64, fired)
}

/// Events that set so many timers, and events that cancel half of them: of each key some.
fn timer_entries(timers: usize) -> (Vec<Entry>, Vec<Entry>) {
    let keys = timers.div_ceil(TIMERS_PER_KEY);
    let key = |number: usize| format!("t.{}", number % keys);
    let due_ms = u64::try_from(DUE.as_millis()).unwrap_or(u64::MAX);
    let entry = |number: usize| Entry { n: number as u64, key: key(number), outputs: 1, ..Entry::default() };
    let sets = (0..timers).map(|number| Entry { set: vec![(format!("t{number}"), due_ms)], ..entry(number) });
    let cancels = (0..timers).filter(|number| (number / keys + number).is_multiple_of(2)).map(|number| {
        Entry { n: (timers + number) as u64, cancel: vec![format!("t{number}")], ..entry(number) }
    });
    (sets.collect(), cancels.collect())
}
