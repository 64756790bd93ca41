//! Hosts in this process: sshd, a disk, systemd's view of Docker, and Docker's endpoint.
//!
//! Owns everything that a provisioning script can see of a host without root: each instance has a directory as its
//! root, which commands find in `MACHINE_ROOT`, an SSH server at the instance's address that runs commands with this
//! machine's `sh`, stubs for the programs that would need root, and a TLS endpoint with the certificates on that
//! disk. All connections stay on loopback. Does not depend on the text of scripts, and does not support containers.
//!
//! Limitation: a command that ignores `MACHINE_ROOT` sees this machine's files, with the permissions of the user who
//! runs the lab. Called by the endpoint through [`Hosts`], and by tests.

mod calls;
mod counters;
mod disk;
mod docker_api;
mod docker_service;
mod exec;
mod gate;
mod host;
mod listening;
mod options;
mod packages;
mod programs;
mod pty;
mod sftp;
mod ssh_server;
mod systemctl;
mod systemd_unit;
mod view;
mod web;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{HostError, HostSpec, Hosts};
use disk::Shelf;
use host::{Host, lock};

pub use counters::Counts;
pub use options::{Attack, DockerAtBoot, ExecFault, HostOptions, Moment};
pub use view::HostView;

/// Sets the options of a host before its first boot.
type Plan = Box<dyn Fn(&HostSpec, &mut HostOptions) + Send + Sync>;

/// Makes simulated hosts. Dropping it ends all of them.
pub struct SimulatedHosts {
    shelf: Arc<Shelf>,
    defaults: HostOptions,
    plan: Mutex<Option<Plan>>,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    _directory: TempDir,
}

impl fmt::Debug for SimulatedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedHosts")
            .field("hosts", &lock(&self.hosts).keys())
            .finish_non_exhaustive()
    }
}

impl SimulatedHosts {
    /// Makes hosts in a temporary directory, which is removed with them.
    ///
    /// # Errors
    /// The directory cannot be created or filled.
    pub fn new(defaults: HostOptions) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("ec2-lab-").tempdir()?;
        Ok(Self {
            shelf: Arc::new(Shelf::new(directory.path())?),
            defaults,
            plan: Mutex::default(),
            hosts: Mutex::default(),
            _directory: directory,
        })
    }

    /// Sets the function that adjusts the options of each host before its first boot, for hosts that boot later.
    pub fn plan(&self, plan: impl Fn(&HostSpec, &mut HostOptions) + Send + Sync + 'static) {
        *lock(&self.plan) = Some(Box::new(plan));
    }

    /// Returns the host of an instance; none before its first boot and after its termination. A view that was taken
    /// earlier still works, with unchanged counters.
    #[must_use]
    pub fn host(&self, instance_id: &str) -> Option<HostView> {
        lock(&self.hosts)
            .get(instance_id)
            .cloned()
            .map(HostView::new)
    }

    /// Returns all hosts that were booted and not terminated, by instance id.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostView> {
        lock(&self.hosts)
            .values()
            .cloned()
            .map(HostView::new)
            .collect()
    }

    fn find(&self, instance_id: &str) -> Option<Arc<Host>> {
        lock(&self.hosts).get(instance_id).cloned()
    }

    fn find_or_make(&self, spec: &HostSpec) -> io::Result<Arc<Host>> {
        if let Some(host) = self.find(&spec.instance_id) {
            return Ok(host);
        }
        let mut options = self.defaults.clone();
        if let Some(plan) = lock(&self.plan).as_ref() {
            plan(spec, &mut options);
        }
        let host = Arc::new(Host::new(&self.shelf, spec.clone(), options)?);
        lock(&self.hosts).insert(spec.instance_id.clone(), Arc::clone(&host));
        Ok(host)
    }
}

#[async_trait]
impl Hosts for SimulatedHosts {
    async fn boot(&self, host: HostSpec) -> Result<(), HostError> {
        let (instance_id, address) = (host.instance_id.clone(), host.address);
        let booted = match self.find_or_make(&host) {
            Ok(made) => made.boot(host).await,
            Err(error) => Err(error),
        };
        booted.map_err(|error| HostError {
            instance_id,
            address,
            reason: error.to_string(),
        })
    }

    async fn stop(&self, instance_id: &str) {
        if let Some(host) = self.find(instance_id) {
            host.power_off().await;
        }
    }

    async fn reboot(&self, instance_id: &str) {
        if let Some(host) = self.find(instance_id) {
            let spec = host.spec();
            if let Err(error) = host.boot(spec).await {
                programs::on_console(&host, &format!("reboot failed: {error}"));
            }
        }
    }

    async fn terminate(&self, instance_id: &str) {
        if let Some(host) = self.find(instance_id) {
            host.power_off().await;
            lock(&self.hosts).remove(instance_id);
            // Files of a process that ended just now are removed with the lab's directory.
            let _ = fs::remove_dir_all(&host.root);
        }
    }

    async fn console(&self, instance_id: &str) -> String {
        self.find(instance_id)
            .map(|host| lock(&host.console).clone())
            .unwrap_or_default()
    }
}

impl Drop for SimulatedHosts {
    fn drop(&mut self) {
        for host in lock(&self.hosts).values() {
            host.cut_power();
        }
    }
}
