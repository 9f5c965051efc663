//! What a seed means: settings, events, which faults there are and how often.

use std::time::Duration;

use fastrand::Rng;
use wasmill::breaker::BreakerSettings;
use wasmill::manifest::{JITTER, Retry};

use super::super::plan::{LONGEST_WAY, MOST_ATTEMPTS, Storm, budget, fails_until, pace, retry};
use super::script::{Input, Kind};

/// A kind of fault. A run has some of them only, so that each is also seen without the others in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An engine is killed, at some await.
    Kill,
    /// An engine stands still beyond the ack wait, then goes on.
    Freeze,
    /// An engine is stopped and started again.
    Stop,
    /// Another version is put into service.
    Swap,
    /// A subscription ends and is made anew, with other settings.
    Resubscribe,
    /// The connection breaks for a while.
    Cut,
    /// A stream takes nothing for a while.
    Full,
    /// A stream does not answer for a while, as between two leaders.
    Leaderless,
    /// The time of day jumps.
    ClockJump,
    /// Time goes by without anything being done, as on a machine that is suspended.
    Leap,
    /// A publish or its answer is slow.
    Slow,
    /// A publish does not arrive.
    PublishLost,
    /// A publish arrives and its answer does not.
    AnswerLost,
    /// A publish arrives when the caller has given up.
    Late,
    /// A settlement fails.
    SettleFails,
    /// A settlement is lost, and nobody is told.
    SettleLost,
    /// A delivery is lost on its way.
    DeliveryLost,
    /// A delivery comes twice.
    Echo,
    /// Deliveries come late and out of order.
    Reorder,
    /// An intake ends, or tells of an error.
    IntakeEnds,
    /// A question to the bus is not answered.
    NoAnswer,
    /// Deliveries are held ahead, and wait in the engine for their turn.
    Ahead,
    /// A stream takes no batch, though it said that it does.
    NoBatch,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 23] = [
        Self::Kill,
        Self::Freeze,
        Self::Stop,
        Self::Swap,
        Self::Resubscribe,
        Self::Cut,
        Self::Full,
        Self::Leaderless,
        Self::ClockJump,
        Self::Leap,
        Self::Slow,
        Self::PublishLost,
        Self::AnswerLost,
        Self::Late,
        Self::SettleFails,
        Self::SettleLost,
        Self::DeliveryLost,
        Self::Echo,
        Self::Reorder,
        Self::IntakeEnds,
        Self::NoAnswer,
        Self::Ahead,
        Self::NoBatch,
    ];

    /// Whether it strikes at a moment of its own, rather than an operation with some probability.
    pub(super) fn is_event(self) -> bool {
        (self as usize) <= (Self::Leap as usize)
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
    pub(super) concurrency: u32,
    pub(super) retry: Retry,
    pub(super) breaker: BreakerSettings,
    /// Whether the streams of outputs take batches.
    pub(super) atomic: [bool; 2],
    /// Outputs that may leave in a second; 0 for no bound.
    pub(super) pace: u32,
    /// Events that all of one engine may have in flight.
    pub(super) budget: u64,
    window: Option<Duration>,
    /// Events that go in during the storm, in order.
    pub(super) stormy: Vec<Input>,
    /// Events that go in when it is over; their times count from then.
    pub(super) calm: Vec<Input>,
}

/// The longest that one cut, freeze or leap lasts, in ack waits.
pub(super) const LONGEST_SPELL: u32 = 4;

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let share = rng.f64();
        let faults = Fault::ALL.into_iter().filter(|_| rng.f64() < share).collect();
        let retry = retry(rng);
        let storm = Duration::from_millis(rng.u64(2_000..=30_000));
        let inputs = |rng: &mut Rng, most: usize, over: Duration| {
            let mut inputs: Vec<_> = (0..rng.usize(2..=most)).map(|_| input(rng, &retry, over)).collect();
            inputs.sort_by_key(|input| input.at);
            inputs
        };
        let stormy = inputs(rng, 24, storm);
        let calm = inputs(rng, 8, Duration::from_secs(2));
        Self {
            seed,
            storm: Storm {
                faults,
                rate: rng.f64() * 0.3,
                gap: Duration::from_millis(rng.u64(300..=6_000)),
                lasts: storm,
            },
            engines: rng.usize(1..=2),
            concurrency: *rng.choice(&[1, 2, 8, 64]).unwrap_or(&8),
            breaker: breaker(rng),
            atomic: [rng.bool(), rng.bool()],
            window: None,
            pace: pace(rng),
            budget: budget(rng),
            retry,
            stormy,
            calm,
        }
    }

    /// The input of a sequence: nothing else goes into its stream.
    pub(super) fn input(&self, sequence: u64) -> Option<&Input> {
        let at = usize::try_from(sequence).ok()?.checked_sub(1)?;
        self.stormy.get(at).or_else(|| self.calm.get(at.checked_sub(self.stormy.len())?))
    }

    pub(super) fn is_calm(&self, sequence: u64) -> bool {
        sequence > self.stormy.len() as u64
    }

    /// Whether an event takes just the deliveries that it needs by itself: nothing else is in its way.
    pub(super) fn is_strict(&self, sequence: u64) -> bool {
        self.is_calm(sequence) && !self.has_breaker()
    }

    pub(super) fn inputs(&self) -> u64 {
        (self.stormy.len() + self.calm.len()) as u64
    }

    /// Whether the plugin may be quarantined. Then an event may take any number of deliveries.
    pub(super) fn has_breaker(&self) -> bool {
        self.breaker.failures > 0
    }

    /// The longest wait between two deliveries of an event, if nothing is in the way.
    pub(super) fn longest_wait(&self) -> Duration {
        let own = self.retry.reasons.values().flat_map(|policy| &policy.delays_ms);
        let delays = own.chain(&self.retry.delays_ms).chain([&self.retry.max_delay_ms, &100]);
        let longest = delays.max().copied().unwrap_or_default();
        Duration::from_millis(self.retry.ack_wait_ms) + Duration::from_millis(longest).mul_f64(1.0 + JITTER)
    }

    /// How often somebody looks whether the plugin is quarantined, and then puts in another version: each lets some events
    /// through, if only to the dead letters.
    pub(super) fn operators_round(&self) -> Duration {
        Duration::from_millis(self.breaker.max_pause_ms) + self.longest_wait()
    }

    /// How soon all must be well once the storm is over: each event needs its deliveries once more, each of them after the
    /// longest wait, and if need be all of them one after the other.
    pub(super) fn healing(&self) -> Duration {
        let all = self.stormy.iter().chain(&self.calm);
        let handling: Duration = all.map(|input| input.takes * (input.deliveries(&self.retry) + 2)).sum();
        let most = MOST_ATTEMPTS.max(MOST_LOST) + 2;
        let rounds = if self.has_breaker() { 2 * self.inputs() as u32 } else { 0 };
        let outputs = self.inputs() as u32 * MOST_OUTPUTS * most;
        let pacing = outputs.checked_div(self.pace).unwrap_or(0);
        self.longest_wait() * most
            + handling
            + LONGEST_WAY * most
            + self.operators_round() * rounds
            + Duration::from_secs(pacing.into())
    }

    /// How long streams remember ids. Unless it was altered that is the whole run, so that a repeat that is stored is the
    /// engine's fault.
    pub(super) fn duplicate_window(&self) -> Duration {
        let leaps = Duration::from_millis(self.retry.ack_wait_ms) * LONGEST_SPELL * 1_000;
        self.window.unwrap_or(self.storm.lasts + leaps + self.healing() * 2)
    }

    /// The same plan with streams that remember ids for so long only.
    #[must_use]
    pub fn with_duplicate_window(self, window: Duration) -> Self {
        Self { window: Some(window), ..self }
    }
}

/// The most outputs of an event.
const MOST_OUTPUTS: u32 = 5;
/// The most attempts after which the engine does not lose a call any more.
const MOST_LOST: u32 = 8;

fn breaker(rng: &mut Rng) -> BreakerSettings {
    let pause_ms = rng.u64(50..=1_000);
    BreakerSettings {
        window_ms: rng.u64(500..=10_000),
        failures: if rng.bool() { 0 } else { rng.u32(1..=5) },
        rate: 0.05 + 0.9 * rng.f64(),
        pause_ms,
        max_pause_ms: pause_ms * rng.u64(1..=4),
        probes: rng.u32(1..=3),
    }
}

fn input(rng: &mut Rng, retry: &Retry, over: Duration) -> Input {
    let (trap, again) = (fails_until(rng, retry, "trap"), fails_until(rng, retry, "retry"));
    let after = rng.bool().then(|| Duration::from_millis(rng.u64(0..=2 * retry.max_delay_ms)));
    let kind = match rng.u32(0..20) {
        0 => Kind::Rejected,
        1..=3 => Kind::RetryUntil(again, after),
        4..=5 => Kind::TrapUntil(trap),
        6 => Kind::TrapUntil(u32::MAX),
        7 => Kind::LostUntil(rng.u32(2..=MOST_LOST)),
        8 => Kind::NotGranted,
        9 => Kind::BadHeader,
        10 => Kind::Malformed,
        11 => Kind::Nowhere,
        _ => Kind::Emits,
    };
    let least = u32::from(!matches!(kind, Kind::Emits));
    let takes = match rng.u32(0..10) {
        // Longer than the ack wait: only its heartbeats keep it from being delivered again.
        0 => rng.u64(retry.ack_wait_ms..=2 * retry.ack_wait_ms),
        1..=3 => rng.u64(1..=200),
        _ => 0,
    };
    Input {
        at: over.mul_f64(rng.f64()),
        kind,
        outputs: rng.u32(least..=MOST_OUTPUTS),
        together: rng.bool(),
        takes: Duration::from_millis(takes),
        hops: rng.u32(0..=3),
    }
}
