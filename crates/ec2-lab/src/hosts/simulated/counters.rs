//! The counters of a simulated host, for budgets.

/// Counters of one host since its creation, including reboots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections that sshd accepted.
    pub ssh_connections: u64,
    /// The commands of all exec requests, in order, including those affected by a fault.
    pub execs: Vec<String>,
    /// Channels that the client let the host open.
    pub channels_opened: u64,
    /// Starts of dockerd, including those at boot, successful or not.
    pub docker_starts: u64,
    /// Starts that stopped a running dockerd first.
    pub docker_restarts: u64,
    /// Successful package installations.
    pub installations: u64,
}
