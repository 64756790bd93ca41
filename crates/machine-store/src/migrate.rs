//! Migrates older versions of `config.json` to version 3 on reading.
//!
//! Version 0 (before 0.2.0) is flat; version 1 nests it under `HostOptions`; version 2 renames the CA key's path and
//! adds `CertDir` and `Name`; version 3 adds the driver's `StorePath`. Works on JSON, so that unknown fields stay in
//! place.

use std::path::Path;
use std::sync::LazyLock;

use machine_types::MachineName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::layout::{CERTS, MACHINES};
use crate::{CONFIG_VERSION, HostOptions};

type Object = Map<String, Value>;

/// The fields of version 0 that moved into `AuthOptions`.
const FLAT_AUTH: [&str; 6] = [
    "CaCertPath",
    "PrivateKeyPath",
    "ServerCertPath",
    "ServerKeyPath",
    "ClientCertPath",
    "ClientKeyPath",
];

/// The fields of version 0 that moved into `SwarmOptions`, with their new names.
const FLAT_SWARM: [(&str, &str); 3] = [
    ("SwarmHost", "Host"),
    ("SwarmMaster", "Master"),
    ("SwarmDiscovery", "Discovery"),
];

/// The fields of a configuration whose types are checked before gaps are filled, because filling would hide wrong
/// types.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape {
    #[serde(rename = "ConfigVersion")]
    _config_version: Option<i64>,
    #[serde(rename = "HostOptions")]
    _host_options: Option<Parts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    #[serde(rename = "EngineOptions")]
    _engine: Option<Object>,
    #[serde(rename = "SwarmOptions")]
    _swarm: Option<Object>,
    #[serde(rename = "AuthOptions")]
    _auth: Option<Object>,
}

/// Rejects a version that is not a whole number, and options that are not an object.
pub(crate) fn check(config: &Object) -> Result<(), serde_json::Error> {
    Shape::deserialize(Value::Object(config.clone())).map(|_| ())
}

/// Migrates a configuration to version 3; returns whether it changed.
pub(crate) fn to_current(config: &mut Object, name: &MachineName, base: &Path) -> bool {
    let version = config
        .get("ConfigVersion")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if version >= CONFIG_VERSION {
        return false;
    }
    if version < 1 {
        nest(config);
    }
    if version < 2 {
        rename_paths(config, name, base);
    }
    if let Some(driver) = config.get_mut("Driver").and_then(Value::as_object_mut) {
        driver.insert("StorePath".into(), json!(base.display().to_string()));
    }
    config.insert("ConfigVersion".into(), json!(CONFIG_VERSION));
    true
}

/// Migrates version 0 to 1.
fn nest(config: &mut Object) {
    let flat: Vec<(&str, Value)> = FLAT_AUTH
        .iter()
        .filter_map(|key| Some((*key, config.shift_remove(*key)?)))
        .collect();
    let swarm: Vec<(&str, Value)> = FLAT_SWARM
        .iter()
        .filter_map(|(old, new)| Some((*new, config.shift_remove(*old)?)))
        .collect();
    let options = child(config, "HostOptions");
    let engine = child(options, "EngineOptions");
    engine.insert("TlsVerify".into(), json!(true));
    if engine
        .get("InstallURL")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        engine.insert("InstallURL".into(), json!("https://get.docker.com"));
    }
    let target = child(options, "SwarmOptions");
    for (key, value) in swarm {
        target.insert(key.into(), value);
    }
    let target = child(options, "AuthOptions");
    for (key, value) in flat {
        target.insert(key.into(), value);
    }
}

/// Migrates version 1 to 2.
fn rename_paths(config: &mut Object, name: &MachineName, base: &Path) {
    config.shift_remove("StorePath");
    let auth = child(child(config, "HostOptions"), "AuthOptions");
    if let Some(path) = auth.shift_remove("PrivateKeyPath") {
        auth.insert("CaPrivateKeyPath".into(), path);
    }
    auth.insert(
        "CertDir".into(),
        json!(base.join(CERTS).display().to_string()),
    );
    let directory = base.join(MACHINES).join(name.as_str());
    auth.insert("StorePath".into(), json!(directory.display().to_string()));
    config.insert("Name".into(), json!(name.as_str()));
}

/// Returns the object at `key`; creates it if it is missing.
fn child<'a>(parent: &'a mut Object, key: &str) -> &'a mut Object {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Object::new());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object just now"),
    }
}

/// Treats gaps as Go does: a known field that is `null` counts as absent, and an absent boolean is false, `TlsVerify`
/// too.
pub(crate) fn fill_as_go(config: &mut Object) {
    static KNOWN: LazyLock<Object> = LazyLock::new(|| {
        let known = serde_json::to_value(HostOptions::default());
        known
            .ok()
            .and_then(|known| known.as_object().cloned())
            .unwrap_or_default()
    });
    config.retain(|key, value| {
        !(value.is_null() && matches!(key.as_str(), "DriverName" | "HostOptions" | "Name"))
    });
    let options = child(config, "HostOptions");
    for part in ["EngineOptions", "SwarmOptions", "AuthOptions"] {
        let is_known = |key: &str| KNOWN.get(part).is_some_and(|part| part.get(key).is_some());
        child(options, part).retain(|key, value| !(value.is_null() && is_known(key)));
    }
    options.retain(|key, value| !(value.is_null() && KNOWN.contains_key(key)));
    child(options, "EngineOptions")
        .entry("TlsVerify")
        .or_insert(json!(false));
}
