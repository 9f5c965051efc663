//! What a comparison found, and the verdict on it.

use std::fmt;

/// The most examples of faults that are kept in words.
const MAX_EXAMPLES: usize = 40;

/// Events of which nothing came, by where they stand among those of which something did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Before the first of those.
    pub prefix: u64,
    /// Between them.
    pub middle: u64,
    /// After the last of them.
    pub tail: u64,
}

impl Lost {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.prefix + self.middle + self.tail
    }
}

/// What one run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Events that the input stream holds.
    pub events: u64,
    /// Outputs that were found.
    pub outputs: u64,
    /// Dead letters that were found.
    pub letters: u64,
    /// Events that the engine left undone.
    pub unsettled: u64,
    /// Engines that did not behave as they should, whatever the streams hold.
    pub troubles: u64,
    /// Versions that made outputs.
    pub versions: u64,
    /// Events without a trace.
    pub lost: Lost,
    /// Outputs stored more than once.
    pub repeated: u64,
    /// Events of which some outputs are there and some are not.
    pub torn: u64,
    /// Outputs that no event asked for.
    pub unexplained: u64,
    /// Outputs stamped with another version than the one that made them.
    pub wrong_version: u64,
    /// Dead letters that are missing, repeated, not asked for, or not as they should be.
    pub letters_wrong: u64,
    /// Keys whose state is not what their events make of it, and other places of the state that are not as they should be.
    pub state_wrong: u64,
    /// Events with outputs stored before those of an earlier one of the same key: a fault only where order is promised.
    pub out_of_order: u64,
    /// Whether order was promised.
    pub ordered: bool,
    /// Events whose outputs were made by more than one version: no fault, because a swap may come between two attempts.
    pub mixed_versions: u64,
    /// The first faults, in words.
    pub examples: Vec<String>,
}

impl Findings {
    /// Puts a fault into words, unless there are many already.
    pub(super) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(text());
        }
    }

    /// Adds a fault that the streams do not show.
    pub fn trouble(&mut self, text: String) {
        self.troubles += 1;
        self.examples.push(text);
    }

    /// All faults.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let disorder = if self.ordered { self.out_of_order } else { 0 };
        self.unsettled
            + self.troubles
            + self.lost.all()
            + self.repeated
            + self.torn
            + self.unexplained
            + self.wrong_version
            + self.letters_wrong
            + self.state_wrong
            + disorder
    }

    /// The verdict. A run whose fault left no trace, or in which hardly anything flowed, proves nothing; one that has
    /// faults is invalid whatever else it lacks.
    #[must_use]
    pub fn verdict(&self, least_events: u64, fault: Result<(), String>) -> Verdict {
        if self.faults() > 0 {
            return Verdict::Invalid;
        }
        if self.events < least_events || self.outputs == 0 {
            return Verdict::Void(format!(
                "only {} events flowed, with {} outputs",
                self.events, self.outputs
            ));
        }
        match fault {
            Ok(()) => Verdict::Valid,
            Err(why) => Verdict::Void(why),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, outputs, letters, unsettled, lost, repeated, torn, .. } = self;
        let Lost { prefix, middle, tail } = lost;
        writeln!(
            f,
            "{events} events, {outputs} outputs, {letters} dead letters, {unsettled} events left undone"
        )?;
        writeln!(f, "lost: {prefix} at the beginning, {middle} in the middle, {tail} at the end")?;
        writeln!(
            f,
            "repeated {repeated}, torn {torn}, unexplained {}, wrong version {}, dead letters wrong {}",
            self.unexplained, self.wrong_version, self.letters_wrong
        )?;
        writeln!(f, "engines in trouble {}, state wrong {}", self.troubles, self.state_wrong)?;
        let promised = if self.ordered { "" } else { " (not promised)" };
        writeln!(
            f,
            "versions {}, events of mixed versions {}, out of order {}{promised}",
            self.versions, self.mixed_versions, self.out_of_order
        )?;
        self.examples.iter().try_for_each(|example| writeln!(f, "  {example}"))
    }
}

/// What a run proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The fault happened and nothing came of it.
    Valid,
    /// A promise was broken.
    Invalid,
    /// Nothing, for this reason.
    Void(String),
}
