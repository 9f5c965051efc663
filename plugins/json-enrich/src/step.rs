//! One change to a payload.

use serde::Deserialize;
use serde_json::Value;
use wasmill_sdk::json::FieldPath;
use wasmill_sdk::{Event, Failure, clock};

/// A step, checked when the config is read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Table")]
pub enum Step {
    /// Sets a field to a constant.
    Set(FieldPath, Value),
    /// Sets a field to an attribute of the event.
    Attribute(Attribute, FieldPath),
    /// Copies a field.
    Copy(FieldPath, FieldPath),
    /// Moves a field.
    Rename(FieldPath, FieldPath),
    /// Removes a field.
    Remove(FieldPath),
}

/// An attribute of an event.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// Its id.
    Id,
    /// Its source.
    Source,
    /// Its type.
    Type,
    /// The subject it was published to.
    Subject,
    /// When it happened, as RFC 3339.
    Time,
    /// Its key, if it has one.
    Key,
}

/// A step as an operator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    set: Option<FieldPath>,
    value: Option<Value>,
    attribute: Option<Attribute>,
    copy: Option<FieldPath>,
    rename: Option<FieldPath>,
    remove: Option<FieldPath>,
    to: Option<FieldPath>,
}

impl TryFrom<Table> for Step {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { set, value, attribute, copy, rename, remove, to } = table;
        match (set, value, attribute, copy, rename, remove, to) {
            (Some(field), Some(value), None, None, None, None, None) => Ok(Self::Set(field, value)),
            (None, None, Some(attribute), None, None, None, Some(to)) => Ok(Self::Attribute(attribute, to)),
            (None, None, None, Some(from), None, None, Some(to)) => Ok(Self::Copy(from, to)),
            (None, None, None, None, Some(from), None, Some(to)) => Ok(Self::Rename(from, to)),
            (None, None, None, None, None, Some(field), None) => Ok(Self::Remove(field)),
            _ => Err(
                "a step is one of: set with value, attribute with to, copy with to, rename with to, remove"
                    .into(),
            ),
        }
    }
}

impl Step {
    /// Changes the payload. A source that is not there leaves it as it is.
    pub fn take(&self, event: &Event, payload: &mut Value) -> Result<(), Failure> {
        let (to, value) = match self {
            Self::Set(field, value) => (field, Some(value.clone())),
            Self::Attribute(attribute, to) => (to, attribute.of(event).map(Value::String)),
            Self::Copy(from, to) => (to, from.get(payload).cloned()),
            Self::Rename(from, to) => (to, from.remove(payload)),
            Self::Remove(field) => {
                field.remove(payload);
                return Ok(());
            }
        };
        value.map_or(Ok(()), |value| to.set(payload, value))
    }
}

impl Attribute {
    fn of(self, event: &Event) -> Option<String> {
        match self {
            Self::Id => Some(event.id.clone()),
            Self::Source => Some(event.source.clone()),
            Self::Type => Some(event.kind.clone()),
            Self::Subject => Some(event.subject.clone()),
            Self::Time => Some(clock::rfc3339(event.time)),
            Self::Key => event.key.clone(),
        }
    }
}
