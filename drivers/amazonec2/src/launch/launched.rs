//! An instance of a launch: as EC2 describes it, and what a create keeps of it.

use aws_sdk_ec2::types::Instance;

use crate::instance::parse;
use crate::launch::error::Refusal;

/// An instance with the account that owns it.
pub(crate) type Found = (Instance, Option<String>);

/// A launched instance, with the data of the response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Launched {
    pub instance: String,
    pub instance_type: Option<String>,
    pub subnet: Option<String>,
    pub private_ip: Option<String>,
    pub account: Option<String>,
    /// EC2's errors for the fleet overrides that it tried before.
    pub refusals: Vec<Refusal>,
}

impl Launched {
    /// Converts an instance; returns `None` if it has no ID.
    pub(crate) fn found((instance, account): Found) -> Option<Self> {
        // An unusable address becomes an error later, when the instance is described: the launch is not undone for it.
        let private_ip = parse(&instance, instance.private_ip_address());
        Some(Self {
            instance: instance.instance_id?,
            instance_type: instance.instance_type.map(|t| t.as_str().to_owned()),
            subnet: instance.subnet_id,
            private_ip: private_ip.ok().flatten(),
            account,
            refusals: Vec::new(),
        })
    }
}
