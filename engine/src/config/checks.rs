//! Turns a merged configuration into [`Settings`]: everything that makes sense only in context is checked here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::layers::{Loaded, Origin};
use super::{ConfigError, Settings, Stream};
use crate::subject::{OWN_FIRST_TOKEN, Pattern, is_stream_name};

impl Loaded {
    /// Checks everything and resolves paths: those of the file count from its folder, those of flags and variables from
    /// the working directory, and defaults from the file's folder if there is a file.
    ///
    /// # Errors
    /// All findings, each with the source of the setting.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let mut findings = Vec::new();
        let at = |key: &str, fault: &str| format!("{}: {key}: {fault}", self.origin(key));
        if let Some(fault) = self.config.bus.fault() {
            let origin =
                self.origins.iter().find(|(key, _)| key.starts_with("bus.")).map(|(_, origin)| origin);
            findings.push(format!("{}: bus: {fault}", origin.unwrap_or(&Origin::Default)));
        }
        let admin = match listen_address(&self.config.admin.listen) {
            Ok(address) => address,
            Err(fault) => {
                findings.push(at("admin.listen", &fault));
                None
            }
        };
        for (key, path) in [("plugins.dir", &self.config.plugins.dir), ("data.dir", &self.config.data.dir)] {
            if path.as_os_str().is_empty() {
                findings.push(at(key, "is empty"));
            }
        }
        let delivery = &self.config.delivery;
        for (key, value, most) in [
            ("delivery.in_flight_events", delivery.in_flight_events, u64::from(u32::MAX)),
            ("delivery.in_flight_mib", delivery.in_flight_mib, 1_048_576),
        ] {
            if !(1..=most).contains(&value) {
                findings.push(at(key, &format!("is {value}, not between 1 and {most}")));
            }
        }
        if let Err(fault) = log_targets(&self.config.log.level) {
            findings.push(at("log.level", &fault));
        }
        for (place, fault) in stream_faults(&self.config.streams) {
            findings.push(at(&format!("streams[{place}]"), &fault));
        }
        if findings.is_empty() { Ok(self.resolved(admin)) } else { Err(ConfigError(findings)) }
    }

    fn resolved(&self, admin: Option<SocketAddr>) -> Settings {
        let mut bus = self.config.bus.clone();
        for (key, path) in [("bus.creds", &mut bus.creds), ("bus.nkey", &mut bus.nkey)] {
            *path = path.take().map(|path| self.resolve(key, &path));
        }
        if let Some(tls) = &mut bus.tls {
            for (key, path) in
                [("bus.tls.ca", &mut tls.ca), ("bus.tls.cert", &mut tls.cert), ("bus.tls.key", &mut tls.key)]
            {
                *path = path.take().map(|path| self.resolve(key, &path));
            }
        }
        Settings {
            bus,
            plugins_dir: self.resolve("plugins.dir", &self.config.plugins.dir),
            runners_dir: self.config.plugins.runners.as_ref().map(|dir| self.resolve("plugins.runners", dir)),
            admin,
            data_dir: self.resolve("data.dir", &self.config.data.dir),
            streams: self.config.streams.iter().map(Stream::spec).collect(),
            delivery: self.config.delivery.settings(),
            log: self.config.log.clone(),
            stop_grace: std::time::Duration::from_secs(self.config.stop.grace_s),
        }
    }

    fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        let folder = self.file.as_deref().and_then(Path::parent);
        match (self.origin(key), folder) {
            (Origin::Default | Origin::File(..), Some(folder)) if !path.starts_with("~") => folder.join(path),
            _ => path.to_owned(),
        }
    }
}

fn listen_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" | "off" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            format!(
                "{text:?} is no address with a port\n  hint: as in 127.0.0.1:9464 or [::1]:9464, or \"off\""
            )
        }),
    }
}

/// Reads `log.level`.
///
/// # Errors
/// Names the part that is no level.
pub fn log_targets(text: &str) -> Result<Targets, String> {
    for part in text.split(',') {
        let (target, level) =
            part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        if target == Some("") || level.trim().parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{part:?} is no level\n  hint: off, error, warn, info, debug, trace, and exceptions as in info,async_nats=warn"
            ));
        }
    }
    text.parse().map_err(|err| format!("{text:?}: {err}"))
}

fn stream_faults(streams: &[Stream]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (at, stream) in streams.iter().enumerate() {
        let mut fault = |text: String| faults.push((at, text));
        if !is_stream_name(&stream.name) {
            fault(format!(
                "{:?} is no stream name\n  hint: visible ASCII without '.', '*', '>', '/' and '\\', as in PAYMENTS",
                stream.name
            ));
        }
        if !names.insert(&stream.name) {
            fault(format!("stream {:?} is declared twice", stream.name));
        }
        if stream.subjects.is_empty() {
            fault(format!("stream {:?} has no subjects", stream.name));
        }
        // The engine's own streams may be declared, to be given other limits.
        let own = format!("{OWN_FIRST_TOKEN}.");
        let open = |pattern: &&Pattern| pattern.reaches_reserved() && !pattern.as_str().starts_with(&own);
        if let Some(open) = stream.subjects.iter().find(open) {
            fault(format!("subjects: {open} begins with a wildcard or is reserved for NATS itself"));
        }
        if !(1..=5).contains(&stream.replicas) {
            fault(format!("replicas is {}, not between 1 and 5", stream.replicas));
        }
        for (key, value) in [
            ("duplicate_window_s", Some(stream.duplicate_window_s)),
            ("max_bytes", stream.max_bytes),
            ("max_age_s", stream.max_age_s),
        ] {
            if value == Some(0) {
                fault(format!("{key} is 0\n  hint: leave it out for the default"));
            }
        }
        if stream.max_age_s.is_some_and(|age| age < stream.duplicate_window_s) {
            fault("duplicate_window_s is longer than max_age_s: the server refuses that".into());
        }
        for earlier in streams.iter().take(at) {
            let shared = |pattern: &&crate::subject::Pattern| {
                earlier.subjects.iter().any(|other| other.overlaps(pattern))
            };
            if let Some(pattern) = stream.subjects.iter().find(shared) {
                fault(format!(
                    "subjects: {pattern} overlaps stream {:?}: a message can be in one stream only",
                    earlier.name
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{FlagSetting, Sources, load};

    fn settings(text: &str, flags: &[(&'static str, &'static str, &str)]) -> Result<Settings, ConfigError> {
        let file = (!text.is_empty()).then(|| (PathBuf::from("etc/wasmill.toml"), text.to_owned()));
        let flags =
            flags.iter().map(|&(flag, key, value)| FlagSetting { flag, key, value: value.into() }).collect();
        load(&Sources { file, env: Vec::new(), flags })?.settings()
    }

    #[test]
    fn paths_count_from_where_they_are_written() {
        const FILE: &str =
            "[plugins]\ndir = \"p\"\n[bus]\ncreds = \"me.creds\"\n[bus.tls]\nca = \"~/ca.pem\"\n";
        let from_file = settings(FILE, &[]).unwrap();
        assert_eq!(from_file.plugins_dir, Path::new("etc/p"));
        assert_eq!(from_file.data_dir, Path::new("etc/.wasmill"));
        assert_eq!(from_file.bus.creds.as_deref(), Some(Path::new("etc/me.creds")));
        assert_eq!(from_file.bus.tls.unwrap().ca.as_deref(), Some(Path::new("~/ca.pem")));
        let from_flag = settings(FILE, &[("--plugins-dir", "plugins.dir", "q")]).unwrap();
        assert_eq!(from_flag.plugins_dir, Path::new("q"));
        assert_eq!(settings("", &[]).unwrap().plugins_dir, Path::new("plugins"));
    }

    #[test]
    fn the_admin_api_can_be_turned_off() {
        for (text, wanted) in
            [("off", None), ("", None), ("[::1]:80", Some("[::1]:80")), ("127.0.0.1:0", Some("127.0.0.1:0"))]
        {
            assert_eq!(
                listen_address(text).unwrap(),
                wanted.map(|address| address.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn faults_are_named_with_their_source() {
        const STREAM: &str = "[[streams]]\nname = \"A\"\nsubjects = [\"a.>\"]\n";
        for (text, wanted) in [
            ("[admin]\nlisten = \"9464\"", "etc/wasmill.toml:2: admin.listen: \"9464\" is no address"),
            ("[admin]\nlisten = \"localhost:1\"", "is no address"),
            ("[plugins]\ndir = \"\"", "plugins.dir: is empty"),
            ("[log]\nlevel = \"inf\"", "log.level: \"inf\" is no level"),
            ("[log]\nlevel = \"info,=warn\"", "is no level"),
            ("[bus]\nuser = \"u\"\ntoken = \"t\"", "bus: user and token"),
            ("[[streams]]\nname = \"a.b\"\nsubjects = [\"a\"]", "no stream name"),
            ("[[streams]]\nname = \"A\"\nsubjects = []", "no subjects"),
            ("[[streams]]\nname = \"A\"\nsubjects = [\">\"]", "begins with a wildcard"),
            ("[[streams]]\nname = \"A\"\nsubjects = [\"a\"]\nreplicas = 0", "replicas is 0"),
            ("[[streams]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_age_s = 0", "max_age_s is 0"),
            ("[[streams]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_age_s = 5", "longer than max_age_s"),
            (&format!("{STREAM}{STREAM}"), "etc/wasmill.toml:4: streams[1]: stream \"A\" is declared twice"),
            (&format!("{STREAM}{}", STREAM.replace("\"A\"", "\"B\"")), "a.> overlaps stream \"A\""),
        ] {
            let err = settings(text, &[]).unwrap_err().to_string();
            assert!(err.contains(wanted), "{text:?} gave {err}");
        }
        let err = settings("[admin]\nlisten = \"x\"\n[data]\ndir = \"\"\n", &[]).unwrap_err();
        assert_eq!(err.0.len(), 2);
    }

    #[test]
    fn levels_that_are_read() {
        for text in ["info", "off", "info,async_nats=warn", "wasmill::sandbox=trace", "WARN"] {
            assert!(log_targets(text).is_ok(), "{text}");
        }
    }
}
