//! Reading the tree, and reading Rust just well enough: code without comments and literals.

use std::process::Command;

use wasmill_tests::parts::root;

/// Every file of the work tree, as a path from its root: what is in git, and what is not ignored and will be.
pub fn tree() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("the tidy tests need git");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let mut paths: Vec<_> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The text of one file of the tree.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// The same text with comments and the insides of literals replaced by blanks: lines and columns stay.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        match end {
            Some(end) => {
                out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// Where the comment or literal that begins here ends, if one does.
fn end_of_blank(chars: &[char], at: usize) -> Option<usize> {
    let starts = |text: &str| chars[at..].iter().take(text.len()).copied().eq(text.chars());
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return Some(position(chars, at, |rest| rest[0] == '\n'));
    }
    if starts("/*") {
        return Some(end_of_block(chars, at));
    }
    if !after_word && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
        return end_of_raw(chars, at);
    }
    if chars[at] == '"' {
        return Some(end_of_quoted(chars, at + 1, '"'));
    }
    let is_char = chars.get(at + 1) == Some(&'\\')
        || (chars.get(at + 2) == Some(&'\'') && chars.get(at + 1) != Some(&'\''));
    (chars[at] == '\'' && is_char).then(|| end_of_quoted(chars, at + 1, '\''))
}

fn position(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| is_end(&chars[*at..])).unwrap_or(chars.len())
}

fn end_of_block(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match chars.get(at..at + 2) {
            Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
            Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

/// `r"…"`, `r#"…"#` and so on; an identifier such as `r#type` is none.
fn end_of_raw(chars: &[char], from: usize) -> Option<usize> {
    let hashes_from = position(chars, from, |rest| rest[0] == '#' || rest[0] == '"');
    let quote = position(chars, hashes_from, |rest| rest[0] != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - hashes_from;
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((position(chars, quote + 1, closes) + 1 + hashes).min(chars.len()))
}

fn end_of_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Whether `at` begins a word, and not the middle of one.
pub fn begins_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[test]
fn comments_and_literals_are_blank() {
    for (text, wanted) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("{", '{', 'a)"#, "f(   ,    , 'a)"),
        ("r#\"{ \" }\"# x", "           x"),
        ("r#type", "r#type"),
        (r#"("\"{")"#, "(     )"),
        (r"'\'' + '\u{7b}'", "     +         "),
    ] {
        assert_eq!(code(text).trim_end(), wanted.trim_end(), "{text}");
    }
}
