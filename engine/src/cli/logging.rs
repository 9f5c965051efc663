//! What the engine logs, to stderr.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::exit::Failure;
use crate::config::checks::log_targets;
use crate::config::{Log, LogFormat};

/// Starts logging for the whole process.
///
/// # Errors
/// If the level is none; configurations are checked for that before.
pub fn start(log: &Log) -> Result<(), Failure> {
    let targets = log_targets(&log.level).map_err(|fault| anyhow!("log.level: {fault}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(targets)).try_init()?)
}
