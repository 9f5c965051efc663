//! Subjects with `{field}` placeholders.

use std::fmt::Write as _;

use crate::subject::{Pattern, Subject, SubjectError};

/// Why a template, or what a row makes of it, is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// `{` without `}`, the reverse, or nothing between them.
    #[error(
        "--subject {0:?} has an unfinished or empty placeholder\n  hint: write {{field}}, as in payments.{{country}}"
    )]
    Braces(String),
    /// A row has nothing to put there.
    #[error("field {0:?} is empty, so the subject would lack a token")]
    Empty(String),
    /// Not a subject that may be published to.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Index into the fields that a row picks.
    Field(usize),
}

/// A parsed `--subject`.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    fields: Vec<String>,
    fixed: Option<Subject>,
}

impl Template {
    /// Parses a template. Each field it names is one of [`Template::fields`].
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut fields: Vec<String> = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (name, after) = tail.split_once('}').ok_or_else(|| TemplateError::Braces(text.to_owned()))?;
            if literal.contains('}') || name.is_empty() || name.contains('{') {
                return Err(TemplateError::Braces(text.to_owned()));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let at = fields.iter().position(|have| have == name).unwrap_or_else(|| {
                fields.push(name.to_owned());
                fields.len() - 1
            });
            pieces.push(Piece::Field(at));
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateError::Braces(text.to_owned()));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let mut template = Self { pieces, fields, fixed: None };
        let sample = Subject::unreserved(template.filled_with("x"))?;
        template.fixed = template.fields.is_empty().then_some(sample);
        Ok(template)
    }

    /// The fields that a row must pick, in the order that [`Template::fill`] takes them.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Every subject that the template can make falls under this pattern.
    pub(super) fn pattern(&self) -> Result<Pattern, SubjectError> {
        const PLACE: &str = "\u{1}";
        let tokens: Vec<String> = self
            .filled_with(PLACE)
            .split('.')
            .map(|token| if token.contains(PLACE) { "*".to_owned() } else { token.to_owned() })
            .collect();
        Pattern::new(tokens.join("."))
    }

    /// The subject of one row. Characters that would end a token or stand for others become `_`, so that a value is
    /// always one token.
    pub(super) fn fill(&self, picked: &[String]) -> Result<Subject, TemplateError> {
        if let Some(subject) = &self.fixed {
            return Ok(subject.clone());
        }
        let mut text = String::with_capacity(64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Field(at) => match picked.get(*at).map(String::as_str) {
                    None | Some("") => {
                        return Err(TemplateError::Empty(self.fields.get(*at).cloned().unwrap_or_default()));
                    }
                    Some(value) => text.extend(value.chars().map(safe)),
                },
            }
        }
        Ok(Subject::unreserved(text)?)
    }

    fn filled_with(&self, value: &str) -> String {
        self.pieces.iter().fold(String::new(), |mut text, piece| {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                // Writing into a String cannot fail.
                Piece::Field(_) => drop(text.write_str(value)),
            }
            text
        })
    }
}

fn safe(c: char) -> char {
    if c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>') { '_' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &[&str]) -> Result<String, String> {
        let template = Template::parse(template).map_err(|err| err.to_string())?;
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        template.fill(&values).map(|subject| subject.to_string()).map_err(|err| err.to_string())
    }

    #[test]
    fn values_become_single_tokens() {
        for (template, values, wanted) in [
            ("payments.card", &[][..], "payments.card"),
            ("payments.{country}", &["de"], "payments.de"),
            ("{a}.{b}.{a}", &["1", "2"], "1.2.1"),
            ("p.shop-{id}-x", &["7"], "p.shop-7-x"),
            ("p.{v}", &["a.b*>\r\nPUB x"], "p.a_b____PUB_x"),
            ("p.{v}", &["\u{e9}\u{2003}"], "p.\u{e9}_"),
        ] {
            assert_eq!(filled(template, values).as_deref(), Ok(wanted), "{template}");
        }
    }

    #[test]
    fn bad_templates_and_values_are_named() {
        for (template, values, wanted) in [
            ("", &[][..], "empty"),
            ("a.{", &[], "placeholder"),
            ("a.}", &[], "placeholder"),
            ("a.{}", &[], "placeholder"),
            ("a.{b{c}}", &[], "placeholder"),
            ("a..{b}", &["1"], "empty token"),
            ("a.>", &[], "wildcard"),
            ("$JS.API.{b}", &["1"], "reserved"),
            ("{b}.c", &["$SYS"], "reserved"),
            ("a.{b}", &[""], "\"b\" is empty"),
        ] {
            let err = filled(template, values).unwrap_err();
            assert!(err.contains(wanted), "{template}: {err}");
        }
    }

    #[test]
    fn a_pattern_covers_what_the_template_makes() {
        for (template, wanted) in [("a.b", "a.b"), ("a.{x}.c", "a.*.c"), ("a.s-{x}", "a.*")] {
            let pattern = Template::parse(template).and_then(|t| Ok(t.pattern()?)).map(|p| p.to_string());
            assert_eq!(pattern.as_deref(), Ok(wanted));
        }
    }
}
