//! What was published: written down as soon as the stream said that it has it.

use anyhow::{Result, ensure};
use serde_json::json;

use super::client::Client;
use super::model::Ask;

/// How many events are published before their acks are awaited.
const WINDOW: usize = 256;

/// An event that the input stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its place in the stream.
    pub sequence: u64,
    /// The id that it was published under, which its outputs name as their cause.
    pub name: String,
    /// What it asks for.
    pub ask: Ask,
    /// Its payload.
    pub payload: String,
}

/// All events of a run, in the order in which they were published.
#[derive(Debug, Clone, Default)]
pub struct History {
    events: Vec<Published>,
}

impl History {
    /// Publishes events under ids of their own, so that trying again does not store one twice, and writes them down.
    ///
    /// # Errors
    /// If not all of them are stored, or two at one place.
    pub fn publish(&mut self, client: &mut Client, subject: &str, asks: &[Ask]) -> Result<()> {
        let messages: Vec<_> =
            asks.iter().map(|ask| (format!("{subject}:{}", ask.id), ask.payload())).collect();
        let sequences = client.publish(subject, &messages, WINDOW)?;
        ensure!(sequences.len() == asks.len(), "{} acks for {} events", sequences.len(), asks.len());
        for ((ask, (name, payload)), sequence) in asks.iter().zip(messages).zip(sequences) {
            self.record(Published { sequence, name, ask: ask.clone(), payload });
        }
        Ok(())
    }

    /// Writes down an event that is known to be stored.
    pub fn record(&mut self, event: Published) {
        self.events.push(event);
    }

    /// All of them.
    #[must_use]
    pub fn events(&self) -> &[Published] {
        &self.events
    }

    /// One JSON line for each event, for people who look into a failure.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let line = |event: &Published| {
            format!(
                "{}\n",
                json!({ "sequence": event.sequence, "name": event.name, "payload": event.payload })
            )
        };
        self.events.iter().map(line).collect()
    }
}
