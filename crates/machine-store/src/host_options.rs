//! The part of `config.json` that is the same for every driver.
//!
//! Field names, their order and the difference between `null` and `[]` match the Go binary's ConfigVersion 3. Fields
//! of later versions are kept in `extra` and written back.

use machine_types::GoList;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// The requested options of the machine, its engine, its swarm and its certificates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostOptions {
    /// Unused, and always empty.
    pub driver: String,
    /// Unused, and always 0.
    pub memory: i64,
    /// Unused, and always 0.
    pub disk: i64,
    /// The options of the Docker Engine.
    pub engine_options: EngineOptions,
    /// Classic swarm, saved and shown only.
    pub swarm_options: SwarmOptions,
    /// The locations of the certificates.
    pub auth_options: AuthOptions,
    /// `--custom-install-script`: an absolute path. Omitted where it is empty: the Go binary has no such field,
    /// rancher/machine has both.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub custom_install_script: String,
    /// `--hostname-override`; omitted where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname_override: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The options of the Docker Engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineOptions {
    /// `--engine-opt`: flags of dockerd without their dashes, `log-opt=max-size=10m`.
    pub arbitrary_flags: GoList,
    /// Unused.
    pub dns: GoList,
    /// Unused.
    pub graph_dir: String,
    /// `--engine-env`: environment of dockerd, `NAME=value`.
    pub env: GoList,
    /// Unused.
    pub ipv6: bool,
    /// `--engine-insecure-registry`.
    pub insecure_registry: GoList,
    /// `--engine-label`.
    pub labels: GoList,
    /// Unused.
    pub log_level: String,
    /// `--engine-storage-driver`; if empty, Docker chooses.
    pub storage_driver: String,
    /// Unused.
    pub selinux_enabled: bool,
    /// Always true.
    pub tls_verify: bool,
    /// `--engine-registry-mirror`.
    pub registry_mirror: GoList,
    /// `--engine-install-url`.
    #[serde(rename = "InstallURL")]
    pub install_url: String,
    /// `--engine-version`: the requested release. A field of this program, omitted where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub engine_version: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Classic swarm: saved and shown, not used otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmOptions {
    /// `--swarm`.
    pub is_swarm: bool,
    /// `--swarm-addr`.
    pub address: String,
    /// `--swarm-discovery`.
    pub discovery: String,
    /// Whether the machine is an agent of the swarm.
    pub agent: bool,
    /// `--swarm-master`.
    pub master: bool,
    /// `--swarm-host`.
    pub host: String,
    /// `--swarm-image`.
    pub image: String,
    /// `--swarm-strategy`.
    pub strategy: String,
    /// Unused.
    pub heartbeat: i64,
    /// Unused; a float in Go, which writes it as `0`.
    pub overcommit: Number,
    /// `--swarm-opt`.
    pub arbitrary_flags: GoList,
    /// `--swarm-join-opt`.
    pub arbitrary_join_flags: GoList,
    /// Unused.
    pub env: GoList,
    /// `--swarm-experimental`.
    pub is_experimental: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The locations of the certificates: absolute paths as text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthOptions {
    /// The directory of the shared certificates.
    pub cert_dir: String,
    /// The CA's certificate.
    pub ca_cert_path: String,
    /// The CA's private key.
    pub ca_private_key_path: String,
    /// Unused.
    pub ca_cert_remote_path: String,
    /// The machine's server certificate.
    pub server_cert_path: String,
    /// The machine's server key.
    pub server_key_path: String,
    /// The shared client key.
    pub client_key_path: String,
    /// Unused.
    pub server_cert_remote_path: String,
    /// Unused.
    pub server_key_remote_path: String,
    /// The shared client certificate.
    pub client_cert_path: String,
    /// `--tls-san`.
    #[serde(rename = "ServerCertSANs")]
    pub server_cert_sans: GoList,
    /// The machine's own directory, where GitLab Runner looks for the client's certificates.
    pub store_path: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            arbitrary_flags: None,
            dns: None,
            graph_dir: String::new(),
            env: None,
            ipv6: false,
            insecure_registry: None,
            labels: None,
            log_level: String::new(),
            storage_driver: String::new(),
            selinux_enabled: false,
            tls_verify: true,
            registry_mirror: None,
            install_url: String::new(),
            engine_version: String::new(),
            extra: Map::new(),
        }
    }
}

impl Default for SwarmOptions {
    fn default() -> Self {
        Self {
            is_swarm: false,
            address: String::new(),
            discovery: String::new(),
            agent: false,
            master: false,
            host: String::new(),
            image: String::new(),
            strategy: String::new(),
            heartbeat: 0,
            overcommit: Number::from(0),
            arbitrary_flags: None,
            arbitrary_join_flags: None,
            env: None,
            is_experimental: false,
            extra: Map::new(),
        }
    }
}
