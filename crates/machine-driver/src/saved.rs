//! The common leading fields of every driver's part of `config.json`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Base;

/// The Go binary's `BaseDriver`, with its field names and order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SavedBase {
    /// The address; for the driver `none` including the port.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// The machine's name.
    pub machine_name: String,
    /// The login name.
    #[serde(rename = "SSHUser")]
    pub ssh_user: String,
    /// The port of sshd.
    #[serde(rename = "SSHPort")]
    pub ssh_port: u16,
    /// The private key's file; if empty, `id_rsa` of the machine's directory.
    #[serde(rename = "SSHKeyPath")]
    pub ssh_key_path: String,
    /// The store's root.
    pub store_path: String,
    /// Classic swarm.
    pub swarm_master: bool,
    /// Classic swarm.
    pub swarm_host: String,
    /// Classic swarm.
    pub swarm_discovery: String,
}

impl SavedBase {
    /// Sets the fields that a new machine's place in the store determines; swarm and SSH stay empty.
    pub fn new(base: &Base) -> Self {
        Self {
            machine_name: base.name.to_string(),
            store_path: base.store.display().to_string(),
            ..Self::default()
        }
    }
}

/// Parses a driver's saved fields. A field that is `null` counts as absent, as in Go.
///
/// # Errors
/// A field has the wrong type.
pub fn read_saved<T: DeserializeOwned>(saved: &Value) -> Result<T, serde_json::Error> {
    let mut object = saved.as_object().cloned().unwrap_or_default();
    object.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(object))
}

/// Returns the fields of `known`, in their order, followed by the other loaded fields, so that fields of other
/// versions are preserved.
pub fn merge(loaded: &Map<String, Value>, known: Value) -> Value {
    let Value::Object(mut merged) = known else {
        return Value::Object(loaded.clone());
    };
    for (name, value) in loaded {
        if !merged.contains_key(name) {
            merged.insert(name.clone(), value.clone());
        }
    }
    Value::Object(merged)
}
