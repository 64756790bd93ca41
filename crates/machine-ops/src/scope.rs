//! The location of a driver's resources, in the driver's own terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The location of a resource: account, region, endpoint, project, data centre, or whatever else distinguishes the
/// driver's locations. Only the driver fills it in and interprets it; other code stores and compares it. A not-found
/// error means that the resource is gone only for a caller with the same scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<String, String>);

impl Scope {
    /// Returns the scope with one more key. An empty value is dropped.
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

    /// Returns whether the scope is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Merges another scope into this one; for a key that both have, the other's value wins.
    pub fn learn(&mut self, other: &Self) {
        let known = other.0.iter();
        self.0.extend(known.map(|(k, v)| (k.clone(), v.clone())));
    }
}

/// Ignores values that are not strings: a later version wrote them.
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
