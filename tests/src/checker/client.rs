//! JetStream over [`Wire`]: requests, publishing with acks, and whatever else the checker asks the server for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Frame, Wire, publication};

/// How long one answer may take before the request is made again on another connection.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the server may be away altogether.
const OUTAGE: Duration = Duration::from_secs(60);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// A client that outlives its connections: it goes to the next server until one answers.
pub struct Client {
    urls: Vec<String>,
    turn: usize,
    wire: Option<Wire>,
    inbox: String,
    requests: u64,
}

/// How a stream is made.
#[derive(Debug, Clone, Copy)]
pub struct StreamPlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// The subjects that it stores.
    pub subjects: &'a str,
    /// How many servers keep it.
    pub replicas: usize,
}

/// What a consumer still has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Backlog {
    /// Messages that were not delivered yet.
    #[serde(rename = "num_pending")]
    pub pending: u64,
    /// Messages delivered and neither acked nor given up.
    #[serde(rename = "num_ack_pending")]
    pub unacked: u64,
    /// Messages among them that were delivered more than once.
    #[serde(rename = "num_redelivered", default)]
    pub redelivered: u64,
}

impl Backlog {
    /// All that is left to do.
    #[must_use]
    pub fn left(self) -> u64 {
        self.pending + self.unacked
    }
}

impl Client {
    /// A client for the first of these servers that answers.
    ///
    /// # Errors
    /// If none does.
    pub fn connect(urls: &[String]) -> Result<Self> {
        let inbox = format!("_INBOX.checker{:016x}", fastrand::u64(..));
        let mut client = Self { urls: urls.to_vec(), turn: 0, wire: None, inbox, requests: 0 };
        client.wire()?;
        Ok(client)
    }

    /// The connection that stands, or the next that can be made.
    fn wire(&mut self) -> Result<&mut Wire> {
        let deadline = Instant::now() + OUTAGE;
        while self.wire.is_none() {
            let url = self.urls.get(self.turn % self.urls.len().max(1)).context("no server is named")?;
            match Wire::connect(url) {
                Ok(mut wire) => {
                    wire.subscribe(&format!("{}.*", self.inbox))?;
                    self.wire = Some(wire);
                }
                Err(err) if Instant::now() > deadline => return Err(err),
                Err(_) => self.next_server(),
            }
        }
        self.wire.as_mut().context("no connection")
    }

    fn next_server(&mut self) {
        self.wire = None;
        self.turn += 1;
        std::thread::sleep(PAUSE);
    }

    /// Asks the JetStream API until there is an answer. An answer that is an error is one too.
    ///
    /// # Errors
    /// If the server is away for too long, or answers with an error.
    pub fn api(&mut self, verb: &str, body: &Value) -> Result<Value> {
        let deadline = Instant::now() + OUTAGE;
        loop {
            let why = match self.ask(&format!("$JS.API.{verb}"), body) {
                Ok(Some(answer)) => match answer.get("error") {
                    None => return Ok(answer),
                    Some(error) if !is_passing(error) => bail!("{verb}: {error}"),
                    Some(error) => error.to_string(),
                },
                Ok(None) => "no answer".to_owned(),
                Err(err) => format!("{err:#}"),
            };
            if Instant::now() > deadline {
                bail!("{verb}: {why}");
            }
            self.next_server();
        }
    }

    fn ask(&mut self, subject: &str, body: &Value) -> Result<Option<Value>> {
        self.requests += 1;
        let reply = format!("{}.r{}", self.inbox, self.requests);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let wire = self.wire()?;
        wire.send(&publication(subject, &reply, &[], body.as_bytes()))?;
        let deadline = Instant::now() + ANSWER;
        while let Some(frame) = wire.next(deadline)? {
            // An answer to an older request may come late.
            if frame.subject == reply {
                return match frame.status {
                    Some(_) => Ok(None),
                    None => Ok(Some(serde_json::from_slice(&frame.payload)?)),
                };
            }
        }
        Ok(None)
    }

    /// Publishes messages with ids, each until its stream has it, and returns their sequences. `window` of them are under
    /// way at once.
    ///
    /// # Errors
    /// If the server is away for too long, or refuses one.
    pub fn publish(
        &mut self,
        subject: &str,
        messages: &[(String, String)],
        window: usize,
    ) -> Result<Vec<u64>> {
        let mut sequences = vec![None; messages.len()];
        let deadline = Instant::now() + OUTAGE;
        loop {
            let missing: Vec<usize> =
                sequences.iter().enumerate().filter(|(_, known)| known.is_none()).map(|(at, _)| at).collect();
            if missing.is_empty() {
                return Ok(sequences.into_iter().flatten().collect());
            }
            for some in missing.chunks(window.max(1)) {
                if let Err(err) = self.publish_some(subject, messages, some, &mut sequences) {
                    if Instant::now() > deadline {
                        return Err(err);
                    }
                    self.next_server();
                }
            }
        }
    }

    fn publish_some(
        &mut self,
        subject: &str,
        messages: &[(String, String)],
        which: &[usize],
        sequences: &mut [Option<u64>],
    ) -> Result<()> {
        self.requests += 1;
        let (inbox, round) = (self.inbox.clone(), self.requests);
        let mut bytes = Vec::new();
        for at in which {
            let Some((id, payload)) = messages.get(*at) else { continue };
            let reply = format!("{inbox}.p{round}-{at}");
            bytes.extend(publication(subject, &reply, &[("Nats-Msg-Id", id)], payload.as_bytes()));
        }
        let wire = self.wire()?;
        wire.send(&bytes)?;
        let prefix = format!("{inbox}.p{round}-");
        let mut left = which.len();
        let deadline = Instant::now() + ANSWER;
        while left > 0 {
            let Some(frame) = wire.next(deadline)? else { bail!("{left} messages were not acked") };
            let Some(at) = frame.subject.strip_prefix(&prefix) else { continue };
            let sequence = sequence_of(&frame)?;
            if let Some(known) = sequences.get_mut(at.parse::<usize>()?) {
                *known = Some(sequence);
            }
            left -= 1;
        }
        Ok(())
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// As [`Client::api`].
    pub fn create_stream(&mut self, plan: StreamPlan<'_>) -> Result<()> {
        let StreamPlan { name, subjects, replicas } = plan;
        let body = json!({
            "name": name, "subjects": [subjects], "num_replicas": replicas, "storage": "file",
            "retention": "limits", "discard": "old", "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "max_consumers": -1, "duplicate_window": 120_000_000_000_u64,
        });
        self.api(&format!("STREAM.CREATE.{name}"), &body).map(drop)
    }

    /// Deletes a stream with its consumers.
    ///
    /// # Errors
    /// As [`Client::api`].
    pub fn delete_stream(&mut self, name: &str) -> Result<()> {
        self.api(&format!("STREAM.DELETE.{name}"), &Value::Null).map(drop)
    }

    /// How many messages a stream holds.
    ///
    /// # Errors
    /// As [`Client::api`].
    pub fn count(&mut self, stream: &str) -> Result<u64> {
        let info = self.api(&format!("STREAM.INFO.{stream}"), &Value::Null)?;
        info.pointer("/state/messages").and_then(Value::as_u64).context("a stream without a count")
    }

    /// Whether a stream has a leader, and all other servers that keep it have what the leader has.
    ///
    /// # Errors
    /// As [`Client::api`].
    pub fn is_replicated(&mut self, stream: &str) -> Result<bool> {
        let info = self.api(&format!("STREAM.INFO.{stream}"), &Value::Null)?;
        let Some(cluster) = info.get("cluster") else { return Ok(true) };
        let leads = cluster.get("leader").and_then(Value::as_str).is_some_and(|leader| !leader.is_empty());
        let is = |replica: &Value, what: &str| replica.get(what).and_then(Value::as_bool).unwrap_or_default();
        let mut replicas = cluster.get("replicas").and_then(Value::as_array).into_iter().flatten();
        Ok(leads && replicas.all(|replica| is(replica, "current") && !is(replica, "offline")))
    }

    /// What a consumer has before it; none if there is no such consumer.
    ///
    /// # Errors
    /// As [`Client::api`].
    pub fn backlog(&mut self, stream: &str, consumer: &str) -> Result<Option<Backlog>> {
        match self.api(&format!("CONSUMER.INFO.{stream}.{consumer}"), &Value::Null) {
            Ok(info) => Ok(Some(serde_json::from_value(info)?)),
            Err(err) if err.to_string().contains("consumer not found") => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// The connection, for whoever reads in another way than by requests.
    pub(super) fn open(&mut self) -> Result<(&mut Wire, String)> {
        self.requests += 1;
        let inbox = format!("{}.b{}", self.inbox, self.requests);
        Ok((self.wire()?, inbox))
    }

    /// Gives the connection up, so that the next request makes another.
    pub(super) fn reconnect(&mut self) {
        self.next_server();
    }
}

/// Errors that pass by themselves: while a cluster chooses a leader, or a server is only just back.
fn is_passing(error: &Value) -> bool {
    error.get("code").and_then(Value::as_u64).is_some_and(|code| code == 503)
}

/// The sequence in a stream's answer to a publish.
fn sequence_of(frame: &Frame) -> Result<u64> {
    if let Some(status) = frame.status {
        bail!("no stream takes it: status {status}");
    }
    let answer: Value = serde_json::from_slice(&frame.payload)?;
    answer
        .get("seq")
        .and_then(Value::as_u64)
        .filter(|_| answer.get("error").is_none())
        .with_context(|| format!("a message was not stored: {answer}"))
}
