//! Values that a server reads in more than one form: Google's take one for a list, and numbers as texts.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::Value;

/// A list, or what would be its one element.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Listed<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> Listed<T> {
    /// Its elements.
    pub(super) fn all(self) -> Vec<T> {
        match self {
            Self::Many(all) => all,
            Self::One(one) => vec![one],
        }
    }
}

/// A number, or a text that is one.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let read = match Option::<Value>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Value::String(text)) => serde_json::from_str(&text),
        Some(value) => serde_json::from_value(value),
    };
    read.map(Some).map_err(D::Error::custom)
}
