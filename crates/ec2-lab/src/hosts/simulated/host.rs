//! One simulated host: its power, its disk, its services.
//!
//! Owns the life cycle (boot, stop, reboot) and everything that ends with it: listeners, connections, processes.
//! Called by [`SimulatedHosts`](super::SimulatedHosts); the sibling modules are the services that it runs.

use std::collections::HashSet;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::task::JoinHandle;

use super::counters::Counts;
use super::disk::{Shelf, home, within};
use super::docker_service::DockerService;
use super::gate::Gate;
use super::listening::Sockets;
use super::options::{HostOptions, SSH_PORT};
use super::systemd_unit::FRAGMENT;
use super::{calls, ssh_server};
use crate::hosts::HostSpec;

/// A host and its parts.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) root: PathBuf,
    pub(super) search_path: String,
    pub(super) shelf: Arc<Shelf>,
    pub(super) counts: Mutex<Counts>,
    /// The lines of `docker.service` in the journal.
    pub(super) journal: Mutex<String>,
    pub(super) docker: DockerService,
    pub(super) sockets: Sockets,
    pub(super) console: Mutex<String>,
    spec: Mutex<HostSpec>,
    options: Mutex<HostOptions>,
    host_key: PrivateKey,
    power: Mutex<Option<Power>>,
    processes: Mutex<HashSet<Pid>>,
}

/// The state that exists only while the host runs.
#[derive(Debug)]
struct Power {
    gates: Gates,
    tasks: Vec<JoinHandle<()>>,
    connections: Vec<Arc<TcpStream>>,
}

/// The gates of a boot.
#[derive(Debug, Clone)]
pub(super) struct Gates {
    pub(super) listens: Gate,
    pub(super) greets: Gate,
    pub(super) accepts_key: Gate,
}

/// Locks a mutex; ignores poisoning by a panicking test.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Makes the host's disk and key. Starts no process.
    pub(super) fn new(
        shelf: &Arc<Shelf>,
        spec: HostSpec,
        options: HostOptions,
    ) -> io::Result<Self> {
        let root = shelf.make_root(&spec, &options)?;
        let host_key = match &options.host_key {
            Some(key) => PrivateKey::from_openssh(key).map_err(io::Error::other)?,
            None => new_host_key()?,
        };
        Ok(Self {
            search_path: shelf.search_path(&root),
            root,
            shelf: Arc::clone(shelf),
            counts: Mutex::default(),
            journal: Mutex::default(),
            docker: DockerService::default(),
            sockets: Sockets::default(),
            console: Mutex::default(),
            spec: Mutex::new(spec),
            options: Mutex::new(options),
            host_key,
            power: Mutex::default(),
            processes: Mutex::default(),
        })
    }

    pub(super) fn spec(&self) -> HostSpec {
        lock(&self.spec).clone()
    }

    pub(super) fn options(&self) -> MutexGuard<'_, HostOptions> {
        lock(&self.options)
    }

    pub(super) fn host_key(&self) -> &PrivateKey {
        &self.host_key
    }

    /// Returns the gates of the running boot; none while the host is off.
    pub(super) fn gates(&self) -> Option<Gates> {
        lock(&self.power).as_ref().map(|power| power.gates.clone())
    }

    /// Begins a boot at the address of `spec`; powers a running host off first.
    ///
    /// # Errors
    /// A disk error, or sshd's address is not available.
    pub(super) async fn boot(self: &Arc<Self>, spec: HostSpec) -> io::Result<()> {
        self.power_off().await;
        let options = self.options().clone();
        Shelf::boot(&self.root, &spec, &options)?;
        let sshd = SocketAddr::new(spec.address, SSH_PORT);
        *lock(&self.spec) = spec;
        self.write_console();
        let gates = Gates {
            listens: Gate::at(options.listens),
            greets: Gate::at(options.greets),
            accepts_key: Gate::at(options.accepts_key),
        };
        let put_key = authorized_keys(&self.root, &self.spec());
        let mut tasks = vec![tokio::spawn(calls::serve(
            Arc::clone(self),
            calls::open(&self.root)?,
        ))];
        if gates.accepts_key.is_open() {
            put_key()?;
        } else {
            let moment = gates.accepts_key.clone();
            tasks.push(tokio::spawn(async move {
                moment.opened().await;
                // If this fails, the host refuses all logins, which the test then sees.
                let _ = put_key();
            }));
        }
        let host = Arc::clone(self);
        // A host that is ready at once is ready when the call returns, and a bad address is an error of the call.
        let ready = match gates.listens.is_open() {
            true => Some(ssh_server::listen(sshd)?),
            false => None,
        };
        let (listens, running) = (gates.listens.clone(), gates.clone());
        tasks.push(tokio::spawn(async move {
            listens.opened().await;
            let listener = match ready {
                Some(listener) => Ok(listener),
                None => ssh_server::listen(sshd),
            };
            match listener {
                Ok(listener) => {
                    host.sockets.add(&listener);
                    ssh_server::serve(host, listener, running).await;
                }
                Err(error) => lock(&host.console).push_str(&format!("sshd: {sshd}: {error}\n")),
            }
        }));
        if within(&self.root, FRAGMENT).exists() {
            let (host, listens) = (Arc::clone(self), gates.listens.clone());
            tasks.push(tokio::spawn(async move {
                listens.opened().await;
                // A failed start is in the journal, as on any host.
                host.docker.start(&host).await;
            }));
        }
        *lock(&self.power) = Some(Power {
            gates,
            tasks,
            connections: Vec::new(),
        });
        Ok(())
    }

    /// Ends everything at once and keeps the disk. Succeeds also if the host is off.
    pub(super) async fn power_off(&self) {
        for task in self.cut_power() {
            // Only the end of the task matters: the address is free then.
            let _ = task.await;
        }
        self.docker.stop().await;
    }

    /// The part of [`power_off`](Self::power_off) that does not wait.
    pub(super) fn cut_power(&self) -> Vec<JoinHandle<()>> {
        self.sockets.close();
        let Some(power) = lock(&self.power).take() else {
            return Vec::new();
        };
        for connection in &power.connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        for process in std::mem::take(&mut *lock(&self.processes)) {
            let _ = kill_process_group(process, Signal::KILL);
        }
        power.tasks.iter().for_each(JoinHandle::abort);
        power.tasks
    }

    /// Registers a connection, to close it at power-off. False if the power is off.
    pub(super) fn connected(&self, connection: &Arc<TcpStream>) -> bool {
        let mut power = lock(&self.power);
        if let Some(power) = power.as_mut() {
            power.connections.push(Arc::clone(connection));
        }
        power.is_some()
    }

    /// Closes a connection and unregisters it.
    pub(super) fn disconnect(&self, connection: &Arc<TcpStream>) {
        // Succeeds also if the other side has already closed it.
        let _ = connection.shutdown(Shutdown::Both);
        if let Some(power) = lock(&self.power).as_mut() {
            power
                .connections
                .retain(|other| !Arc::ptr_eq(other, connection));
        }
    }

    /// Registers a process group, to kill it at power-off.
    pub(super) fn started(&self, process: Pid) {
        lock(&self.processes).insert(process);
    }

    /// Unregisters a process group whose leader was waited for and that has no other members.
    pub(super) fn ended(&self, process: Pid) {
        if rustix::process::test_kill_process_group(process).is_err() {
            lock(&self.processes).remove(&process);
        }
    }

    /// Writes the console output of a Debian image for EC2's GetConsoleOutput.
    fn write_console(&self) {
        let key = self.host_key();
        let fingerprint = key.fingerprint(russh::keys::HashAlg::Sha256);
        let name = self.spec().instance_id;
        lock(&self.console).push_str(&format!(
            "[    0.000000] Linux version 6.1.0-42-cloud-amd64 (lab)\n\
             [    1.204011] systemd[1]: Hostname set to <{name}>.\n\
             ci-info: no authorized SSH keys fingerprints found for user root.\n\
             -----BEGIN SSH HOST KEY FINGERPRINTS-----\n\
             256 {fingerprint} root@{name} (ED25519)\n\
             -----END SSH HOST KEY FINGERPRINTS-----\n"
        ));
    }
}

/// Returns the step of cloud-init for the login user: adds the instance's key to `authorized_keys`.
fn authorized_keys(root: &Path, spec: &HostSpec) -> impl Fn() -> io::Result<()> + use<> {
    let file = home(root, &spec.user).join(".ssh/authorized_keys");
    let key = spec.public_key.clone();
    move || match &key {
        Some(key) => std::fs::write(&file, format!("{}\n", key.trim())),
        None => Ok(()),
    }
}

/// Makes an ed25519 host key from the operating system's randomness.
fn new_host_key() -> io::Result<PrivateKey> {
    let mut seed = [0; 32];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut seed)
        .map_err(|_| io::Error::other("the operating system has no randomness"))?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}
