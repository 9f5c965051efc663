//! Subjects and patterns of NATS, checked at the door.
//!
//! Source: the NATS subject rules (tokens separated by dots; `*` matches one token, `>` one or more at the end).
//! The rules here are stricter than the client library's, which lets `$JS.API.>`, `_INBOX.>` and `a..b` pass.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest subject in bytes: the server's control line is 4,096 bytes and holds two subjects and sizes.
pub const MAX_SUBJECT_BYTES: usize = 1_024;

/// The first token of the engine's own subjects: whoever may publish there can file dead letters and redrive events.
pub const OWN_FIRST_TOKEN: &str = "wasmill";

/// First tokens that belong to the server, its clients and the engine, never to a plugin.
const RESERVED_FIRST_TOKENS: [&str; 6] = ["$JS", "$SYS", "$KV", "$O", "_INBOX", OWN_FIRST_TOKEN];

/// Why a string is no subject or pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing there.
    #[error("a subject is empty")]
    Empty,
    /// Over [`MAX_SUBJECT_BYTES`].
    #[error("a subject of {0} bytes is over the limit of {MAX_SUBJECT_BYTES}")]
    TooLong(usize),
    /// Two dots in a row, or one at an end.
    #[error("subject {0:?} has an empty token")]
    EmptyToken(String),
    /// White space, a control character or NUL.
    #[error("subject {0:?} has white space or a control character")]
    BadCharacter(String),
    /// `*` or `>` where a literal subject is needed.
    #[error("subject {0:?} has a wildcard")]
    Wildcard(String),
    /// `>` before the end of a pattern.
    #[error("pattern {0:?} has a '>' before its end")]
    InnerTail(String),
    /// `$JS.`, `$SYS.`, `$KV.`, `$O.` or `_INBOX.`: the server's own; `wasmill.`: the engine's.
    #[error("subject {0:?} is reserved for NATS and the engine")]
    Reserved(String),
}

/// A literal subject that may be published to: no wildcards, no empty tokens, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// Checks a subject. Subjects of the server itself pass: see [`Subject::is_reserved`].
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, SubjectError> {
        let text = text.into();
        check_tokens(&text)?;
        if text.split('.').any(|token| token == "*" || token == ">") {
            return Err(SubjectError::Wildcard(text));
        }
        Ok(Self(text))
    }

    /// The same for a subject that a guest or an operator chose: reserved ones are refused too.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn unreserved(text: impl Into<String>) -> Result<Self, SubjectError> {
        let subject = Self::new(text)?;
        if subject.is_reserved() { Err(SubjectError::Reserved(subject.0)) } else { Ok(subject) }
    }

    /// A subject as the server delivered it: whatever it let pass is the name the message has.
    #[must_use]
    pub fn received(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it belongs to the server, its clients or the engine.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        is_reserved(&self.0)
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A subscription pattern: a subject in which `*` stands for one token and a final `>` for one or more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, SubjectError> {
        let text = text.into();
        check_tokens(&text)?;
        let mut tokens = text.split('.').rev();
        tokens.next();
        if tokens.any(|token| token == ">") {
            return Err(SubjectError::InnerTail(text));
        }
        Ok(Self(text))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a literal subject falls under the pattern.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut wanted = self.0.split('.');
        let mut given = subject.split('.');
        loop {
            match (wanted.next(), given.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(want), Some(have)) if want == have => {}
                _ => return false,
            }
        }
    }

    /// Whether some subject falls under both patterns.
    #[must_use]
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let mut left = self.0.split('.');
        let mut right = other.0.split('.');
        loop {
            match (left.next(), right.next()) {
                (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
                (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Whether it could only match subjects of the server or the engine, or begins with a wildcard.
    #[must_use]
    pub fn reaches_reserved(&self) -> bool {
        matches!(self.0.split('.').next(), Some("*" | ">")) || is_reserved(&self.0)
    }
}

/// The longest name of a stream or consumer, in bytes: the server makes a file name of it.
pub const MAX_NAME_BYTES: usize = 255;

/// Whether a text can name a stream or a consumer. It becomes a token of a subject and part of a path, so what would
/// address something else there is refused.
#[must_use]
pub fn is_stream_name(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(bad)
}

fn is_reserved(text: &str) -> bool {
    text.split('.').next().is_some_and(|first| RESERVED_FIRST_TOKENS.contains(&first))
}

fn check_tokens(text: &str) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty);
    }
    if text.len() > MAX_SUBJECT_BYTES {
        return Err(SubjectError::TooLong(text.len()));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(SubjectError::BadCharacter(text.to_owned()));
    }
    if text.split('.').any(str::is_empty) {
        return Err(SubjectError::EmptyToken(text.to_owned()));
    }
    Ok(())
}

macro_rules! text_conversions {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = SubjectError;
            fn try_from(text: String) -> Result<Self, SubjectError> {
                Self::new(text)
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
text_conversions!(Subject);
text_conversions!(Pattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_are_refused() {
        for (text, wanted) in [
            ("", SubjectError::Empty),
            ("a..b", SubjectError::EmptyToken("a..b".into())),
            (".a", SubjectError::EmptyToken(".a".into())),
            ("a.", SubjectError::EmptyToken("a.".into())),
            ("a b", SubjectError::BadCharacter("a b".into())),
            ("a\r\nPUB x", SubjectError::BadCharacter("a\r\nPUB x".into())),
            ("a\0b", SubjectError::BadCharacter("a\0b".into())),
            ("a.*", SubjectError::Wildcard("a.*".into())),
            (">", SubjectError::Wildcard(">".into())),
            ("$JS.API.STREAM.DELETE.X", SubjectError::Reserved("$JS.API.STREAM.DELETE.X".into())),
            ("_INBOX.abc", SubjectError::Reserved("_INBOX.abc".into())),
            ("wasmill.redrive.p", SubjectError::Reserved("wasmill.redrive.p".into())),
        ] {
            assert_eq!(Subject::unreserved(text), Err(wanted), "{text:?}");
        }
        assert!(Subject::unreserved("a".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
        assert!(Subject::unreserved("payments.card.é").is_ok());
    }

    #[test]
    fn patterns_match_as_the_server_does() {
        for (pattern, subject, wanted) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("*.b", "a.b", true),
            ("a.b.c", "a.b", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(subject), wanted, "{pattern} {subject}");
        }
        assert!(Pattern::new("a.>.b").is_err());
    }

    #[test]
    fn patterns_overlap() {
        for (left, right, wanted) in [
            ("a.*", "*.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.*", "b.*", false),
            (">", "x.y", true),
            ("a.*.c", "a.b", false),
        ] {
            let (left, right) = (Pattern::new(left).unwrap(), Pattern::new(right).unwrap());
            assert_eq!(left.overlaps(&right), wanted, "{left} {right}");
            assert_eq!(right.overlaps(&left), wanted, "{right} {left}");
        }
    }
}
