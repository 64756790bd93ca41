//! `config.json`, typed: known fields have Rust fields, unknown ones are preserved.

use std::path::Path;

use machine_types::MachineName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{HostOptions, StoreError, migrate};

/// The version of `config.json` that this program writes, and the Go binary since its 0.5.0.
pub const CONFIG_VERSION: i64 = 3;

/// A machine's `config.json`. The fields are written in the Go binary's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MachineRecord {
    /// 3, or higher where a later docker-machine wrote it. Lower versions are migrated on reading.
    pub config_version: i64,
    /// The driver's part, unchanged.
    pub driver: Value,
    /// `generic`, `none`, or a driver that this binary does not have.
    pub driver_name: String,
    /// The options that are the same for every driver.
    pub host_options: HostOptions,
    /// The machine's name.
    pub name: String,
    /// The pool that the machine belongs to; `None`: the machine belongs to no pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolMember>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
    /// Whether the file had an older version: then the first save keeps a copy of it.
    #[serde(skip)]
    pub(crate) migrated: bool,
}

/// A machine's membership in a pool, which a fleeting plugin keeps. The Go binary does not have this field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PoolMember {
    /// The pool's name.
    pub name: String,
    /// What a create does about Docker.
    pub docker: PoolDocker,
    /// Whether the create has finished.
    #[serde(default)]
    pub ready: bool,
}

/// What a create does about Docker on a machine of a pool. The engine listens on its local socket only, without TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolDocker {
    /// Installs Docker if it is missing, and applies the engine's options.
    #[default]
    Install,
    /// Expects Docker in the image, and only logs in.
    Expect,
}

impl Default for MachineRecord {
    fn default() -> Self {
        Self {
            config_version: CONFIG_VERSION,
            driver: Value::Object(Map::new()),
            driver_name: String::new(),
            host_options: HostOptions::default(),
            name: String::new(),
            pool: None,
            extra: Map::new(),
            migrated: false,
        }
    }
}

impl MachineRecord {
    /// Creates the record of a new machine.
    pub fn new(
        name: &MachineName,
        driver_name: impl Into<String>,
        driver: Value,
        host_options: HostOptions,
    ) -> Self {
        Self {
            driver,
            driver_name: driver_name.into(),
            host_options,
            name: name.to_string(),
            ..Self::default()
        }
    }

    /// Parses a `config.json` of any version. `base` is the store's root; old versions lack it. The machine's name is
    /// that of its directory, whatever name the file contains: so a directory may be renamed.
    ///
    /// # Errors
    /// [`StoreError::Empty`], [`StoreError::Broken`]; they name `path`.
    pub fn parse(
        bytes: &[u8],
        name: &MachineName,
        path: &Path,
        base: &Path,
    ) -> Result<Self, StoreError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(StoreError::Empty {
                path: path.to_owned(),
            });
        }
        let broken = |source| StoreError::Broken {
            path: path.to_owned(),
            source,
        };
        let mut json: Map<String, Value> = serde_json::from_slice(bytes).map_err(broken)?;
        migrate::check(&json).map_err(broken)?;
        let migrated = migrate::to_current(&mut json, name, base);
        migrate::fill_as_go(&mut json);
        let mut record: Self = serde_json::from_value(Value::Object(json)).map_err(broken)?;
        record.migrated = migrated;
        record.name = name.to_string();
        Ok(record)
    }

    /// Returns true if a `config.json` is of this version and readable, in a tenth of the time of a full parse.
    /// `false` means unknown: use [`MachineRecord::parse`].
    pub(crate) fn is_plainly_sound(bytes: &[u8], name: &MachineName) -> bool {
        serde_json::from_slice::<Plain<'_>>(bytes).is_ok_and(|plain| {
            plain.config_version == CONFIG_VERSION && plain.name == name.as_str()
        })
    }

    /// Drops the unknown fields, except the driver's.
    pub fn forget_unknown(&mut self) {
        let options = &mut self.host_options;
        for extra in [
            &mut self.extra,
            &mut options.engine_options.extra,
            &mut options.swarm_options.extra,
            &mut options.auth_options.extra,
            &mut options.extra,
        ] {
            extra.clear();
        }
    }

    /// Serializes the record as the Go binary does: indented by four blanks, without a line feed at the end.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a record of a later docker-machine.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        if self.config_version > CONFIG_VERSION {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                version: self.config_version,
            });
        }
        let mut bytes = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
        self.serialize(&mut serializer)
            .map_err(|source| StoreError::Broken {
                path: path.to_owned(),
                source,
            })?;
        Ok(bytes)
    }
}

/// A [`MachineRecord`] that is checked without keeping any data.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Plain<'a> {
    config_version: i64,
    name: &'a str,
    #[serde(rename = "DriverName")]
    _driver_name: &'a str,
    #[serde(rename = "HostOptions")]
    _host_options: HostOptions,
}
