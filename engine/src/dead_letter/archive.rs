//! Dead letters read back, marked as dealt with, and removed.

use std::sync::Arc;

use bytes::Bytes;

use super::letter::{Filed, Found, SECOND_OF_TWO};
use super::store::rest_subject;
use super::wrap::WrapError;
use super::{
    EDIT_HEADER, INPUT_HEADER, LETTER_HEADER, PART_HEADER, REDRIVE_HEADER, STREAM, SUBJECT_PREFIX, pattern,
    subject,
};
use crate::bus::{Bus, BusError, ReadSpec, StoredMessage};
use crate::event::MSG_ID_HEADER;
use crate::manifest::PluginName;
use crate::message::{Headers, Message};

/// Messages of one read: marks of one letter, or letters.
pub(super) const PAGE: usize = 64;
/// The most marks of one letter that are looked at. Each needed somebody's `--force`.
const MAX_MARKS: usize = 4_096;

/// The dead letters of a bus.
#[derive(Clone)]
pub struct Archive {
    pub(super) bus: Arc<dyn Bus>,
}

/// What has become of a letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// How many marks it bears.
    pub count: u64,
    /// The number of its last redrive; 0 if there was none.
    pub redrives: u32,
    /// The number of its last edit; 0 if there was none.
    pub edits: u32,
}

impl Marks {
    /// Whether it has been dealt with.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.count > 0
    }
}

/// Why a letter cannot be had whole.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// No letter there.
    #[error("there is no dead letter {0}\n  hint: `wasmill dead-letter ls` lists those there are")]
    Missing(u64),
    /// No letter, though it stands where letters do.
    #[error("message {sequence} on {subject:?} is no dead letter: {fault}")]
    Unreadable {
        /// Its sequence.
        sequence: u64,
        /// Its subject.
        subject: String,
        /// What is wrong with it.
        fault: WrapError,
    },
    /// The engine ended between storing its halves; then the event was not acked, and came again.
    #[error(
        "the second half of dead letter {0} is missing\n  hint: its event was delivered again, look for another letter of it"
    )]
    Half(u64),
}

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// It was sent to a plugin.
    Redriven {
        /// Which redrive it was.
        number: u32,
        /// Where to.
        to: PluginName,
    },
    /// It was corrected.
    Edited {
        /// Which edit it was.
        number: u32,
    },
}

impl Archive {
    /// The dead letters of this bus.
    #[must_use]
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus }
    }

    /// The letters from a sequence on, some at a time; none at all at the end.
    pub(super) async fn page(
        &self,
        plugin: Option<&PluginName>,
        from: u64,
        at_most: usize,
    ) -> Result<Vec<Found>, BusError> {
        let filter = plugin.map_or_else(
            || pattern(format!("{SUBJECT_PREFIX}.*")),
            |plugin| pattern(format!("{SUBJECT_PREFIX}.{plugin}")),
        )?;
        let spec = ReadSpec { stream: STREAM.to_owned(), from, filter: Some(filter), at_most };
        Ok(self.bus.read(&spec).await?.into_iter().map(Found::read).collect())
    }

    /// What stands at a sequence.
    pub(super) async fn at(&self, sequence: u64) -> Result<Found, BusError> {
        let spec = ReadSpec { stream: STREAM.to_owned(), from: sequence, filter: None, at_most: 1 };
        let found = self.bus.read(&spec).await?.pop().filter(|found| found.sequence == sequence);
        Ok(found.map_or(Found::Missing { sequence }, Found::read))
    }

    /// The letter at a sequence, whole.
    ///
    /// # Errors
    /// If there is none, or only half of one.
    pub async fn one(&self, sequence: u64) -> Result<Filed, ArchiveError> {
        match self.at(sequence).await? {
            Found::Letter(filed) => self.whole(*filed).await,
            Found::Unreadable { sequence, subject, fault, .. } => {
                Err(ArchiveError::Unreadable { sequence, subject, fault })
            }
            Found::Missing { sequence } => Err(ArchiveError::Missing(sequence)),
        }
    }

    /// The letter with its second half, if that stands elsewhere.
    ///
    /// # Errors
    /// If it is missing.
    pub async fn whole(&self, mut filed: Filed) -> Result<Filed, ArchiveError> {
        if !filed.is_half {
            return Ok(filed);
        }
        let of_same = |half: &StoredMessage| {
            let headers = &half.message.headers;
            headers.get(PART_HEADER) == Some(SECOND_OF_TWO)
                && headers.get(INPUT_HEADER) == Some(filed.letter.event.input.as_str())
        };
        let spec = self.belonging(&rest_subject(&filed.letter.plugin, filed.sequence), filed.sequence)?;
        let second = self.bus.read(&spec).await?.into_iter().find(of_same);
        let second = second.ok_or(ArchiveError::Half(filed.sequence))?;
        let payload = &mut filed.letter.event.message.payload;
        *payload = Bytes::from([&payload[..], &second.message.payload[..]].concat());
        filed.is_half = false;
        Ok(filed)
    }

    /// What has become of a letter.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn marks(&self, plugin: &PluginName, sequence: u64) -> Result<Marks, BusError> {
        let mut marks = Marks::default();
        let mut spec = self.belonging(&done_subject(plugin, sequence), sequence)?;
        for _ in 0..MAX_MARKS / PAGE {
            let page = self.bus.read(&spec).await?;
            let Some(last) = page.last() else { break };
            spec.from = last.sequence.saturating_add(1);
            for mark in &page {
                let number = |name| {
                    let text = mark.message.headers.get(name)?;
                    text.parse::<u32>().ok()
                };
                marks.count += 1;
                marks.redrives = marks.redrives.max(number(REDRIVE_HEADER).unwrap_or(0));
                marks.edits = marks.edits.max(number(EDIT_HEADER).unwrap_or(0));
            }
        }
        Ok(marks)
    }

    fn belonging(&self, subject: &str, sequence: u64) -> Result<ReadSpec, BusError> {
        let filter = Some(pattern(subject.to_owned())?);
        Ok(ReadSpec { stream: STREAM.to_owned(), from: sequence.saturating_add(1), filter, at_most: PAGE })
    }

    /// Marks a letter as dealt with. Marking it twice with the same stores one mark.
    pub(super) async fn mark(&self, filed: &Filed, mark: &Mark) -> Result<(), BusError> {
        let Filed { sequence, letter, .. } = filed;
        let mut headers = Headers::new();
        headers.push(LETTER_HEADER, sequence.to_string());
        let step = match mark {
            Mark::Redriven { number, to } => {
                headers.push(REDRIVE_HEADER, number.to_string());
                headers.push(super::TO_HEADER, to.as_str());
                format!("r{number}")
            }
            Mark::Edited { number } => {
                headers.push(EDIT_HEADER, number.to_string());
                format!("e{number}")
            }
        };
        // With the sequence: an event that failed twice has two letters.
        let id = format!("done:{}:{}:{sequence}:{step}", letter.plugin, letter.event.input);
        headers.push(MSG_ID_HEADER, id);
        let subject = subject(done_subject(&letter.plugin, *sequence))?;
        self.bus.publish(Message { headers, ..Message::new(subject, Bytes::new()) }).await?;
        Ok(())
    }

    /// Removes a letter, or what stands in the place of one, with all that belongs to it. The letter goes first: without
    /// its marks it would count as open again.
    ///
    /// # Errors
    /// What the bus says. What belonged to a letter may then be left over; nothing lists it.
    pub async fn remove(&self, found: &Found) -> Result<(), BusError> {
        let sequence = found.sequence();
        self.bus.erase(STREAM, sequence).await?;
        let Found::Letter(filed) = found else { return Ok(()) };
        let mut spec =
            self.belonging(&format!("{SUBJECT_PREFIX}.{}.*.{sequence}", filed.letter.plugin), sequence)?;
        loop {
            let page = self.bus.read(&spec).await?;
            let Some(last) = page.last() else { return Ok(()) };
            spec.from = last.sequence.saturating_add(1);
            for belonging in &page {
                self.bus.erase(STREAM, belonging.sequence).await?;
            }
        }
    }
}

/// Where the marks of a letter stand.
fn done_subject(plugin: &PluginName, sequence: u64) -> String {
    format!("{SUBJECT_PREFIX}.{plugin}.done.{sequence}")
}
