//! How far a reader of a stream has come: the lowest position that is not done, whatever order the others end in.

use std::collections::VecDeque;

/// The positions of one stream that were read and those among them that are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// All up to here are done.
    cursor: u64,
    /// Positions after it in rising order, with whether each is done. The first is not.
    open: VecDeque<(u64, bool)>,
}

impl Progress {
    /// One that has come this far.
    #[must_use]
    pub fn new(cursor: u64) -> Self {
        Self { cursor, open: VecDeque::new() }
    }

    /// Up to which sequence all is done.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// How many positions from the first that is not done to the last that was read.
    #[must_use]
    pub fn span(&self) -> usize {
        self.open.len()
    }

    /// Takes note of a position that was read. One that was read before is none of its concern.
    pub fn read(&mut self, sequence: u64) {
        if self.open.back().map_or(self.cursor, |(last, _)| *last) < sequence {
            self.open.push_back((sequence, false));
        }
    }

    /// A position is done.
    pub fn done(&mut self, sequence: u64) {
        if let Ok(at) = self.open.binary_search_by_key(&sequence, |(open, _)| *open)
            && let Some(entry) = self.open.get_mut(at)
        {
            entry.1 = true;
        }
        while let Some((sequence, true)) = self.open.front() {
            self.cursor = *sequence;
            self.open.pop_front();
        }
    }

    /// A position was read that is nobody's here.
    pub fn pass(&mut self, sequence: u64) {
        self.read(sequence);
        self.done(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_waits_for_the_slowest() {
        let mut progress = Progress::new(10);
        for sequence in [11, 13, 14, 20] {
            progress.read(sequence);
        }
        progress.done(14);
        progress.done(13);
        assert_eq!((progress.cursor(), progress.span()), (10, 4));
        progress.done(11);
        assert_eq!((progress.cursor(), progress.span()), (14, 1));
        progress.pass(21);
        assert_eq!(progress.cursor(), 14);
        progress.done(20);
        assert_eq!((progress.cursor(), progress.span()), (21, 0));
    }

    #[test]
    fn what_was_read_before_changes_nothing() {
        let mut progress = Progress::new(10);
        progress.read(9);
        progress.done(9);
        progress.pass(10);
        assert_eq!(progress, Progress::new(10));
    }
}
