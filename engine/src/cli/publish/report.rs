//! What `publish` says while it works and when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::PublishArgs;
use super::send::Counts;
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format, grouped};

/// Drawing more often than this costs more than it shows.
const REDRAW: Duration = Duration::from_millis(100);

/// A bar on stderr; nothing if that is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    read: Arc<AtomicU64>,
    drawn: Instant,
}

impl Progress {
    /// A bar as long as the file, or a counter if there is no length.
    pub(super) fn new(size: Option<u64>, read: &Arc<AtomicU64>) -> Self {
        let (bar, shape) = match size {
            Some(size) => (ProgressBar::new(size), "{bar:40} {percent:>3} %  {msg}  {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(shape) {
            bar.set_style(style);
        }
        Self { bar, read: Arc::clone(read), drawn: Instant::now() }
    }

    /// Draws, if it is time to.
    pub(super) fn update(&mut self, counts: Counts) {
        if self.bar.is_hidden() || self.drawn.elapsed() < REDRAW {
            return;
        }
        self.drawn = Instant::now();
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { (counts.published as f64 / seconds) as u64 } else { 0 };
        self.bar.set_message(format!("{} rows  {} rows/s", grouped(counts.published), grouped(rate)));
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// How it went.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: String,
    subject: String,
    #[serde(flatten)]
    counts: Counts,
    seconds: f64,
    rows_per_second: u64,
    /// The first row that was not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed_row: Option<u64>,
    #[serde(skip)]
    core: bool,
}

impl Report {
    pub(super) fn new(args: &PublishArgs, counts: Counts, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            file: args.file.display().to_string(),
            subject: args.subject.clone(),
            counts,
            seconds: (seconds * 1_000.0).round() / 1_000.0,
            rows_per_second: if seconds > 0.0 { (counts.published as f64 / seconds) as u64 } else { 0 },
            failed_row: None,
            core: args.core,
        }
    }

    /// Writes the report: JSON is data, text is talk.
    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Json => out::json(self),
            Format::Text => {
                out::say(self.text());
                Ok(())
            }
        }
    }

    fn text(&self) -> String {
        let Counts { published, stored, duplicates } = self.counts;
        let mut text = format!(
            "{} {} published to {} in {:.1} s ({} rows/s)",
            grouped(published),
            if published == 1 { "row" } else { "rows" },
            self.subject,
            self.seconds,
            grouped(self.rows_per_second)
        );
        if !self.core {
            text.push_str(&format!(": {} stored", grouped(stored)));
        }
        if duplicates > 0 {
            text.push_str(&format!(
                ", {} not stored again (same ids within the stream's duplicate window)",
                grouped(duplicates)
            ));
        }
        let unanswered = published.saturating_sub(stored + duplicates);
        if !self.core && unanswered > 0 {
            text.push_str(&format!(", {} failed", grouped(unanswered)));
        }
        match self.failed_row {
            None => {}
            Some(row @ ..=1) => text.push_str(&format!("\nstopped at row {row}")),
            Some(row) => {
                text.push_str(&format!("\nstopped at row {row}; --skip {} goes on from there", row - 1))
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(counts: Counts, failed_row: Option<u64>, core: bool) -> Report {
        Report {
            file: "f".into(),
            subject: "a.b".into(),
            counts,
            seconds: 2.0,
            rows_per_second: 500,
            failed_row,
            core,
        }
    }

    #[test]
    fn the_summary_adds_up() {
        let all = Counts { published: 1_000, stored: 1_000, duplicates: 0 };
        assert_eq!(
            report(all, None, false).text(),
            "1,000 rows published to a.b in 2.0 s (500 rows/s): 1,000 stored"
        );
        let mixed = Counts { published: 1_000, stored: 900, duplicates: 90 };
        let text = report(mixed, Some(7), false).text();
        assert!(text.contains("900 stored, 90 not stored again") && text.contains(", 10 failed"), "{text}");
        assert!(text.ends_with("stopped at row 7; --skip 6 goes on from there"), "{text}");
        let core = Counts { published: 5, ..Counts::default() };
        assert_eq!(report(core, None, true).text(), "5 rows published to a.b in 2.0 s (500 rows/s)");
    }
}
