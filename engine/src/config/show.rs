//! Shows a configuration as it took effect, with secrets left out.

use toml::{Table, Value};

use super::Settings;
use super::layers::{Loaded, Origin};
use crate::bus::nats::NatsSettings;

/// What stands in place of a secret.
const HIDDEN: &str = "<secret>";

/// The settings in effect as `wasmill.toml` would say them, paths resolved and secrets hidden.
///
/// # Errors
/// If a path is not UTF-8, which TOML cannot hold.
pub fn effective(loaded: &Loaded, settings: &Settings) -> Result<Table, toml::ser::Error> {
    let config = &loaded.config;
    let mut table = Table::new();
    table.insert("bus".into(), Value::Table(bus(&settings.bus)?));
    table.insert(
        "plugins".into(),
        Value::try_from(super::Plugins {
            dir: settings.plugins_dir.clone(),
            runners: settings.runners_dir.clone(),
        })?,
    );
    table.insert("admin".into(), Value::try_from(&config.admin)?);
    table.insert("data".into(), Value::try_from(super::Data { dir: settings.data_dir.clone() })?);
    table.insert("delivery".into(), Value::try_from(&config.delivery)?);
    table.insert("log".into(), Value::try_from(&config.log)?);
    table.insert("stop".into(), Value::try_from(&config.stop)?);
    table.insert("streams".into(), Value::try_from(&config.streams)?);
    Ok(table)
}

/// Every setting in effect on a line of its own, with where it came from.
#[must_use]
pub fn with_origins(loaded: &Loaded, effective: &Table) -> Vec<(String, String, Origin)> {
    let mut lines = Vec::new();
    flatten("", &Value::Table(effective.clone()), &mut |key, value| {
        let origin = loaded.origin(&key);
        lines.push((key, value.to_string(), origin));
    });
    lines
}

fn flatten(prefix: &str, value: &Value, line: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, line);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            for (at, item) in list.iter().enumerate() {
                flatten(&format!("{prefix}[{at}]"), item, line);
            }
        }
        _ => line(prefix.to_owned(), value),
    }
}

/// Written out field by field: a setting added to the bus does not compile here until somebody has decided whether it is
/// a secret.
fn bus(settings: &NatsSettings) -> Result<Table, toml::ser::Error> {
    let NatsSettings {
        url,
        context,
        name,
        user,
        password,
        token,
        creds,
        nkey,
        tls,
        jetstream_domain,
        inbox_prefix,
        connect_timeout_ms,
        retry_on_initial_connect,
        request_timeout_ms,
        publish_window,
        publish_ack_timeout_ms,
    } = settings;
    let hidden = |set: bool| set.then_some(HIDDEN);
    let shown_url = match (url, context) {
        (Some(url), _) => Some(without_login(url)),
        (None, Some(_)) => None,
        (None, None) => Some(NatsSettings::DEFAULT_URL.to_owned()),
    };
    let mut table = Table::new();
    put(&mut table, "url", shown_url)?;
    put(&mut table, "context", context.as_ref())?;
    put(&mut table, "name", Some(name))?;
    put(&mut table, "user", user.as_ref())?;
    put(&mut table, "password", hidden(password.is_some()))?;
    put(&mut table, "token", hidden(token.is_some()))?;
    put(&mut table, "creds", creds.as_ref())?;
    put(&mut table, "nkey", nkey.as_ref())?;
    put(&mut table, "jetstream_domain", jetstream_domain.as_ref())?;
    put(&mut table, "inbox_prefix", inbox_prefix.as_ref())?;
    put(&mut table, "connect_timeout_ms", Some(connect_timeout_ms))?;
    put(&mut table, "retry_on_initial_connect", Some(retry_on_initial_connect))?;
    put(&mut table, "request_timeout_ms", Some(request_timeout_ms))?;
    put(&mut table, "publish_window", Some(publish_window))?;
    put(&mut table, "publish_ack_timeout_ms", Some(publish_ack_timeout_ms))?;
    if let Some(tls) = tls {
        let mut inner = Table::new();
        put(&mut inner, "ca", tls.ca.as_ref())?;
        put(&mut inner, "cert", tls.cert.as_ref())?;
        put(&mut inner, "key", tls.key.as_ref())?;
        put(&mut inner, "first", Some(tls.first))?;
        put(&mut inner, "required", Some(tls.required))?;
        table.insert("tls".into(), Value::Table(inner));
    }
    Ok(table)
}

fn put(table: &mut Table, key: &str, value: Option<impl serde::Serialize>) -> Result<(), toml::ser::Error> {
    if let Some(value) = value {
        table.insert(key.to_owned(), Value::try_from(value)?);
    }
    Ok(())
}

/// A list of server addresses in which user, password and token are hidden.
fn without_login(urls: &str) -> String {
    let hide = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme), rest));
        let rest =
            rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("{HIDDEN}@{host}"));
        scheme.map_or(rest.clone(), |scheme| format!("{scheme}://{rest}"))
    };
    urls.split(',').map(|url| hide(url.trim())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::layers::{Sources, load};

    fn shown(text: &str) -> (Loaded, Table) {
        let file = Some((PathBuf::from("wasmill.toml"), text.to_owned()));
        let loaded = load(&Sources { file, ..Sources::default() }).unwrap();
        let table = effective(&loaded, &loaded.settings().unwrap()).unwrap();
        (loaded, table)
    }

    #[test]
    fn secrets_stay_hidden() {
        let (_, table) = shown("[bus]\nurl = \"nats://u:hunter2@a:1,b\"\ntoken = \"hunter2\"\n");
        let text = toml::to_string(&table).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("url = \"nats://<secret>@a:1,b\""), "{text}");
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let (_, table) =
            shown("[[streams]]\nname = \"A\"\nsubjects = [\"a.>\"]\n[bus.tls]\nca = \"ca.pem\"\n");
        let again: super::super::Config = table.try_into().unwrap();
        assert_eq!(again.streams.len(), 1);
        assert_eq!(again.bus.url.as_deref(), Some("nats://127.0.0.1:4222"));
    }

    #[test]
    fn every_line_says_where_it_came_from() {
        let (loaded, table) = shown("[log]\nlevel = \"warn\"\n");
        let lines = with_origins(&loaded, &table);
        let line = |key: &str| lines.iter().find(|(have, ..)| have == key).unwrap();
        assert_eq!(line("log.level").2.to_string(), "wasmill.toml:2");
        assert_eq!(line("stop.grace_s").1, "30");
        assert_eq!(line("stop.grace_s").2, Origin::Default);
    }
}
