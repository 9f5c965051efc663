//! Which letters a command is about.

use jiff::{SignedDuration, Timestamp};

use crate::dead_letter::Selection;
use crate::manifest::PluginName;

/// Flags that choose letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Filter {
    /// These letters, by the number that `ls` shows
    #[arg(value_name = "SEQ", help_heading = "Which letters")]
    sequences: Vec<u64>,
    /// The same as a flag, once for each
    #[arg(long, value_name = "SEQ", help_heading = "Which letters")]
    seq: Vec<u64>,
    /// Those of this plugin
    #[arg(long, value_name = "PLUGIN", value_parser = plugin, help_heading = "Which letters")]
    plugin: Option<PluginName>,
    /// Those with this reason, as in trap or cpu-limit; may stand more than once
    #[arg(long, value_name = "REASON", help_heading = "Which letters")]
    reason: Vec<String>,
    /// Those stored since: a time as in 2026-11-21T10:00:00Z, or how long ago as in 15m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Which letters")]
    since: Option<Timestamp>,
    /// Those stored before, likewise
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Which letters")]
    until: Option<Timestamp>,
    /// Those dealt with: redriven or edited
    #[arg(long, conflicts_with = "open", help_heading = "Which letters")]
    done: bool,
    /// Those not dealt with
    #[arg(long, help_heading = "Which letters")]
    open: bool,
    /// No more than this many
    #[arg(long, value_name = "COUNT", help_heading = "Which letters")]
    limit: Option<u64>,
}

impl Filter {
    /// Whether it leaves any letter out, its number aside.
    pub fn chooses(&self) -> bool {
        *self != Self { limit: self.limit, ..Self::default() }
    }

    /// What to search for.
    pub fn selection(&self) -> Selection {
        let mut sequences = [&self.sequences[..], &self.seq[..]].concat();
        sequences.sort_unstable();
        sequences.dedup();
        Selection {
            sequences,
            plugin: self.plugin.clone(),
            reasons: self.reason.clone(),
            since: self.since,
            until: self.until,
            done: if self.done || self.open { Some(self.done) } else { None },
            limit: self.limit,
        }
    }
}

pub(in crate::cli) fn plugin(text: &str) -> Result<PluginName, String> {
    PluginName::new(text).map_err(|error| error.to_string())
}

pub(in crate::cli) fn time(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
        .ok_or_else(|| "neither a time as in 2026-11-21T10:00:00Z nor how long ago as in 2h".to_owned())
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    text.parse().ok().or_else(|| now.checked_sub(ago(text)?).ok())
}

/// `90s`, `15m`, `1h30m`, `3d`.
fn ago(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, with_unit) = rest.split_at_checked(unit_at)?;
        let count: i64 = digits.parse().ok()?;
        let seconds = match with_unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::from_secs(count.checked_mul(seconds)?))?;
        rest = with_unit.get(1..)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_how_long_ago() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, wanted) in [
            ("2026-11-21T10:00:00Z", Some("2026-11-21T10:00:00Z")),
            ("2026-11-21T10:00:00+02:00", Some("2026-11-21T08:00:00Z")),
            ("2h", Some("2026-11-21T10:00:00Z")),
            ("1h30m", Some("2026-11-21T10:30:00Z")),
            ("90s", Some("2026-11-21T11:58:30Z")),
            ("1d", Some("2026-11-20T12:00:00Z")),
            ("1w", Some("2026-11-14T12:00:00Z")),
            ("", None),
            ("h", None),
            ("2", None),
            ("2y", None),
            ("-2h", None),
            ("2é", None),
            ("99999999999999999999h", None),
            ("9999999999999d", None),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text, now), wanted.map(|time| time.parse().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn a_number_alone_chooses_nothing() {
        assert!(!Filter { limit: Some(3), ..Filter::default() }.chooses());
        assert!(Filter { open: true, ..Filter::default() }.chooses());
        let both = Filter { sequences: vec![3, 1], seq: vec![2, 3], done: true, ..Filter::default() };
        let selection = both.selection();
        assert_eq!((selection.sequences, selection.done), (vec![1, 2, 3], Some(true)));
    }
}
