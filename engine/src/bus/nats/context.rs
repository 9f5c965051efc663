//! Contexts of the `nats` command line tool: `<config>/nats/context/<name>.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::settings::{NatsSettings, Secret, TlsSettings};
use crate::bus::BusError;

/// What a context file says. Every field may be missing or empty; fields that do not concern the connection are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    url: String,
    user: String,
    password: String,
    token: String,
    creds: String,
    nkey: String,
    cert: String,
    key: String,
    ca: String,
    tls_first: bool,
    inbox_prefix: String,
    jetstream_domain: String,
    // Ways to connect that are not provided for: to pass over them would connect elsewhere or as somebody else.
    nsc: String,
    user_jwt: String,
    socks_proxy: String,
    jetstream_api_prefix: String,
}

/// Fills what the settings leave open from the context that they name, if they name one.
pub(super) fn apply(settings: NatsSettings) -> Result<NatsSettings, BusError> {
    let Some(name) = settings.context.clone() else { return Ok(settings) };
    let path = config_dir()?.join("nats").join("context").join(format!("{}.json", checked(&name)?));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        BusError::Settings(format!(
            "context {name:?}: {}: {error}\n  hint: `nats context ls` lists those there are",
            path.display()
        ))
    })?;
    let context: Context = serde_json::from_str(&text)
        .map_err(|error| BusError::Settings(format!("context {name:?}: {}: {error}", path.display())))?;
    merge(settings, context).map_err(|field| {
        BusError::Settings(format!(
            "context {name:?} sets `{field}`, which is not supported\n  hint: set the connection in the [bus] table instead"
        ))
    })
}

fn merge(mut settings: NatsSettings, context: Context) -> Result<NatsSettings, &'static str> {
    let unsupported = [
        ("nsc", &context.nsc),
        ("user_jwt", &context.user_jwt),
        ("socks_proxy", &context.socks_proxy),
        ("jetstream_api_prefix", &context.jetstream_api_prefix),
    ];
    if let Some((field, _)) = unsupported.iter().find(|(_, value)| !value.is_empty()) {
        return Err(field);
    }
    if !settings.has_identity() {
        // Half of one identity and half of another is neither, so it is taken whole or not at all.
        settings.user = set(context.user);
        settings.password = set(context.password).map(Secret::new);
        settings.token = set(context.token).map(Secret::new);
        settings.creds = set(context.creds).map(PathBuf::from);
        settings.nkey = set(context.nkey).map(PathBuf::from);
    }
    settings.url = settings.url.or(set(context.url));
    settings.inbox_prefix = settings.inbox_prefix.or(set(context.inbox_prefix));
    settings.jetstream_domain = settings.jetstream_domain.or(set(context.jetstream_domain));
    let (ca, cert, key) = (set(context.ca), set(context.cert), set(context.key));
    if ca.is_some() || cert.is_some() || key.is_some() || context.tls_first {
        let tls = settings.tls.get_or_insert_with(TlsSettings::default);
        tls.ca = tls.ca.take().or(ca.map(PathBuf::from));
        if tls.cert.is_none() && tls.key.is_none() {
            tls.cert = cert.map(PathBuf::from);
            tls.key = key.map(PathBuf::from);
        }
        tls.first |= context.tls_first;
    }
    Ok(settings)
}

fn set(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A context's name becomes a file's name, so it must not lead out of the folder.
fn checked(name: &str) -> Result<&str, BusError> {
    if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        return Err(BusError::Settings(format!("context {name:?} is not the name of a context")));
    }
    Ok(name)
}

fn config_dir() -> Result<PathBuf, BusError> {
    if let Some(dir) = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir));
    }
    std::env::home_dir().map(|home| home.join(".config")).ok_or_else(|| {
        BusError::Settings("neither XDG_CONFIG_HOME nor HOME says where contexts are kept".to_owned())
    })
}

/// A path with a leading `~/` replaced by the home directory.
pub(super) fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(json: &str) -> Context {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_set_explicitly_wins() {
        let context =
            context(r#"{"url":"nats://ctx","user":"cu","password":"cp","ca":"ca.pem","description":"x"}"#);
        let explicit = NatsSettings {
            token: Some(Secret::new("t")),
            inbox_prefix: Some("_MINE".into()),
            ..NatsSettings::default()
        };
        let merged = merge(explicit, context).unwrap();
        assert_eq!(merged.url.as_deref(), Some("nats://ctx"));
        assert_eq!(merged.user, None, "an identity is taken whole or not at all");
        assert_eq!(merged.token, Some(Secret::new("t")));
        assert_eq!(merged.inbox_prefix.as_deref(), Some("_MINE"));
        assert_eq!(merged.tls.unwrap().ca, Some("ca.pem".into()));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let refused = merge(NatsSettings::default(), context(r#"{"nsc":"nsc://a/b/c"}"#));
        assert_eq!(refused, Err("nsc"));
        for name in ["", "../x", "a/b", ".hidden"] {
            assert!(checked(name).is_err(), "{name:?}");
        }
    }
}
