//! What is known of one engine's life, and what it has counted in it.

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmill::breaker::Gate;
use wasmill::telemetry::PluginMetrics;
use wasmill::unkeyed::{Condition, Flow};

use super::super::{Broken, life};
use super::ledger::Parcel;
use super::{Unkeyed, World};

/// One engine's life.
pub(super) type Life = life::Life<Unkeyed>;

/// What an engine was told by the bus, to hold against what it counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub handed_out: u64,
    pub acked: u64,
    pub letters: u64,
    pub outputs: u64,
    /// Calls under way.
    pub calls: u32,
}

/// What is known of it.
#[derive(Default)]
pub(super) struct Vital {
    tally: Tally,
    metrics: Option<PluginMetrics>,
    condition: Option<watch::Receiver<Condition>>,
    /// When it was last seen to let everything through.
    open: Option<Instant>,
    /// When it was last seen to let anything through.
    passing: Option<Instant>,
    /// When a question of it was last not answered.
    unanswered: Option<Instant>,
    /// The dead letters it has sent, by event and attempt.
    letters: BTreeSet<(u64, u32)>,
    /// The most calls it may have under way; none before its first subscription.
    calls: Option<(Flow, u32)>,
    /// Ends its present subscription.
    subscription: Option<CancellationToken>,
}

impl Vital {
    fn is_quarantined(&self) -> bool {
        self.condition.as_ref().is_some_and(|condition| condition.borrow().gate != Gate::Open)
    }

    /// Notes what it is seen to let through at this moment.
    fn look(&mut self) {
        if !self.is_quarantined() {
            self.open = Some(Instant::now());
        }
        if !self.is_shut() {
            self.passing = Some(Instant::now());
        }
    }

    fn is_shut(&self) -> bool {
        let shut = |gate: Gate| matches!(gate, Gate::Shut { .. });
        self.condition.as_ref().is_some_and(|condition| shut(condition.borrow().gate))
    }
}

impl Life {
    /// A moment at which it may die. Then, and when the run is over, nothing follows.
    pub async fn breathe(&self, world: &World) {
        self.vital().look();
        self.stand(world, true).await;
    }

    pub fn tally(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.vital().tally);
    }

    /// What it counts with, and what tells of its condition.
    pub fn watch(&self, metrics: PluginMetrics, condition: watch::Receiver<Condition>) {
        let mut vital = self.vital();
        (vital.metrics, vital.condition) = (Some(metrics), Some(condition));
    }

    /// A subscription begins: so many calls may be under way from now on.
    pub fn subscribes(&self, flow: Flow, concurrency: u32, subscription: CancellationToken) {
        let mut vital = self.vital();
        (vital.calls, vital.subscription) = (Some((flow, concurrency)), Some(subscription));
    }

    /// Whether it may give events back of which nothing has come: it is quarantined, or takes its leave.
    pub fn may_give_back(&self) -> bool {
        let vital = self.vital();
        vital.is_quarantined() || vital.subscription.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// More calls may be under way from now on. Fewer may not, since those there are last for a while.
    pub fn allow(&self, concurrency: u32) {
        let mut vital = self.vital();
        vital.calls = vital.calls.map(|(flow, before)| (flow, before.max(concurrency)));
    }

    /// Whether its plugin is quarantined.
    pub fn is_quarantined(&self) -> bool {
        self.vital().is_quarantined()
    }

    /// A question of it is not answered.
    pub fn is_not_answered(&self) {
        self.vital().unanswered = Some(Instant::now());
    }

    /// Whether a question of it was not answered at this very moment.
    pub fn was_not_answered(&self) -> bool {
        self.vital().unanswered == Some(Instant::now())
    }

    /// Whether nothing is let through, and was not before this very moment.
    pub fn was_shut(&self) -> bool {
        let vital = self.vital();
        vital.is_shut() && vital.passing != Some(Instant::now())
    }

    /// Whether its plugin was quarantined already when this was sent for the first time. Quarantined at this very moment it
    /// may be by what this tells of.
    pub fn was_quarantined(&self, parcel: Parcel) -> bool {
        let mut vital = self.vital();
        let again = !vital.letters.insert((parcel.input(), parcel.attempt()));
        vital.is_quarantined() && vital.open != Some(Instant::now()) && !again
    }

    /// One call, until what is returned is dropped.
    pub fn at_work<'a>(&'a self, world: &World) -> impl Drop + use<'a> {
        struct AtWork<'a>(&'a Life);
        impl Drop for AtWork<'_> {
            fn drop(&mut self) {
                self.0.vital().tally.calls -= 1;
            }
        }
        let mut vital = self.vital();
        vital.tally.calls += 1;
        let calls = vital.tally.calls;
        let most = match vital.calls {
            Some((Flow::Probes, _)) => 1,
            Some((_, most)) => most,
            None => 0,
        };
        drop(vital);
        if calls > most {
            let detail = format!("{calls} calls, the most is {most}");
            world.found(Err(Broken { promise: "no-more-calls-than-allowed", detail, input: 0 }));
        }
        AtWork(self)
    }

    /// Whether what it counts fits what it was told.
    pub fn audit(&self, drained: bool) -> Result<(), Broken> {
        let vital = self.vital();
        let Some(metrics) = &vital.metrics else { return Ok(()) };
        let (counted, told) = (metrics.counters(), vital.tally);
        let ended = counted.done + counted.retried + counted.dead_lettered + counted.dropped;
        let holds = [
            counted.received == ended + counted.in_flight,
            counted.dropped == 0,
            counted.received <= told.handed_out,
            counted.done <= told.acked,
            counted.dead_lettered <= told.letters,
            counted.outputs <= told.outputs,
            !drained || counted.in_flight == 0,
            !drained || counted.received == told.handed_out,
            !drained || counted.done == told.acked,
            !drained || counted.outputs == told.outputs,
        ];
        if holds.into_iter().all(|holds| holds) {
            return Ok(());
        }
        let detail =
            format!("engine {}, drained: {drained}: {counted:?}; told {told:?}; {holds:?}", self.number);
        Err(Broken { promise: "the-counters-balance", detail, input: 0 })
    }
}
