//! Whether the counts add up: every event a plugin was due has ended, and every large payment raised one alert.

use std::path::Path;

use super::tap::Seen;
use crate::manifest::Manifest;
use crate::status::PluginStatus;
use crate::subject::Pattern;

/// The plugin whose alerts can be foretold, and where they go.
const RULE: &str = "large-amount";

/// The rule, as its manifest has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) threshold: f64,
    output: Pattern,
}

impl Rule {
    /// Reads the rule; none if there is no such plugin, or its manifest asks something that the demo cannot foretell.
    pub(super) fn read(plugins: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(plugins.join(format!("{RULE}.toml"))).ok()?;
        let config = Manifest::parse(&text).ok().filter(|manifest| manifest.enabled)?.config;
        let text = |key: &str| config.get(key).and_then(toml::Value::as_str);
        if text("field").unwrap_or("amount") != "amount" || text("comparison").unwrap_or(">") != ">" {
            return None;
        }
        let threshold = config.get("threshold")?;
        let threshold = threshold.as_float().or_else(|| threshold.as_integer().map(|whole| whole as f64))?;
        Some(Self { threshold, output: Pattern::new(text("output")?).ok()? })
    }

    /// How many alerts it raised.
    pub(super) fn alerts(&self, seen: &Seen) -> u64 {
        seen.under(std::slice::from_ref(&self.output))
    }
}

/// What a plugin reads, from the subscriptions that its status tells: `STREAM: subject` or `subject`.
fn patterns(plugin: &PluginStatus) -> Vec<Pattern> {
    plugin
        .subscriptions
        .iter()
        .map(|text| text.rsplit_once(": ").map_or(text.as_str(), |(_, subject)| subject))
        .filter_map(|subject| Pattern::new(subject).ok())
        .collect()
}

/// How many of a plugin's events have ended, and how many there are.
pub(super) fn progress(plugin: &PluginStatus, seen: &Seen) -> (u64, u64) {
    let counters = &plugin.counters;
    (counters.done + counters.dead_lettered + counters.dropped, seen.under(&patterns(plugin)))
}

/// Whether nothing is under way any more.
pub(super) fn is_settled(plugins: &[PluginStatus], seen: &Seen) -> bool {
    plugins.iter().all(|plugin| {
        let (ended, due) = progress(plugin, seen);
        ended == due && plugin.counters.in_flight == 0
    })
}

/// What does not add up.
pub(super) fn faults(
    plugins: &[PluginStatus],
    seen: &Seen,
    rule: Option<&Rule>,
    over_threshold: u64,
) -> Vec<String> {
    let mut faults = Vec::new();
    for plugin in plugins {
        let (ended, due) = progress(plugin, seen);
        if ended != due {
            faults.push(format!("{}: {ended} events ended, but {due} were there for it", plugin.name));
        }
        if let Some(problem) = &plugin.problem {
            faults.push(format!("{}: {problem}", plugin.name));
        }
    }
    if let Some(rule) = rule {
        let alerts = rule.alerts(seen);
        if alerts != over_threshold {
            faults
                .push(format!("{alerts} alerts, but {over_threshold} payments were over {}", rule.threshold));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Counters, PluginState};

    fn plugin(done: u64, dead_lettered: u64, in_flight: u64) -> PluginStatus {
        PluginStatus {
            name: RULE.into(),
            state: PluginState::Running,
            running: None,
            previous: None,
            rolled_back: false,
            problem: None,
            quarantine: None,
            last_failure: None,
            warnings: vec![],
            partitions: Vec::new(),
            subscriptions: vec!["PAYMENTS: payments.card".into(), "payments.bank".into()],
            emits: vec![],
            isolation: "fresh".into(),
            counters: Counters { done, dead_lettered, in_flight, ..Counters::default() },
        }
    }

    #[test]
    fn an_event_without_an_end_is_a_fault() {
        let stored = [
            ("payments.card".to_owned(), 9),
            ("payments.bank".to_owned(), 1),
            ("alerts.large".to_owned(), 2),
        ];
        let seen = Seen { stored: stored.into(), samples: vec![] };
        let rule = Rule { threshold: 220.0, output: Pattern::new("alerts.large").unwrap() };
        for (plugin, over, settled, wanted) in [
            (plugin(9, 1, 0), 2, true, &[][..]),
            (plugin(9, 1, 1), 2, false, &[]),
            (plugin(9, 0, 0), 2, false, &["9 events ended, but 10 were there"][..]),
            (plugin(10, 0, 0), 3, true, &["2 alerts, but 3 payments were over 220"]),
        ] {
            let plugins = [plugin];
            assert_eq!(is_settled(&plugins, &seen), settled);
            let faults = faults(&plugins, &seen, Some(&rule), over);
            assert_eq!(faults.len(), wanted.len(), "{faults:?}");
            assert!(faults.iter().zip(wanted).all(|(fault, wanted)| fault.contains(wanted)), "{faults:?}");
        }
    }

    #[test]
    fn the_rule_is_read_from_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large-amount.toml");
        assert_eq!(Rule::read(dir.path()), None);
        let manifest =
            |config: &str| format!("[[subscribe]]\nsubjects = [\"a\"]\n[config]\noutput = \"x\"\n{config}");
        for (config, wanted) in [
            ("threshold = 220", Some(220.0)),
            ("threshold = 1.5", Some(1.5)),
            ("threshold = 1\ncomparison = \"<\"", None),
        ] {
            std::fs::write(&path, manifest(config)).unwrap();
            assert_eq!(Rule::read(dir.path()).map(|rule| rule.threshold), wanted);
        }
    }
}
