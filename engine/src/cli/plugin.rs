//! `wasmill plugin`: what a running engine does, asked through its admin API.

use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use super::out::{self, Format, grouped};
use super::settings::{FileFlag, read_plain};
use crate::artifact::Artifact;
use crate::manifest::PluginName;
use crate::status::{FailureStatus, PluginList, PluginStatus, VersionStatus};

/// An engine answers at once, but a rollback waits until the version before runs.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As much of a digest as tells versions apart at a glance.
const SHORT_DIGEST: usize = 12;

/// See and steer the plugins of a running engine
#[derive(Debug, clap::Subcommand)]
pub enum PluginCommand {
    /// List the plugins
    Ls {
        /// The engine.
        #[command(flatten)]
        engine: EngineFlag,
    },
    /// Show all about one plugin
    Show {
        /// Its name
        name: String,
        /// The engine.
        #[command(flatten)]
        engine: EngineFlag,
    },
    /// Put the version before the present one back into service
    Rollback {
        /// Its name
        name: String,
        /// The engine.
        #[command(flatten)]
        engine: EngineFlag,
    },
}

/// Which engine, and how to write its answer.
#[derive(Debug, clap::Args)]
pub struct EngineFlag {
    /// The engine's admin API [default: admin.listen of the configuration]
    #[arg(long, value_name = "URL", env = "WASMILL_ADMIN_URL")]
    admin: Option<String>,
    #[command(flatten)]
    config: FileFlag,
    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Runs the command.
///
/// # Errors
/// Exit code 4 if no engine answers, 1 if it refuses.
pub fn run(command: &PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::Ls { engine } => {
            let list: PluginList = Api::new(engine)?.get("api/plugins")?;
            match engine.output {
                Format::Json => out::json(&list),
                Format::Text => out::data(listed(&list)),
            }
        }
        PluginCommand::Show { name, engine } => {
            let name = PluginName::new(name.as_str())?;
            told(&Api::new(engine)?.get(&format!("api/plugins/{name}"))?, engine.output)
        }
        PluginCommand::Rollback { name, engine } => {
            let name = PluginName::new(name.as_str())?;
            told(&Api::new(engine)?.post(&format!("api/plugins/{name}/rollback"))?, engine.output)
        }
    }
}

fn told(status: &PluginStatus, output: Format) -> Result<(), Failure> {
    match output {
        Format::Json => out::json(status),
        Format::Text => out::data(described(status)),
    }
}

struct Api {
    agent: ureq::Agent,
    base: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Api {
    fn new(engine: &EngineFlag) -> Result<Self, Failure> {
        let base = match &engine.admin {
            Some(url) if url.contains("://") => url.trim_end_matches('/').to_owned(),
            Some(address) => format!("http://{address}"),
            None => {
                let settings = read_plain(&engine.config)?.settings()?;
                let mut address = settings.admin.ok_or_else(|| {
                    anyhow!("the configuration turns the admin API off\n  hint: set admin.listen, or name an engine with --admin")
                })?;
                if address.ip().is_unspecified() {
                    // An engine that listens everywhere listens here too.
                    address.set_ip(if address.is_ipv4() {
                        [127, 0, 0, 1].into()
                    } else {
                        std::net::Ipv6Addr::LOCALHOST.into()
                    });
                }
                format!("http://{address}")
            }
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        Ok(Self { agent, base })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = format!("{}/{path}", self.base);
        self.read(&url, self.agent.get(&url).call())
    }

    fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = format!("{}/{path}", self.base);
        self.read(&url, self.agent.post(&url).send_empty())
    }

    fn read<T: DeserializeOwned>(
        &self,
        url: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let mut answer = answer.map_err(|error| {
            let base = &self.base;
            Failure::new(
                Exit::Engine,
                anyhow!("no engine answers at {base}: {error}\n  hint: is `wasmill run` up, with admin.listen set to this address?"),
            )
        })?;
        let status = answer.status();
        let body = answer.body_mut();
        if status.is_success() {
            return Ok(body.read_json().with_context(|| format!("{url}: this is no answer of an engine"))?);
        }
        let text = body.read_to_string().unwrap_or_default();
        let reason =
            serde_json::from_str(&text).map_or_else(|_| status.to_string(), |refusal: Refusal| refusal.error);
        Err(anyhow!("{reason}").into())
    }
}

fn listed(list: &PluginList) -> String {
    let heading = [
        "NAME",
        "STATE",
        "VERSION",
        "DIGEST",
        "RECEIVED",
        "DONE",
        "RETRIED",
        "DEAD",
        "DROPPED",
        "OUTPUTS",
        "IN FLIGHT",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for plugin in &list.plugins {
        let counters = &plugin.counters;
        let running = plugin.running.as_ref();
        let mut row = vec![
            plugin.name.clone(),
            state(plugin),
            running.map_or("-", |version| dash(&version.version)).to_owned(),
            running.map_or_else(|| "-".to_owned(), short_digest),
        ];
        row.extend(
            [
                counters.received,
                counters.done,
                counters.retried,
                counters.dead_lettered,
                counters.dropped,
                counters.outputs,
                counters.in_flight,
            ]
            .map(grouped),
        );
        rows.push(row);
    }
    let mut text = out::table(&rows, &[4, 5, 6, 7, 8, 9, 10]);
    for plugin in &list.plugins {
        if let Some(problem) = &plugin.problem {
            text.push_str(&format!("\n\n{}: {problem}", plugin.name));
        }
        for warning in &plugin.warnings {
            text.push_str(&format!("\n\n{}: warning: {warning}", plugin.name));
        }
    }
    text
}

fn described(plugin: &PluginStatus) -> String {
    let counters = &plugin.counters;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("name", plugin.name.clone());
    row("state", state(plugin));
    row("running", plugin.running.as_ref().map_or_else(|| "-".to_owned(), version));
    row("previous", plugin.previous.as_ref().map_or_else(|| "-".to_owned(), version));
    row("receives", dash(&plugin.subscriptions.join(", ")).to_owned());
    row("emits", dash(&plugin.emits.join(", ")).to_owned());
    row("isolation", plugin.isolation.clone());
    for (name, count) in [
        ("received", counters.received),
        ("done", counters.done),
        ("retried", counters.retried),
        ("dead letters", counters.dead_lettered),
        ("dropped", counters.dropped),
        ("outputs", counters.outputs),
        ("in flight", counters.in_flight),
    ] {
        row(name, grouped(count));
    }
    if let Some(failure) = &plugin.last_failure {
        let FailureStatus { reason, detail, event, time } = failure;
        row(
            "last failure",
            format!("{reason}, event {event} at {time}\n{detail}").replace('\n', "\n              "),
        );
    }
    let told = plugin.problem.iter().map(|problem| ("problem", problem));
    for (kind, text) in told.chain(plugin.warnings.iter().map(|warning| ("warning", warning))) {
        row(kind, text.replace('\n', "\n              "));
    }
    out::table(&rows, &[])
}

fn state(plugin: &PluginStatus) -> String {
    let note = if plugin.rolled_back { " (rolled back)" } else { "" };
    format!("{}{note}", plugin.state.as_str())
}

fn version(version: &VersionStatus) -> String {
    let since = if version.since.is_empty() { "" } else { " since " };
    let source = match version.artifact {
        Artifact::Wasm => String::new(),
        artifact => format!(" {} source", artifact.title()),
    };
    format!("{}{source} {}{since}{}", dash(&version.version), short_digest(version), version.since)
}

fn short_digest(version: &VersionStatus) -> String {
    version.digest.chars().take(SHORT_DIGEST).collect()
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Counters, PluginState};

    fn plugin(problem: Option<&str>) -> PluginStatus {
        PluginStatus {
            name: "large-amount".into(),
            state: PluginState::Running,
            running: Some(VersionStatus {
                artifact: Artifact::Wasm,
                digest: "0123456789abcdef".repeat(4),
                version: "1.2.0".into(),
                since: "2026-11-20T10:00:00Z".into(),
            }),
            previous: None,
            rolled_back: problem.is_some(),
            problem: problem.map(str::to_owned),
            quarantine: None,
            last_failure: None,
            warnings: vec![],
            partitions: Vec::new(),
            subscriptions: vec!["PAYMENTS: payments.card".into()],
            emits: vec![],
            isolation: "fresh".into(),
            counters: Counters { received: 585_177, done: 585_177, outputs: 1_098, ..Counters::default() },
        }
    }

    #[test]
    fn plugins_are_listed_in_columns() {
        let text = listed(&PluginList { plugins: vec![plugin(Some("truncated"))] });
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("large-amount  running (rolled back)  1.2.0    0123456789ab   585,177"),
            "{text}"
        );
        assert_eq!(lines.last(), Some(&"large-amount: truncated"));
    }

    #[test]
    fn one_plugin_is_told_in_full() {
        let mut plugin = plugin(None);
        plugin.warnings = vec!["no stream stores alerts.>\n  hint: declare one".into()];
        plugin.previous = Some(VersionStatus {
            artifact: Artifact::Wasm,
            digest: "fedcba9876543210".into(),
            version: String::new(),
            since: String::new(),
        });
        let text = described(&plugin);
        assert!(text.contains("running       1.2.0 0123456789ab since 2026-11-20T10:00:00Z"), "{text}");
        assert!(text.contains("previous      - fedcba987654\n"), "{text}");
        assert!(text.contains("emits         -"), "{text}");
        assert!(
            text.ends_with("warning       no stream stores alerts.>\n                hint: declare one"),
            "{text}"
        );
        assert!(!text.contains("problem"));
    }

    #[test]
    fn an_engine_that_is_away_has_its_own_exit_code() {
        let engine = EngineFlag {
            admin: Some("127.0.0.1:1".into()),
            config: FileFlag::default(),
            output: Format::Text,
        };
        let failure = Api::new(&engine).unwrap().get::<PluginList>("api/plugins").unwrap_err();
        assert_eq!(failure.exit, Exit::Engine);
    }
}
