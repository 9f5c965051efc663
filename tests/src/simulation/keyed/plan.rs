//! What a seed means for a plugin with a key: settings, events, which faults there are and how often.

use std::time::Duration;

use fastrand::Rng;
use wasmill::key;
use wasmill::manifest::{PluginClock, Retry};

use super::super::plan::{LONGEST_WAY, MOST_ATTEMPTS, Storm, budget, fails_until, pace, retry};
use super::script::{Action, Input, Kind};

/// A kind of fault. A run has some of them only, so that each is also seen without the others in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An engine is killed, at some await.
    Kill,
    /// An engine stands still, often for longer than its lease, then goes on.
    Freeze,
    /// An engine is stopped and started again.
    Stop,
    /// Another version is put into service.
    Swap,
    /// One engine's connection breaks for a while: what it had sent may arrive or not.
    Cut,
    /// The server is started again: all connections break, nothing that was stored is lost.
    Restart,
    /// Messages of a kind find no room, or nobody who answers for their stream, for a while.
    Full,
    /// The time of day leaps.
    ClockLeap,
    /// A posted message or its confirmation is slow, and with it all that stands behind.
    Slow,
    /// A posted message does not arrive.
    PostLost,
    /// A posted message arrives, and its confirmation does not.
    AnswerLost,
    /// What is read of a stream comes late.
    ReadSlow,
    /// A reading breaks off.
    ReadEnds,
    /// A question to the bus is not answered.
    NoAnswer,
    /// A batch goes to the plugin, and nothing is known of it after that.
    CallLost,
    /// A settlement does not arrive.
    SettleLost,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::Freeze,
        Self::Stop,
        Self::Swap,
        Self::Cut,
        Self::Restart,
        Self::Full,
        Self::ClockLeap,
        Self::Slow,
        Self::PostLost,
        Self::AnswerLost,
        Self::ReadSlow,
        Self::ReadEnds,
        Self::NoAnswer,
        Self::CallLost,
        Self::SettleLost,
    ];

    /// Whether it strikes at a moment of its own, rather than an operation with some probability.
    pub(super) fn is_event(self) -> bool {
        (self as usize) <= (Self::ClockLeap as usize)
    }
}

/// What a seed means.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Which faults strike.
    pub storm: Storm<Fault>,
    pub(super) engines: usize,
    pub(super) partitions: u32,
    pub(super) concurrency: u32,
    pub(super) lease: Duration,
    pub(super) batch: u32,
    pub(super) clock: PluginClock,
    /// How many records are held in memory: all of them, or next to none.
    pub(super) cache_mib: u32,
    pub(super) retry: Retry,
    /// Outputs that may leave in a second; 0 for no bound.
    pub(super) pace: u32,
    /// Events that all of one engine may have in flight.
    pub(super) budget: u64,
    pub(super) keys: Vec<String>,
    /// The events, in order.
    pub(super) inputs: Vec<Input>,
}

/// The longest freeze or cut, in leases.
const LONGEST_SPELL: u32 = 4;
/// The longest time between a timer's setting and its due time.
const LONGEST_TIMER_MS: u64 = 15_000;

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6b65_7965_6400_0000);
        let rng = &mut rng;
        let share = rng.f64();
        let faults = Fault::ALL.into_iter().filter(|_| rng.f64() < share).collect();
        let retry = retry(rng);
        let storm = Duration::from_millis(rng.u64(3_000..=40_000));
        let names = ["plain", "with space", "dots.and.stars.*", "käse", "-_", "0", "UPPER"];
        let keys: Vec<String> =
            names.iter().take(rng.usize(1..=names.len())).map(ToString::to_string).collect();
        let mut inputs: Vec<_> =
            (0..rng.usize(4..=48)).map(|_| input(rng, &retry, storm, keys.len())).collect();
        inputs.sort_by_key(|input| input.at);
        Self {
            seed,
            storm: Storm {
                faults,
                rate: rng.f64() * 0.15,
                gap: Duration::from_millis(rng.u64(500..=8_000)),
                lasts: storm,
            },
            engines: rng.usize(1..=3),
            partitions: *rng.choice(&[1, 1, 2, 3]).unwrap_or(&1),
            concurrency: *rng.choice(&[1, 2, 8, 64]).unwrap_or(&8),
            lease: Duration::from_millis(rng.u64(1_000..=6_000)),
            batch: *rng.choice(&[1, 2, 8, 128]).unwrap_or(&8),
            clock: *rng
                .choice(&[PluginClock::Wall, PluginClock::Wall, PluginClock::Event])
                .unwrap_or(&PluginClock::Wall),
            cache_mib: *rng.choice(&[0, 1, 64]).unwrap_or(&1),
            retry,
            pace: pace(rng),
            budget: budget(rng),
            keys,
            inputs,
        }
    }

    /// The input of a sequence: nothing else goes into its stream.
    pub(super) fn input(&self, sequence: u64) -> Option<&Input> {
        self.inputs.get(usize::try_from(sequence).ok()?.checked_sub(1)?)
    }

    /// The key of an input.
    pub(super) fn key(&self, input: &Input) -> &str {
        self.keys.get(input.key).map_or("", String::as_str)
    }

    /// Whose an input is. What has no key is the first partition's.
    pub(super) fn partition(&self, input: &Input) -> u32 {
        if input.kind == Kind::Keyless { 0 } else { key::partition(self.key(input), self.partitions) }
    }

    pub(super) fn longest_spell(&self) -> Duration {
        self.lease * LONGEST_SPELL
    }

    /// How soon all must be well once the storm is over.
    pub(super) fn healing(&self) -> Duration {
        let longest = self.retry.delays_ms.iter().copied().chain([self.retry.max_delay_ms]).max();
        let tries = Duration::from_millis(longest.unwrap_or_default()) * 2 * MOST_ATTEMPTS + LONGEST_WAY;
        let each = tries + Duration::from_millis(LONGEST_TIMER_MS);
        Duration::from_secs(240) + self.lease * 8 + each * self.inputs.len() as u32
    }

    /// How long streams remember ids: the whole run, so that a repeat that is stored is the engine's fault.
    pub(super) fn duplicate_window(&self) -> Duration {
        self.storm.lasts * 2 + self.healing() * 4
    }
}

/// The names of timers that events set and cancel.
pub(super) const TIMER_NAMES: u8 = 3;

fn input(rng: &mut Rng, retry: &Retry, over: Duration, keys: usize) -> Input {
    let (trap, again) = (fails_until(rng, retry, "trap"), fails_until(rng, retry, "retry"));
    let kind = match rng.u32(0..24) {
        0 => Kind::Rejected,
        1 => Kind::RetryUntil(again),
        2 => Kind::TrapUntil(trap),
        3 => Kind::Keyless,
        4..=5 => Kind::Silent,
        _ => Kind::Applies,
    };
    let actions = (0..rng.usize(0..=2)).map(|_| action(rng)).collect();
    let takes = if rng.u32(0..4) == 0 { rng.u64(1..=1_500) } else { 0 };
    // Some come at once, which makes batches. Times are whole milliseconds, as those of tokio's paused clock.
    let at = over.mul_f64(if rng.bool() { rng.f64() } else { f64::from(rng.u32(0..4)) / 4.0 });
    Input {
        at: Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or_default()),
        key: rng.usize(0..keys),
        kind,
        outputs: rng.u32(0..=3),
        actions,
        takes: Duration::from_millis(takes),
    }
}

fn action(rng: &mut Rng) -> Action {
    let name = rng.u8(0..TIMER_NAMES);
    if rng.u32(0..4) == 0 {
        return Action::Cancel { name };
    }
    Action::Set {
        name,
        after: Duration::from_millis(rng.u64(0..=LONGEST_TIMER_MS)),
        outputs: rng.u32(0..=2),
        again: (rng.u32(0..4) == 0).then(|| Duration::from_millis(rng.u64(1..=5_000))),
        traps: rng.u32(0..12) == 0,
    }
}
