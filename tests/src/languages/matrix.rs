//! The results: languages and checks, as text.

use std::fmt::Write as _;

use super::checks::CHECKS;
use super::rows::Row;

/// What came of one check of one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All was as it must be.
    Pass,
    /// The first thing that was not.
    Fail(String),
}

/// What came of all checks: for each language as many verdicts as there are [`CHECKS`].
#[derive(Default)]
pub struct Matrix {
    /// The languages.
    pub rows: Vec<(&'static Row, Vec<Verdict>)>,
}

impl Matrix {
    /// Every failed check with its language and why.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (row, verdicts) in &self.rows {
            // One that was not even loaded is said once.
            if let Some(Verdict::Fail(why)) = verdicts.first()
                && verdicts.iter().all(|verdict| Some(verdict) == verdicts.first())
            {
                failures.push(format!("{}, every check: {why}", row.name));
                continue;
            }
            for (check, verdict) in CHECKS.iter().zip(verdicts) {
                if let Verdict::Fail(why) = verdict {
                    failures.push(format!("{}, {}: {why}", row.name, check.name));
                }
            }
        }
        failures
    }

    /// The table: a line for each check, a column for each language; then what failed, and what languages cannot do.
    #[must_use]
    pub fn text(&self) -> String {
        let first = CHECKS.iter().map(|check| check.name.len()).max().unwrap_or_default();
        let mut text = format!("{:<first$}", "");
        for (row, _) in &self.rows {
            let _ = write!(text, "  {}", row.name);
        }
        for (at, check) in CHECKS.iter().enumerate() {
            let _ = write!(text, "\n{:<first$}", check.name);
            for (row, verdicts) in &self.rows {
                let mark = if verdicts.get(at) == Some(&Verdict::Pass) { "ok" } else { "FAIL" };
                let _ = write!(text, "  {mark:<width$}", width = row.name.len());
            }
        }
        text.push('\n');
        for failure in self.failures() {
            let _ = write!(text, "\nFAIL  {failure}");
        }
        for (row, _) in &self.rows {
            for (what, why) in row.lacks {
                let _ = write!(text, "\n{} cannot {}: {why}", row.name, what.title());
            }
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::ROWS;

    #[test]
    fn a_failure_stands_in_the_table_and_below_it() {
        let mut verdicts = vec![Verdict::Pass; CHECKS.len()];
        verdicts[1] = Verdict::Fail("fresh: because".to_owned());
        let matrix = Matrix { rows: vec![(&ROWS[0], verdicts)] };
        let text = matrix.text();
        assert_eq!(matrix.failures(), [format!("rust, {}: fresh: because", CHECKS[1].name)]);
        assert!(text.contains("FAIL  rust, ") && text.contains("rust cannot raise"), "{text}");
        let none =
            Matrix { rows: vec![(&ROWS[0], vec![Verdict::Fail("not there".to_owned()); CHECKS.len()])] };
        assert_eq!(none.failures(), ["rust, every check: not there"]);
        assert_eq!(text.lines().filter(|line| line.trim_end().ends_with("  ok")).count(), CHECKS.len() - 1);
    }
}
