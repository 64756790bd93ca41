//! The counters of a simulated host, for budgets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::host::lock;

/// Counters of one host since its creation, including reboots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections that sshd accepted.
    pub ssh_connections: u64,
    /// Authentication attempts of any method and outcome. OpenSSH's client begins with `none`, and offers a key
    /// before it signs: both count.
    pub auth_attempts: u64,
    /// The commands of all exec requests, in order, including those affected by a fault.
    pub execs: Vec<String>,
    /// Shell requests.
    pub shells: u64,
    /// SFTP sessions.
    pub sftp_sessions: u64,
    /// Channels that the client let the host open.
    pub channels_opened: u64,
    /// Bytes that sshd received.
    pub ssh_bytes_in: u64,
    /// Bytes that sshd sent.
    pub ssh_bytes_out: u64,
    /// Starts of dockerd, including those at boot, successful or not.
    pub docker_starts: u64,
    /// Starts that stopped a running dockerd first.
    pub docker_restarts: u64,
    /// Requests that the Docker endpoint answered.
    pub docker_requests: u64,
    /// Successful package installations.
    pub installations: u64,
}

/// The current counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) ssh_connections: AtomicU64,
    pub(super) auth_attempts: AtomicU64,
    pub(super) execs: Mutex<Vec<String>>,
    pub(super) shells: AtomicU64,
    pub(super) sftp_sessions: AtomicU64,
    pub(super) channels_opened: AtomicU64,
    pub(super) ssh_bytes_in: AtomicU64,
    pub(super) ssh_bytes_out: AtomicU64,
    pub(super) docker_starts: AtomicU64,
    pub(super) docker_restarts: AtomicU64,
    pub(super) docker_requests: AtomicU64,
    pub(super) installations: AtomicU64,
}

/// Increments a counter.
pub(super) fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn read(&self) -> Counts {
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Counts {
            ssh_connections: of(&self.ssh_connections),
            auth_attempts: of(&self.auth_attempts),
            execs: lock(&self.execs).clone(),
            shells: of(&self.shells),
            sftp_sessions: of(&self.sftp_sessions),
            channels_opened: of(&self.channels_opened),
            ssh_bytes_in: of(&self.ssh_bytes_in),
            ssh_bytes_out: of(&self.ssh_bytes_out),
            docker_starts: of(&self.docker_starts),
            docker_restarts: of(&self.docker_restarts),
            docker_requests: of(&self.docker_requests),
            installations: of(&self.installations),
        }
    }
}
