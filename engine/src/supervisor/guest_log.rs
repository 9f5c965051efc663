//! Where guests' lines go: into the engine's log, under the plugin's name, so many a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Level;

use crate::limits::LOG_LINES_PER_SECOND;
use crate::manifest::PluginName;
use crate::sandbox::{LogLine, LogSink};

/// The target of guests' lines, for filters such as `wasmill::guest=debug`.
const GUEST: &str = "wasmill::guest";

/// The sink of one plugin.
pub(super) fn sink(name: &PluginName) -> LogSink {
    let name = name.clone();
    let gate = Mutex::new(Gate { since: Instant::now(), lines: 0, held_back: 0 });
    Arc::new(move |line: LogLine| {
        let verdict = gate.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
        if let Some(held_back) = verdict.held_back {
            let plugin = name.as_str();
            tracing::warn!(target: GUEST, plugin, held_back, "log lines held back: more than {LOG_LINES_PER_SECOND} a second");
        }
        if verdict.admitted {
            write(name.as_str(), line);
        }
    })
}

fn write(plugin: &str, line: LogLine) {
    let LogLine { event, level, message, fields } = line;
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
    match level {
        Level::ERROR => tracing::error!(target: GUEST, plugin, event, "{message}{fields}"),
        Level::WARN => tracing::warn!(target: GUEST, plugin, event, "{message}{fields}"),
        Level::INFO => tracing::info!(target: GUEST, plugin, event, "{message}{fields}"),
        Level::DEBUG => tracing::debug!(target: GUEST, plugin, event, "{message}{fields}"),
        Level::TRACE => tracing::trace!(target: GUEST, plugin, event, "{message}{fields}"),
    }
}

/// Counts lines by the second.
struct Gate {
    since: Instant,
    lines: u32,
    held_back: u64,
}

struct Verdict {
    admitted: bool,
    /// How many lines were held back in the second before, to be told now.
    held_back: Option<u64>,
}

impl Gate {
    fn admit(&mut self, now: Instant) -> Verdict {
        let mut held_back = None;
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            held_back = (self.held_back > 0).then_some(self.held_back);
            *self = Self { since: now, lines: 0, held_back: 0 };
        }
        let admitted = self.lines < LOG_LINES_PER_SECOND;
        if admitted {
            self.lines += 1;
        } else {
            self.held_back += 1;
        }
        Verdict { admitted, held_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_back_and_told() {
        let start = Instant::now();
        let mut gate = Gate { since: start, lines: 0, held_back: 0 };
        let admitted = (0..LOG_LINES_PER_SECOND + 5).filter(|_| gate.admit(start).admitted).count();
        assert_eq!(admitted, LOG_LINES_PER_SECOND as usize);
        let later = gate.admit(start + Duration::from_secs(1));
        assert!(later.admitted);
        assert_eq!(later.held_back, Some(5));
        assert_eq!(gate.admit(start + Duration::from_secs(1)).held_back, None);
    }
}
