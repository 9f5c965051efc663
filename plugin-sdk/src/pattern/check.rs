//! What is wrong with a pattern, or with a state that is not its own.

use std::fmt;

use super::define::{Link, MAX_NAME, MAX_STAGES, Pattern, Skip, Stage};
use super::state::{State, Take};
use crate::Failure;

/// Why a pattern took no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The pattern means nothing; what is wrong with it.
    Invalid(String),
    /// The stored state is of another pattern: its stages and the present ones.
    Changed {
        /// The stages that the state was written for.
        stored: String,
        /// The stages of the pattern.
        now: String,
    },
    /// The stored state contradicts itself: something else wrote it.
    Corrupt,
    /// Unfinished matches would hold more than this many entries.
    Full {
        /// The pattern's limit.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(mistake) => write!(f, "pattern: {mistake}"),
            Self::Changed { stored, now } => write!(
                f,
                "pattern: the stored state is of `{stored}`, the pattern is `{now}`\nhint: give the field another name, \
                 or delete it in migrate"
            ),
            Self::Corrupt => f.write_str(
                "pattern: the stored state contradicts itself\nhint: another plugin version or a person wrote it; \
                 delete the field",
            ),
            Self::Full { limit } => write!(
                f,
                "pattern: unfinished matches hold over {limit} events\nhint: bound it by within, a skip strategy or \
                 greedy, raise limit, or evict_oldest"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// The event is sound where the pattern or its state is not: it can be handled once the version that wrote the state is back
/// or the mistake is corrected. An event without room does not get better by waiting.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(_) | Error::Changed { .. } | Error::Corrupt => Self::retry(error.to_string()),
            Error::Full { .. } => Self::reject(error.to_string()),
        }
    }
}

impl<E> Pattern<E> {
    /// Says what is wrong with the pattern, for a unit test of the plugin.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the first mistake.
    pub fn check(&self) -> Result<(), Error> {
        match self.mistake.clone().or_else(|| self.bad_names()).or_else(|| self.bad_ends()) {
            Some(mistake) => Err(Error::Invalid(mistake)),
            None => Ok(()),
        }
    }

    fn bad_names(&self) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        for (index, variable) in self.variables.iter().enumerate() {
            let name = &variable.name;
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
                return Some(format!("`{name}` is no name: letters, digits, `-` and `_`, up to {MAX_NAME}"));
            }
            if self.variables.iter().take(index).any(|other| other.name == *name) {
                return Some(format!("two events are called `{name}`"));
            }
        }
        match &self.skip {
            Skip::ToFirst(name) | Skip::ToLast(name)
                if self.variables.iter().all(|variable| variable.name != *name) =>
            {
                Some(format!("it skips to `{name}`, which is none of its events"))
            }
            _ => None,
        }
    }

    /// A match needs an event, and something that ends it.
    fn bad_ends(&self) -> Option<String> {
        if self.stages.len() > MAX_STAGES {
            return Some(format!("it has over {MAX_STAGES} stages"));
        }
        if self.stages.iter().all(|stage| stage.optional) {
            return Some("all of it is optional: it would match nothing at all".to_owned());
        }
        if self.limit == 0 {
            return Some("its limit is 0".to_owned());
        }
        if self.within.is_some() {
            return None;
        }
        if self.ends_with_silence() {
            return Some("it ends with what must not come, and no `within` says for how long".to_owned());
        }
        let mut ends = self.stages.iter().rev();
        let mut endless = |stage: &Stage<E>| {
            let waits_inside = stage.max > 1 && stage.inner != Link::Next;
            let waits_before = stage.optional && stage.link != Link::Next;
            stage.greedy && (waits_inside || waits_before)
        };
        let open = ends.by_ref().take_while(|stage| stage.optional).any(&mut endless)
            || self.stages.iter().rfind(|stage| !stage.optional).is_some_and(endless);
        open.then(|| "it ends with a greedy stage that can always take more, and has no `within`".to_owned())
    }

    /// Whether a match may end in a wait for an event that must not come.
    fn ends_with_silence(&self) -> bool {
        let silent = |nots: &[super::define::Not<E>]| nots.iter().any(|not| !not.next);
        silent(&self.trailing)
            || self.stages.iter().rev().take_while(|stage| stage.optional).any(|stage| silent(&stage.nots))
    }

    /// The stages as one line of text, the same in every language: a state belongs to it.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut parts = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            parts.extend(stage.nots.iter().map(|not| not_sign(not.next).to_owned()));
            let link = if index == 0 { "" } else { sign(stage.link) };
            let names: Vec<&str> =
                self.alternatives(stage).map(|(_, variable)| variable.name.as_str()).collect();
            let mut part = format!("{link}{}", names.join("|"));
            if (stage.min, stage.max) != (1, 1) {
                let max = if stage.max == u32::MAX { String::new() } else { stage.max.to_string() };
                part.push_str(&format!("{{{},{max}}}{}", stage.min, sign(stage.inner)));
            }
            part.push_str(if stage.optional { "?" } else { "" });
            part.push_str(if stage.greedy { "+" } else { "" });
            parts.push(part);
        }
        parts.extend(self.trailing.iter().map(|not| not_sign(not.next).to_owned()));
        parts.join(" ")
    }

    /// A state may come from anywhere; nothing deeper looks again. Answers the pattern's stages as text.
    pub(super) fn check_state(&self, state: &State<E>) -> Result<String, Error> {
        let now = self.shape();
        if state.is_idle() {
            return Ok(now);
        }
        if state.shape != now {
            return Err(Error::Changed { stored: state.shape.clone(), now });
        }
        let ordered = state.events.is_sorted_by(|a, b| a.0 < b.0)
            && state.events.last().is_none_or(|event| event.0 < state.next);
        let takes = state.runs.iter().map(|run| &run.2).chain(state.held.iter().map(|held| &held.1));
        if ordered && takes.into_iter().all(|takes| self.plausible(state, takes)) {
            Ok(now)
        } else {
            Err(Error::Corrupt)
        }
    }

    fn plausible(&self, state: &State<E>, takes: &[Take]) -> bool {
        let stage = |take: &Take| self.variables.get(take.0).map(|variable| variable.stage);
        !takes.is_empty()
            && takes.is_sorted_by(|a, b| a.1 < b.1 && stage(a) <= stage(b))
            && takes.iter().all(|take| stage(take).is_some() && state.event(take.1).is_some())
    }
}

fn sign(link: Link) -> &'static str {
    match link {
        Link::Next => ">",
        Link::FollowedBy => "~",
        Link::FollowedByAny => "*",
    }
}

fn not_sign(next: bool) -> &'static str {
    if next { "!>" } else { "!~" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_want_of_room_sets_an_event_aside() {
        let changed = Error::Changed { stored: "a".into(), now: "b".into() };
        for error in [Error::Invalid("nothing".into()), changed, Error::Corrupt] {
            assert!(Failure::from(error.clone()).is_retry(), "{error}");
        }
        assert!(!Failure::from(Error::Full { limit: 1 }).is_retry());
    }
}
