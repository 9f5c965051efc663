//! Which matches are reported, and what each of them ends.

use std::cmp::Ordering;

use super::advance::Work;
use super::define::{Pattern, Skip};
use super::state::{Held, Take, Time};

impl<E: Clone> Work<'_, E> {
    /// Adds what became a match at `moment`, and reports what can be.
    pub(super) fn complete(&mut self, mut done: Vec<Vec<Take>>, moment: u64) {
        done.sort_by(|a, b| self.pattern.prefer(a, b));
        self.held.extend(done.into_iter().map(|takes| Held(Time(moment), takes)));
        // Stable: of the same first event, those done earlier stay in front.
        self.held.sort_by_key(Held::start);
        self.release();
    }

    /// Reports matches in the order of their first events. Where a match can rule out others that began later, none is
    /// reported before everything that began earlier is decided.
    pub(super) fn release(&mut self) {
        let waits = !matches!(self.pattern.skip, Skip::None | Skip::ToNext);
        while let Some(first) = self.held.first() {
            let start = first.start();
            if waits && self.runs.first().is_some_and(|run| run.start() < start) {
                return;
            }
            let Held(at, takes) = self.held.remove(0);
            let found = self.found(&takes, at.0);
            self.step.matches.push(found);
            self.prune(&takes);
        }
    }

    /// Ends what began with this match or after it, and may not be reported after it. What began before it is decided
    /// already, but may be about to time out.
    fn prune(&mut self, takes: &[Take]) {
        let (Some(&(_, first)), Some(&(_, last))) = (takes.first(), takes.last()) else { return };
        let number = |take: Option<&Take>| take.map_or(first, |take| take.1);
        let resume = match &self.pattern.skip {
            Skip::None => return,
            Skip::ToNext => first.saturating_add(1),
            Skip::PastLast => last.saturating_add(1),
            Skip::ToFirst(name) => number(takes.iter().find(|take| self.pattern.is_called(take, name))),
            Skip::ToLast(name) => number(takes.iter().rfind(|take| self.pattern.is_called(take, name))),
        };
        let ended = first..resume;
        self.runs.retain(|run| !ended.contains(&run.start()));
        self.expired.retain(|run| !ended.contains(&run.start()));
        self.held.retain(|held| !ended.contains(&held.start()));
    }
}

impl<E> Pattern<E> {
    fn is_called(&self, take: &Take, name: &str) -> bool {
        self.variables.get(take.0).is_some_and(|variable| variable.name == name)
    }

    /// Which of two matches that were done at the same moment comes first: the one that began first, then, where they
    /// part, the one that leaves a reluctant stage or stays in a greedy one, then the one with the earlier event.
    pub(super) fn prefer(&self, a: &[Take], b: &[Take]) -> Ordering {
        let starts = (a.first(), b.first());
        if let (Some(a), Some(b)) = starts
            && a.1 != b.1
        {
            return a.1.cmp(&b.1);
        }
        let parting = (0..=a.len().max(b.len())).find(|&index| a.get(index) != b.get(index));
        let Some(index) = parting else { return Ordering::Equal };
        let (a, b) = (a.get(index), b.get(index));
        let stage = |take: Option<&Take>| take.map_or(self.end(), |take| self.stage_of(take));
        let order = stage(a).cmp(&stage(b));
        match self.stages.get(stage(a).min(stage(b))) {
            Some(nearer) if order.is_ne() && nearer.greedy => order,
            Some(_) if order.is_ne() => order.reverse(),
            _ => a.map(|take| take.1).cmp(&b.map(|take| take.1)),
        }
    }
}
