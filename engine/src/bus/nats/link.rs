//! The connection: how it is made, what it says about itself, and how everything else waits for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::client::traits::Publisher as _;
use async_nats::connection::State;
use async_nats::message::OutboundMessage;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, PublishErrorKind, ServerAddr};
use tokio::sync::{broadcast, watch};

use super::context::{apply, expand_home};
use super::in_flight::InFlight;
use super::settings::{NatsSettings, without_credentials};
use crate::bus::{BusError, BusEvent};

/// How many connection events a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 256;
/// How many of the server's latest complaints are kept, to tell a refused subscription from a silent one.
const COMPLAINTS_KEPT: usize = 16;
/// The client's buffer for each subscription, in messages. What is over is dropped without a word to the subscriber, so
/// it is far more than any window or prefetch of ours asks for at once; memory is used only as it fills.
const SUBSCRIPTION_BUFFER: usize = 4 * super::settings::MAX_PUBLISH_WINDOW;
/// The longest pause between two attempts to connect, in milliseconds.
const RECONNECT_MAX_MS: u64 = 5_000;
/// The pause after the first failed attempt, in milliseconds; it doubles with each further one.
const RECONNECT_BASE_MS: u64 = 50;
/// How often a waiting operation looks by itself whether the connection is back: the event that says so may be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the connection tells others. It exists before the client does, whose callback feeds it.
pub(super) struct Signals {
    events: broadcast::Sender<BusEvent>,
    /// Counts connections made; a change means that whatever the server knew of us is gone.
    connections: watch::Sender<u64>,
    in_flight: Arc<InFlight>,
    complaints: Mutex<VecDeque<String>>,
}

/// The connection and what is needed to speak about it.
pub(super) struct Link {
    /// The client library's handle.
    pub(super) client: Client,
    /// The servers' addresses, without credentials.
    pub(super) url: Arc<str>,
    /// How long an operation waits for a lost connection to come back, or for an answer.
    pub(super) patience: Duration,
    signals: Arc<Signals>,
    /// The client goes on to say that it is connected after it was closed.
    closed: AtomicBool,
}

/// Connects as the settings say.
pub(super) async fn connect(settings: &NatsSettings, in_flight: Arc<InFlight>) -> Result<Link, BusError> {
    let url = url(settings);
    let shown = without_credentials(url);
    let addresses = addresses(url)?;
    let signals = Arc::new(Signals {
        events: broadcast::Sender::new(EVENTS_KEPT),
        connections: watch::Sender::new(0),
        in_flight,
        complaints: Mutex::default(),
    });
    let listener = Arc::clone(&signals);
    let options = options_for(settings).await?.event_callback(move |event| {
        listener.hear(event);
        std::future::ready(())
    });
    let client = options
        .connect(addresses.as_slice())
        .await
        .map_err(|error| connect_error(&error, &shown, settings))?;
    if !settings.retry_on_initial_connect {
        // The event comes a little after the connection. Heard later, it would pass for a connection made anew.
        let _ =
            tokio::time::timeout(LOOK_AGAIN, signals.connections.subscribe().wait_for(|count| *count > 0))
                .await;
    }
    let patience = Duration::from_millis(settings.request_timeout_ms);
    Ok(Link { client, url: shown.into(), patience, signals, closed: AtomicBool::new(false) })
}

/// How to connect, and as whom.
pub(super) async fn options_for(settings: &NatsSettings) -> Result<ConnectOptions, BusError> {
    identify(options(settings), settings, &addresses(url(settings))?).await
}

fn url(settings: &NatsSettings) -> &str {
    settings.url.as_deref().unwrap_or(NatsSettings::DEFAULT_URL)
}

/// Settings with the context filled in and checked.
pub(super) fn resolve(settings: NatsSettings) -> Result<NatsSettings, BusError> {
    let settings = apply(settings)?;
    settings.fault().map_or(Ok(settings), |fault| Err(BusError::Settings(fault)))
}

fn addresses(url: &str) -> Result<Vec<ServerAddr>, BusError> {
    let parse = |one: &str| {
        let bad = |reason: String| {
            let shown = without_credentials(one);
            BusError::Settings(format!("url {shown:?}: {reason}\n  hint: write it like nats://host:4222"))
        };
        let address: ServerAddr = one.parse().map_err(|error: std::io::Error| bad(error.to_string()))?;
        if address.is_websocket() {
            return Err(bad("WebSocket connections are not supported".to_owned()));
        }
        if address.host().is_empty() { Err(bad("it names no host".to_owned())) } else { Ok(address) }
    };
    let found: Vec<ServerAddr> =
        url.split(',').map(str::trim).filter(|one| !one.is_empty()).map(parse).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(BusError::Settings("url is empty".to_owned())) } else { Ok(found) }
}

fn options(settings: &NatsSettings) -> ConnectOptions {
    // Which cryptography encrypts is a choice for the whole process; if somebody made it before, theirs stands.
    let _ = async_nats::rustls::crypto::ring::default_provider().install_default();
    let started = AtomicBool::new(false);
    let mut options = ConnectOptions::new()
        .name(&settings.name)
        .connection_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .request_timeout(Some(Duration::from_millis(settings.request_timeout_ms)))
        .subscription_capacity(SUBSCRIPTION_BUFFER)
        .max_reconnects(None)
        .reconnect_delay_callback(move |attempt| {
            if started.swap(true, Ordering::Relaxed) { reconnect_pause(attempt) } else { Duration::ZERO }
        });
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    if settings.retry_on_initial_connect {
        options = options.retry_on_initial_connect();
    }
    if let Some(tls) = &settings.tls {
        if let Some(ca) = &tls.ca {
            options = options.add_root_certificates(expand_home(ca));
        }
        if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
            options = options.add_client_certificate(expand_home(cert), expand_home(key));
        }
        if tls.first {
            options = options.tls_first();
        }
        options = options.require_tls(tls.required || tls.first);
    }
    options
}

/// Half of the pause is left to chance, so that engines which lost the same server do not come back all at once.
fn reconnect_pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let full = RECONNECT_BASE_MS.saturating_mul(1 << doublings).min(RECONNECT_MAX_MS);
    Duration::from_millis(full / 2 + fastrand::u64(0..=full / 2))
}

/// Adds who we are. The client library passes over what a URL says of it, so that is read here.
async fn identify(
    options: ConnectOptions,
    settings: &NatsSettings,
    addresses: &[ServerAddr],
) -> Result<ConnectOptions, BusError> {
    let unreadable =
        |what: &str, error: std::io::Error| BusError::Settings(format!("`{what}` cannot be used: {error}"));
    if let Some(creds) = &settings.creds {
        let path = expand_home(creds);
        return options.credentials_file(path).await.map_err(|error| unreadable("creds", error));
    }
    if let Some(file) = &settings.nkey {
        let path = expand_home(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            BusError::Settings(format!("`nkey` cannot be used: {}: {error}", path.display()))
        })?;
        let seed = text.lines().map(str::trim).find(|line| line.starts_with('S')).ok_or_else(|| {
            let path = path.display();
            BusError::Settings(format!("`nkey`: {path} holds no seed: no line begins with S"))
        })?;
        return Ok(options.nkey(seed.to_owned()));
    }
    if let Some(token) = &settings.token {
        return Ok(options.token(token.reveal().to_owned()));
    }
    if let Some(user) = &settings.user {
        let password = settings.password.as_ref().map_or("", |password| password.reveal());
        return Ok(options.user_and_password(user.clone(), password.to_owned()));
    }
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Ok(match addresses.iter().find_map(|address| address.username().map(|user| (user, address.password()))) {
        Some((user, Some(password))) => options.user_and_password(plain(user), plain(password)),
        Some((token, None)) => options.token(plain(token)),
        None => options,
    })
}

fn connect_error(error: &async_nats::ConnectError, url: &str, settings: &NatsSettings) -> BusError {
    let operation = "connect".to_owned();
    let reason = match error.kind() {
        ConnectErrorKind::ServerParse => return BusError::Settings(format!("url {url:?}: {error}")),
        ConnectErrorKind::Authentication => {
            return BusError::Settings(format!("{error}\n  hint: the seed in `nkey` or `creds` is damaged"));
        }
        ConnectErrorKind::AuthorizationViolation => {
            let hint =
                if settings.has_identity() || settings.url.as_deref().is_some_and(|url| url.contains('@')) {
                    "the server at this address does not know this user, or the secret is wrong"
                } else {
                    "the server wants to know who connects: set user, token, creds, nkey or context in [bus]"
                };
            return BusError::Refused {
                operation: format!("connect to {url}"),
                reason: format!("{error}\n  hint: {hint}"),
            };
        }
        _ => format!("{error}\n  hint: is the server running, and are the address and [bus.tls] right?"),
    };
    BusError::Disconnected { operation, url: url.to_owned(), reason }
}

impl Signals {
    fn hear(&self, event: Event) {
        match event {
            Event::Connected => {
                self.connections.send_modify(|count| *count += 1);
                self.tell(BusEvent::Connected);
            }
            Event::Disconnected => {
                self.in_flight.fail_all();
                self.tell(BusEvent::Disconnected);
            }
            Event::SlowConsumer(id) => {
                // The subscriptions that may lose messages are emptied by tasks that only move them on, so this
                // speaks of an overloaded process. Which subscription it was is not to be had from the library.
                self.tell(BusEvent::Dropped { subject: format!("(subscription {id})"), count: 1 });
            }
            Event::ServerError(error) => {
                tracing::warn!(%error, "the NATS server complains");
                let mut complaints = lock(&self.complaints);
                if complaints.len() >= COMPLAINTS_KEPT {
                    complaints.pop_front();
                }
                complaints.push_back(error.to_string());
            }
            Event::ClientError(error) => tracing::warn!(%error, "NATS client"),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    fn tell(&self, event: BusEvent) {
        // Nobody may be listening: that is for them to choose.
        let _ = self.events.send(event);
    }
}

impl Link {
    /// Whether there is a connection now.
    pub(super) fn is_connected(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && self.client.connection_state() == State::Connected
    }

    /// Whether it was closed for good.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Ends the connection once all that was sent is written. What is tried from now on fails at once.
    pub(super) async fn close(&self) -> Result<(), BusError> {
        self.closed.store(true, Ordering::Relaxed);
        self.client.drain().await.map_err(|error| self.disconnected("close", error.to_string()))
    }

    /// Changes with every connection made.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.signals.connections.subscribe()
    }

    /// A listener for what happens to the connection.
    pub(super) fn events(&self) -> broadcast::Receiver<BusEvent> {
        self.signals.events.subscribe()
    }

    /// Says what happened, to whoever listens.
    pub(super) fn tell(&self, event: BusEvent) {
        self.signals.tell(event);
    }

    /// Takes out the server's latest complaint that names this text between quotes, if there is one.
    pub(super) fn complaint_about(&self, text: &str) -> Option<String> {
        let quoted = format!("\"{text}\"");
        let mut complaints = lock(&self.signals.complaints);
        let found = complaints.iter().rposition(|complaint| complaint.contains(&quoted))?;
        complaints.remove(found)
    }

    /// Waits for the connection if it is lost. What is handed to the client without one would be sent later, when its
    /// caller has long given it up and tried again.
    pub(super) async fn ready(&self, operation: &str) -> Result<(), BusError> {
        if self.is_connected() {
            return Ok(());
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(self.disconnected(operation, "the bus is closed"));
        }
        let mut connections = self.connections();
        let back = async {
            while !self.is_connected() {
                // An error means that the client is gone; the pause and the deadline deal with that too.
                let _ = tokio::time::timeout(LOOK_AGAIN, connections.changed()).await;
            }
        };
        tokio::time::timeout(self.patience, back)
            .await
            .map_err(|_| self.disconnected(operation, "still trying"))
    }

    /// The error for an operation without a connection.
    pub(super) fn disconnected(&self, operation: &str, reason: impl Into<String>) -> BusError {
        BusError::Disconnected {
            operation: operation.to_owned(),
            url: self.url.to_string(),
            reason: reason.into(),
        }
    }

    /// Hands a message to the client.
    pub(super) async fn send(&self, operation: &str, message: OutboundMessage) -> Result<(), BusError> {
        self.hand_over(&self.client, operation, message).await
    }

    /// Hands a message to a client of the same server. If this is dropped before it is done, the message is not sent.
    pub(super) async fn hand_over(
        &self,
        client: &Client,
        operation: &str,
        message: OutboundMessage,
    ) -> Result<(), BusError> {
        let subject = message.subject.clone();
        let payload_bytes = message.payload.len();
        client.publish_message(message).await.map_err(|error| match error.kind() {
            PublishErrorKind::Send => self.disconnected(operation, "the connection is closed"),
            PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge {
                subject: subject.to_string(),
                bytes: payload_bytes,
                limit: client.max_payload(),
            },
            PublishErrorKind::InvalidSubject => BusError::Refused {
                operation: operation.to_owned(),
                reason: format!("subject {:?} is not valid", subject.as_str()),
            },
        })
    }
}

/// Locks, whether or not somebody panicked while holding it: what is guarded here is valid between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_refused_show_no_secret() {
        for url in ["", " , ", "http://u:secret@h", "ws://h", "nats://u:secret@h:notaport"] {
            let error = addresses(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(addresses("nats://a:1, b").unwrap().len(), 2);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        for attempt in [1, 2, 10, usize::MAX] {
            let pause = reconnect_pause(attempt);
            assert!(pause <= Duration::from_millis(RECONNECT_MAX_MS), "{attempt}: {pause:?}");
            assert!(pause >= Duration::from_millis(RECONNECT_BASE_MS / 2), "{attempt}: {pause:?}");
        }
    }
}
