//! What the demo shows: redrawn on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use super::tap::Seen;
use super::verdict::progress;
use crate::cli::exit::Failure;
use crate::cli::out::{self, grouped};
use crate::status::PluginStatus;

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is written where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// News kept on the screen.
const NEWS: usize = 3;
/// Up so many lines and clear to the end (ECMA-48 CPL and ED).
const BACK: (&str, &str) = ("\x1b[", "F\x1b[J");
/// Lines are cut at the right edge, not wrapped (DEC mode 7): a line of text is then a line of the screen.
const CUT: (&str, &str) = ("\x1b[?7l", "\x1b[?7h");

/// The live view.
pub(super) struct Screen {
    redraws: bool,
    drawn: Option<Instant>,
    height: usize,
    started: Instant,
    hint: String,
    /// Each plugin's name, version in service and problem, to notice when they change.
    versions: Vec<(String, String)>,
    news: Vec<String>,
}

impl Screen {
    /// `hint` says what the reader may try.
    pub(super) fn new(hint: String) -> Self {
        Self {
            redraws: out::is_screen(),
            drawn: None,
            height: 0,
            started: Instant::now(),
            hint,
            versions: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Shows the state, if it is time to or `now` asks for it.
    pub(super) fn show(
        &mut self,
        plugins: &[PluginStatus],
        seen: &Seen,
        generated: u64,
        now: bool,
    ) -> Result<(), Failure> {
        let fresh = self.note_news(plugins);
        let due = if self.redraws { REDRAW } else { LINE_EVERY };
        if !now && self.drawn.is_some_and(|drawn| drawn.elapsed() < due) {
            return if self.redraws { Ok(()) } else { tell(&fresh) };
        }
        self.drawn = Some(Instant::now());
        if !self.redraws {
            tell(&fresh)?;
            return out::data(line(plugins, seen, generated));
        }
        let text = self.page(plugins, seen, generated);
        let back =
            if self.height > 0 { format!("{}{}{}", BACK.0, self.height, BACK.1) } else { String::new() };
        self.height = text.lines().count();
        out::data(format_args!("{back}{}{text}{}", CUT.0, CUT.1))
    }

    /// Swaps and problems since the last look.
    fn note_news(&mut self, plugins: &[PluginStatus]) -> Vec<String> {
        let mut fresh = Vec::new();
        let mut versions = Vec::with_capacity(plugins.len());
        for plugin in plugins {
            let state = match (&plugin.problem, &plugin.running) {
                (Some(problem), _) => problem.lines().next().unwrap_or_default().to_owned(),
                (None, Some(version)) => {
                    let digest: String = version.digest.chars().take(12).collect();
                    format!("{} {digest} in service since {}", version.version, version.since)
                }
                (None, None) => plugin.state.as_str().to_owned(),
            };
            let before = self.versions.iter().find(|(name, _)| *name == plugin.name).map(|(_, state)| state);
            if before != Some(&state) {
                fresh.push(format!("{}: {}", plugin.name, to_the_second(&state)));
            }
            versions.push((plugin.name.clone(), state));
        }
        let gone = self.versions.iter().filter(|(name, _)| !versions.iter().any(|(have, _)| have == name));
        fresh.extend(gone.map(|(name, _)| format!("{name}: removed")));
        self.versions = versions;
        self.news.extend(fresh.iter().cloned());
        let surplus = self.news.len().saturating_sub(NEWS);
        self.news.drain(..surplus);
        fresh
    }

    fn page(&self, plugins: &[PluginStatus], seen: &Seen, generated: u64) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut text =
            format!("{} events in {seconds:.0} s, on a bus inside this process\n\n", grouped(generated));
        text.push_str(&table(plugins, seen));
        text.push_str("\n\nlast outputs");
        text.push_str(&samples(seen));
        text.push_str("\n\nnews\n");
        for news in &self.news {
            text.push_str(&format!("  {news}\n"));
        }
        text.push_str(&format!("\n{}", self.hint));
        text
    }
}

/// A text that ends in a time, without the fraction of its seconds.
fn to_the_second(text: &str) -> String {
    match text.rsplit_once('.') {
        Some((start, fraction))
            if fraction.strip_suffix('Z').is_some_and(|digits| digits.parse::<u64>().is_ok()) =>
        {
            format!("{start}Z")
        }
        _ => text.to_owned(),
    }
}

fn tell(news: &[String]) -> Result<(), Failure> {
    news.iter().try_for_each(out::data)
}

/// The plugins in columns.
pub(super) fn table(plugins: &[PluginStatus], seen: &Seen) -> String {
    let heading = ["PLUGIN", "STATE", "FOR IT", "ENDED", "OUTPUTS", "RETRIED", "DEAD LETTERS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for plugin in plugins {
        let (ended, due) = progress(plugin, seen);
        let counters = &plugin.counters;
        let mut row = vec![plugin.name.clone(), plugin.state.as_str().to_owned()];
        row.extend([due, ended, counters.outputs, counters.retried, counters.dead_lettered].map(grouped));
        rows.push(row);
    }
    out::table(&rows, &[2, 3, 4, 5, 6])
}

/// The last outputs, each on a line of its own. What is not printable is escaped: payloads must not steer a terminal.
pub(super) fn samples(seen: &Seen) -> String {
    let shown = |payload: &str| {
        payload
            .chars()
            .flat_map(|c| if c == '"' { vec![c] } else { c.escape_debug().collect() })
            .collect::<String>()
    };
    let width = seen.samples.iter().map(|(subject, _)| subject.chars().count()).max().unwrap_or(0);
    seen.samples
        .iter()
        .map(|(subject, payload)| format!("\n  {subject:<width$}  {}", shown(payload)))
        .collect()
}

fn line(plugins: &[PluginStatus], seen: &Seen, generated: u64) -> String {
    let parts: Vec<String> = plugins
        .iter()
        .map(|plugin| {
            let (ended, _) = progress(plugin, seen);
            format!("{} {} in {} out", plugin.name, grouped(ended), grouped(plugin.counters.outputs))
        })
        .collect();
    format!("{} events: {}", grouped(generated), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Counters, PluginState, VersionStatus};

    fn plugin(since: &str, problem: Option<&str>) -> PluginStatus {
        PluginStatus {
            name: "rule".into(),
            state: PluginState::Running,
            running: Some(VersionStatus {
                artifact: crate::artifact::Artifact::Wasm,
                digest: "ab".repeat(32),
                version: "0.1.0".into(),
                since: since.into(),
            }),
            previous: None,
            rolled_back: false,
            problem: problem.map(str::to_owned),
            quarantine: None,
            last_failure: None,
            warnings: vec![],
            partitions: Vec::new(),
            subscriptions: vec!["P: a".into()],
            emits: vec![],
            isolation: "fresh".into(),
            counters: Counters { done: 1_000, outputs: 7, ..Counters::default() },
        }
    }

    #[test]
    fn a_swap_is_news_once() {
        let mut screen = Screen::new("try it".into());
        assert_eq!(screen.note_news(&[plugin("t1", None)]).len(), 1);
        assert!(screen.note_news(&[plugin("t1", None)]).is_empty());
        assert_eq!(screen.note_news(&[plugin("t2", None)]), ["rule: 0.1.0 abababababab in service since t2"]);
        assert_eq!(screen.note_news(&[plugin("t2", Some("truncated\nhint"))]), ["rule: truncated"]);
        assert_eq!(screen.note_news(&[]), ["rule: removed"]);
        assert_eq!(screen.news.len(), NEWS);
        assert_eq!(to_the_second("0.1.0 since 10:00:00.25Z"), "0.1.0 since 10:00:00Z");
        assert_eq!(to_the_second("0.1.0 since t2"), "0.1.0 since t2");
    }

    #[test]
    fn the_page_shows_counts_samples_and_what_to_try() {
        let seen = Seen {
            stored: [("a".to_owned(), 1_001)].into(),
            samples: vec![("alerts.x".into(), "{\"a\":\"\u{1b}\"}".into())],
        };
        let plugins = [plugin("t1", None)];
        let page = Screen::new("try it".into()).page(&plugins, &seen, 1_001);
        assert!(page.contains("rule    running   1,001  1,000"), "{page}");
        assert!(page.contains(r#"alerts.x  {"a":"\u{1b}"}"#), "{page}");
        assert!(page.ends_with("try it"));
        assert_eq!(line(&plugins, &seen, 1_001), "1,001 events: rule 1,000 in 7 out");
    }
}
