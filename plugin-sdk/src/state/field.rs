//! JSON in a field, as every typed field stores it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, decode};

/// Decodes a field.
pub fn read<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Failure> {
    let Some(bytes) = super::get(name)? else { return Ok(None) };
    decode::json(&bytes).map(Some).map_err(|err| unreadable(name, &bytes, &err))
}

/// Encodes a field.
pub fn write<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(value).map_err(|err| no_json_form(name, &err))?;
    Ok(super::set(name, bytes)?)
}

/// The event is sound: it can be handled by a version of the plugin that reads the field, or migrates it.
#[cold]
fn unreadable(name: &str, bytes: &[u8], err: &serde_json::Error) -> Failure {
    let what = format!("state field `{}`", decode::short(name));
    let fault = decode::explain(&what, bytes, err);
    Failure::retry(format!("{fault}; it was written in another shape: migrate it, or delete it"))
}

#[cold]
fn no_json_form(name: &str, err: &serde_json::Error) -> Failure {
    Failure::reject(format!("the value for state field `{}` has no JSON form: {err}", decode::short(name)))
}
