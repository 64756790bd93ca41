//! The fields that every driver's part of `config.json` begins with.

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

/// Lays the fields of `known` over the object that was loaded, so that what another version
/// wrote into it survives.
pub fn merge(loaded: &Map<String, Value>, known: Value) -> Value {
    let mut merged = loaded.clone();
    if let Value::Object(known) = known {
        merged.extend(known);
    }
    Value::Object(merged)
}
