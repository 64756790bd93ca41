//! The fields that every driver's part of `config.json` begins with.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Base;

/// The Go binary's `BaseDriver`, under its names and in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SavedBase {
    /// The address; of the driver `none` with its port.
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
    /// The private key's file; empty: `id_rsa` of the machine's directory.
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
    /// Fills in what a new machine's place in the store tells; swarm and SSH stay empty.
    pub fn new(base: &Base) -> Self {
        Self {
            machine_name: base.name.to_string(),
            store_path: base.store.display().to_string(),
            ..Self::default()
        }
    }
}

/// Reads what a driver saved. A field that is `null` is as good as absent, as in Go.
///
/// # Errors
/// Where a field is of another type.
pub fn read_saved<T: DeserializeOwned>(saved: &Value) -> Result<T, serde_json::Error> {
    let mut object = saved.as_object().cloned().unwrap_or_default();
    object.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(object))
}

/// Returns the fields of `known`, in their order, and behind them what else was loaded, so that what
/// another version wrote survives.
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
