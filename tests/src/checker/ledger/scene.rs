//! The streams of a run of the guest `ledger`, and how far the engines have come in them.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::accounts::{Accounts, settle};
use super::audit::{Held, audit};
use super::{Book, Entry};
use crate::checker::client::{Client, StreamPlan};
use crate::checker::findings::Findings;
use crate::checker::read::Stored;
use crate::{guests, parts};

/// The plugin.
pub const PLUGIN: &str = "ledger";
/// The stream of events.
pub const INPUT: &str = "ENTRIES";
/// The subject of the events.
pub const SUBJECT: &str = "entries";
/// The stream of outputs, and their subject.
const OUTPUT: (&str, &str) = ("ACCOUNTS", "accounts");
/// The stream of all dead letters, and its subjects.
const DEAD_LETTERS: (&str, &str) = ("WASMILL_DEAD_LETTERS", "wasmill.dead-letter.>");
/// How the guest's version ends in its component.
const ENDING: &str = "with.accounts.of.the.shape.1000";
/// How long nothing may come of anything before the end is taken to have been reached.
const STANDSTILL: Duration = Duration::from_secs(45);
/// How often somebody looks how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// One run's streams, read by a client of the checker's own.
pub struct Scene {
    /// The connection.
    pub client: Client,
    /// What was published.
    pub book: Book,
}

/// The guest in one of its versions, from 1000 to 9999. One that ends in 999 cannot read the state of others.
///
/// # Errors
/// If it was not built.
pub fn version(number: u16) -> Result<Vec<u8>> {
    let to = format!("with.accounts.of.the.shape.{number:04}");
    guests::renamed(&std::fs::read(parts::test_ledger()?)?, ENDING, &to)
}

/// Its manifest, with more of the table `state`. Without the breaker, because a quarantine would only make a run longer.
#[must_use]
pub fn manifest(state: &str) -> String {
    format!(
        "key = {{ pointer = \"/key\" }}\n[[subscribe]]\nstream = \"{INPUT}\"\nsubjects = [\"{SUBJECT}\"]\n\
         [emit]\nsubjects = [\"{0}\"]\n\
         [retry]\nattempts = 4\nfirst_delay_ms = 20\nmax_delay_ms = 100\n\
         [breaker]\nfailures = 0\n\
         [limits]\ncpu_ms = 10000\nwall_ms = 120000\n\
         [state]\nlease_ms = 1000\n{state}\n\
         [config]\nsubject = \"{0}\"\n",
        OUTPUT.1
    )
}

impl Scene {
    /// Makes the streams.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn new(url: &str) -> Result<Self> {
        let mut client = Client::connect(&[url.to_owned()])?;
        for (name, subjects) in [(INPUT, SUBJECT), OUTPUT, DEAD_LETTERS] {
            client.create_stream(StreamPlan { name, subjects, replicas: 1 })?;
        }
        Ok(Self { client, book: Book::default() })
    }

    /// Publishes events and writes them down.
    ///
    /// # Errors
    /// If not all of them are stored.
    pub fn publish(&mut self, entries: &[Entry]) -> Result<()> {
        self.book.publish(&mut self.client, SUBJECT, entries)
    }

    /// The epoch of the owner and how far it has come in the stream of events; nothing before there is one.
    pub fn standing(&mut self) -> (u64, u64) {
        let owners = self.in_bucket("owner").unwrap_or_default();
        let cursor = number(&owners, &format!("/cursor/{INPUT}/sequence"));
        (number(&owners, "/epoch").unwrap_or_default(), cursor.unwrap_or_default())
    }

    /// Waits until everything that must come of what was published is there, and the owner knows it; says whether that is so.
    /// It is not if nothing comes any more.
    ///
    /// # Errors
    /// If the streams cannot be read.
    pub fn wait_until_done(&mut self) -> Result<bool> {
        let events = self.client.read(INPUT, SUBJECT)?;
        let wanted = (events.last().map_or(0, |event| event.sequence), outputs(&settle(&events)?));
        let mut last = (0, 0);
        let mut since = Instant::now();
        loop {
            let now = (self.standing().1, self.client.count(OUTPUT.0)?);
            if now.0 >= wanted.0 && now.1 >= wanted.1 && self.is_settled()? {
                return Ok(true);
            }
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > STANDSTILL {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Whether the owner knows of all records that their outputs are stored, those of the owner before included. One that is
    /// stopped before that leaves them to the next.
    fn is_settled(&mut self) -> Result<bool> {
        let (owners, records): (Vec<_>, Vec<_>) =
            self.in_bucket(">")?.into_iter().partition(|entry| entry.subject.ends_with(".owner"));
        let settled = number(&owners, "/settled").unwrap_or_default();
        Ok(records.iter().all(|record| record.sequence <= settled))
    }

    /// How many outputs there are.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn outputs(&mut self) -> Result<u64> {
        self.client.count(OUTPUT.0)
    }

    /// Everything that is there. To be read when no engine lives that might write.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn held(&mut self) -> Result<Held> {
        Ok(Held {
            stream: INPUT.to_owned(),
            events: self.client.read(INPUT, SUBJECT)?,
            outputs: self.client.read(OUTPUT.0, OUTPUT.1)?,
            letters: self.client.read(DEAD_LETTERS.0, &format!("wasmill.dead-letter.{PLUGIN}"))?,
            buckets: vec![self.in_bucket(">")?],
        })
    }

    fn in_bucket(&mut self, keys: &str) -> Result<Vec<Stored>> {
        let bucket = bucket();
        self.client.read(&format!("KV_{bucket}"), &format!("$KV.{bucket}.{keys}"))
    }

    /// Reads everything and compares it with what was published.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn audit(&mut self) -> Result<Findings> {
        let held = self.held()?;
        audit(&self.book, &held)
    }
}

/// A number of the owner's value.
fn number(owners: &[Stored], pointer: &str) -> Option<u64> {
    let owner: Value = serde_json::from_slice(&owners.last()?.payload).ok()?;
    owner.pointer(pointer)?.as_u64()
}

/// How many outputs accounts come to.
fn outputs(accounts: &Accounts) -> u64 {
    let of_events =
        accounts.values().flat_map(|account| &account.counted).map(|event| u64::from(event.outputs));
    of_events.sum::<u64>() + accounts.values().map(|account| account.fires.len() as u64).sum::<u64>()
}

/// The bucket of the only partition.
#[must_use]
pub fn bucket() -> String {
    format!("wasmill-state-{PLUGIN}-0")
}
