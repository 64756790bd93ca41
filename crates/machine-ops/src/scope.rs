//! Where a driver's resources are, in the driver's own words.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Where a resource is: account, region, endpoint, project, data centre, whatever tells one place of the
/// driver's from another. The driver alone fills it in and reads it; everybody else stores and compares it.
/// A not-found counts as gone only for a caller in the same place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<String, String>);

impl Scope {
    /// Returns the same with one more key. An empty value is not kept: it says nothing.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(key);
        } else {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    /// Returns a key's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Tells whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what another one knows; of a key that both have, the other's value.
    pub fn learn(&mut self, other: &Self) {
        let known = other.0.iter();
        self.0.extend(known.map(|(k, v)| (k.clone(), v.clone())));
    }
}

/// Whatever is no text was written by a later version, and is left out.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let texts = all.into_iter().filter_map(|(key, value)| match value {
            Value::String(text) if !text.is_empty() => Some((key, text)),
            _ => None,
        });
        Ok(Self(texts.collect()))
    }
}
