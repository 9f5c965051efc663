//! The `[config]` table of the manifest.

use std::sync::OnceLock;

use serde::de::DeserializeOwned;

use crate::{Failure, decode, host};

/// One value: a string as it is, anything else as JSON text. `None` if the key is not set.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    host::config_get(key)
}

/// Decodes the whole table.
///
/// `#[serde(deny_unknown_fields)]` on `T` turns an operator's typing error into a message, `#[serde(default)]` makes
/// settings optional.
///
/// # Errors
/// A retry that names the setting: the event is sound and can be handled once the manifest is corrected.
pub fn load<T: DeserializeOwned>() -> Result<T, Failure> {
    let json = host::config_json();
    serde_json::from_str(&json).map_err(|err| {
        let fault = decode::explain("config", json.as_bytes(), &err);
        Failure::retry(format!("{fault}; correct the [config] table of the plugin's manifest"))
    })
}

/// The decoded table of an instance, decoded at its first event.
///
/// In `fresh` isolation that is every event, and costs what [`load`] costs; in `reuse` isolation it is once.
///
/// ```
/// use wasmill_sdk::{Failure, config};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { threshold: f64 }
///
/// static SETTINGS: config::Cached<Settings> = config::Cached::new();
///
/// fn threshold() -> Result<f64, Failure> {
///     Ok(SETTINGS.get()?.threshold)
/// }
/// # wasmill_sdk::testing::Test::new().config(serde_json::json!({"threshold": 2}));
/// # assert_eq!(threshold(), Ok(2.0));
/// ```
#[derive(Debug)]
pub struct Cached<T>(OnceLock<T>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Cached<T> {
    /// Nothing decoded yet; for a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: DeserializeOwned> Cached<T> {
    /// The decoded table.
    ///
    /// # Errors
    /// As [`load`].
    pub fn get(&'static self) -> Result<&'static T, Failure> {
        // Native tests share the static, but each has a config of its own.
        if cfg!(not(target_arch = "wasm32")) {
            return Ok(Box::leak(Box::new(load()?)));
        }
        if let Some(config) = self.0.get() {
            return Ok(config);
        }
        let config = load()?;
        Ok(self.0.get_or_init(|| config))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::Test;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        limit: u8,
    }

    #[test]
    fn values_are_read_one_by_one_or_whole() {
        Test::new().config(json!({"limit": 3, "name": "x"}));
        assert_eq!(get("limit").as_deref(), Some("3"));
        assert_eq!(get("name").as_deref(), Some("x"));
        assert_eq!(get("none"), None);
        Test::new().config(json!({"limit": 3}));
        assert_eq!(load::<Settings>().unwrap().limit, 3);
    }

    #[test]
    fn a_bad_table_is_a_retry_that_names_the_setting() {
        static SETTINGS: Cached<Settings> = Cached::new();
        Test::new().config(json!({"limit": 300}));
        let failure = SETTINGS.get().unwrap_err();
        assert!(failure.is_retry());
        assert!(failure.reason().starts_with("config: `limit`: invalid value: integer `300`"), "{failure}");
        assert!(
            failure.reason().ends_with("correct the [config] table of the plugin's manifest"),
            "{failure}"
        );
        Test::new().config(json!({"limit": 2}));
        assert_eq!(SETTINGS.get().unwrap().limit, 2);
    }
}
