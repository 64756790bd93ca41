//! The driver `generic`: any Linux host that accepts SSH.
//!
//! Owns the address and the login of a host. It creates and removes nothing: `create` provisions the host, `rm` forgets
//! it. Its state is the result of a TCP connection to sshd. `libmachine` calls it through the traits of `machine-driver`.
//!
//! ```
//! use driver_generic::GenericKind;
//! use machine_driver::DriverKind;
//!
//! assert!(GenericKind.cloud().is_none());
//! assert!(GenericKind.flags().iter().any(|flag| flag.name == "generic-ip-address"));
//! ```

mod error;
mod saved;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use machine_driver::{
    Access, Base, Check, Cloud, CloudKind, Driver, DriverError, DriverErrorKind, DriverKind,
    FlagSpec, KeyMaterial, KeyPlan, Options, Plan, Power, Status, merge,
};
use machine_ops::Cx;
use machine_types::{DockerUrl, MachineState, SshEndpoint};
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::error::GenericError;
use crate::saved::SavedGeneric;

const NAME: &str = "generic";

/// How long sshd may take to accept a connection before the host counts as stopped; five seconds, as in the Go
/// driver.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The driver kind `generic`.
#[derive(Debug, Clone, Copy)]
pub struct GenericKind;

impl DriverKind for GenericKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine create -d generic --generic-ip-address 10.0.0.5 m1",
            "docker-machine create -d generic --generic-ip-address 10.0.0.5 --generic-ssh-user ubuntu m1",
        ]
    }

    fn flags(&self) -> Vec<FlagSpec> {
        vec![
            FlagSpec::int("generic-engine-port", 2376, "Docker engine port")
                .env("GENERIC_ENGINE_PORT"),
            FlagSpec::string("generic-ip-address", "IP address of the machine")
                .env("GENERIC_IP_ADDRESS"),
            FlagSpec::string("generic-ssh-user", "SSH user")
                .default_text("root")
                .env("GENERIC_SSH_USER"),
            FlagSpec::string(
                "generic-ssh-key",
                "SSH private key path (if not provided, the agent and the keys in ~/.ssh are tried)",
            )
            .env("GENERIC_SSH_KEY"),
            FlagSpec::int("generic-ssh-port", 22, "SSH port").env("GENERIC_SSH_PORT"),
        ]
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        Ok(Box::new(GenericDriver {
            saved: SavedGeneric::from_options(base, options)?,
            loaded: Map::new(),
            directory: base.directory.clone(),
        }))
    }

    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        Ok(Box::new(GenericDriver {
            loaded: saved.as_object().cloned().unwrap_or_default(),
            saved: SavedGeneric::read(saved)?,
            directory: base.directory.clone(),
        }))
    }

    fn cloud(&self) -> Option<&dyn CloudKind> {
        None
    }
}

struct GenericDriver {
    saved: SavedGeneric,
    loaded: Map<String, Value>,
    directory: PathBuf,
}

impl GenericDriver {
    /// The key whose copy is in the machine's directory, or none: then SSH tries the agent and the user's own keys.
    fn key(&self) -> Option<PathBuf> {
        if !self.saved.base.ssh_key_path.is_empty() {
            return Some(PathBuf::from(&self.saved.base.ssh_key_path));
        }
        let own = (!self.saved.ssh_key.is_empty()).then(|| self.copied_key())?;
        // The name of every copy in docker-machine 0.17, before copies had the same names as in the Go binary.
        let old = self.directory.join("id_rsa");
        Some(if !own.exists() && old.exists() {
            old
        } else {
            own
        })
    }

    /// Returns the path of the copy. It has the name of the user's key, as in the Go binary; if that name is reserved
    /// by the store, or empty, it is `id_rsa`.
    fn copied_key(&self) -> PathBuf {
        let name = Path::new(&self.saved.ssh_key).file_name();
        let name = name.and_then(OsStr::to_str).unwrap_or_default();
        let is_the_stores = name.starts_with('.')
            || name == "config.json"
            || [".pem", ".pub", ".bak"]
                .iter()
                .any(|end| name.ends_with(end));
        self.directory.join(match name {
            "" => "id_rsa",
            _ if is_the_stores => "id_rsa",
            name => name,
        })
    }
}

#[async_trait]
impl Driver for GenericDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn save(&self) -> Value {
        merge(
            &self.loaded,
            serde_json::to_value(&self.saved).unwrap_or_default(),
        )
    }

    fn access(&self) -> Access {
        let base = &self.saved.base;
        let restart_command = Some("sudo shutdown -r now");
        if base.ip_address.is_empty() {
            return Access {
                restart_command,
                ..Access::default()
            };
        }
        let engine = DockerUrl {
            host: base.ip_address.clone(),
            port: self.saved.engine_port,
        };
        Access {
            address: Some(base.ip_address.clone()),
            docker_host: Some(engine.to_string()),
            ssh: Some(SshEndpoint {
                host: base.ip_address.clone(),
                port: base.ssh_port,
                user: base.ssh_user.clone(),
                key: self.key(),
            }),
            restart_command,
            ..Access::default()
        }
    }

    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError> {
        let failed = |error| Err(DriverError::new(DriverErrorKind::PreCreate, error));
        let key = Path::new(&self.saved.ssh_key);
        // Any other error is reported when the key is read.
        if !self.saved.ssh_key.is_empty() && !key.try_exists().unwrap_or(true) {
            return failed(GenericError::KeyMissing(self.saved.ssh_key.clone()));
        }
        let base = &self.saved.base;
        let looked_up = machine_net::addresses(&base.ip_address, base.ssh_port);
        match cx.cancel.or(looked_up).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(source)) => failed(GenericError::UnknownHost {
                host: base.ip_address.clone(),
                source,
            }),
            Err(reason) => Err(DriverError::cancelled(reason)),
        }
    }

    async fn examine_plan(&self, cx: &Cx) -> Vec<Check> {
        let base = &self.saved.base;
        let (host, port) = (base.ip_address.as_str(), base.ssh_port);
        let key = match self.saved.ssh_key.as_str() {
            "" => Check::notable(
                "SSH key",
                "none is given: the agent and the keys in ~/.ssh are tried",
                "name one with --generic-ssh-key to be certain",
            ),
            path if PathBuf::from(path).is_file() => Check::right("SSH key", path),
            path => Check::wrong(
                "SSH key",
                format!("there is no file {path:?}"),
                "correct --generic-ssh-key",
            ),
        };
        let sshd = match sshd_state(host, port, cx).await {
            MachineState::Running => Check::right("host", format!("{host} answers on port {port}")),
            _ => Check::wrong(
                "host",
                format!("{host} does not answer on port {port}"),
                "check --generic-ip-address, --generic-ssh-port, and the firewalls on the way",
            ),
        };
        vec![key, sshd]
    }

    fn key_plan(&self) -> KeyPlan {
        if self.saved.ssh_key.is_empty() {
            KeyPlan::Nothing
        } else {
            let copy = self.copied_key();
            let name = copy.file_name().unwrap_or_default();
            KeyPlan::Copy {
                private: PathBuf::from(&self.saved.ssh_key),
                public: false,
                name: name.to_string_lossy().into_owned(),
                keeps_modes: false,
            }
        }
    }

    async fn rehearse(&self, _cx: &Cx) -> Result<Plan, DriverError> {
        let host = &self.saved.base;
        let step = format!(
            "use the host {} and log in as {} at port {}",
            host.ip_address, host.ssh_user, host.ssh_port
        );
        Ok(Plan {
            steps: vec![step],
            facts: vec![("address", host.ip_address.clone())],
        })
    }

    async fn create(&mut self, _key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError> {
        if self.saved.ssh_key.is_empty() {
            cx.say(format!(
                "({}) No SSH key specified. Trying the agent and the keys in ~/.ssh.",
                self.saved.base.machine_name
            ));
        } else {
            cx.say(format!(
                "({}) Importing SSH key...",
                self.saved.base.machine_name
            ));
            let public = format!("{}.pub", self.saved.ssh_key);
            if !PathBuf::from(&public).is_file() {
                cx.say(format!(
                    "({}) Couldn't copy SSH public key : open {public}: no such file or directory",
                    self.saved.base.machine_name
                ));
            }
            self.saved.base.ssh_key_path = self.copied_key().display().to_string();
        }
        Ok(())
    }

    async fn state(&self, cx: &Cx) -> Result<Status, DriverError> {
        let saved = &self.saved.base;
        Ok(sshd_state(&saved.ip_address, saved.ssh_port, cx)
            .await
            .into())
    }

    async fn power(&mut self, action: Power, _cx: &Cx) -> Result<(), DriverError> {
        let what = match action {
            Power::Start => "start",
            Power::Stop => "stop",
            Power::Kill => "kill",
            Power::Restart => "restart",
        };
        let error = GenericError::Unsupported(what);
        Err(DriverError::new(DriverErrorKind::Unsupported, error))
    }

    fn cloud(&self) -> Option<&dyn Cloud> {
        None
    }

    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud> {
        None
    }
}

/// Returns from one TCP connection whether the host is up. A name that does not resolve, a refusal and a timeout all
/// mean that it cannot be reached.
async fn sshd_state(host: &str, port: u16, cx: &Cx) -> MachineState {
    let connected = tokio::time::timeout(TIMEOUT, async {
        let addresses = machine_net::addresses(host, port).await?;
        TcpStream::connect(addresses.as_slice()).await
    });
    match cx.cancel.or(connected).await {
        Ok(Ok(Ok(_))) => MachineState::Running,
        Ok(_) => MachineState::Stopped,
        Err(_) => MachineState::None,
    }
}
