//! What the guest `ledger` is asked for, and what must be there in the end.
//!
//! - [`Entry`]: what one event asks for; [`Book`]: what was published.
//! - [`accounts`]: what each key's events come to, worked out from the stream of events alone.
//! - [`record`]: what the engine keeps of a key, read by its documented format.
//! - [`audit`]: the comparison.
//! - [`scene`]: the streams of a run.

pub mod accounts;
pub mod audit;
pub mod record;
pub mod scene;
#[cfg(test)]
mod tests;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::client::Client;

/// How many events are published before their acks are awaited.
const WINDOW: usize = 256;

/// What one event asks for, beside being counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Names the event among all.
    pub n: u64,
    /// The key.
    pub key: String,
    /// How many outputs it causes.
    pub outputs: u32,
    /// Timers to be set: the name, and when each is due after the event in milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, u64)>,
    /// Timers to be cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel: Vec<String>,
    /// How it goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<Fails>,
    /// Until which attempt it does, unless it goes wrong for good.
    #[serde(default)]
    pub until: u32,
    /// The event leaves no trace.
    #[serde(default)]
    pub nothing: bool,
}

/// How an event goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fails {
    /// It is rejected.
    Reject,
    /// It asks for a retry.
    Retry,
    /// It traps.
    Trap,
}

impl Entry {
    /// Whether it ends as a dead letter.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.fails == Some(Fails::Reject) && !self.nothing
    }

    /// Whether the account of its key has it.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.nothing && !self.is_rejected()
    }
}

/// What was published, each event with its place in the stream.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Sequence and payload.
    pub entries: Vec<(u64, String)>,
}

impl Book {
    /// Publishes events under ids of their own, so that trying again does not store one twice, and writes them down.
    ///
    /// # Errors
    /// If not all of them are stored.
    pub fn publish(&mut self, client: &mut Client, subject: &str, entries: &[Entry]) -> Result<()> {
        let message = |entry: &Entry| Ok((format!("{subject}:{}", entry.n), serde_json::to_string(entry)?));
        let messages: Vec<_> = entries.iter().map(message).collect::<Result<_>>()?;
        let sequences = client.publish(subject, &messages, WINDOW)?;
        ensure!(sequences.len() == entries.len(), "{} acks for {} events", sequences.len(), entries.len());
        self.entries.extend(sequences.into_iter().zip(messages.into_iter().map(|(_, payload)| payload)));
        Ok(())
    }

    /// One line for each event, for people who look into a failure.
    #[must_use]
    pub fn to_lines(&self) -> String {
        self.entries.iter().map(|(sequence, payload)| format!("{sequence} {payload}\n")).collect()
    }
}
