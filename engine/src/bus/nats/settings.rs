//! How to reach the server: the `[bus]` table of `wasmill.toml`.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::subject::Subject;

/// Text that must not show in logs, errors or debug output.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that hands it to the server.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where the NATS servers are, who we are to them, and how much may be under way.
///
/// At most one kind of identity may be set: user and password, token, creds or nkey. Paths may begin with `~/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// The servers, one or several separated by commas: `nats://host:4222`, or `tls://` to insist on encryption.
    /// Default `nats://127.0.0.1:4222`.
    pub url: Option<String>,
    /// Name of a context of the `nats` command line tool to take the connection from. What is set here wins over it.
    pub context: Option<String>,
    /// The name that the server's monitoring shows for this connection.
    pub name: String,
    /// User name.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<Secret>,
    /// Token.
    pub token: Option<Secret>,
    /// A credentials file: user JWT and seed.
    pub creds: Option<PathBuf>,
    /// A file that holds an nkey seed.
    pub nkey: Option<PathBuf>,
    /// Encryption. Also used without being set when the server or the URL asks for it.
    pub tls: Option<TlsSettings>,
    /// The JetStream domain, if the streams are not in the default one.
    pub jetstream_domain: Option<String>,
    /// The prefix of the subjects on which answers come in. Set it where the account's permissions ask for one.
    /// The user must be allowed to publish to it too: round trips are proven that way. Default `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// How long one attempt to connect may take, in milliseconds.
    #[schemars(range(min = 1))]
    pub connect_timeout_ms: u64,
    /// Start without a server and keep trying. Otherwise the first connection must succeed. A connection that was
    /// lost is always tried again for ever.
    pub retry_on_initial_connect: bool,
    /// How long to wait for the server's answer to a request other than a publish, in milliseconds.
    #[schemars(range(min = 1))]
    pub request_timeout_ms: u64,
    /// How many publishes may wait for their stream's answer at once.
    #[schemars(range(min = 1, max = 65_536))]
    pub publish_window: usize,
    /// How long to wait for a stream's answer to a publish, in milliseconds.
    #[schemars(range(min = 1))]
    pub publish_ack_timeout_ms: u64,
}

/// The largest [`NatsSettings::publish_window`].
pub const MAX_PUBLISH_WINDOW: usize = 65_536;

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: None,
            context: None,
            name: "wasmill".to_owned(),
            user: None,
            password: None,
            token: None,
            creds: None,
            nkey: None,
            tls: None,
            jetstream_domain: None,
            inbox_prefix: None,
            connect_timeout_ms: 5_000,
            retry_on_initial_connect: false,
            request_timeout_ms: 5_000,
            publish_window: 1_024,
            publish_ack_timeout_ms: 5_000,
        }
    }
}

/// Encryption of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// A file with the certificates of the authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// A file with our certificate, if the server asks for one.
    pub cert: Option<PathBuf>,
    /// A file with the key of our certificate.
    pub key: Option<PathBuf>,
    /// Shake hands before the server's greeting, as servers with `handshake_first` want it.
    pub first: bool,
    /// Refuse a connection that is not encrypted.
    pub required: bool,
}

impl NatsSettings {
    /// The default servers, for settings that name none.
    pub const DEFAULT_URL: &'static str = "nats://127.0.0.1:4222";

    /// Settings for one URL, all else by default.
    #[must_use]
    pub fn for_url(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// Where the servers are, for logs: no credentials in it.
    #[must_use]
    pub fn address(&self) -> String {
        match (&self.url, &self.context) {
            (Some(url), _) => without_credentials(url),
            (None, Some(context)) => format!("context {context}"),
            (None, None) => Self::DEFAULT_URL.to_owned(),
        }
    }

    /// Whether the settings say who we are, so that an identity from elsewhere must not be mixed in.
    pub(super) fn has_identity(&self) -> bool {
        self.user.is_some()
            || self.password.is_some()
            || self.token.is_some()
            || self.creds.is_some()
            || self.nkey.is_some()
    }

    /// What is wrong with the figures and their combination, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let kinds = [
            ("user", self.user.is_some()),
            ("token", self.token.is_some()),
            ("creds", self.creds.is_some()),
            ("nkey", self.nkey.is_some()),
        ];
        let set: Vec<&str> = kinds.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        if set.len() > 1 {
            return Some(format!(
                "{} are set together\n  hint: keep one kind of identity",
                set.join(" and ")
            ));
        }
        if self.password.is_some() && self.user.is_none() {
            return Some("`password` is set without `user`".to_owned());
        }
        if let Some(tls) = &self.tls
            && tls.cert.is_some() != tls.key.is_some()
        {
            return Some("`tls.cert` and `tls.key` go together: one is set without the other".to_owned());
        }
        // Both become part of subjects.
        let parts = [("inbox_prefix", &self.inbox_prefix), ("jetstream_domain", &self.jetstream_domain)];
        for (name, part) in parts {
            if let Some(Err(error)) = part.as_ref().map(|part| Subject::new(part.as_str())) {
                return Some(format!("`{name}`: {error}"));
            }
        }
        let positive = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("publish_ack_timeout_ms", self.publish_ack_timeout_ms),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Some(format!("`{name}` is 0: nothing could succeed in that time"));
        }
        if self.publish_window == 0 || self.publish_window > MAX_PUBLISH_WINDOW {
            let window = self.publish_window;
            return Some(format!("`publish_window` is {window}, outside 1 to {MAX_PUBLISH_WINDOW}"));
        }
        None
    }
}

/// The same addresses with user, password and token left out, for errors and logs.
pub(super) fn without_credentials(urls: &str) -> String {
    let shown = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    };
    urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(shown).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let settings = NatsSettings { password: Some(Secret::new("hunter2")), ..NatsSettings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
        for (url, wanted) in [
            ("nats://u:p@a:1,nats://b:2", "nats://a:1,nats://b:2"),
            ("tok@a", "a"),
            ("tls://u:p@@a:1, b", "tls://a:1,b"),
        ] {
            assert_eq!(without_credentials(url), wanted);
        }
    }

    #[test]
    fn contradictions_are_named() {
        let base = NatsSettings::default;
        for (settings, wanted) in [
            (
                NatsSettings { user: Some("u".into()), token: Some(Secret::new("t")), ..base() },
                "user and token",
            ),
            (NatsSettings { password: Some(Secret::new("p")), ..base() }, "without `user`"),
            (NatsSettings { publish_window: 0, ..base() }, "publish_window"),
            (NatsSettings { connect_timeout_ms: 0, ..base() }, "connect_timeout_ms"),
            (NatsSettings { inbox_prefix: Some("a.*".into()), ..base() }, "inbox_prefix"),
            (NatsSettings { jetstream_domain: Some("a b".into()), ..base() }, "jetstream_domain"),
            (
                NatsSettings {
                    tls: Some(TlsSettings { cert: Some("c".into()), ..Default::default() }),
                    ..base()
                },
                "go together",
            ),
        ] {
            let fault = settings.fault().unwrap();
            assert!(fault.contains(wanted), "{fault}");
        }
        assert_eq!(base().fault(), None);
    }
}
