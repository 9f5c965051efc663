//! What a handler emits.

use serde::Serialize;

use crate::Failure;

/// An event that a handler emits. The engine gives it its id, source and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where to publish it: no wildcards, and within the emit grants of the manifest.
    pub subject: String,
    /// CloudEvents `type`; `None` means the type of the event that caused it.
    pub kind: Option<String>,
    /// Further headers. `Nats-*`, `Wasmill-*` and CloudEvents attributes are the engine's to set.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub data: Vec<u8>,
}

impl Output {
    /// An output of these bytes.
    pub fn bytes(subject: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self { subject: subject.into(), kind: None, headers: Vec::new(), data: data.into() }
    }

    /// An output of this value as JSON, with `content-type: application/json`.
    ///
    /// # Errors
    /// A reject if the value has no JSON form, such as a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(subject: impl Into<String>, value: &T) -> Result<Self, Failure> {
        let data = serde_json::to_vec(value).map_err(no_json_form)?;
        Ok(Self::bytes(subject, data).with_header("content-type", "application/json"))
    }

    /// Sets the CloudEvents `type`.
    #[must_use]
    pub fn with_type(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

#[cold]
fn no_json_form(err: serde_json::Error) -> Failure {
    Failure::reject(format!("an output has no JSON form: {err}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn json_names_its_content_type() {
        let output = Output::json("a.b", &[1, 2]).unwrap().with_type("t").with_header("x", "y");
        assert_eq!((output.subject.as_str(), output.data.as_slice()), ("a.b", b"[1,2]".as_slice()));
        assert_eq!(output.kind.as_deref(), Some("t"));
        assert_eq!(
            output.headers,
            [("content-type", "application/json"), ("x", "y")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn a_value_without_a_json_form_is_a_reject() {
        let failure = Output::json("a", &BTreeMap::from([((1, 2), 3)])).unwrap_err();
        assert!(!failure.is_retry());
        assert!(failure.reason().contains("no JSON form"), "{failure}");
    }
}
