//! What lasts for a while in the weather.

use tokio::time::Instant;

/// Subjects that are not taken for a while.
#[derive(Default)]
pub(super) struct Spells {
    /// Subjects that begin so, whether nobody answers for them, and until when.
    full: Vec<(&'static str, bool, Instant)>,
}

impl Spells {
    /// Subjects that begin so are not taken until then: because their stream is full, or because nobody answers for it.
    pub fn fill(&mut self, prefix: &'static str, leaderless: bool, until: Instant) {
        self.full.push((prefix, leaderless, until));
    }

    /// Whether a subject is not taken now, and whether for want of somebody who answers.
    pub fn refused(&self, subject: &str) -> Option<bool> {
        let now = Instant::now();
        let mut spells =
            self.full.iter().filter(|(prefix, _, until)| subject.starts_with(prefix) && now < *until);
        spells.next().map(|(_, leaderless, _)| *leaderless)
    }
}
