//! The EC2 Query endpoint: state, time, eventual consistency, faults.
//!
//! [`Lab`] is an EC2 on loopback, with two calls of STS beside it. One file per family
//! of resources holds what they are and what the calls do to them; [`call`](self) leads each
//! call past faults, throttling and policy to its row in the table of actions. Tests
//! steer and observe it through [`Lab`]; `ec2-lab serve` offers the same over HTTP.
//!
//! It refuses nothing on account of a signature, packs no packets and enforces no rules of
//! security groups.

mod actions;
mod addresses;
mod builder;
mod call;
mod calls;
mod capacity;
mod clock;
mod config;
mod consistency;
mod control;
mod describe_instances;
mod error;
mod faults;
mod filters;
mod fleet;
mod groups;
mod hosting;
mod images;
mod instances;
mod interfaces;
mod keys;
mod lab;
mod launch;
mod life;
mod placement;
mod policy;
mod power;
mod query;
mod rules;
mod server;
mod spot;
mod state;
mod tags;
mod templates;
mod throttle;
mod tokens;
mod types;
mod view;
mod volumes;
mod vpc;
mod xml;

pub use builder::{ACCESS_KEY, ACCOUNT, Builder, OTHER_ACCESS_KEY, OTHER_ACCOUNT, StartError};
pub use calls::Call;
pub use capacity::{Market, Shortage};
pub use clock::Clock;
pub use config::{Cidr, Durations};
pub use consistency::{Blindness, Kind};
pub use error::ApiError;
pub use faults::{Effect, Fault, Gate};
pub use groups::SecurityGroup;
pub use images::Image;
pub use instances::{Instance, InstanceState, MetadataOptions, StateReason};
pub use interfaces::Interface;
pub use keys::KeyPair;
pub use lab::Lab;
pub use policy::{Denial, KeyState};
pub use rules::{Rule, Source};
pub use spot::SpotRequest;
pub use templates::LaunchTemplate;
pub use throttle::{Bucket, Throttling};
pub use volumes::Volume;
pub use vpc::{Subnet, Vpc};
