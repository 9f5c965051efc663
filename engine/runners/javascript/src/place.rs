//! Stack traces: from what QuickJS writes to the frames of the author.

use crate::{modules, vm};

/// The most frames that a trace names.
const MAX_FRAMES: usize = 16;

/// One call of the author's code.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The function; empty if nothing had run yet.
    pub function: &'a str,
    /// The module.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// Reads one line such as `    at handle (rule.js:3:7)`; none if it is no frame of the author's.
pub fn frame(line: &str) -> Option<Frame<'_>> {
    let told = line.trim().strip_prefix("at ")?;
    let (function, place) = match told.strip_suffix(')').and_then(|told| told.rsplit_once(" (")) {
        Some((function, place)) => (function, place),
        None => ("", told),
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    // What JSON.parse and eval call the text they were given is no file.
    if modules::is_own(file) || file == "<input>" {
        return None;
    }
    Some(Frame { function, file, line: line.parse().ok()?, column: column.parse().ok()? })
}

/// Line and column of an error in JSON, from 1.
pub fn json(stack: &str) -> Option<(u32, u32)> {
    let (_, place) = stack.split_once("<input>:")?;
    let (line, rest) = place.split_once(':')?;
    let column = rest.split(|sign: char| !sign.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The author's frames of a stack, innermost first, one a line; what stands between them, such as a cause, is kept.
pub fn trace(stack: &str) -> String {
    let mut told = String::new();
    let mut frames = 0;
    for line in stack.lines() {
        if line.starts_with("caused by ") {
            frames = 0;
            told.push_str(line);
            told.push('\n');
        } else if let Some(Frame { function, file, line, column }) = frame(line) {
            frames += 1;
            if frames > MAX_FRAMES {
                continue;
            }
            let (file, line, column) =
                vm::original(line, column).unwrap_or_else(|| (file.to_owned(), line, column));
            told.push_str(&format!("{function} ({file}:{line}:{column})\n"));
        }
    }
    told.truncate(told.trim_end().len());
    told
}
