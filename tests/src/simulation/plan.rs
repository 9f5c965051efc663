//! What a seed means: settings, events, which faults there are and how often.

use std::time::Duration;

use fastrand::Rng;
use wasmill::manifest::Retry;

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
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 20] = [
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
    /// The kinds of faults there are.
    pub faults: Vec<Fault>,
    /// The probability of each that strikes an operation.
    pub(super) rate: f64,
    /// The mean time between two that strike at moments of their own.
    pub(super) gap: Duration,
    /// How long the storm lasts.
    pub(super) storm: Duration,
    pub(super) engines: usize,
    pub(super) concurrency: u32,
    pub(super) retry: Retry,
    /// Events that go in during the storm, in order.
    pub(super) stormy: Vec<Input>,
    /// Events that go in when it is over; their times count from then.
    pub(super) calm: Vec<Input>,
}

/// The longest that anything is under way on the line.
pub(super) const LONGEST_WAY: Duration = Duration::from_secs(3);
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
        let retry = Retry {
            attempts: rng.u32(1..=6),
            first_delay_ms: rng.u64(0..=500),
            max_delay_ms: rng.u64(100..=3_000),
            ack_wait_ms: rng.u64(1_000..=5_000),
        };
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
            faults,
            rate: rng.f64() * 0.3,
            gap: Duration::from_millis(rng.u64(300..=6_000)),
            storm,
            engines: rng.usize(1..=2),
            concurrency: *rng.choice(&[1, 2, 8, 64]).unwrap_or(&8),
            retry,
            stormy,
            calm,
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// The input of a sequence: nothing else goes into its stream.
    pub(super) fn input(&self, sequence: u64) -> Option<&Input> {
        let at = usize::try_from(sequence).ok()?.checked_sub(1)?;
        self.stormy.get(at).or_else(|| self.calm.get(at.checked_sub(self.stormy.len())?))
    }

    pub(super) fn is_calm(&self, sequence: u64) -> bool {
        sequence > self.stormy.len() as u64
    }

    pub(super) fn inputs(&self) -> u64 {
        (self.stormy.len() + self.calm.len()) as u64
    }

    /// The longest wait between two deliveries of an event, if nothing is in the way.
    pub(super) fn longest_wait(&self) -> Duration {
        let ack_wait = Duration::from_millis(self.retry.ack_wait_ms);
        ack_wait + Duration::from_millis(self.retry.max_delay_ms.max(100)).mul_f64(1.25)
    }

    /// How soon all must be well once the storm is over: each event needs its deliveries once more, each of them after the
    /// longest wait, and if need be all of them one after the other.
    pub(super) fn healing(&self) -> Duration {
        let all = self.stormy.iter().chain(&self.calm);
        let handling: Duration = all.map(|input| input.takes * (input.deliveries(&self.retry) + 2)).sum();
        let most = self.retry.attempts.max(MOST_LOST) + 2;
        self.longest_wait() * most + handling + LONGEST_WAY * most
    }

    /// How long streams remember ids: the whole run, so that a repeat that is stored is the engine's fault.
    pub(super) fn duplicate_window(&self) -> Duration {
        let leaps = Duration::from_millis(self.retry.ack_wait_ms) * LONGEST_SPELL * 1_000;
        self.storm + leaps + self.healing() * 2
    }
}

/// The most attempts after which the engine does not lose a call any more.
const MOST_LOST: u32 = 8;

fn input(rng: &mut Rng, retry: &Retry, over: Duration) -> Input {
    // Deliveries that never reach the plugin count as attempts too, so whoever is to give up must never get better.
    let until = Some(rng.u32(2..=retry.attempts + 1)).filter(|until| *until <= retry.attempts);
    let until = until.unwrap_or(u32::MAX);
    let after = rng.bool().then(|| Duration::from_millis(rng.u64(0..=2 * retry.max_delay_ms)));
    let kind = match rng.u32(0..20) {
        0 => Kind::Rejected,
        1..=3 => Kind::RetryUntil(until, after),
        4..=5 => Kind::TrapUntil(until),
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
        outputs: rng.u32(least..=5),
        takes: Duration::from_millis(takes),
        hops: rng.u32(0..=3),
    }
}
