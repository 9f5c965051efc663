//! The bucket of one partition: how it is called, and what it holds beside records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bus::{BucketSpec, BusError};
use crate::key;
use crate::manifest::PluginName;
use crate::message::Message;
use crate::record::Reached;
use crate::subject::{Pattern, Subject};

/// Asks the server to drop a record by itself after so many seconds (ADR-43). Where it cannot, the record stays until it is
/// next looked at.
pub(super) const TTL_HEADER: &str = "Nats-TTL";
/// What says that a key was deleted (ADR-8).
const OPERATION: (&str, &str) = ("KV-Operation", "DEL");
/// How long that is said, in seconds: after that, nothing is left of the key.
const REMOVAL_TTL_S: u64 = 3_600;

/// One partition of a plugin's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    name: String,
}

impl Bucket {
    /// The bucket of a partition, from 0.
    #[must_use]
    pub fn new(plugin: &PluginName, partition: u32) -> Self {
        Self { name: format!("wasmill-state-{plugin}-{partition}") }
    }

    /// Its name, as NATS KV knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is made if it is not there.
    #[must_use]
    pub fn spec(&self, replicas: u32) -> BucketSpec {
        BucketSpec { name: self.name.clone(), replicas: replicas as usize }
    }

    /// The stream behind it.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    /// Where the owner stands.
    ///
    /// # Errors
    /// Never, as a plugin's name fits into a subject; the type says so because subjects are checked where they are made.
    pub fn owner(&self) -> Result<Subject, BusError> {
        subject(format!("$KV.{}.owner", self.name))
    }

    /// Where the record of a key stands.
    ///
    /// # Errors
    /// As for [`Bucket::owner`].
    pub fn record(&self, key: &str) -> Result<Subject, BusError> {
        subject(format!("$KV.{}.k.{}", self.name, key::escape(key)))
    }

    /// All records.
    ///
    /// # Errors
    /// As for [`Bucket::owner`].
    pub fn records(&self) -> Result<Pattern, BusError> {
        Pattern::new(format!("$KV.{}.k.*", self.name)).map_err(|err| BusError::Settings(err.to_string()))
    }

    /// The key whose record stands there; none if it is no record's place.
    #[must_use]
    pub fn key_of(&self, subject: &Subject) -> Option<String> {
        let place = subject.as_str().strip_prefix("$KV.")?.strip_prefix(&self.name)?;
        key::unescape(place.strip_prefix(".k.")?)
    }

    /// A record's message.
    ///
    /// # Errors
    /// As for [`Bucket::owner`].
    pub fn message(&self, key: &str, record: Vec<u8>, ttl_s: Option<u64>) -> Result<Message, BusError> {
        let mut message = Message::new(self.record(key)?, record);
        if let Some(ttl_s) = ttl_s {
            message.headers.push(TTL_HEADER, ttl_s.to_string());
        }
        Ok(message)
    }

    /// What takes a record away.
    ///
    /// # Errors
    /// As for [`Bucket::owner`].
    pub fn removal(&self, key: &str) -> Result<Message, BusError> {
        let mut message = self.message(key, Vec::new(), Some(REMOVAL_TTL_S))?;
        message.headers.push(OPERATION.0, OPERATION.1);
        Ok(message)
    }
}

fn subject(text: String) -> Result<Subject, BusError> {
    Subject::new(text).map_err(|err| BusError::Settings(err.to_string()))
}

/// Who owns a partition, and how far it has come: lease, fence and cursor in one value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The engine: a name of this run of it alone.
    pub engine: String,
    /// Which ownership this is, from 1. Taking over raises it.
    pub epoch: u64,
    /// The engine has let go of it: whoever wants it need not wait.
    #[serde(default)]
    pub released: bool,
    /// Into how many partitions the keys were divided.
    pub partitions: u32,
    /// Up to where all events of each stream are done.
    pub cursor: BTreeMap<String, Reached>,
    /// All that records of the bucket up to this sequence emit is stored: what stands in their outboxes is over and done.
    #[serde(default)]
    pub settled: u64,
    /// The plugin clock there, if it goes by events: nanoseconds since the Unix epoch.
    #[serde(default)]
    pub clock_ns: u64,
    /// How often the plugin was reset: what it emits after a reset is not taken for a repeat of what it emitted before.
    #[serde(default)]
    pub resets: u64,
}

impl Owner {
    /// Reads a stored one; a value that is none is taken for one that says nothing.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// Its message.
    ///
    /// # Errors
    /// As for [`Bucket::owner`].
    pub fn message(&self, bucket: &Bucket) -> Result<Message, BusError> {
        let text = serde_json::to_vec(self).map_err(|err| BusError::Settings(err.to_string()))?;
        Ok(Message::new(bucket.owner()?, text))
    }
}
