//! The definition, as it stands: every sequence of events is looked at, and each rule asks about the events between two
//! of them. Nothing is shared with the library, and nothing is fast.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::case::{Case, Item, LinkSpec, Outcome, SkipSpec, Spec, StageSpec};

/// An event of a match: its stage, its variable, which event.
type Take = (usize, String, usize);

/// A point of the run: the row, whether it is its event (rather than time passing before it), the time.
type Moment = (usize, bool, u64);

struct Stage<'a> {
    spec: &'a StageSpec,
    min: usize,
    max: usize,
    optional: bool,
    /// What must not come between the stage before and this one.
    nots: Vec<&'a StageSpec>,
}

struct Event {
    item: Item,
    time: u64,
    row: usize,
}

struct Definition<'a> {
    spec: &'a Spec,
    stages: Vec<Stage<'a>>,
    trailing: Vec<&'a StageSpec>,
    events: Vec<Event>,
    rows: Vec<u64>,
}

/// What each row of the case brings about, by the definition.
pub fn run(case: &Case) -> Vec<Outcome> {
    let definition = Definition::new(case);
    let mut sequences = Vec::new();
    definition.grow(&mut Vec::new(), &mut sequences);
    definition.report(&sequences)
}

impl<'a> Definition<'a> {
    fn new(case: &'a Case) -> Self {
        let (mut stages, mut nots) = (Vec::new(), Vec::new());
        for spec in &case.pattern.stages {
            if spec.negates() {
                nots.push(spec);
                continue;
            }
            let (min, max) = spec.times.unwrap_or((1, Some(1)));
            stages.push(Stage {
                spec,
                min: min.max(1) as usize,
                max: max.map_or(usize::MAX, |max| max as usize),
                optional: spec.optional || min == 0,
                nots: std::mem::take(&mut nots),
            });
        }
        let mut latest = 0;
        let mut rows = Vec::new();
        let mut events = Vec::new();
        for (row, input) in case.input.iter().enumerate() {
            latest = input.time().max(latest);
            rows.push(latest);
            events.extend(input.item().map(|item| Event { item, time: latest, row }));
        }
        Self { spec: &case.pattern, stages, trailing: nots, events, rows }
    }

    /// All sequences that the rules allow, finished or not.
    fn grow(&self, takes: &mut Vec<Take>, sequences: &mut Vec<Vec<Take>>) {
        let first = takes.last().map_or(0, |take| take.2 + 1);
        for event in first..self.events.len() {
            for stage in 0..self.stages.len() {
                if let Some(variable) = self.may_take(takes, stage, event) {
                    takes.push((stage, variable, event));
                    sequences.push(takes.clone());
                    self.grow(takes, sequences);
                    takes.pop();
                }
            }
        }
    }

    fn may_take(&self, takes: &[Take], stage: usize, event: usize) -> Option<String> {
        let in_time = takes.is_empty()
            || Some(self.events[event].time) < self.deadline(takes)
            || self.spec.within.is_none();
        let between = self.after(takes, event);
        let fits = match self.link(takes, stage)? {
            LinkSpec::Next => between.is_empty(),
            LinkSpec::FollowedBy => !between.into_iter().any(|event| self.is(takes, stage, event).is_some()),
            _ => true,
        };
        if in_time && fits && self.undisturbed(takes, stage, event) {
            self.is(takes, stage, event)
        } else {
            None
        }
    }

    /// How the stage attaches to the sequence; none if it cannot come now. The number of stages is the end.
    fn link(&self, takes: &[Take], stage: usize) -> Option<LinkSpec> {
        let skipped = |from: usize| self.stages[from..stage].iter().all(|stage| stage.optional);
        let own = self.stages.get(stage).map(|stage| stage.spec.link.unwrap_or(LinkSpec::FollowedByAny));
        let Some((last, count)) = position(takes) else {
            return if skipped(0) && stage < self.stages.len() {
                Some(LinkSpec::FollowedByAny)
            } else {
                None
            };
        };
        if stage == last {
            let inner = self.stages[last].spec.inner.unwrap_or(LinkSpec::FollowedBy);
            return (count < self.stages[last].max).then_some(inner);
        }
        let reachable = stage > last && count >= self.stages[last].min && skipped(last + 1);
        reachable.then_some(own.unwrap_or(LinkSpec::FollowedByAny))
    }

    /// Events after the last one taken and before this one.
    fn after(&self, takes: &[Take], event: usize) -> Vec<usize> {
        takes.last().map_or(Vec::new(), |take| (take.2 + 1..event).collect())
    }

    /// The variable that the event is at this stage.
    fn is(&self, takes: &[Take], stage: usize, event: usize) -> Option<String> {
        let stage = self.stages[stage].spec;
        std::iter::once(stage)
            .chain(&stage.or)
            .find(|alternative| self.holds(takes, alternative, event))
            .map(|alternative| alternative.name.clone())
    }

    fn holds(&self, takes: &[Take], spec: &StageSpec, event: usize) -> bool {
        let seen: Vec<(&str, &Item)> =
            takes.iter().map(|(_, variable, event)| (variable.as_str(), &self.events[*event].item)).collect();
        spec.holds(&self.events[event].item, &seen)
    }

    /// Nothing up to and with `event` is what must not come on the way to the stage, or would have been taken by a
    /// greedy stage that the way leaves or passes.
    fn undisturbed(&self, takes: &[Take], stage: usize, event: usize) -> bool {
        let after = [self.after(takes, event), vec![event]].concat();
        let very_next = |disturber: usize| takes.last().is_some_and(|take| take.2 + 1 == disturber);
        let negated = self.nots(takes, stage).into_iter().any(|not| {
            let only_next = not.link == Some(LinkSpec::NotNext);
            after.iter().any(|&event| (!only_next || very_next(event)) && self.holds(takes, not, event))
        });
        let swallowed = self.greedy(takes, stage).into_iter().any(|greedy| {
            let strict = !takes.is_empty() && self.link(takes, greedy) == Some(LinkSpec::Next);
            after
                .iter()
                .any(|&event| (!strict || very_next(event)) && self.is(takes, greedy, event).is_some())
        });
        !negated && !swallowed
    }

    fn nots(&self, takes: &[Take], stage: usize) -> Vec<&StageSpec> {
        let Some((last, _)) = position(takes) else { return Vec::new() };
        let before = |stage: usize| self.stages.get(stage).map_or(&self.trailing, |stage| &stage.nots);
        (last + 1..=stage.max(last + 1)).flat_map(|stage| before(stage).iter().copied()).collect()
    }

    fn greedy(&self, takes: &[Take], stage: usize) -> Vec<usize> {
        let left = position(takes).filter(|(last, count)| *last < stage && *count < self.stages[*last].max);
        let passed = position(takes).map_or(0, |(last, _)| last + 1)..stage;
        left.map(|(last, _)| last)
            .into_iter()
            .chain(passed)
            .filter(|&stage| self.stages[stage].spec.greedy)
            .collect()
    }

    /// When the time of a sequence ends.
    fn deadline(&self, takes: &[Take]) -> Option<u64> {
        Some(self.events[takes.first()?.2].time + self.spec.within?)
    }

    /// The moment of the end, if the run lasts that long.
    fn end(&self, takes: &[Take]) -> Option<Moment> {
        let deadline = self.deadline(takes)?;
        let row = self.rows.iter().position(|&time| time >= deadline)?;
        Some((row, false, deadline))
    }

    fn moment(&self, event: usize) -> Moment {
        (self.events[event].row, true, self.events[event].time)
    }

    /// Events after the sequence, up to the moment.
    fn later(&self, takes: &[Take], until: Moment) -> Vec<usize> {
        let from = takes.last().map_or(0, |take| take.2 + 1);
        (from..self.events.len()).filter(|&event| self.moment(event) <= until).collect()
    }

    /// When the sequence is a match, if ever.
    fn completed(&self, takes: &[Take]) -> Option<Moment> {
        let end = self.stages.len();
        self.link(takes, end)?;
        let (nots, greedy) = (self.nots(takes, end), self.greedy(takes, end));
        let last = takes.last()?.2;
        if nots.is_empty() && greedy.is_empty() {
            return Some(self.moment(last));
        }
        let waits = nots.iter().any(|not| not.link == Some(LinkSpec::NotFollowedBy))
            || greedy.iter().any(|&stage| self.link(takes, stage) != Some(LinkSpec::Next));
        let deadline = self.end(takes);
        let before = deadline.unwrap_or((usize::MAX, true, 0));
        let next =
            (last + 1 < self.events.len()).then(|| self.moment(last + 1)).filter(|next| *next < before);
        let moment = match next {
            Some(next) if !waits => next,
            _ => deadline?,
        };
        let undisturbed =
            self.later(takes, moment).into_iter().all(|event| self.undisturbed(takes, end, event));
        undisturbed.then_some(moment)
    }

    /// Whether the sequence can still go on after the moment: as a match that is not decided, or by one more event.
    fn lives(&self, takes: &[Take], at: Moment) -> bool {
        let begun = takes.last().is_some_and(|take| self.moment(take.2) <= at);
        if !begun || self.end(takes).is_some_and(|end| end <= at) {
            return false;
        }
        let later = self.later(takes, at);
        (0..=self.stages.len()).any(|stage| {
            let Some(link) = self.link(takes, stage) else { return false };
            let open = later.iter().all(|&event| self.undisturbed(takes, stage, event));
            let waits = match link {
                _ if stage == self.stages.len() => self.undecided(takes, at),
                LinkSpec::Next => later.is_empty(),
                LinkSpec::FollowedBy => !later.iter().any(|&event| self.is(takes, stage, event).is_some()),
                _ => true,
            };
            open && waits
        })
    }

    /// Whether the end is still ahead of what could be a match. Without a row that brings it, it stays so.
    fn undecided(&self, takes: &[Take], at: Moment) -> bool {
        self.completed(takes).is_none_or(|moment| moment > at)
    }

    fn report(&self, sequences: &[Vec<Take>]) -> Vec<Outcome> {
        let mut matches: Vec<(usize, Moment, &Vec<Take>)> =
            sequences.iter().filter_map(|takes| Some((takes[0].2, self.completed(takes)?, takes))).collect();
        matches.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| self.prefer(a.2, b.2)));
        let mut moments: BTreeSet<Moment> = (0..self.events.len()).map(|event| self.moment(event)).collect();
        moments.extend(sequences.iter().filter_map(|takes| self.end(takes)));
        let mut ruled_out = vec![false; self.events.len()];
        let mut outcomes: Vec<Outcome> = self.rows.iter().map(|_| Outcome::default()).collect();
        for moment in moments {
            let mut waiting = Vec::new();
            for (start, done, takes) in std::mem::take(&mut matches) {
                let held = self.holds_back()
                    && sequences.iter().any(|other| {
                        other[0].2 < start && !ruled_out[other[0].2] && self.lives(other, moment)
                    });
                if ruled_out[start] {
                    continue;
                }
                if done > moment || held || waiting_before(&waiting, start, moment, self.holds_back()) {
                    waiting.push((start, done, takes));
                    continue;
                }
                outcomes[moment.0].matches.push(self.text(takes, done.2));
                self.rule_out(takes, &mut ruled_out);
            }
            matches = waiting;
            let mut ended: Vec<&Vec<Take>> =
                sequences.iter().filter(|takes| self.end(takes) == Some(moment)).collect();
            ended.retain(|takes| !ruled_out[takes[0].2] && self.times_out(takes, moment));
            ended.sort_by(|a, b| a[0].2.cmp(&b[0].2).then_with(|| self.prefer(a, b)));
            outcomes[moment.0].timeouts.extend(ended.into_iter().map(|takes| self.text(takes, moment.2)));
        }
        outcomes
    }

    /// It could go on until its time ended, and never was a match.
    fn times_out(&self, takes: &[Take], end: Moment) -> bool {
        let last_event = self.events.iter().rposition(|event| (event.row, true, event.time) < end);
        let before = last_event.map(|event| self.moment(event));
        self.completed(takes).is_none() && before.is_some_and(|before| self.lives(takes, before))
    }

    fn holds_back(&self) -> bool {
        !matches!(self.spec.skip, None | Some(SkipSpec::None | SkipSpec::ToNext))
    }

    fn rule_out(&self, takes: &[Take], ruled_out: &mut [bool]) {
        let (first, last) = (takes[0].2, takes[takes.len() - 1].2);
        let named = |name: &String| {
            takes.iter().filter(|take| take.1 == *name).map(|take| take.2).collect::<Vec<_>>()
        };
        let range = match &self.spec.skip {
            None | Some(SkipSpec::None) => first..first,
            Some(SkipSpec::ToNext) => first..first + 1,
            Some(SkipSpec::PastLast) => first..last + 1,
            Some(SkipSpec::ToFirst(name)) => first..named(name).first().copied().unwrap_or(first),
            Some(SkipSpec::ToLast(name)) => first..named(name).last().copied().unwrap_or(first),
        };
        ruled_out[range].fill(true);
    }

    /// Of two sequences with the same first event: where they part, greedy stages go on, others end.
    fn prefer(&self, a: &[Take], b: &[Take]) -> Ordering {
        let end = (self.stages.len(), String::new(), 0);
        let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (a.get(common).unwrap_or(&end), b.get(common).unwrap_or(&end));
        if a.0 == b.0 {
            return a.2.cmp(&b.2);
        }
        let greedy = self.stages[a.0.min(b.0)].spec.greedy;
        if greedy { a.0.cmp(&b.0) } else { b.0.cmp(&a.0) }
    }

    fn text(&self, takes: &[Take], at: u64) -> String {
        let events = takes.iter().map(|take| format!("{}:{}", take.1, self.events[take.2].item.id));
        format!("{at} {}", events.collect::<Vec<_>>().join(" "))
    }
}

/// A match that is done but may not be told yet keeps those after it waiting too.
fn waiting_before(
    waiting: &[(usize, Moment, &Vec<Take>)],
    start: usize,
    moment: Moment,
    holds_back: bool,
) -> bool {
    holds_back && waiting.iter().any(|other| other.1 <= moment && other.0 < start)
}

/// The stage of the last event, and how many it has.
fn position(takes: &[Take]) -> Option<(usize, usize)> {
    let last = takes.last()?.0;
    Some((last, takes.iter().rev().take_while(|take| take.0 == last).count()))
}
