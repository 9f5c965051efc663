//! How long files and functions may be.

use super::source::{begins_word, code};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// What is longer for a reason: a path, or a path with `#function`, and its exact length. The list only shrinks: an
/// entry that has become shorter or is not needed any more is a fault as well.
pub const EXCEPTIONS: &[(&str, usize)] = &[];

/// Files and functions that are too long, and exceptions that do not fit.
pub fn faults(sources: &[(String, String)], exceptions: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut used = Vec::new();
    let mut check = |name: String, lines: usize, most: usize| {
        if lines <= most {
            return;
        }
        match exceptions.iter().find(|(excepted, _)| *excepted == name) {
            Some((_, allowed)) => {
                used.push(name.clone());
                if lines > *allowed {
                    faults.push(format!("{name} has grown from {allowed} to {lines} lines"));
                } else if lines < *allowed {
                    faults.push(format!(
                        "{name} has shrunk to {lines} lines: lower its exception from {allowed}"
                    ));
                }
            }
            None => faults.push(format!("{name} has {lines} lines, the most is {most}")),
        }
    };
    for (path, text) in sources {
        check(path.clone(), text.lines().count(), MAX_FILE_LINES);
        for (function, lines) in functions(text) {
            check(format!("{path}#{function}"), lines, MAX_FUNCTION_LINES);
        }
    }
    let unused = exceptions.iter().filter(|(name, _)| !used.iter().any(|used| used == name));
    let unused: Vec<_> =
        unused.map(|(name, _)| format!("{name} needs no exception any more: remove it")).collect();
    faults.extend(unused);
    faults
}

/// The functions of a source with their lines, from `fn` to the closing brace.
fn functions(text: &str) -> Vec<(String, usize)> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !begins_word(&code, at) || name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(&code[at..]) {
            found.push((name, code[at..at + length].lines().count()));
        }
    }
    found
}

/// Where the body that follows ends; none if a `;` comes first, as in a trait. Array lengths stand inside brackets.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: usize) -> Vec<(String, String)> {
        let body = "    // \"}\" }\n".repeat(lines - 2);
        vec![("a.rs".to_owned(), format!("fn long(a: [u8; 3]) {{\n{body}}}\n"))]
    }

    #[test]
    fn lengths_are_counted_from_fn_to_brace() {
        assert_eq!(functions(&source(71)[0].1), [("long".to_owned(), 71)]);
        assert_eq!(functions("trait T { fn none(&self) -> [u8; 2]; }"), []);
        assert_eq!(functions("type F = fn (u8); // fn x() {}"), []);
    }

    #[test]
    fn what_is_too_long_is_named() {
        assert_eq!(faults(&source(70), &[]), Vec::<String>::new());
        assert_eq!(faults(&source(71), &[]), ["a.rs#long has 71 lines, the most is 70"]);
        assert_eq!(faults(&source(401), &[]).len(), 2, "the file and the function");
    }

    #[test]
    fn exceptions_only_shrink() {
        assert_eq!(faults(&source(71), &[("a.rs#long", 71)]), Vec::<String>::new());
        assert!(faults(&source(72), &[("a.rs#long", 71)])[0].contains("has grown"));
        assert!(faults(&source(71), &[("a.rs#long", 80)])[0].contains("lower its exception"));
        assert!(faults(&source(60), &[("a.rs#long", 71)])[0].contains("remove it"));
    }
}
