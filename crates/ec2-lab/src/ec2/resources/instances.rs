//! Instances.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::IdKind;
use crate::ec2::resources::state::Cx;

pub(crate) const INSTANCE: IdKind = IdKind {
    prefix: "i-",
    code: "InvalidInstanceID",
    noun: "instance ID",
};

/// The states of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Launched or started, no host yet.
    Pending,
    /// Has a host.
    Running,
    /// Stopping.
    Stopping,
    /// Has a disk and no host.
    Stopped,
    /// Terminating.
    ShuttingDown,
    /// Terminated, and still listed for a while.
    Terminated,
}

impl InstanceState {
    /// Returns EC2's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// Returns EC2's number of the state.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Returns whether the instance is terminated or terminating.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// The reason for an instance's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReason {
    /// The code, such as `Client.UserInitiatedShutdown`.
    pub code: String,
    /// The message.
    pub message: String,
}

impl StateReason {
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: format!("{code}: {message}"),
        }
    }
}

/// The options of the instance metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataOptions {
    /// `optional` or `required`.
    pub http_tokens: String,
    /// The maximum number of hops of a response.
    pub hop_limit: u32,
    /// `enabled` or `disabled`.
    pub http_endpoint: String,
    /// `enabled` or `disabled`.
    pub http_protocol_ipv6: String,
    /// `enabled` or `disabled`.
    pub instance_metadata_tags: String,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The id of its launch, `r-…`.
    pub reservation: String,
    /// Its index among the instances of its launch.
    pub index: u32,
    /// Its state.
    pub state: InstanceState,
    /// The reason for the state, if EC2 gives one.
    pub reason: Option<StateReason>,
    /// Its image.
    pub image: String,
    /// Its type.
    pub instance_type: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The name of its key pair.
    pub key_name: Option<String>,
    /// The public key on its disk; outlives the key pair.
    pub public_key: Option<String>,
    /// The time of its launch, or of its last start.
    pub launched: SystemTime,
    /// Its zone.
    pub zone: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its private address, until it is terminated.
    pub private_ip: Option<Ipv4Addr>,
    /// Its public address while it runs, if it has one.
    pub public_ip: Option<Ipv4Addr>,
    /// Its IPv6 addresses.
    pub ipv6: Vec<Ipv6Addr>,
    /// Whether it gets a public address when it starts.
    pub wants_public_ip: bool,
    /// Its security groups.
    pub groups: Vec<String>,
    /// The device name of the root volume.
    pub root_device: String,
    /// Device name to volume id.
    pub volumes: BTreeMap<String, String>,
    /// Its network interfaces.
    pub interfaces: Vec<String>,
    /// The client token of its launch.
    pub client_token: Option<String>,
    /// Its spot request, if it is a spot instance.
    pub spot_request: Option<String>,
    /// The name or ARN of its instance profile.
    pub profile: Option<String>,
    /// Whether detailed monitoring is on.
    pub monitoring: bool,
    /// Whether it is EBS-optimised.
    pub ebs_optimized: bool,
    /// Its metadata service's options.
    pub metadata: MetadataOptions,
    /// The decoded user data.
    pub user_data: Vec<u8>,
    /// Whether a shutdown from inside terminates it.
    pub terminates_on_shutdown: bool,
    /// The login name.
    pub user: String,
    /// When the present state ends.
    pub(crate) due: Option<SystemTime>,
    /// Whether its host may still answer; its stop and its termination last at least that long.
    pub(crate) host_on: bool,
    /// The reason with which it will fail while it is pending.
    pub(crate) fate: Option<StateReason>,
    /// The reason with which its next start will end in `stopped`.
    pub(crate) fails_to_start: Option<StateReason>,
}

/// Checks that this call sees all of these instances.
pub(crate) fn check(cx: &Cx<'_>, ids: &[&str]) -> Result<(), ApiError> {
    INSTANCE.check(ids.iter().copied(), |id| {
        cx.region.instances.contains_key(id) && cx.sees(Kind::Instance, id)
    })
}
