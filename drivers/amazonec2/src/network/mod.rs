//! Subnets and security groups of a launch.

pub(crate) mod security_groups;
pub(crate) mod subnets;
