//! The hosts at the instances' addresses.
//!
//! The endpoint notifies a [`Hosts`] when an instance boots, stops or is terminated. The implementation decides how
//! the host is made: in process, or as a container with a real Debian.

mod debian;
mod simulated;

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

pub use debian::{DebianError, DebianHosts, DebianImage, DebianOptions};
pub use simulated::{
    Attack, Counts, DockerAtBoot, ExecFault, HostOptions, HostView, Moment, SimulatedHosts,
};

/// The endpoint's data about a booting instance.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// The instance's id, `i-…`.
    pub instance_id: String,
    /// The private address that the endpoint reports; sshd and Docker must answer there.
    pub address: IpAddr,
    /// The login name of the image (`ubuntu`, `admin`, `ec2-user`).
    pub user: String,
    /// The key pair's public key in OpenSSH format; without it every login is refused.
    pub public_key: Option<String>,
    /// The decoded user data; empty if there is none.
    pub user_data: Vec<u8>,
}

/// Makes hosts. A boot returns as soon as it has begun: a host that is still booting refuses connections, as on EC2.
/// A stop and a termination return once the host no longer answers; until then the endpoint reports `stopping`.
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// Boots a new host, or an existing one (same instance id) again, possibly at a new address.
    ///
    /// # Errors
    /// The host cannot be made; the endpoint then moves the instance to `terminated`.
    async fn boot(&self, host: HostSpec) -> Result<(), HostError>;
    /// Takes the host off the network and keeps its disk.
    async fn stop(&self, instance_id: &str);
    /// Restarts the host in place.
    async fn reboot(&self, instance_id: &str);
    /// Removes the host and its disk. Ignores unknown ids.
    async fn terminate(&self, instance_id: &str);
    /// Returns the tail of the serial console.
    async fn console(&self, instance_id: &str) -> String;
}

/// The cause of a failed boot.
#[derive(Debug, thiserror::Error)]
#[error("no host for {instance_id} at {address}: {reason}")]
pub struct HostError {
    /// The instance's id.
    pub instance_id: String,
    /// Its intended address.
    pub address: IpAddr,
    /// The error message.
    pub reason: String,
}

/// No hosts: no process answers at the addresses.
#[derive(Debug, Default)]
pub struct NoHosts;

#[async_trait]
impl Hosts for NoHosts {
    async fn boot(&self, _host: HostSpec) -> Result<(), HostError> {
        Ok(())
    }
    async fn stop(&self, _instance_id: &str) {}
    async fn reboot(&self, _instance_id: &str) {}
    async fn terminate(&self, _instance_id: &str) {}
    async fn console(&self, _instance_id: &str) -> String {
        String::new()
    }
}

/// Lets the lab's time pass.
#[allow(
    clippy::disallowed_methods,
    reason = "the delays of hosts are part of the tests and use real time"
)]
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
