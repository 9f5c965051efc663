//! Finding letters: by sequence, or by what they say, page by page and in the order in which they were stored.

use std::collections::VecDeque;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::archive::{Archive, Marks, PAGE};
use super::letter::{Found, UNREADABLE};
use super::{STREAM, letter::plugin_of};
use crate::bus::BusError;
use crate::manifest::PluginName;

/// Letters whose marks are looked up at once.
const AT_ONCE: usize = 16;

/// Which letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These sequences; none means all.
    pub sequences: Vec<u64>,
    /// Of this plugin.
    pub plugin: Option<PluginName>,
    /// With one of these reasons; none means any.
    pub reasons: Vec<String>,
    /// Stored then or later.
    pub since: Option<Timestamp>,
    /// Stored before.
    pub until: Option<Timestamp>,
    /// Dealt with, or not.
    pub done: Option<bool>,
    /// No more than this many.
    pub limit: Option<u64>,
}

impl Selection {
    /// Whether a letter is of them, whatever has become of it.
    #[must_use]
    pub fn takes(&self, found: &Found) -> bool {
        let (plugin, reason, stored) = match found {
            // Who names a place wants to hear that nothing stands there.
            Found::Missing { .. } => return true,
            Found::Letter(filed) => {
                (Some(filed.letter.plugin.clone()), filed.letter.reason.as_str(), filed.stored)
            }
            Found::Unreadable { subject, stored, .. } => (plugin_of(subject), UNREADABLE, *stored),
        };
        (self.plugin.is_none() || plugin == self.plugin)
            && (self.reasons.is_empty() || self.reasons.iter().any(|wanted| wanted == reason))
            && self.since.is_none_or(|since| stored >= since)
            && self.until.is_none_or(|until| stored < until)
    }

    fn is_past(&self, found: &Found) -> bool {
        let stored = match found {
            Found::Letter(filed) => filed.stored,
            Found::Unreadable { stored, .. } => *stored,
            Found::Missing { .. } => return false,
        };
        self.until.is_some_and(|until| stored >= until)
    }
}

/// A search under way. It ends with what was there when it began: a letter that comes of what is done with the others
/// must not be found too, or a redrive would go round.
pub struct Search {
    archive: Archive,
    selection: Selection,
    sequences: VecDeque<u64>,
    from: u64,
    last: u64,
    left: u64,
    ended: bool,
}

impl Archive {
    /// Looks for letters.
    ///
    /// # Errors
    /// What the bus says; [`BusError::StreamMissing`] if there never was a letter.
    pub async fn search(&self, selection: Selection) -> Result<Search, BusError> {
        let info = self.bus.stream(STREAM).await?;
        Ok(Search {
            archive: self.clone(),
            sequences: selection.sequences.iter().copied().collect(),
            from: 1,
            last: info.last_sequence,
            left: selection.limit.unwrap_or(u64::MAX),
            ended: false,
            selection,
        })
    }
}

impl Search {
    /// The next letters with what has become of them; none at the end.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn next_page(&mut self) -> Result<Vec<(Found, Marks)>, BusError> {
        while !self.ended && self.left > 0 {
            let mut page =
                if self.selection.sequences.is_empty() { self.scan().await? } else { self.look_up().await? };
            page.retain(|found| self.selection.takes(found));
            let mut marked = self.marked(page).await?;
            if let Some(done) = self.selection.done {
                marked.retain(|(found, marks)| {
                    matches!(found, Found::Missing { .. }) || marks.is_done() == done
                });
            }
            marked.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= marked.len() as u64;
            if !marked.is_empty() {
                return Ok(marked);
            }
        }
        Ok(Vec::new())
    }

    async fn scan(&mut self) -> Result<Vec<Found>, BusError> {
        let mut page = self.archive.page(self.selection.plugin.as_ref(), self.from, PAGE).await?;
        match page.last() {
            Some(last) => self.from = last.sequence().saturating_add(1),
            None => self.ended = true,
        }
        let past = |found: &Found| found.sequence() > self.last || self.selection.is_past(found);
        self.ended |= page.iter().any(past);
        page.retain(|found| !past(found));
        Ok(page)
    }

    async fn look_up(&mut self) -> Result<Vec<Found>, BusError> {
        let some: Vec<u64> = self.sequences.drain(..PAGE.min(self.sequences.len())).collect();
        self.ended = self.sequences.is_empty();
        stream::iter(some).map(|sequence| self.archive.at(sequence)).buffered(AT_ONCE).try_collect().await
    }

    async fn marked(&self, page: Vec<Found>) -> Result<Vec<(Found, Marks)>, BusError> {
        let look_up = async |found: Found| {
            let marks = match &found {
                Found::Letter(filed) => self.archive.marks(&filed.letter.plugin, filed.sequence).await?,
                _ => Marks::default(),
            };
            Ok((found, marks))
        };
        stream::iter(page).map(look_up).buffered(AT_ONCE).try_collect().await
    }
}
