//! A letter is corrected: the corrected one is a new letter, which names the one it stands for.
//!
//! First the new letter is stored, then the old one is marked. Who is killed between the two leaves both open. Trying
//! again within the stream's duplicate window finds the new letter there and marks the old one.

use super::archive::{Archive, ArchiveError, Mark, Marks};
use super::letter::Filed;
use super::store::store;
use super::wrap::Wrapped;
use crate::bus::BusError;
use crate::message::Message;

/// Why a letter was not edited.
#[derive(Debug, thiserror::Error)]
pub enum NotEdited {
    /// It was redriven or edited before.
    #[error("dead letter {0} has been dealt with\n  hint: --force edits it all the same")]
    Done(u64),
    /// Somebody else did, just now.
    #[error("dead letter {sequence} was edited by somebody else just now, as letter {edited}")]
    Repeat {
        /// The letter.
        sequence: u64,
        /// The one that stands for it.
        edited: u64,
    },
    /// The new letter was not stored.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The new letter stands, but the old one is open as well.
    #[error(
        "the edited letter is stored as {edited}, but letter {sequence} was not marked as done: {source}\n  hint: redrive letter {edited} only"
    )]
    Unmarked {
        /// The letter.
        sequence: u64,
        /// The one that stands for it.
        edited: u64,
        /// What the bus says.
        source: BusError,
    },
}

impl Archive {
    /// Stores a whole letter with another message in it, and marks it; returns the sequence of the new one.
    ///
    /// # Errors
    /// Why not.
    pub async fn edit(
        &self,
        filed: &Filed,
        marks: Marks,
        force: bool,
        message: Message,
    ) -> Result<u64, NotEdited> {
        let sequence = filed.sequence;
        if marks.is_done() && !force {
            return Err(NotEdited::Done(sequence));
        }
        let number = marks.edits.saturating_add(1);
        let mut letter = filed.letter.clone();
        letter.edited_from = Some(sequence);
        // What it causes is new beside what the event as it was may have caused.
        letter.event =
            Wrapped { message, input: format!("{}:e{number}", letter.event.input), ..letter.event };
        let stored = store(&*self.bus, &letter).await.map_err(ArchiveError::Bus)?;
        let edited = stored.sequence;
        let marked = self.mark(filed, &Mark::Edited { number }).await;
        marked.map_err(|source| NotEdited::Unmarked { sequence, edited, source })?;
        if stored.duplicate { Err(NotEdited::Repeat { sequence, edited }) } else { Ok(edited) }
    }
}
