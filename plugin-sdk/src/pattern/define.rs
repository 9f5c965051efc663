//! What an author writes: the stages of a pattern, their conditions, and what follows a match.

use std::time::Duration;

use super::Seen;

/// Bits of a run's open ways are stage numbers, one more for the end; 31 keeps them a positive 32-bit integer in every
/// language.
pub(super) const MAX_STAGES: usize = 30;

/// The longest name of a stage, bytes.
pub(super) const MAX_NAME: usize = 64;

/// How many entries unfinished matches may have, unless the pattern says otherwise. An entry is stored in about 10
/// bytes, its event with number and time in 30 more than its own; at 50 of these, 2,048 of them need 180 KiB of the 256
/// that a record has by default.
const DEFAULT_LIMIT: usize = 2_048;

/// Whether an event is one: it sees the event and what this match holds so far.
pub(super) type Condition<E> = Box<dyn Fn(&E, &Seen<'_, E>) -> bool>;

/// What may lie between an event of a match and the one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing: strict contiguity.
    Next,
    /// Events that are not the one looked for: relaxed contiguity, the first that is one is taken.
    FollowedBy,
    /// Anything: each later event that is one makes a match of its own.
    FollowedByAny,
}

/// What goes on after a match was reported. Without one, [`Skip::None`].
///
/// With the last three a match waits until all that began before it is decided. Give such a pattern a
/// [`within`](Pattern::within): without it one sequence that never ends holds back all later matches of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// Every match is reported.
    None,
    /// One match for each first event.
    ToNext,
    /// The next match begins after the last event of this one.
    PastLast,
    /// The next match begins at the first event of this name, or later. A match without one skips nothing.
    ToFirst(String),
    /// The next match begins at the last event of this name, or later. A match without one skips nothing.
    ToLast(String),
}

/// What a stage may be called, and what makes an event one.
pub(super) struct Variable<E> {
    pub name: String,
    pub stage: usize,
    pub condition: Condition<E>,
}

/// What must not come.
pub(super) struct Not<E> {
    /// Only the very next event counts.
    pub next: bool,
    pub condition: Condition<E>,
}

pub(super) struct Stage<E> {
    pub link: Link,
    /// Which variables are its alternatives.
    pub first_variable: usize,
    pub variables: usize,
    pub min: u32,
    pub max: u32,
    pub inner: Link,
    pub optional: bool,
    pub greedy: bool,
    /// What must not come between the stage before it and this one.
    pub nots: Vec<Not<E>>,
}

/// Which events, in which order, make a match.
///
/// Stages are added front to back; [`times`](Self::times) and the like speak of the stage added last. What is wrong
/// with a pattern is told by its first use, [`advance`](Self::advance), or by [`check`](Self::check).
#[must_use]
pub struct Pattern<E> {
    pub(super) stages: Vec<Stage<E>>,
    pub(super) variables: Vec<Variable<E>>,
    /// What must not come after the last stage.
    pub(super) trailing: Vec<Not<E>>,
    /// Nanoseconds from the first event of a match.
    pub(super) within: Option<u64>,
    pub(super) skip: Skip,
    pub(super) limit: usize,
    pub(super) evict: bool,
    /// The first mistake of the author.
    pub(super) mistake: Option<String>,
}

impl<E> Pattern<E> {
    /// A match begins with an event for which `condition` holds.
    pub fn begin(name: &str, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        let empty = Self {
            stages: Vec::new(),
            variables: Vec::new(),
            trailing: Vec::new(),
            within: None,
            skip: Skip::None,
            limit: DEFAULT_LIMIT,
            evict: false,
            mistake: None,
        };
        empty.then(Link::Next, name, condition)
    }

    /// Goes on with the very next event; anything else ends the attempt.
    pub fn next(self, name: &str, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        self.then(Link::Next, name, condition)
    }

    /// Goes on with the first event that is one, whatever comes before it.
    pub fn followed_by(self, name: &str, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        self.then(Link::FollowedBy, name, condition)
    }

    /// Goes on with each later event that is one: as many matches as there are such events.
    pub fn followed_by_any(self, name: &str, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        self.then(Link::FollowedByAny, name, condition)
    }

    /// The stage added last is also met by another kind of event, which has its own name in the match. Where both
    /// conditions hold, the name given first has it.
    pub fn or(mut self, name: &str, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        let stage = self.stages.len().saturating_sub(1);
        self.last("or", |stage| stage.variables += 1);
        self.variables.push(Variable { name: name.to_owned(), stage, condition: Box::new(condition) });
        self
    }

    /// The event right after the last one taken must not be such a one. At the end of a pattern the next event closes
    /// the match, or the end of [`within`](Self::within).
    pub fn not_next(mut self, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        self.trailing.push(Not { next: true, condition: Box::new(condition) });
        self
    }

    /// No such event may come before the next stage is met. At the end of a pattern the end of
    /// [`within`](Self::within) closes the match: "A and no B within ten minutes". After a stage that repeats it holds
    /// between the repetitions too.
    pub fn not_followed_by(mut self, condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static) -> Self {
        self.trailing.push(Not { next: false, condition: Box::new(condition) });
        self
    }

    /// The stage is met by exactly `count` events.
    pub fn times(self, count: u32) -> Self {
        self.between(count, count)
    }

    /// The stage is met by `min` to `max` events; from 0 it is [`optional`](Self::optional).
    pub fn between(mut self, min: u32, max: u32) -> Self {
        if max == 0 || min > max {
            self.blame(format!("between({min}, {max}) repeats nothing"));
        }
        self.last("times", |stage| {
            stage.min = min.max(1);
            stage.max = max;
            stage.optional |= min == 0;
        });
        self
    }

    /// The stage is met by `min` or more events.
    pub fn at_least(self, min: u32) -> Self {
        self.between(min, u32::MAX)
    }

    /// The stage is met by one or more events.
    pub fn one_or_more(self) -> Self {
        self.at_least(1)
    }

    /// A match may do without the stage.
    pub fn optional(mut self) -> Self {
        self.last("optional", |stage| stage.optional = true);
        self
    }

    /// As many repetitions as possible: a match leaves the stage only where it cannot take one more. Otherwise each
    /// number of repetitions that leads on is a match, the fewest first.
    pub fn greedy(mut self) -> Self {
        self.last("greedy", |stage| stage.greedy = true);
        self
    }

    /// Nothing may lie between the repetitions of the stage, where otherwise other events may.
    pub fn consecutive(mut self) -> Self {
        self.last("consecutive", |stage| stage.inner = Link::Next);
        self
    }

    /// Repetitions of the stage may leave out events that are one: each combination is a match.
    pub fn combinations(mut self) -> Self {
        self.last("combinations", |stage| stage.inner = Link::FollowedByAny);
        self
    }

    /// The longest time from the first event to the last: an event exactly that much later is no part of the match.
    /// An attempt that is not done by then has timed out.
    pub fn within(mut self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            self.blame("within() needs some time".to_owned());
        }
        self.within = Some(nanos);
        self
    }

    /// What goes on after a match.
    pub fn skip(mut self, skip: Skip) -> Self {
        self.skip = skip;
        self
    }

    /// How much unfinished matches may hold: the sum of their lengths in events. More is
    /// [`Error::Full`](super::Error::Full).
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    /// At the limit the unfinished matches that began first are given up, and reported as evicted, instead of an error.
    pub fn evict_oldest(mut self) -> Self {
        self.evict = true;
        self
    }

    fn then(
        mut self,
        link: Link,
        name: &str,
        condition: impl Fn(&E, &Seen<'_, E>) -> bool + 'static,
    ) -> Self {
        let nots = std::mem::take(&mut self.trailing);
        let stage = self.stages.len();
        if stage == 0 && !nots.is_empty() {
            self.blame("a pattern begins with an event, not with the lack of one".to_owned());
        }
        self.stages.push(Stage {
            link,
            first_variable: self.variables.len(),
            variables: 1,
            min: 1,
            max: 1,
            inner: Link::FollowedBy,
            optional: false,
            greedy: false,
            nots,
        });
        self.variables.push(Variable { name: name.to_owned(), stage, condition: Box::new(condition) });
        self
    }

    fn last(&mut self, what: &str, change: impl FnOnce(&mut Stage<E>)) {
        if !self.trailing.is_empty() {
            self.blame(format!("{what} follows a negation, where it has no meaning"));
        }
        if let Some(stage) = self.stages.last_mut() {
            change(stage);
        }
    }

    fn blame(&mut self, mistake: String) {
        self.mistake.get_or_insert(mistake);
    }
}
