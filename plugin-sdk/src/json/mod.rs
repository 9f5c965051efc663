//! What configs of plugins say about JSON payloads: where a field is, and how two numbers compare.

mod comparison;
mod path;

pub use comparison::Comparison;
pub use path::FieldPath;
