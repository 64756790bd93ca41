//! The EC2 Query endpoint: state, time, eventual consistency, faults.
//!
//! [`Lab`] is an EC2 on loopback, plus two calls of STS. One file per family of resources holds their types and the
//! calls on them; [`call`](self) passes each call through faults, throttling and policy to its row in the table of
//! actions. Tests control and observe it through [`Lab`]; `ec2-lab serve` offers the same over HTTP.
//!
//! Does not verify signatures, transfers no packets and does not enforce the rules of security groups.
//! security groups.

mod faults;
mod lab;
mod protocol;
mod resources;

pub use faults::capacity::{Market, Shortage};
pub use faults::consistency::{Blindness, Kind};
pub use faults::injection::{Effect, Fault, Gate};
pub use faults::throttle::{Bucket, Throttling, TokenBucket};
pub use lab::builder::{ACCESS_KEY, ACCOUNT, Builder, OTHER_ACCESS_KEY, OTHER_ACCOUNT, StartError};
pub use lab::clock::Clock;
pub use lab::core::Lab;
pub use lab::policy::{Denial, KeyState};
pub use protocol::calls::Call;
pub use protocol::error::ApiError;
pub use resources::config::{Cidr, Durations};
pub use resources::groups::SecurityGroup;
pub use resources::images::Image;
pub use resources::instances::{Instance, InstanceState, MetadataOptions, StateReason};
pub use resources::interfaces::Interface;
pub use resources::keys::KeyPair;
pub use resources::rules::{Rule, Source};
pub use resources::spot::SpotRequest;
pub use resources::templates::LaunchTemplate;
pub use resources::volumes::Volume;
pub use resources::vpc::{Subnet, Vpc};
