//! How a match can go on from where it stands.

use super::define::{Link, Not, Pattern, Stage, Variable};
use super::state::Take;

/// One way on: to a stage, or to the end.
pub(super) struct Way<'a, E> {
    /// The stage's number; the number of stages means the end.
    pub target: usize,
    pub link: Link,
    /// What closes the way.
    pub nots: Vec<&'a Not<E>>,
    /// Greedy stages that this way leaves or passes: as long as one of them takes an event, nothing leads past it.
    pub greedy: Vec<usize>,
}

impl<E> Way<'_, E> {
    pub(super) fn bit(&self) -> u32 {
        1 << self.target
    }
}

impl<E> Pattern<E> {
    /// The ways on after these events, nearest stage first; the end, where it can be reached, is last.
    pub(super) fn ways(&self, takes: &[Take]) -> Vec<Way<'_, E>> {
        let mut ways = Vec::new();
        let mut nots = Vec::new();
        let mut greedy = Vec::new();
        let mut from = 0;
        if let Some((number, stage, count)) = self.position(takes) {
            let after = self.nots_after(number);
            if count < stage.max {
                let nots = after.iter().collect();
                ways.push(Way { target: number, link: stage.inner, nots, greedy: Vec::new() });
                if stage.greedy {
                    greedy.push(number);
                }
            }
            if count < stage.min {
                return ways;
            }
            nots.extend(after);
            from = number + 1;
        }
        for (number, stage) in self.stages.iter().enumerate().skip(from) {
            ways.push(Way { target: number, link: stage.link, nots: nots.clone(), greedy: greedy.clone() });
            if !stage.optional {
                return ways;
            }
            if stage.greedy {
                greedy.push(number);
            }
            // Before the first event there is nothing that something could follow.
            if !takes.is_empty() {
                nots.extend(self.nots_after(number));
            }
        }
        ways.push(Way { target: self.end(), link: Link::FollowedBy, nots, greedy });
        ways
    }

    /// The number of the end.
    pub(super) fn end(&self) -> usize {
        self.stages.len()
    }

    /// The stage of the last event, and how many events it has.
    fn position(&self, takes: &[Take]) -> Option<(usize, &Stage<E>, u32)> {
        let number = self.stage_of(takes.last()?);
        let count = takes.iter().rev().take_while(|take| self.stage_of(take) == number).count();
        Some((number, self.stages.get(number)?, u32::try_from(count).unwrap_or(u32::MAX)))
    }

    pub(super) fn stage_of(&self, take: &Take) -> usize {
        self.variables.get(take.0).map_or(0, |variable| variable.stage)
    }

    /// What must not come between this stage and the next.
    fn nots_after(&self, number: usize) -> &[Not<E>] {
        self.stages.get(number + 1).map_or(&self.trailing, |stage| &stage.nots)
    }

    /// The stage's variables and their numbers.
    pub(super) fn alternatives(&self, stage: &Stage<E>) -> impl Iterator<Item = (usize, &Variable<E>)> {
        self.variables.iter().enumerate().skip(stage.first_variable).take(stage.variables)
    }
}
